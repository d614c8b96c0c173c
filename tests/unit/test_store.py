"""The store keeps every promise on SQLite and on PostgreSQL: the same tests run on both."""

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from models.vocabulary import (
    CodebookRef,
    CodedComment,
    Coding,
    Comment,
    CommentId,
    ModelId,
    Problem,
    RespondentId,
    Segment,
    ThemeId,
)
from nlp_service.store import database as database_module
from nlp_service.store import tables
from nlp_service.store.audit import read_entries
from nlp_service.store.batches import (
    NewBatch,
    add_batch,
    add_codings,
    add_run,
    coded_ordinals,
    delete_batch,
    find_batch,
    get_batch,
    list_batches,
    list_runs,
    n_waiting_comments,
    open_runs,
    read_codings,
    read_comments,
    read_problems,
    run_codebook,
    set_state,
)
from nlp_service.store.database import Database, StoreGoneError, StoreUrlError, open_store
from nlp_service.store.idempotency import InFlightError, OtherPayloadError, claim, release, settle
from nlp_service.store.keys import KeyNotFoundError, KeyRing, Scope, SecretError, read_secret
from nlp_service.store.values import BatchId, BatchNotFoundError, BatchRecord, RunModel, RunState
from tests.conftest import THREE
from tests.postgresql import Server

MODEL = RunModel("starter", "test-1", "0.1", THREE, "encoder", "fast")
COMMENTS = tuple(
    Comment(CommentId(f"c{i}"), f"text {i} \x00\x1b1😀", "Q?" if i % 2 else None, RespondentId(f"p{i // 2}"), i + 2)
    for i in range(10)
)


def submit(database: Database, consultation: str = "town", comments: tuple[Comment, ...] = COMMENTS) -> BatchRecord:
    problems = (Problem("blank_text", "nobody wrote here", "nothing to do", 20, "text", "in.csv"),)
    new = NewBatch(consultation, ("in.csv",), comments, problems, ("a note",), len(comments) + 1)
    with database.write() as connection:
        batch, _ = add_batch(connection, new, MODEL, actor="k1", chunk_comments=4, service_version="1")
    return get_batch(database, batch)


def coded(i: int, p: float = 0.5) -> CodedComment:
    return CodedComment(
        CommentId(f"c{i}"),
        (Coding(ThemeId("noise"), p, (Segment(0, 4), Segment(5, 6))),),
        (ThemeId("light"),),
        ((ThemeId("noise"), p), (ThemeId("theft"), 0.0123), (ThemeId("light"), 0.4)),
        ModelId("test-1"),
        CodebookRef(THREE.ref),
    )


def test_the_migrations_make_the_tables_that_the_code_uses(database: Database) -> None:
    with database.read() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), tables.metadata)
    assert difference == []


