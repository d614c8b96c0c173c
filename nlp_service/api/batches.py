"""Routes of batches: hand in, watch, read, code again, stop, delete."""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from nlp_service.api.names import Name
from nlp_service.api.permission import TheCaller, TheService
from nlp_service.api.problems import BadRoleError, NotAcceptableError
from nlp_service.api.service import Service
from nlp_service.api.uploads import MAX_FIELD_BYTES, MEDIA_TYPES, received_file
from nlp_service.export_codings import export_codings, find_batch_disclosures
from nlp_service.ingest.comments import ReadingOptions
from nlp_service.ingest.mapping import mapping_from_json
from nlp_service.ingest.roles import ROLE_FORM, Role, find_role
from nlp_service.report.codings_file import coding_line
from nlp_service.store.batches import (
    delete_batch,
    get_batch,
    list_batches,
    list_runs,
    read_codings,
    read_problems,
    run_codebook,
    set_state,
)
from nlp_service.store.database import StoreGoneError
from nlp_service.store.values import DEFAULT_CONSULTATION, BatchRecord, RunId, RunRecord, RunState
from nlp_service.store.workers import Hindrance, hindrance
from nlp_service.submit_batch import Submission, code_again, submit_batch

PAGE: Final = 200
MAX_PAGE: Final = 1_000
EVENT_SECONDS: Final = 0.5
JSON_TYPE: Final = "application/json"
FORMATS: Final = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.apache.parquet": "parquet",
}
router: Final = APIRouter(prefix="/v1")
_BATCH: Final = "/batches/{batch}"


class RunOut(BaseModel):
    """One coding of a batch."""

    id: str
    state: RunState
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    n_done: int = Field(description="Comments coded or listed as a problem.")
    n_problems: int = Field(description="Comments that the model could not code.")
    model: str
    codebook: str
    error: str | None = Field(description="Why the run failed: an error code.")
    waits_for: Hindrance | None = Field(
        default=None, description="What must come before the run gets on: a worker, or room on the database's disk."
    )


class BatchOut(BaseModel):
    """A batch with its latest run."""

    id: str
    consultation: str
    inputs: list[str]
    created_at: datetime
    n_rows: int
    n_comments: int
    n_problems: int = Field(description="Rows and cells that could not be read.")
    n_erased: int = Field(description="Comments erased at their respondent's wish.")
    notes: list[str]
    run: RunOut


class BatchesOut(BaseModel):
    """Batches, newest first."""

    batches: list[BatchOut]


class BatchWithRuns(BatchOut):
    """A batch with all its runs."""

    runs: list[RunOut]


class CodingsOut(BaseModel):
    """A page of codings, each as a line of a codings file."""

    codings: list[dict[str, Any]]
    next_after: int | None = Field(description="Give it as `after` for the next page; null at the end.")


class ProblemOut(BaseModel):
    """What could not be taken, and where it is."""

    file: str | None
    row: int | None
    column: str | None
    code: str
    found: str
    next_step: str


class ProblemsOut(BaseModel):
    """All problems of the file and of the latest run."""

    problems: list[ProblemOut]


class DisclosureOut(BaseModel):
    """A comment that may disclose harm, by its id and place; the words are in the file that was handed in."""

    comment_id: str
    probability: float
    row: int | None
    question: str | None


class DisclosuresOut(BaseModel):
    """Comments to read first, the likeliest first."""

    disclosures: list[DisclosureOut]


