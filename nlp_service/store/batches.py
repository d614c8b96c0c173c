"""Batches with their comments, runs and codings. Every write is one transaction, and may be done twice without harm."""

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import LABEL_STYLE_TABLENAME_PLUS_COL, Connection, Row, and_, delete, func, insert, select, update

from models.codebook import codebook_from_document, codebook_to_document
from models.vocabulary import (
    Codebook,
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
from nlp_service.store import tables
from nlp_service.store.audit import add_entry
from nlp_service.store.database import NUL, Database, insert_new
from nlp_service.store.deliveries import add_deliveries
from nlp_service.store.values import (
    BatchId,
    BatchNotFoundError,
    BatchRecord,
    RunId,
    RunModel,
    RunRecord,
    RunState,
)

FILE: Final = ""
"""The `run` of a problem that the file is to blame for."""
_ROWS_A_STATEMENT: Final = 1_000
_OPEN: Final = (RunState.QUEUED.value, RunState.CODING.value)


@dataclass(frozen=True, slots=True)
class NewBatch:
    """What is handed in."""

    consultation: str
    inputs: tuple[str, ...]
    comments: tuple[Comment, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    n_rows: int


def add_batch(
    connection: Connection, new: NewBatch, model: RunModel, *, actor: str, chunk_comments: int, service_version: str
) -> tuple[BatchId, RunId]:
    """Keep a batch and its first run, which waits to be coded, in the caller's transaction."""
    batch, now = BatchId(f"b-{secrets.token_hex(10)}"), datetime.now(UTC)
    add_consultation(connection, new.consultation)
    connection.execute(
        insert(tables.batches).values(
            id=batch,
            consultation=new.consultation,
            inputs=list(new.inputs),
            created_at=now,
            created_by=actor,
            n_rows=new.n_rows,
            n_comments=len(new.comments),
            n_distinct=len({c.text for c in new.comments}),
            n_problems=len(new.problems),
            n_erased=0,
            notes=list(new.notes),
        )
    )
    _insert(connection, tables.comments, [_comment_row(batch, i, c) for i, c in enumerate(new.comments)])
    _insert(connection, tables.problems, [_problem_row(batch, FILE, i, p) for i, p in enumerate(new.problems)])
    run = add_run(connection, batch, model, chunk_comments=chunk_comments, service_version=service_version)
    add_entry(connection, actor, "batch.submit", batch, comments=len(new.comments), run=run)
    return batch, run


def add_consultation(connection: Connection, name: str) -> None:
    """Make a consultation if there is none of that name."""
    connection.execute(insert_new(connection, tables.consultations).values(name=name, created_at=datetime.now(UTC)))


def add_run(
    connection: Connection, batch: BatchId, model: RunModel, *, chunk_comments: int, service_version: str
) -> RunId:
    """Add a run that waits to be coded; earlier runs of the batch keep their codings."""
    run = RunId(f"r-{secrets.token_hex(10)}")
    connection.execute(
        insert(tables.runs).values(
            id=run,
            batch=batch,
            state=RunState.QUEUED,
            attempt=0,
            created_at=datetime.now(UTC),
            n_done=0,
            n_problems=0,
            chunk_comments=chunk_comments,
            model_folder=model.folder,
            model=model.model,
            model_version=model.version,
            codebook=model.codebook.ref,
            codebook_document=codebook_to_document(model.codebook),
            encoder=model.encoder,
            backend=model.backend,
            service_version=service_version,
        )
    )
    return run


def find_batch(database: Database, batch: str, *, consultation: str | None = None) -> BatchRecord | None:
    """Return a batch with its latest run, or None; None too if it is of another consultation than the one given."""
    if NUL in batch:
        return None
    with database.read() as connection:
        found = _batches(connection, tables.batches.c.id == batch)
    return next((b for b in found if consultation in (None, b.consultation)), None)


def get_batch(database: Database, batch: str, *, consultation: str | None = None) -> BatchRecord:
    """Return a batch; raises BatchNotFoundError."""
    found = find_batch(database, batch, consultation=consultation)
    if found is None:
        raise BatchNotFoundError(
            "there is no batch of that id.",
            allowed="the id of a batch that you can see.",
            next_step="list the batches.",
        )
    return found


def list_batches(
    database: Database, *, consultation: str | None = None, limit: int = 100, before: datetime | None = None
) -> tuple[BatchRecord, ...]:
    """Return batches, newest first."""
    with database.read() as connection:
        conditions = [tables.batches.c.consultation == consultation] if consultation is not None else []
        conditions += [tables.batches.c.created_at < before] if before is not None else []
        newest = select(tables.batches.c.id).where(*conditions)
        newest = newest.order_by(tables.batches.c.created_at.desc(), tables.batches.c.id).limit(limit)
        found = _batches(connection, tables.batches.c.id.in_(newest.scalar_subquery()))
    return tuple(sorted(found, key=lambda b: (b.created_at, b.id), reverse=True))


def list_runs(database: Database, batch: BatchId) -> tuple[RunRecord, ...]:
    """Return all runs of a batch, oldest first."""
    with database.read() as connection:
        rows = connection.execute(
            select(*_RUN_COLUMNS)
            .where(tables.runs.c.batch == batch)
            .order_by(tables.runs.c.created_at, tables.runs.c.id)
        ).all()
    return tuple(_run(r) for r in rows)


def find_run(database: Database, run: RunId) -> RunRecord | None:
    """Return a run, or None."""
    with database.read() as connection:
        row = connection.execute(select(*_RUN_COLUMNS).where(tables.runs.c.id == run)).first()
    return None if row is None else _run(row)


def open_runs(database: Database) -> tuple[RunRecord, ...]:
    """Return the runs that are not over, oldest first."""
    with database.read() as connection:
        rows = connection.execute(
            select(*_RUN_COLUMNS).where(tables.runs.c.state.in_(_OPEN)).order_by(tables.runs.c.created_at)
        ).all()
    return tuple(_run(r) for r in rows)


def n_waiting_comments(database: Database) -> int:
    """Return the number of comments in runs that are not over."""
    batches, runs = tables.batches, tables.runs
    with database.read() as connection:
        n = connection.execute(
            select(func.sum(batches.c.n_comments - runs.c.n_done))
            .join_from(runs, batches, runs.c.batch == batches.c.id)
            .where(runs.c.state.in_(_OPEN))
        ).scalar()
    return int(n or 0)


def n_stored_comments(database: Database, batch: BatchId) -> int:
    """Return the number of comments of a batch that are not erased."""
    with database.read() as connection:
        return connection.execute(
            select(func.count()).select_from(tables.comments).where(tables.comments.c.batch == batch)
        ).scalar_one()


def run_codebook(database: Database, run: RunId) -> Codebook:
    """Return the codebook that a run was coded with, as it was then."""
    with database.read() as connection:
        document = connection.execute(
            select(tables.runs.c.codebook_document).where(tables.runs.c.id == run)
        ).scalar_one()
    return codebook_from_document(document)


def set_state(
    database: Database, run: RunId, state: RunState, *, error: str | None = None, actor: str = "worker"
) -> bool:
    """Move a run that is not over to another state; return whether it moved. Of its end every webhook is told, once."""
    now = datetime.now(UTC)
    values: dict[str, Any] = {"state": state.value}
    if state is RunState.CODING:
        values["started_at"] = func.coalesce(tables.runs.c.started_at, tables.UtcTime().process_bind_param(now, database.engine.dialect))  # fmt: skip
    if state.is_final:
        values |= {"ended_at": now, "error": error}
    with database.write() as connection:
        moved = connection.execute(
            update(tables.runs).where(tables.runs.c.id == run, tables.runs.c.state.in_(_OPEN)).values(values)
        )
        if moved.rowcount and state.is_final:
            add_entry(connection, actor, f"run.{state.value}", run)
            add_deliveries(connection, run, now_s=database.clock())
    return bool(moved.rowcount)


def set_attempt(database: Database, run: RunId, attempt: int) -> None:
    """Note that a run's job was started anew."""
    with database.write() as connection:
        connection.execute(update(tables.runs).where(tables.runs.c.id == run).values(attempt=attempt))


def read_comments(database: Database, batch: BatchId, start: int, end: int) -> list[tuple[int, Comment]]:
    """Return the comments of a slice of a batch, in order, with their ordinals; erased ones are missing."""
    c = tables.comments.c
    with database.read() as connection:
        rows = connection.execute(
            select(tables.comments).where(c.batch == batch, c.ordinal >= start, c.ordinal < end).order_by(c.ordinal)
        ).all()
    return [(r.ordinal, _comment(r)) for r in rows]


def coded_ordinals(database: Database, run: RunId, start: int, end: int) -> set[int]:
    """Return the ordinals in a slice that a run is done with: coded, or listed as a problem."""
    with database.read() as connection:
        return _done_ordinals(connection, run, start, end)


def add_codings(
    database: Database,
    run: RunId,
    batch: BatchId,
    coded: Mapping[int, CodedComment],
    problems: Mapping[int, Problem] | None = None,
) -> int:
    """Keep the codings and problems of some comments, by ordinal; return how many were new.

    What is kept already stays as it is; what was erased or whose run is over is left out.
    """
    problems = problems or {}
    wanted = sorted({*coded, *problems})
    if not wanted:
        return 0
    start, end = wanted[0], wanted[-1] + 1
    with database.write() as connection:
        state = connection.execute(
            select(tables.runs.c.state).where(tables.runs.c.id == run).with_for_update()
        ).scalar()
        if state not in _OPEN:
            return 0
        c = tables.comments.c
        there = set(
            connection.execute(
                select(c.ordinal)
                .where(c.batch == batch, c.ordinal >= start, c.ordinal < end)
                .with_for_update(read=True)
            ).scalars()
        )
        new = there - _done_ordinals(connection, run, start, end)
        rows = [
            {"run": run, "ordinal": i, "batch": batch, "coding": coding_to_json(coded[i])}
            for i in wanted
            if i in new and i in coded
        ]
        _insert(connection, tables.codings, rows)
        bad = [
            _problem_row(batch, run, i, problems[i]) for i in wanted if i in new and i in problems and i not in coded
        ]
        _insert(connection, tables.problems, bad)
        connection.execute(
            update(tables.runs)
            .where(tables.runs.c.id == run)
            .values(n_done=tables.runs.c.n_done + len(rows) + len(bad), n_problems=tables.runs.c.n_problems + len(bad))
        )
    return len(rows) + len(bad)


def read_codings(
    database: Database, record: RunRecord, codebook: Codebook, *, after: int = -1, limit: int | None = None
) -> Iterator[tuple[int, Comment, CodedComment]]:
    """Yield ordinals, comments and codings of a run in input order, after an ordinal."""
    names = tuple(t.id for t in codebook.codable)
    left = limit
    while left is None or left > 0:
        n = _ROWS_A_STATEMENT if left is None else min(left, _ROWS_A_STATEMENT)
        with database.read() as connection:
            rows = connection.execute(
                select(tables.comments, tables.codings.c.coding)
                .join_from(
                    tables.codings,
                    tables.comments,
                    and_(
                        tables.codings.c.batch == tables.comments.c.batch,
                        tables.codings.c.ordinal == tables.comments.c.ordinal,
                    ),
                )
                .where(tables.codings.c.run == record.id, tables.codings.c.ordinal > after)
                .order_by(tables.codings.c.ordinal)
                .limit(n)
            ).all()
        for r in rows:
            comment = _comment(r)
            yield r.ordinal, comment, coding_from_json(r.coding, comment.id, record, names)
        if len(rows) < n:
            return
        after = rows[-1].ordinal
        left = None if left is None else left - n


def read_problems(database: Database, batch: BatchId, run: RunId) -> tuple[Problem, ...]:
    """Return the problems of a batch's file and of one run."""
    p = tables.problems.c
    with database.read() as connection:
        rows = connection.execute(
            select(tables.problems).where(p.batch == batch, p.run.in_((FILE, run))).order_by(p.run, p.ordinal)
        ).all()
    return tuple(Problem(r.code, r.found, r.next_step, r.row, r.column, r.file) for r in rows)


def delete_batch(database: Database, batch: BatchId, *, actor: str) -> None:
    """Delete a batch with all it holds; only the audit log remembers that it was there."""
    with database.write() as connection:
        connection.execute(delete(tables.idempotency).where(tables.idempotency.c.batch == batch))
        gone = connection.execute(delete(tables.batches).where(tables.batches.c.id == batch))
        if gone.rowcount:
            add_entry(connection, actor, "batch.delete", batch)


def coding_to_json(coded: CodedComment) -> str:
    """Return what a run says of a comment, compact; probabilities by the codebook's order."""
    themes = [[c.theme, c.probability, [[s.start, s.end] for s in c.evidence]] for c in coded.codings]
    return json.dumps([themes, list(coded.unsure), [p for _, p in coded.probabilities]], separators=(",", ":"))


def coding_from_json(text: str, comment: CommentId, run: RunRecord, names: Sequence[ThemeId]) -> CodedComment:
    """Return the coding that `coding_to_json` was given."""
    themes, unsure, probabilities = json.loads(text)
    return CodedComment(
        comment,
        tuple(Coding(ThemeId(t), p, tuple(Segment(s, e) for s, e in evidence)) for t, p, evidence in themes),
        tuple(ThemeId(t) for t in unsure),
        tuple(zip(names, probabilities, strict=True)),
        ModelId(run.model),
        CodebookRef(run.codebook),
    )


_RUN_COLUMNS: Final = tuple(c for c in tables.runs.c if c.name != "codebook_document")


def _run(row: Row[Any]) -> RunRecord:
    values = row._mapping
    return RunRecord(**{**{c.name: values[c] for c in _RUN_COLUMNS}, "state": RunState(values[tables.runs.c.state])})


def _batches(connection: Connection, condition: Any) -> list[BatchRecord]:
    rows = connection.execute(
        select(tables.batches, *_RUN_COLUMNS)
        .set_label_style(LABEL_STYLE_TABLENAME_PLUS_COL)
        .join_from(tables.batches, tables.runs, tables.batches.c.id == tables.runs.c.batch)
        .where(condition)
        .order_by(tables.runs.c.created_at, tables.runs.c.id)
    ).all()
    latest = {r._mapping[tables.batches.c.id]: r for r in rows}
    return [_batch(r) for r in latest.values()]


def _batch(row: Row[Any]) -> BatchRecord:
    values = {c.name: row._mapping[c] for c in tables.batches.c}
    values |= {"inputs": tuple(values["inputs"]), "notes": tuple(values["notes"])}
    return BatchRecord(**values, run=_run(row))


def _done_ordinals(connection: Connection, run: RunId, start: int, end: int) -> set[int]:
    done: set[int] = set()
    for table in (tables.codings, tables.problems):
        c = table.c
        done |= set(
            connection.execute(select(c.ordinal).where(c.run == run, c.ordinal >= start, c.ordinal < end)).scalars()
        )
    return done


def _comment(row: Row[Any]) -> Comment:
    respondent = None if row.respondent is None else RespondentId(row.respondent)
    return Comment(CommentId(row.comment_id), row.text, row.question, respondent, row.row, row.session)


def _comment_row(batch: BatchId, ordinal: int, c: Comment) -> dict[str, Any]:
    return {
        "batch": batch,
        "ordinal": ordinal,
        "comment_id": c.id,
        "text": c.text,
        "question": c.question,
        "respondent": c.respondent,
        "row": c.row,
        "session": c.session,
    }


def _problem_row(batch: BatchId, run: str, ordinal: int, p: Problem) -> dict[str, Any]:
    return {
        "batch": batch,
        "run": run,
        "ordinal": ordinal,
        "file": p.file,
        "row": p.row,
        "column": p.column,
        "code": p.code,
        "found": p.found,
        "next_step": p.next_step,
    }


def _insert(connection: Connection, table: Any, rows: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(rows), _ROWS_A_STATEMENT):
        connection.execute(insert(table), rows[start : start + _ROWS_A_STATEMENT])
