"""The database behind the store: SQLite in one file, or PostgreSQL by URL; the same statements run on both."""

import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import alembic.command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from psycopg import Connection as PsycopgConnection
from sqlalchemy import ColumnElement, Connection, Engine, Float, Table, create_engine, event, func, literal_column, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from models.vocabulary import ThemesError

BUSY_MS: Final = 30_000
"""A writer of SQLite waits this long for another."""
POOL: Final = 16
IDLE_MS: Final = 15_000
"""A session of PostgreSQL that stands still in the middle of a transaction for longer is ended by the server: its process was
halted, and what it holds would hold up all others."""
MIN_FREE_BYTES: Final = 4_000_000
NUL: Final = "\0"
_PAGES_KB: Final = 32_000
_MIGRATION_LOCK: Final = 7_240_115


class StoreUrlError(ThemesError):
    """THEMES_STORE names no database that the service can use."""

    code = "store_refused"


class StoreGoneError(ThemesError):
    """The database does not answer, or has no room left."""

    code = "store_unavailable"


class NulError(ThemesError):
    """A name or an id holds a NUL, for which PostgreSQL has no place; SQLite is not given it either."""

    code = "invalid_request"


class Database:
    """Connections to the store. Safe to share between threads; never across a fork.

    Parameters
    ----------
    url
        `sqlite:///FILE` or `postgresql://USER@HOST/NAME`.
    """

    def __init__(self, url: str) -> None:
        self.url = _checked(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite(self.url) if self.is_sqlite else _postgresql(self.url)
        event.listen(self.engine, "before_cursor_execute", _check_texts)

    @property
    def file(self) -> Path | None:
        """Return SQLite's file; None for PostgreSQL."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Yield a connection that sees one state of the database."""
        with said_plainly(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Yield a connection whose changes are kept together when the block ends well, and not at all otherwise."""
        with said_plainly(), self.engine.connect() as connection:
            connection = connection.execution_options(writes=True)
            with connection.begin():
                yield connection

    @property
    def is_full(self) -> bool:
        """Return whether the disk of SQLite's file has hardly any room; PostgreSQL says so only when it is written to."""
        return self.file is not None and shutil.disk_usage(self.file.parent).free < MIN_FREE_BYTES

    def check_room(self) -> None:
        """Raise StoreGoneError if the disk of SQLite's file is full: small writes may still find room in pages that are free."""
        if self.is_full:
            raise StoreGoneError(
                f"the disk of the database has less than {MIN_FREE_BYTES // 1_000_000} MB free.",
                allowed="a database that answers and has room.",
                next_step="make room; work goes on by itself then.",
            )

    def clock(self) -> ColumnElement[float]:
        """Return the expression for the database's own clock, in seconds since 1970."""
        if self.is_sqlite:
            return literal_column("((julianday('now') - 2440587.5) * 86400.0)", Float)
        return func.cast(func.extract("epoch", func.clock_timestamp()), Float)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


@contextmanager
def said_plainly() -> Iterator[None]:
    """Raise StoreGoneError where the database does not answer or has no room."""
    try:
        yield
    except OperationalError as error:
        raise StoreGoneError(
            f"the database does not answer ({type(error.orig).__name__}).",
            allowed="a database that answers and has room.",
            next_step="start it again or make room; work goes on by itself then.",
        ) from None
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreGoneError(
            "the connection to the database was lost.",
            allowed="a database that answers.",
            next_step="start it again; work goes on by itself then.",
        ) from None


def insert_new(connection: Connection, table: Table) -> Any:
    """Return an INSERT that leaves rows alone whose primary key is there already."""
    kind = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    return kind(table).on_conflict_do_nothing(index_elements=list(table.primary_key.columns))


def upsert(connection: Connection, table: Table, values: dict[str, Any]) -> Any:
    """Return an INSERT of one row that replaces the row of its primary key."""
    kind = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    rest = {k: v for k, v in values.items() if not table.c[k].primary_key}
    statement = kind(table).values(values)
    return statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=rest)


def open_store(url: str) -> Database:
    """Return the store at a URL, made or brought up to date if it has to be."""
    database = Database(url)
    migrate(database)
    return database


def migrate(database: Database) -> None:
    """Bring the tables up to date; processes that start together wait for one another, and for a writer only if there is need."""
    if database.file is not None:
        database.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with database.read() as connection:
        is_current = is_up_to_date(connection)
    if database.file is not None:
        if not is_current:
            with FileLock(database.file.with_name(f"{database.file.name}.migrating")), database.write() as connection:
                _upgrade(connection)
        database.file.chmod(0o600)
    elif not is_current:
        with database.write() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _MIGRATION_LOCK})
            _upgrade(connection)


def is_up_to_date(connection: Connection) -> bool:
    """Return whether the tables are those of this release."""
    found = MigrationContext.configure(connection).get_current_heads()
    return set(found) == set(ScriptDirectory.from_config(_migrations()).get_heads())


def _upgrade(connection: Connection) -> None:
    config = _migrations()
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _migrations() -> Config:
    config = Config()
    config.set_main_option("script_location", str(files("nlp_service.store") / "migrations").replace("%", "%%"))
    return config


def _check_texts(_connection: Any, _cursor: Any, _statement: Any, given: Any, _context: Any, is_many: bool) -> None:
    """Raise NulError if a text that goes to the database holds a NUL; residents' words have theirs replaced by `tables.Words`."""
    for row in given if is_many else (given,):
        for value in row.values() if isinstance(row, Mapping) else row or ():
            if isinstance(value, str) and NUL in value:
                raise NulError(
                    "a name or an id holds a NUL.", allowed="text without the character U+0000.", next_step="leave it out."
                )  # fmt: skip


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except ArgumentError:
        backend, parsed = "", URL.create("none")
    if backend not in ("sqlite", "postgresql") or (backend == "sqlite" and parsed.database in (None, "", ":memory:")):
        raise StoreUrlError(
            "the URL of the store names no database that can be used.",
            allowed="sqlite:///FILE or postgresql://USER@HOST/NAME.",
            next_step="set THEMES_STORE to one of them.",
        )
    return parsed.set(drivername="sqlite+pysqlite" if backend == "sqlite" else "postgresql+psycopg")


def _postgresql(url: URL) -> Engine:
    engine = create_engine(
        url, pool_size=POOL, max_overflow=POOL, pool_pre_ping=True, hide_parameters=True, connect_args={"connect_timeout": 10}
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: PsycopgConnection[Any], _record: object) -> None:
        connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_MS}")
        connection.commit()  # said here, as options of the start do not pass every program that pools connections

    return engine


def _sqlite(url: URL) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=POOL, max_overflow=POOL, hide_parameters=True, connect_args={"check_same_thread": False}
    )  # fmt: skip

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions begin below, not where the driver thinks they should
        for pragma in (
            f"busy_timeout = {BUSY_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "secure_delete = ON",  # what is erased is overwritten
            f"cache_size = -{_PAGES_KB}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