class AgainRequest(BaseModel):
    """How to code a batch again."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(max_length=200, description="A model or codebook of the registry.")] = None


def _date_time(text: Any) -> Any:
    if isinstance(text, str) and not _RFC_3339.fullmatch(text):
        raise ValueError("no date and time")
    return text


_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_Moment = Annotated[datetime | None, BeforeValidator(_date_time), Query(description="Only batches handed in earlier.")]
_Name = Annotated[Name | None, Query()]
_EXAMPLES: Final = {
    "text/csv": "id,comment\n1,The lights on our road have been out since May.\n",
}
_MAPPING: Final = "mapping"
_FORM: Final = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        _MAPPING: {
            "type": "string",
            "description": f"What `themes inspect --save-mapping` writes, as JSON of at most {MAX_FIELD_BYTES} bytes.",
        },
    },
}
_BYTES: Final = {"type": "string", "format": "binary"}
_UPLOAD: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": _FORM if kind == "multipart/form-data" else _BYTES}
            | ({"example": _EXAMPLES[kind]} if kind in _EXAMPLES else {})
            for kind in MEDIA_TYPES
        },
    }
}


@router.post("/batches", status_code=202, summary="Hand in a file", openapi_extra=_UPLOAD)
async def submit(  # noqa: D103 -- the summary says it
    request: Request,
    service: TheService,
    caller: TheCaller,
    consultation: _Name = None,
    text: Annotated[list[str] | None, Query(description="Columns with open answers.")] = None,
    id: Annotated[str | None, Query(description="Column that names each row.")] = None,  # noqa: A002 -- the option's name
    role: Annotated[list[str] | None, Query(description=f"Roles of columns, each as {ROLE_FORM}")] = None,
    sheet: Annotated[str | None, Query(description="Sheet of a workbook.")] = None,
    facilitator: Annotated[list[str] | None, Query(description="Who leads a workshop.")] = None,
    with_facilitators: bool = False,
    all_languages: Annotated[bool, Query(description="Code comments that seem not to be in English too.")] = False,
    model: Annotated[str | None, Query(max_length=200, pattern=r"^[A-Za-z0-9][A-Za-z0-9._+ -]*$")] = None,
    filename: _Name = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> BatchOut:
    where = caller.narrowed(consultation) or DEFAULT_CONSULTATION
    roles = _roles(role or ())
    async with received_file(request, filename, optional=(_MAPPING,)) as (path, fields):
        mapping = await run_in_threadpool(mapping_from_json, fields[_MAPPING]) if _MAPPING in fields else None
        reading_options = ReadingOptions(
            tuple(text or ()), id, sheet, tuple(facilitator or ()), with_facilitators, mapping, roles
        )
        submission = Submission(path, where, reading_options, model, all_languages)
        done = await run_in_threadpool(
            submit_batch,
            service.database,
            service.settings,
            submission,
            actor=caller.id,
            idempotency_key=idempotency_key,
        )
    if done.run is not None:
        await run_in_threadpool(_start, service, done.run)
    batch = await run_in_threadpool(get_batch, service.database, done.batch)
    content = batch_out(batch).model_dump(mode="json")
    headers = {"Location": f"/v1/batches/{batch.id}"}
    if done.run is None:
        headers["Idempotency-Replayed"] = "true"
    return JSONResponse(content, 202, headers)  # type: ignore[return-value]


@router.get("/batches", summary="Batches, newest first")
def batches(
    service: TheService,
    caller: TheCaller,
    consultation: _Name = None,
    before: _Moment = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> BatchesOut:
    """Return the batches that the caller may see."""
    where = caller.narrowed(consultation)
    earlier = before.astimezone() if before is not None else None
    found = list_batches(service.database, consultation=where, limit=limit, before=earlier)
    hindered = _hindrance(service, found)
    return BatchesOut(batches=[batch_out(b, hindered) for b in found])


@router.get(_BATCH, summary="A batch and its progress")
def one(batch: str, service: TheService, caller: TheCaller) -> BatchWithRuns:
    """Return a batch with all its runs; `run` is the latest."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    hindered = _hindrance(service, [found])
    runs = [run_out(r, hindered) for r in list_runs(service.database, found.id)]
    return BatchWithRuns(**batch_out(found, hindered).model_dump(), runs=runs)


