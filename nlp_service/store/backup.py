"""The whole store in one file, taken while it is in use, and put back into an empty one: of either database into either."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Table, func, insert, select, text
from sqlalchemy.exc import DBAPIError

from models.vocabulary import ThemesError
from nlp_service.report.codings_file import written_aside
from nlp_service.store import tables
from nlp_service.store.database import Database

FORMAT: Final = 2
"""1 had no webhooks and no deliveries; it is read still."""
MANIFEST: Final = "manifest.json"
MAX_BYTES: Final = 50_000_000_000
"""What a backup may unpack to."""
_ROWS: Final = 1_000
_LEFT_OUT: Final = frozenset({"workers", "leases", "idempotency"})
"""What only means something while the processes of now are running."""
_TABLES: Final = tuple(t for t in tables.metadata.sorted_tables if t.name not in _LEFT_OUT)
_SINCE_FORMAT: Final = {"webhooks": 2, "deliveries": 2}


class BackupError(ThemesError):
    """A backup cannot be made, read, or put back here."""

    code = "backup_refused"


def back_up(database: Database, path: Path) -> int:
    """Write all of the store as it is at one moment; return the number of rows. Others may read and write meanwhile."""
    if path.exists():
        raise BackupError(
            f"{path.name} is there already.", allowed="a new file.", next_step="name another file, or move that one."
        )
    counts: dict[str, dict[str, str | int]] = {}
    try:
        with written_aside(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
            with database.read() as connection:
                if not database.is_sqlite:
                    connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
                for table in _TABLES:
                    counts[table.name] = _write_table(connection, archive, table)
            manifest = {"format": FORMAT, "tables": counts}
            archive.writestr(MANIFEST, json.dumps(manifest, indent=1))
        path.chmod(0o600)
    except OSError as error:
        raise BackupError(
            f"{path.name} cannot be written ({error.strerror}).",
            allowed="a place with room and the right to write.",
            next_step="name another file.",
        ) from error
    return sum(int(c["n_rows"]) for c in counts.values())


def restore(database: Database, path: Path) -> int:
    """Put a backup into an empty store, all of it or nothing; return the number of rows.

    Raises
    ------
    BackupError
        If the file is no whole backup, or the store holds something already.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            number = _audited_format(path, archive)
            manifest, held = json.loads(archive.read(MANIFEST)), _tables_of(number)
            if manifest["format"] != number:
                raise _broken(path, "tables missing")
            with database.write() as connection:
                _check_empty(connection)
                return sum(_read_table(connection, archive, table, manifest["tables"][table.name]) for table in held)
    except (
        OSError,
        KeyError,
        ValueError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        NotImplementedError,
        DBAPIError,
    ) as error:
        raise _broken(path, type(error).__name__) from error


def _write_table(connection: Connection, archive: zipfile.ZipFile, table: Table) -> dict[str, str | int]:
    digest, n_rows = hashlib.sha256(), 0
    rows = connection.execution_options(yield_per=_ROWS).execute(select(table).order_by(*table.primary_key.columns))
    with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as file:
        for row in rows.mappings():
            line = json.dumps({k: _plain(v) for k, v in row.items()}, ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            file.write(line)
            n_rows += 1
    return {"n_rows": n_rows, "sha256": digest.hexdigest()}


def _read_table(connection: Connection, archive: zipfile.ZipFile, table: Table, said: dict[str, Any]) -> int:
    digest, n_rows = hashlib.sha256(), 0
    times = {c.name for c in table.columns if isinstance(c.type, tables.UtcTime)}

    def rows() -> Iterator[dict[str, Any]]:
        with archive.open(f"{table.name}.jsonl") as file:
            for line in file:
                digest.update(line)
                values = json.loads(line)
                yield {k: datetime.fromisoformat(v) if k in times and v is not None else v for k, v in values.items()}

    waiting: list[dict[str, Any]] = []
    for row in rows():
        waiting.append(row)
        n_rows += 1
        if len(waiting) == _ROWS:
            connection.execute(insert(table), waiting)
            waiting = []
    if waiting:
        connection.execute(insert(table), waiting)
    if (n_rows, digest.hexdigest()) != (said["n_rows"], said["sha256"]):
        raise ValueError("a table is not as it was written")
    if table is tables.audit and n_rows and connection.dialect.name == "postgresql":
        connection.execute(text("SELECT setval(pg_get_serial_sequence('audit', 'id'), (SELECT max(id) FROM audit))"))
    return n_rows


def _audited_format(path: Path, archive: zipfile.ZipFile) -> int:
    """Return the format whose files an archive has, before any is unpacked; raises BackupError."""
    names = sorted(i.filename for i in archive.infolist())
    for number in range(1, FORMAT + 1):
        if names == sorted([MANIFEST, *(f"{t.name}.jsonl" for t in _tables_of(number))]):
            break
    else:
        raise _broken(path, "other files in it")
    if sum(i.file_size for i in archive.infolist()) > MAX_BYTES:
        raise _broken(path, "too large")
    return number


def _tables_of(number: int) -> tuple[Table, ...]:
    return tuple(t for t in _TABLES if _SINCE_FORMAT.get(t.name, 1) <= number)


def _check_empty(connection: Connection) -> None:
    for table in _TABLES:
        if connection.execute(select(func.count()).select_from(table)).scalar_one():
            raise BackupError(
                "the store is not empty.", allowed="an empty store.", next_step="set THEMES_STORE to a new one."
            )


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _broken(path: Path, what: str) -> BackupError:
    return BackupError(
        f"{path.name} is no whole backup ({what}).",
        allowed="a file that `themes store backup` wrote.",
        next_step="take another backup.",
    )
