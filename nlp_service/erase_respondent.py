"""The use case: a respondent's wish to be forgotten. Every comment, its codings and its traces on disk go."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from nlp_service.store import tables
from nlp_service.store.audit import add_entry
from nlp_service.store.database import Database
from nlp_service.store.values import BatchId

_TABLES = ("comments", "codings")


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: counts and batches, no names."""

    n_comments: int
    batches: tuple[BatchId, ...]


def erase_respondent(database: Database, respondent: str, *, consultation: str | None, actor: str) -> Erased:
    """Erase all comments of a respondent, with their codings and the space that they took on disk.

    Parameters
    ----------
    respondent
        The id that batches give them: the row's id, or the speaker of a workshop.
    consultation
        Only there; None: everywhere.

    Notes
    -----
    SQLite overwrites what is deleted, and its write-ahead log is cut to nothing. PostgreSQL's tables are written anew;
    its own write-ahead log and its backups keep older pages until they are recycled.
    """
    c = tables.comments.c
    with database.write() as connection:
        mine = c.respondent == respondent
        if consultation is not None:
            there = select(tables.batches.c.id).where(tables.batches.c.consultation == consultation)
            mine &= c.batch.in_(there)
        found = connection.execute(select(c.batch, func.count()).where(mine).group_by(c.batch)).all()
        connection.execute(delete(tables.comments).where(mine))
        for batch, n in found:
            connection.execute(
                update(tables.batches)
                .where(tables.batches.c.id == batch)
                .values(n_erased=tables.batches.c.n_erased + n)
            )
        n_comments = sum(n for _, n in found)
        add_entry(connection, actor, "respondent.erase", consultation or "all", comments=n_comments)
    if n_comments:
        _forget_pages(database)
    return Erased(n_comments, tuple(BatchId(b) for b, _ in found))


def _forget_pages(database: Database) -> None:
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if database.is_sqlite:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            return
        for table in _TABLES:
            connection.execute(text(f"VACUUM FULL {table}"))
        try:
            connection.execute(text("CHECKPOINT"))
        except DBAPIError:  # a right that the service's role need not have
            return