@router.get(
    f"{_BATCH}/events",
    summary="Progress as server-sent events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(batch: str, service: TheService, caller: TheCaller) -> StreamingResponse:
    """Send an event each time the latest run gets on, and a last one, `end`, when it is over."""
    await run_in_threadpool(get_batch, service.database, batch, consultation=caller.consultation)

    async def told() -> AsyncIterator[str]:
        last: tuple[Any, ...] = ()
        while True:
            try:
                found = await run_in_threadpool(get_batch, service.database, batch)
                hindered = await run_in_threadpool(_hindrance, service, [found])
            except StoreGoneError:
                await asyncio.sleep(EVENT_SECONDS)
                continue
            run = found.run
            now = (run.id, run.state, run.n_done, hindered)
            if now != last:
                last = now
                fields = {"run": run.id, "state": run.state, "n_done": run.n_done, "n_comments": found.n_comments, "n_problems": run.n_problems, "waits_for": hindered}  # fmt: skip
                yield f"event: {'end' if run.state.is_final else 'progress'}\ndata: {json.dumps(fields)}\n\n"
            if run.state.is_final:
                return
            await asyncio.sleep(EVENT_SECONDS)

    return StreamingResponse(told(), media_type="text/event-stream")


@router.get(
    f"{_BATCH}/codings",
    summary="What was coded",
    response_model=CodingsOut,
    responses={200: {"content": {kind: {} for kind in FORMATS}}},
)
def codings(
    batch: str,
    service: TheService,
    caller: TheCaller,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,  # OpenAPI has it in the answers
    after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = PAGE,
    with_personal_data: Annotated[bool, Query(description="Texts as they were written, and not redacted.")] = False,
) -> Any:
    """Return JSON pages, or by the header Accept a whole file: NDJSON, CSV, XLSX or Parquet, as `themes code` writes it."""
    kind = negotiated(accept)
    found = get_batch(service.database, batch, consultation=caller.consultation)
    if kind == JSON_TYPE:
        codebook = run_codebook(service.database, found.run.id)
        page = list(read_codings(service.database, found.run, codebook, after=after, limit=limit))
        lines = [json.loads(coding_line(comment, coded)) for _, comment, coded in page]
        return CodingsOut(codings=lines, next_after=page[-1][0] if len(page) == limit else None)
    extension = FORMATS[kind]
    handle, name = tempfile.mkstemp(prefix="themes-codings-", suffix=f".{extension}")
    os.close(handle)
    path = Path(name)
    try:
        export_codings(
            service.database, found, extension, path, with_personal_data=with_personal_data, jobs=service.settings.jobs
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return FileResponse(
        path,
        media_type=kind,
        filename=f"{found.id}.{extension}",
        background=BackgroundTask(path.unlink, missing_ok=True),
    )


@router.get(f"{_BATCH}/problems", summary="What could not be coded")
def problems(batch: str, service: TheService, caller: TheCaller) -> ProblemsOut:
    """Return rows and cells that could not be read, and comments that could not be coded."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    listed = read_problems(service.database, found.id, found.run.id)
    return ProblemsOut(
        problems=[
            ProblemOut(file=p.file, row=p.row, column=p.column, code=p.code, found=p.found, next_step=p.next_step)
            for p in listed
        ]
    )


@router.get(f"{_BATCH}/disclosures", summary="What a person should read first")
def disclosures(batch: str, service: TheService, caller: TheCaller) -> DisclosuresOut:
    """Return the comments that may disclose abuse, exploitation, self-harm or danger, once the batch is coded."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    listed = find_batch_disclosures(service.database, found, jobs=service.settings.jobs)
    return DisclosuresOut(
        disclosures=[
            DisclosureOut(comment_id=d.comment_id, probability=d.probability, row=d.row, question=d.question)
            for d in listed
        ]
    )


@router.post(f"{_BATCH}/cancel", summary="Stop coding a batch")
def cancel(batch: str, service: TheService, caller: TheCaller) -> BatchOut:
    """Stop the latest run before its next chunk; what is coded stays. A run that is over stays as it is."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    _cancel(service, found, caller.id)
    return batch_out(get_batch(service.database, batch))


@router.post(f"{_BATCH}/runs", status_code=202, summary="Code a batch again")
def again(batch: str, service: TheService, caller: TheCaller, given: AgainRequest | None = None) -> BatchOut:
    """Add a run with the model that codes now, or with another; earlier runs keep their codings."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    _cancel(service, found, caller.id)
    run = code_again(
        service.database,
        service.settings,
        found,
        model=given.model if given is not None else None,
        actor=caller.id,
    )
    _start(service, run)
    return batch_out(get_batch(service.database, batch))


@router.delete(_BATCH, status_code=204, summary="Delete a batch")
def delete(batch: str, service: TheService, caller: TheCaller) -> Response:
    """Delete a batch with its comments and codings."""
    found = get_batch(service.database, batch, consultation=caller.consultation)
    _cancel(service, found, caller.id)
    delete_batch(service.database, found.id, actor=caller.id)
    return Response(status_code=204)


def batch_out(batch: BatchRecord, hindered: Hindrance | None = None) -> BatchOut:
    """Return a batch as the service shows it; `hindered` is what a run that is not over waits for."""
    return BatchOut(
        id=batch.id,
        consultation=batch.consultation,
        inputs=list(batch.inputs),
        created_at=batch.created_at,
        n_rows=batch.n_rows,
        n_comments=batch.n_comments,
        n_problems=batch.n_problems,
        n_erased=batch.n_erased,
        notes=list(batch.notes),
        run=run_out(batch.run, hindered),
    )


def run_out(run: RunRecord, hindered: Hindrance | None = None) -> RunOut:
    """Return a run as the service shows it."""
    names = set(RunOut.model_fields) - {"waits_for"}
    waits_for = None if run.state.is_final else hindered
    return RunOut(**{name: getattr(run, name) for name in names}, waits_for=waits_for)


def negotiated(accept: str | None) -> str:
    """Return the media type to answer with: the one liked best, JSON where all are alike; raises NotAcceptableError."""
    wanted: list[tuple[float, int, str]] = []
    for place, one_of in enumerate((accept or "*/*").lower().split(",")):
        kind, *rest = (part.strip() for part in one_of.split(";"))
        weight = next((part[2:] for part in rest if part.startswith("q=")), "1")
        liking = float(weight) if weight.replace(".", "", 1).isdigit() and weight.isascii() else 0.0
        wanted.append((-liking, place, kind))
    for unliking, _, kind in sorted(wanted):
        if unliking == 0:
            continue
        if kind in ("*/*", "application/*", JSON_TYPE):
            return JSON_TYPE
        if kind in FORMATS or kind == "text/*":
            return kind if kind in FORMATS else "text/csv"
    raise NotAcceptableError(
        "none of the media types in Accept can be given.",
        allowed=", ".join((JSON_TYPE, *FORMATS)) + ".",
        next_step="name one of them.",
    )


def _roles(given: Sequence[str]) -> Mapping[str, Role]:
    """Return roles by column, the last word on a column first; raises BadRoleError."""
    roles: dict[str, Role] = {}
    for number, text in enumerate(given, 1):
        found = find_role(text)
        if found is None:
            raise BadRoleError(
                f"role {number} of {len(given)} is no column with a role.",
                allowed=ROLE_FORM,
                next_step="mend it; `themes inspect FILE` shows the columns, and what each is taken for.",
            )
        roles[found[0]] = found[1]
    return roles


def _hindrance(service: Service, found: Sequence[BatchRecord]) -> Hindrance | None:
    if all(b.run.state.is_final for b in found):
        return None
    return hindrance(service.database, silent_s=service.settings.silent_s)


def _start(service: Service, run: RunId) -> None:
    with suppress(StoreGoneError):  # a worker starts what is missing
        service.jobs.start(run)


def _cancel(service: Service, batch: BatchRecord, actor: str) -> None:
    if set_state(service.database, batch.run.id, RunState.CANCELLED, actor=actor):
        with suppress(StoreGoneError):  # the worker looks at the run's state before each chunk too
            service.jobs.cancel(batch.run.id, batch.run.attempt)
