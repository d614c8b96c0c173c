"""The use case: a respondent's wish to be forgotten. Every comment, its codings, decisions and traces on disk go."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from models.artefact import ArtefactError, read_artefact
from models.registry import folder_of, read_registry
from models.trained_on import holds_any
from models.vocabulary import ModelId, ThemesError
from nlp_service.erase_files import Places, Wish, look_through_files
from nlp_service.find_model import starter
from nlp_service.store import tables
from nlp_service.store.audit import add_entry
from nlp_service.store.database import Database
from nlp_service.store.values import BatchId

_TABLES: Final = ("comments", "codings")
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class RespondentNotFoundError(ThemesError):
    """Nothing is kept under that id, in any place that was looked through.

    Whether there was anything before cannot be told: the audit log has counts of what was erased, and no names.
    """

    code = "respondent_not_found"

    def __init__(self, n_files: int) -> None:
        super().__init__(
            f"nothing was found under that id, neither in the store nor in the files looked through ({n_files}).",
            allowed="the id letter by letter as the file has it: a row's id, or the speaker of a workshop.",
            next_step="check its spelling, the consultation, and the places looked through (--from, THEMES_ERASE_FROM); "
            "if it was erased before, nothing is left to do.",
        )


@dataclass(frozen=True, slots=True)
class LearntFrom:
    """Which models of the registry learnt from somebody's comments."""

    models: tuple[ModelId, ...] = ()
    unknown: tuple[ModelId, ...] = ()
    """Without marks of what they learnt from, or broken: it cannot be told."""


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased: counts, batches and models, no names."""

    n_comments: int
    batches: tuple[BatchId, ...]
    n_lines: int = 0
    """Of decisions files, codings files and rounds."""
    n_tasks: int = 0
    """In Label Studio."""
    learnt_from: LearntFrom = field(default_factory=LearntFrom)
    left: tuple[str, ...] = ()
    """What is still to be done; empty once all is gone."""
    n_files: int = 0
    """That were looked through."""

    @property
    def is_found(self) -> bool:
        """Return whether anything was kept under the id; tasks without a line were left by an earlier erasure, of whomever."""
        return self.n_comments + self.n_lines > 0


def erase_respondent(
    database: Database, respondent: str, *, consultation: str | None, actor: str, places: Places
) -> Erased:
    """Erase all comments of a respondent, with their codings, decisions, tasks and the space that they took on disk.

    Files go first: if one cannot be written, the store still knows what to look for when the same is asked again.

    Parameters
    ----------
    respondent
        The id that batches give them: the row's id, or the speaker of a workshop.
    consultation
        Only there; None: everywhere.
    places
        Where else to look.

    Raises
    ------
    RespondentNotFoundError
        If nothing was found, nothing an earlier erasure left was finished, and nothing is left.
    ThemesError
        If a place cannot be used. The store holds the comments still then.

    Notes
    -----
    SQLite overwrites what is deleted, and its write-ahead log is cut to nothing. PostgreSQL's tables are written anew;
    its own write-ahead log and its backups keep older pages until they are recycled.
    """
    c = tables.comments.c
    mine = c.respondent == respondent
    if consultation is not None:
        there = select(tables.batches.c.id).where(tables.batches.c.consultation == consultation)
        mine &= c.batch.in_(there)
    with database.read() as connection:
        written = frozenset(
            (r.comment_id, r.text) for r in connection.execute(select(c.comment_id, c.text).where(mine))
        )
    with look_through_files(Wish(respondent, written, everywhere=consultation is None), places) as files:
        learnt_from = find_models(places.registry, {*written, *((respondent, t) for _, t in written), *files.written})
        done = files.finish()
        n_comments, batches = _erase_from_store(
            database, mine, actor, consultation or "all", lines=done.n_lines, tasks=done.n_tasks
        )
    erased = Erased(n_comments, batches, done.n_lines, done.n_tasks, learnt_from, done.left, done.n_files)
    if not (erased.is_found or erased.n_tasks or erased.left):
        raise RespondentNotFoundError(erased.n_files)
    return erased


def find_models(registry: Path, written: Iterable[tuple[str, str]]) -> LearntFrom:
    """Return the models of a registry that learnt from one of the comments; the shipped one learnt from nobody's.

    Parameters
    ----------
    written
        Who wrote it, by the respondent's or the comment's id, and the text as it came in.
    """
    comments = list(written)
    models: set[ModelId] = set()
    unknown: set[ModelId] = set()
    for model in {e.model for e in read_registry(registry).entries} - {starter().model_id}:
        try:
            artefact = read_artefact(folder_of(registry, model))
        except ArtefactError:
            unknown.add(model)
            continue
        key = artefact.card.get("data_sha256")
        if artefact.trained_on is None or not isinstance(key, str) or not _KEY.fullmatch(key):
            unknown.add(model)
        elif holds_any(artefact.trained_on, comments, key=key):
            models.add(model)
    return LearntFrom(tuple(sorted(models)), tuple(sorted(unknown)))


def _erase_from_store(
    database: Database, mine: ColumnElement[bool], actor: str, subject: str, **counts: int
) -> tuple[int, tuple[BatchId, ...]]:
    batch = tables.comments.c.batch
    with database.write() as connection:
        found = connection.execute(select(batch, func.count()).where(mine).group_by(batch)).all()
        connection.execute(delete(tables.comments).where(mine))
        for one, n in found:
            connection.execute(
                update(tables.batches).where(tables.batches.c.id == one).values(n_erased=tables.batches.c.n_erased + n)
            )
        n_comments = sum(n for _, n in found)
        add_entry(connection, actor, "respondent.erase", subject, comments=n_comments, **counts)
    if n_comments:
        _forget_pages(database)
    return n_comments, tuple(BatchId(b) for b, _ in found)


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
