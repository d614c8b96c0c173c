"""The use case: a file handed to the service becomes a batch that waits to be coded, once, however often it is sent."""

import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from models.artefact import read_artefact
from models.counts import counted
from models.registry import read_registry
from models.vocabulary import ThemesError
from nlp_service.find_model import find_named, find_unnamed
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.table import InputRefusedError
from nlp_service.protect_comments import set_languages_apart
from nlp_service.settings import Settings
from nlp_service.store.audit import add_entry
from nlp_service.store.batches import NewBatch, add_batch, add_run, n_waiting_comments
from nlp_service.store.database import Database
from nlp_service.store.idempotency import claim, release, settle
from nlp_service.store.values import BatchId, BatchRecord, RunId, RunModel


class TooManyCommentsError(ThemesError):
    """The batch has more comments than the service takes at once."""

    code = "too_many_comments"


class QueueFullError(ThemesError):
    """So many comments wait to be coded that no batch is taken now."""

    code = "queue_full"


@dataclass(frozen=True, slots=True)
class Submission:
    """A file and how to read it."""

    path: Path
    consultation: str
    reading_options: ReadingOptions = field(default_factory=ReadingOptions)
    model: str | None = None
    all_languages: bool = False
    """Code comments that seem not to be in English too; they are listed as problems otherwise."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What came of it."""

    batch: BatchId
    run: RunId | None
    """The run to start; None where the batch was there already."""


def submit_batch(
    database: Database, settings: Settings, submission: Submission, *, actor: str, idempotency_key: str | None = None
) -> Submitted:
    """Read a file and keep it as a batch with a run that waits.

    Raises
    ------
    ThemesError
        If the file, its columns or the model cannot be used, a limit is passed, or the Idempotency-Key says no.
        Nothing is kept then, and the Idempotency-Key may be used again.
    """
    if idempotency_key is None:
        return _submit(database, settings, submission, actor, None)
    held = claim(database, actor, idempotency_key, fingerprint(submission))
    if held.batch is not None:
        return Submitted(held.batch, None)
    try:
        return _submit(database, settings, submission, actor, lambda connection, batch: settle(connection, held, batch))
    except BaseException:
        release(database, held)
        raise


def code_again(database: Database, settings: Settings, batch: BatchRecord, *, model: str | None, actor: str) -> RunId:
    """Return a new run of a batch that waits to be coded; its earlier runs stay as they are."""
    chosen = choose_model(settings, model, batch.consultation)
    with database.write() as connection:
        run = add_run(
            connection, batch.id, chosen, chunk_comments=settings.chunk_comments, service_version=service_version()
        )
        add_entry(connection, actor, "batch.code_again", batch.id, run=run)
    return run


def fingerprint(submission: Submission) -> str:
    """Return a digest of all that a submission says: its bytes, its name, and how to read it."""
    with submission.path.open("rb") as file:
        content = hashlib.file_digest(file, "sha256").hexdigest()
    rest = (
        submission.path.name,
        submission.consultation,
        submission.reading_options,
        submission.model,
        submission.all_languages,
    )
    return hashlib.sha256(repr((content, rest)).encode()).hexdigest()


def choose_model(settings: Settings, wanted: str | None, consultation: str) -> RunModel:
    """Return the model that codes a consultation, wanted by name and never by path; raises ModelNotFoundError or ArtefactError."""
    registry = read_registry(settings.registry)
    folder = (
        find_named(settings.registry, registry, wanted)
        if wanted is not None
        else find_unnamed(settings.registry, registry, consultation=consultation, default=settings.model)
    ).resolve()
    artefact = read_artefact(folder)
    model = str(artefact.model_id)
    return RunModel(str(folder), model, artefact.version, artefact.codebook, artefact.encoder, settings.backend.value)


def service_version() -> str:
    """Return the version of the service."""
    return importlib.metadata.version("theme-coding")


def _submit(
    database: Database,
    settings: Settings,
    submission: Submission,
    actor: str,
    note: Callable[..., None] | None,
) -> Submitted:
    chosen = choose_model(settings, submission.model, submission.consultation)
    reading = read_comments([submission.path], submission.reading_options)
    readable = set_languages_apart(reading.comments, file=submission.path.name, all_languages=submission.all_languages)
    reading = replace(reading, comments=readable.comments, problems=(*reading.problems, *readable.problems))
    n = len(reading.comments)
    if not n:
        raise InputRefusedError(
            "no_comments",
            f"none of {counted(reading.n_rows, 'row')} holds a comment that can be coded.",
            allowed="at least one row with text.",
            next_step="check the columns given as text and id.",
        )
    if n > settings.max_batch_comments:
        raise TooManyCommentsError(
            f"the file holds {counted(n, 'comment')}.",
            allowed=f"at most {settings.max_batch_comments}.",
            next_step="split the file.",
        )
    waiting = n_waiting_comments(database)
    if waiting + n > settings.max_waiting_comments:
        raise QueueFullError(
            f"{counted(waiting, 'comment waits', 'comments wait')} to be coded.",
            allowed=f"{settings.max_waiting_comments} waiting.",
            next_step="send the batch again later.",
        )
    new = NewBatch(
        submission.consultation,
        (submission.path.name,),
        reading.comments,
        reading.problems,
        reading.notes,
        reading.n_rows,
    )
    with database.write() as connection:
        batch, run = add_batch(
            connection,
            new,
            chosen,
            actor=actor,
            chunk_comments=settings.chunk_comments,
            service_version=service_version(),
        )
        if note is not None:
            note(connection, batch)
    return Submitted(batch, run)