def test_opening_a_store_again_changes_nothing_and_many_may_open_at_once(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    submit(database)
    with ThreadPoolExecutor(6) as pool:
        for again in pool.map(lambda _: open_store(url), range(6)):
            assert len(list_batches(again)) == 1
            again.close()


def test_comments_come_back_as_they_were_in_order(database: Database) -> None:
    batch = submit(database)
    assert read_comments(database, batch.id, 0, 99) == list(enumerate(COMMENTS))
    assert [i for i, _ in read_comments(database, batch.id, 4, 8)] == [4, 5, 6, 7]
    assert (batch.n_comments, batch.n_distinct, batch.n_rows, batch.n_problems) == (10, 10, 11, 1)
    assert (batch.inputs, batch.notes, batch.created_by) == (("in.csv",), ("a note",), "k1")
    assert batch.run.state is RunState.QUEUED
    assert run_codebook(database, batch.run.id) == THREE
    assert read_problems(database, batch.id, batch.run.id)[0].row == 20


def test_codings_written_twice_are_kept_once_and_the_first_stands(database: Database) -> None:
    batch = submit(database)
    assert add_codings(database, batch.run.id, batch.id, {i: coded(i) for i in range(4)}) == 4
    assert add_codings(database, batch.run.id, batch.id, {i: coded(i, 0.9) for i in range(2, 6)}) == 2
    bad = Problem("not_codable", "x", "y", 8)
    assert add_codings(database, batch.run.id, batch.id, {}, {5: bad, 6: bad}) == 1
    run = get_batch(database, batch.id).run
    assert (run.n_done, run.n_problems) == (7, 1)
    assert coded_ordinals(database, run.id, 0, 10) == set(range(7))
    found = list(read_codings(database, run, THREE))
    assert [(i, c, k) for i, c, k in found] == [(i, COMMENTS[i], coded(i, 0.9 if i > 3 else 0.5)) for i in range(6)]
    assert [i for i, _, _ in read_codings(database, run, THREE, after=2, limit=2)] == [3, 4]
    assert [p.code for p in read_problems(database, batch.id, run.id)] == ["blank_text", "not_codable"]


def test_two_workers_that_write_the_same_codings_at_once_write_them_once(database: Database) -> None:
    batch = submit(database)
    with ThreadPoolExecutor(8) as pool:
        new = list(
            pool.map(
                lambda _: add_codings(database, batch.run.id, batch.id, {i: coded(i) for i in range(10)}), range(8)
            )
        )
    assert sum(new) == 10
    assert get_batch(database, batch.id).run.n_done == 10


def test_coding_again_adds_a_run_and_keeps_the_first(database: Database) -> None:
    batch = submit(database)
    add_codings(database, batch.run.id, batch.id, {0: coded(0)})
    assert set_state(database, batch.run.id, RunState.DONE)
    with database.write() as connection:
        second = add_run(connection, batch.id, replace(MODEL, model="test-2"), chunk_comments=4, service_version="1")
    assert get_batch(database, batch.id).run.id == second
    first, _ = list_runs(database, batch.id)
    assert (first.model, first.state, first.n_done) == ("test-1", RunState.DONE, 1)
    assert len(list(read_codings(database, first, THREE))) == 1


def test_a_run_that_is_over_stays_over(database: Database) -> None:
    batch = submit(database)
    assert n_waiting_comments(database) == 10
    assert [r.id for r in open_runs(database)] == [batch.run.id]
    assert set_state(database, batch.run.id, RunState.CODING)
    began = get_batch(database, batch.id).run.started_at
    assert began is not None
    assert set_state(database, batch.run.id, RunState.CODING)
    assert get_batch(database, batch.id).run.started_at == began
    assert set_state(database, batch.run.id, RunState.CANCELLED, actor="k1")
    assert not set_state(database, batch.run.id, RunState.DONE)
    assert add_codings(database, batch.run.id, batch.id, {0: coded(0)}) == 0
    assert open_runs(database) == ()
    assert n_waiting_comments(database) == 0


def test_batches_are_listed_newest_first_and_by_consultation(database: Database) -> None:
    ids = [submit(database, c).id for c in ("a", "b", "a")]
    assert [b.id for b in list_batches(database)] == ids[::-1]
    assert [b.id for b in list_batches(database, consultation="a")] == [ids[2], ids[0]]
    assert [b.id for b in list_batches(database, limit=1)] == [ids[2]]
    assert [b.id for b in list_batches(database, before=get_batch(database, ids[1]).created_at)] == [ids[0]]
    assert find_batch(database, ids[0], consultation="b") is None
    with pytest.raises(BatchNotFoundError):
        get_batch(database, "b-0")


def test_a_deleted_batch_leaves_only_its_entries_in_the_audit_log(database: Database) -> None:
    batch, other = submit(database), submit(database)
    add_codings(database, batch.run.id, batch.id, {0: coded(0)})
    delete_batch(database, batch.id, actor="k9")
    assert find_batch(database, batch.id) is None
    with database.read() as connection:
        for table in (tables.comments, tables.codings, tables.problems, tables.runs):
            column = table.c.batch
            assert set(connection.execute(select(column)).scalars()) <= {other.id}
    assert [(e.did, e.actor) for e in read_entries(database) if e.subject == batch.id] == [
        ("batch.delete", "k9"),
        ("batch.submit", "k1"),
    ]


def test_the_audit_log_only_grows(database: Database) -> None:
    submit(database)
    for statement in (update(tables.audit).values(actor="x"), delete(tables.audit)):
        with pytest.raises(DBAPIError, match="only grows"), database.write() as connection:
            connection.execute(statement)
    assert len(read_entries(database)) == 1


def test_a_coding_of_no_comment_cannot_be_kept(database: Database) -> None:
    batch = submit(database)
    assert add_codings(database, batch.run.id, batch.id, {77: coded(7)}) == 0
    with pytest.raises(DBAPIError), database.write() as connection:
        connection.execute(tables.codings.insert().values(run="r-none", ordinal=0, batch=batch.id, coding="[]"))


def test_what_fails_half_way_is_not_kept(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as connection:
        new = NewBatch("town", ("in.csv",), COMMENTS, (), (), 10)
        add_batch(connection, new, MODEL, actor="k1", chunk_comments=4, service_version="1")
        raise ZeroDivisionError
    assert list_batches(database) == ()


def test_errors_of_the_database_do_not_repeat_words(database: Database) -> None:
    batch = submit(database)
    row: dict[str, Any] = {"batch": batch.id, "ordinal": 0, "comment_id": "c0", "text": "Harpist's umbrella"}
    with pytest.raises(DBAPIError) as error, database.write() as connection:
        connection.execute(tables.comments.insert().values(row))
    assert "Harpist" not in str(error.value).split("[SQL")[-1]


def test_the_clock_is_the_databases_own(database: Database) -> None:
    with database.read() as connection:
        now = connection.execute(select(database.clock())).scalar_one()
    assert abs(now - datetime.now(UTC).timestamp()) < 60


def test_keys_open_what_they_say_until_they_end(database: Database) -> None:
    ring = KeyRing(database, b"s" * 32)
    assert not ring.has_keys()
    key, words = ring.make_key("tool", {Scope.CLASSIFY}, actor="cli", consultation="town")
    assert ring.has_keys()
    found = ring.find_key(words)
    assert found == key
    assert key.consultation == "town"
    assert key.may(Scope.CLASSIFY)
    assert not key.may(Scope.SUBMIT)
    for wrong in (
        words[:-1],
        words + "x",
        words[:-1] + ("A" if words[-1] != "A" else "B"),
        "",
        "themes__",
        words.upper(),
    ):
        assert ring.find_key(wrong) is None
    assert KeyRing(database, b"t" * 32).find_key(words) is None
    now = datetime.now(UTC)
    assert key.is_valid(now)
    short, _ = ring.make_key("short", {Scope.ADMIN}, actor="cli", lifetime=timedelta(hours=1))
    assert all(short.may(s) for s in Scope)
    assert short.is_valid(now)
    assert not short.is_valid(now + timedelta(hours=2))
    assert not ring.revoke(key.id, actor="cli").is_valid(now)
    assert ring.revoke(key.id, actor="cli") == ring.find_key(words)
    with pytest.raises(KeyNotFoundError):
        ring.revoke("nobody", actor="cli")
    assert [k.id for k in ring.list_keys()] == [key.id, short.id]
    assert [e.did for e in read_entries(database)] == ["key.revoke", "key.make", "key.make"]


def test_a_keys_text_is_nowhere_in_the_store(database: Database) -> None:
    _, words = KeyRing(database, b"s" * 32).make_key("tool", {Scope.CLASSIFY}, actor="cli")
    with database.read() as connection:
        rows = [tuple(r) for t in (tables.keys, tables.audit) for r in connection.execute(select(t))]
    assert words.rsplit("_", 1)[1] not in repr(rows)


def test_a_request_sent_twice_is_done_once(database: Database) -> None:
    first = claim(database, "k1", "key", "f1")
    assert first.batch is None
    with pytest.raises(InFlightError):
        claim(database, "k1", "key", "f1")
    with pytest.raises(OtherPayloadError):
        claim(database, "k1", "key", "f2")
    assert claim(database, "k2", "key", "f2").batch is None
    with database.write() as connection:
        settle(connection, first, BatchId("b-1"))
    release(database, first)
    assert claim(database, "k1", "key", "f1").batch == "b-1"
    other = claim(database, "k1", "other", "f1")
    release(database, other)
    assert claim(database, "k1", "other", "f2").batch is None


def test_of_many_claims_at_once_one_is_given(database: Database) -> None:
    def attempt(_: int) -> bool:
        try:
            return claim(database, "k1", "key", "f1").batch is None
        except InFlightError:
            return False

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_a_lost_request_may_be_done_again_after_its_time(database: Database) -> None:
    claim(database, "k1", "key", "f1")
    with database.write() as connection:
        connection.execute(update(tables.idempotency).values(begun_at_s=tables.idempotency.c.begun_at_s - 121))
    assert claim(database, "k1", "key", "f1").batch is None


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'deep' / 'themes.db'}")
    with database.read() as connection:
        pragmas = {p: connection.execute(text(f"PRAGMA {p}")).scalar() for p in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")}  # fmt: skip
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}
    assert database.file is not None
    assert stat.S_IMODE(database.file.stat().st_mode) == 0o600
    database.close()


def test_a_database_that_does_not_answer_is_said_so(tmp_path: Path, postgresql: Server) -> None:
    (tmp_path / "themes.db").write_bytes(b"no database" * 100)
    with pytest.raises((StoreGoneError, DBAPIError, sqlite3.DatabaseError)):
        open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    gone = Database(postgresql.url("nothing_here"))
    with pytest.raises(StoreGoneError), gone.read() as connection:
        connection.execute(select(func.now()))
    gone.close()


@pytest.mark.slow
def test_who_is_halted_in_the_middle_of_a_write_holds_nobody_up_for_long(
    postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgresql.new_database()
    open_store(url).close()
    monkeypatch.setattr(database_module, "IDLE_MS", 500)
    halted, other = Database(url), Database(url)

    with pytest.raises(StoreGoneError), halted.write() as connection:
        connection.execute(text("LOCK TABLE workers IN EXCLUSIVE MODE"))
        with other.write() as its:
            its.execute(
                text("LOCK TABLE workers IN EXCLUSIVE MODE")
            )  # waits until the server has ended the other session
        connection.execute(text("SELECT 1"))
    with halted.read() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    halted.close()
    other.close()


@pytest.mark.parametrize("url", ["", "themes.db", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgresql"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(StoreUrlError):
        Database(url)


def test_the_secret_is_made_once_and_read_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "here" / "secret"
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: read_secret(path), range(16)))
    assert len(secrets) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["secret"]
    path.write_bytes(b"short")
    with pytest.raises(SecretError):
        read_secret(path)
    with pytest.raises(SecretError):
        read_secret(tmp_path)
