"""A backup holds all of the store, of either database, and goes whole into an empty one or not at all."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from nlp_service.cli.main import run
from nlp_service.store import tables
from nlp_service.store.audit import read_entries
from nlp_service.store.backup import _TABLES, MANIFEST, BackupError, back_up, restore
from nlp_service.store.batches import add_codings, list_batches, set_state
from nlp_service.store.database import Database, open_store
from nlp_service.store.keys import KeyRing, Scope
from nlp_service.store.values import RunState
from nlp_service.store.webhooks import make_webhook
from tests.postgresql import Server
from tests.unit.test_store import coded, submit


def content(database: Database) -> list[list[tuple[object, ...]]]:
    with database.read() as connection:
        return [[tuple(r) for r in connection.execute(select(t).order_by(*t.primary_key.columns))] for t in _TABLES]


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Database]:
    database = open_store(f"sqlite:///{tmp_path / 'a.db'}")
    batch = submit(database)
    submit(database, "county")
    add_codings(database, batch.run.id, batch.id, {i: coded(i) for i in range(7)})
    make_webhook(database, "https://tool.example.org/", actor="t", consultation="town")
    set_state(database, batch.run.id, RunState.CANCELLED)
    KeyRing(database, b"s" * 32).make_key("k", [Scope.ADMIN], actor="t", consultation="town")
    yield database
    database.close()


def test_a_backup_goes_from_one_database_to_the_other_and_back(
    filled: Database, postgresql: Server, tmp_path: Path
) -> None:
    there = open_store(postgresql.new_database())
    back = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    n_rows = back_up(filled, tmp_path / "one.zip")
    assert restore(there, tmp_path / "one.zip") == n_rows
    assert content(there) == content(filled)
    assert back_up(there, tmp_path / "two.zip") == n_rows
    restore(back, tmp_path / "two.zip")
    assert content(back) == content(filled)
    submit(there)
    assert read_entries(there)[0].did == "batch.submit"
    there.close()
    back.close()


def without_webhooks(whole: Path, path: Path, *, number: int) -> Path:
    """Write a backup as it was before there were webhooks, and say that it has the format of that number."""
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if name in ("webhooks.jsonl", "deliveries.jsonl"):
                continue
            data = old.read(name)
            if name == MANIFEST:
                manifest = json.loads(data)
                del manifest["tables"]["webhooks"], manifest["tables"]["deliveries"]
                data = json.dumps(manifest | {"format": number}).encode()
            new.writestr(name, data)
    return path


def test_a_backup_of_the_release_before_is_put_back_and_one_that_lost_its_webhooks_is_not(
    filled: Database, tmp_path: Path
) -> None:
    back_up(filled, tmp_path / "one.zip")
    there = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    with pytest.raises(BackupError):
        restore(there, without_webhooks(tmp_path / "one.zip", tmp_path / "lost.zip", number=2))
    restore(there, without_webhooks(tmp_path / "one.zip", tmp_path / "old.zip", number=1))
    kept = [
        rows
        for table, rows in zip(_TABLES, content(filled), strict=True)
        if table.name not in ("webhooks", "deliveries")
    ]
    assert [rows for rows in content(there) if rows] == [rows for rows in kept if rows]
    there.close()


def test_a_backup_is_of_one_moment_while_others_write(filled: Database, tmp_path: Path) -> None:
    with filled.read() as connection:
        connection.execute(select(tables.batches)).all()
        back_up(filled, tmp_path / "one.zip")
        submit(filled)
    other = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    restore(other, tmp_path / "one.zip")
    assert len(list_batches(other)) == 2
    assert len(list_batches(filled)) == 3
    other.close()


def test_what_is_no_whole_backup_or_no_empty_store_is_refused_and_nothing_is_kept(
    filled: Database, tmp_path: Path
) -> None:
    back_up(filled, tmp_path / "one.zip")
    with pytest.raises(BackupError, match="not empty"):
        restore(filled, tmp_path / "one.zip")
    whole = (tmp_path / "one.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.zip").write_bytes(b"no backup")
    with zipfile.ZipFile(tmp_path / "one.zip") as old, zipfile.ZipFile(tmp_path / "changed.zip", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, data.replace(b'"town"', b'"tawn"') if name == "keys.jsonl" else data)
    with zipfile.ZipFile(tmp_path / "one.zip") as old, zipfile.ZipFile(tmp_path / "more.zip", "w") as new:
        for name in (*old.namelist(), "../more"):
            new.writestr(name, old.read(name) if name in old.namelist() else b"")
    empty = open_store(f"sqlite:///{tmp_path / 'b.db'}")
    for name in ("cut.zip", "text.zip", "changed.zip", "more.zip", "none.zip"):
        with pytest.raises(BackupError):
            restore(empty, tmp_path / name)
        assert list_batches(empty) == ()
    with pytest.raises(BackupError):
        back_up(filled, tmp_path / "no" / "folder.zip")
    empty.close()


def test_a_backup_takes_no_other_files_place(filled: Database, tmp_path: Path) -> None:
    back_up(filled, tmp_path / "b.zip")
    before = (tmp_path / "b.zip").read_bytes()
    with pytest.raises(BackupError, match="is there already"):
        back_up(filled, tmp_path / "b.zip")
    assert (tmp_path / "b.zip").read_bytes() == before


def test_the_commands_back_up_and_restore(filled: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMES_STORE", f"sqlite:///{tmp_path / 'a.db'}")
    assert run(["store", "backup", str(tmp_path / "one.zip")]) == 0
    assert (tmp_path / "one.zip").stat().st_mode & 0o077 == 0
    assert run(["store", "restore", str(tmp_path / "one.zip")]) == 3
    monkeypatch.setenv("THEMES_STORE", f"sqlite:///{tmp_path / 'c.db'}")
    assert run(["store", "restore", str(tmp_path / "one.zip")]) == 0
    monkeypatch.setenv("THEMES_SECRET_FILE", str(tmp_path / "secret"))
    assert run(["key", "create", "n", "--scope", "submit"]) == 0
    assert run(["key", "list"]) == 0
    assert run(["key", "revoke", "nobody"]) == 4
