"""Jobs: poison is found down to the single comment, the dead are cleared up after, and a database that is gone is waited for."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text, update

from nlp_service.jobs import engine
from nlp_service.jobs.coders import code_by_halves, even_parts
from nlp_service.jobs.engine import MAX_ATTEMPTS, InHand, JobError, JobQueue, JsonSerializer, jobs_url
from nlp_service.jobs.run_coder import RunCoder, UnfinishedError, patiently
from nlp_service.settings import Settings
from nlp_service.store import tables
from nlp_service.store.batches import find_run, get_batch, set_attempt
from nlp_service.store.database import Database, StoreGoneError
from nlp_service.store.values import BatchRecord, RunState
from nlp_service.store.workers import beat, forget_silent, live_workers, sign_off, take_lease
from nlp_service.submit_batch import Submission, submit_batch
from tests.service_parts import OwnCoders


def submitted(database: Database, model: Path, folder: Path, n: int = 9) -> BatchRecord:
    path = folder / "in.csv"
    path.write_text("text\n" + "".join(f"Lamp {i} is out\n" for i in range(n)))
    settings = Settings(model=str(model), chunk_comments=4, registry=folder / "registry")
    return get_batch(database, submit_batch(database, settings, Submission(path, "town"), actor="t").batch)


@given(st.lists(st.integers(0, 30), max_size=40), st.sets(st.integers(0, 30), max_size=3))
def test_only_what_fails_alone_is_set_aside(values: list[int], poison: set[int]) -> None:
    def attempt(part: Sequence[str]) -> list[Any]:
        if any(int(t) in poison for t in part):
            raise MemoryError
        return [f"coded {t}" for t in part]

    texts = [str(v) for v in values]
    expected = [None if v in poison else f"coded {v}" for v in values]
    if len(values) > 1 and set(values) <= poison:
        with pytest.raises(MemoryError):
            code_by_halves(texts, attempt)
    else:
        assert code_by_halves(texts, attempt) == expected


@pytest.mark.parametrize(("first", "last"), [(1, 1), (2, 2), (2, 3), (1, 4), (4, 9), (3, 30)])
def test_no_text_is_set_aside_while_nothing_can_be_coded(first: int, last: int) -> None:
    """The machine has no room from one attempt to another: texts are coded later, or the whole is tried again."""
    n_calls = 0

    def attempt(part: Sequence[str]) -> list[Any]:
        nonlocal n_calls
        n_calls += 1
        if first <= n_calls <= last:
            raise MemoryError
        return [f"coded {t}" for t in part]

    try:
        assert code_by_halves(["a", "b", "c", "d"], attempt) == ["coded a", "coded b", "coded c", "coded d"]
    except MemoryError:
        assert last > first


def test_parts_hold_every_text_once() -> None:
    texts = [str(i) for i in range(10)]
    parts = even_parts(texts, 3)
    assert sorted(t for p in parts for t in p) == texts
    assert [len(p) for p in parts] == [4, 3, 3]


def test_chunks_coded_twice_by_two_workers_are_kept_once(database: Database, small_model: Path, tmp_path: Path) -> None:
    batch = submitted(database, small_model, tmp_path)
    coder = RunCoder(database, OwnCoders(), None, 64)
    assert coder.begin(batch.run.id) == 3
    with pytest.raises(UnfinishedError):
        coder.finish(batch.run.id)
    threads = [threading.Thread(target=coder.code, args=(batch.run.id, k)) for k in (0, 1, 2, 0, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert coder.code(batch.run.id, 0) == 0
    coder.finish(batch.run.id)
    run = get_batch(database, batch.id).run
    assert (run.state, run.n_done) == (RunState.DONE, 9)
    assert coder.begin(batch.run.id) == 0


def test_a_run_whose_model_is_gone_or_another_fails_and_says_why(
    database: Database, small_model: Path, tmp_path: Path
) -> None:
    coder = RunCoder(database, OwnCoders(), None, 64)
    for folder, model, error in (("nowhere", None, "model_invalid"), (None, "another", "other_model")):
        run = submitted(database, small_model, tmp_path).run
        values = {"model_folder": folder or run.model_folder, "model": model or run.model}
        with database.write() as connection:
            connection.execute(update(tables.runs).where(tables.runs.c.id == run.id).values(values))
        assert coder.begin(run.id) == 0
        found = find_run(database, run.id)
        assert found is not None
        assert (found.state, found.error) == (RunState.FAILED, error)


def test_the_coder_waits_while_the_database_is_gone() -> None:
    waits: list[float] = []

    def work() -> str:
        if len(waits) < 8:
            raise StoreGoneError("gone", allowed="there", next_step="wait")
        return "done"

    assert patiently(work, sleep=waits.append) == "done"
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


def test_workers_are_alive_while_they_beat(database: Database) -> None:
    for worker in ("a", "b", "b"):
        beat(database, worker, service_version="1")
    assert live_workers(database, silent_s=30) == {"a", "b"}
    with database.write() as connection:
        late = update(tables.workers).where(tables.workers.c.id == "a")
        connection.execute(late.values(beat_at_s=tables.workers.c.beat_at_s - 31))
    assert live_workers(database, silent_s=30) == {"b"}
    forget_silent(database, silent_s=30)
    sign_off(database, "b")
    assert live_workers(database, silent_s=1e9) == frozenset()


def test_work_that_is_pending_under_a_live_worker_and_does_not_run_is_lost_after_a_while() -> None:
    hand = InHand(silent_s=10)
    with hand.holding("runs"):
        assert hand.lost(["runs", "begins", "stuck"], 0.0) == []
        assert hand.lost(["runs", "stuck"], 9.9) == []
        assert hand.lost(["runs", "stuck", "begins"], 10.0) == ["stuck"]
        assert hand.lost(["runs", "stuck"], 10.1) == []
        assert hand.lost(["runs"], 100.0) == []
    assert hand.lost(["runs"], 100.1) == []
    assert hand.lost(["runs"], 110.1) == ["runs"]


def test_one_worker_at_a_time_holds_the_lease(database: Database) -> None:
    assert take_lease(database, "l", "a", seconds=60)
    assert take_lease(database, "l", "a", seconds=60)
    assert not take_lease(database, "l", "b", seconds=60)
    with database.write() as connection:
        connection.execute(update(tables.leases).values(until_s=0.0))
    assert take_lease(database, "l", "b", seconds=60)
    assert not take_lease(database, "l", "a", seconds=60)


def test_jobs_that_are_missing_or_failed_are_started_anew_until_they_fail_for_good(
    database: Database, small_model: Path, tmp_path: Path
) -> None:
    run = submitted(database, small_model, tmp_path).run
    queue = JobQueue(database)
    assert queue.state(run.id, 0) is None
    engine._restart_if_lost(database, queue, run)
    engine._restart_if_lost(database, queue, run)
    queue.start(run.id)
    assert queue.state(run.id, 0) == "ENQUEUED"
    assert queue.pending() == []
    queue.cancel(run.id, 0)
    engine._restart_if_lost(database, queue, run)
    now = find_run(database, run.id)
    assert now is not None
    assert now.attempt == 1
    assert queue.state(run.id, 1) == "ENQUEUED"
    set_attempt(database, run.id, MAX_ATTEMPTS - 1)
    queue.start(run.id, MAX_ATTEMPTS - 1)
    queue.cancel(run.id, MAX_ATTEMPTS - 1)
    last = find_run(database, run.id)
    assert last is not None
    engine._restart_if_lost(database, queue, last)
    failed = find_run(database, run.id)
    assert failed is not None
    assert (failed.state, failed.error) == (RunState.FAILED, "job_failed")
    queue.close()


def test_the_tables_of_jobs_hold_no_words(database: Database, small_model: Path, tmp_path: Path) -> None:
    run = submitted(database, small_model, tmp_path).run
    queue = JobQueue(database)
    queue.start(run.id)
    jobs = Database(jobs_url(database))
    name = "workflow_status" if database.is_sqlite else "dbos.workflow_status"
    with jobs.read() as connection:
        rows = [str(tuple(r)) for r in connection.execute(text(f"SELECT * FROM {name}"))]  # noqa: S608 -- a name of ours
    assert len(rows) == 1
    assert run.id in rows[0]
    assert "Lamp" not in rows[0]
    assert "themes_json" in rows[0]
    jobs.close()
    queue.close()


def test_what_jobs_keep_is_json_and_of_errors_the_type_alone() -> None:
    serializer = JsonSerializer()
    assert serializer.deserialize(serializer.serialize({"args": ("r-1", 3), "kwargs": {}})) == {"args": ["r-1", 3], "kwargs": {}}  # fmt: skip
    error = serializer.deserialize(serializer.serialize(ValueError("Harpist's umbrella")))
    assert isinstance(error, JobError)
    assert str(error) == "ValueError"
    assert str(serializer.deserialize(serializer.serialize(JobError("MemoryError")))) == "MemoryError"
    with pytest.raises(TypeError):
        serializer.serialize(object())
