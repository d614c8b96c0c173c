"""The service as an application: its routes, thin doors to the use cases, and its refusals."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Annotated, Any, Final

import anyio.to_thread
from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from models.counts import counted
from models.vocabulary import Codebook, CodedComment, ThemesError
from nlp_service.api import administration, batches, error_pages, models, webhooks
from nlp_service.api.description import describe
from nlp_service.api.middleware import BodyLimit, BusyCheck, HostCheck, RequestLog
from nlp_service.api.names import Name
from nlp_service.api.parameters import known_parameters
from nlp_service.api.permission import ACCESS, RateLimits, TheCaller, gate
from nlp_service.api.problems import problem, problem_of
from nlp_service.api.service import Service
from nlp_service.classify_texts import MAX_TEXT_CHARS, MAX_TEXTS, MAX_WAITING, WaitingRoom
from nlp_service.model_zip import MAX_ZIP_BYTES
from nlp_service.store.values import DEFAULT_CONSULTATION
from nlp_service.store.workers import live_workers, prove_writable

MAX_BODY_BYTES: Final = 8_000_000
FORM_BYTES: Final = 10_000
"""What a form may hold beside the file."""
METHOD_NOT_ALLOWED: Final = 405
THREADS: Final = 160
_PATTERNS: Final = tuple((method, compile_path(path)[0]) for method, path in ACCESS)
_SHOWN_ERRORS: Final = 20
_PLAIN: Final = frozenset(
    [
        "missing",
        "extra_forbidden",
        "string_type",
        "string_too_short",
        "string_too_long",
        "string_pattern_mismatch",
        "list_type",
        "too_short",
        "too_long",
        "int_type",
        "int_parsing",
        "int_from_float",
        "greater_than",
        "greater_than_equal",
        "less_than",
        "less_than_equal",
        "bool_type",
        "bool_parsing",
        "enum",
        "literal_error",
        "dict_type",
        "model_attributes_type",
    ]
)
"""Errors whose words say how a field must be, and repeat nothing of what was sent."""
_CLASSIFY: Final = "/v1/classify"
_EXAMPLE: Final[dict[str, Any]] = {
    "texts": ["The street lights on our road have been out since May.", "More police on foot, please."]
}

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS, strict=True)]


class ClassifyRequest(BaseModel):
    """Texts to code."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    model: Annotated[str | None, Field(max_length=200, description="A model of the registry, or `starter`.")] = None
    codebook: Annotated[str | None, Field(max_length=200, description="A codebook, as `id` or `id@version`.")] = None
    consultation: Annotated[Name | None, Field(description="Whose pinned model codes, if no model is named.")] = None


class EvidenceOut(BaseModel):
    """A slice of the text that carries a theme: half-open offsets in code points."""

    start: int
    end: int


class ThemeOut(BaseModel):
    """A theme that was coded."""

    theme: str
    label: str
    probability: float
    evidence: list[EvidenceOut]


class CodingOut(BaseModel):
    """What is said of one text."""

    themes: list[ThemeOut]
    unsure: list[str]
    probabilities: dict[str, float]


class ClassifyResponse(BaseModel):
    """Codings in the order of the texts."""

    model: str
    codebook: str
    codings: list[CodingOut]


class CodebookTheme(BaseModel):
    """A theme of the codebook in service."""

    id: str
    label: str
    parent: str | None
    definition: str


class CodebookOut(BaseModel):
    """The codebook in service."""

    codebook: str
    model: str
    themes: list[CodebookTheme]


class Health(BaseModel):
    """`ok`, or the answer is a problem."""

    status: str


class Ready(Health):
    """The service can answer; with no worker, batches wait."""

    n_workers: int


def make_app(service: Service, *, write_log: Callable[[dict[str, str | int | float]], None] | None = None) -> FastAPI:
    """Return the service as an application; `write_log` is given a line for each request."""
    app = FastAPI(
        title="Theme coding",
        version="1",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(gate), Depends(known_parameters)],
        lifespan=_lifespan,
    )
    app.state.service, app.state.rate_limits = service, RateLimits(service.settings.requests_a_minute)
    app.add_middleware(BusyCheck, room=WaitingRoom(MAX_WAITING), route=("POST", _CLASSIFY))
    app.add_middleware(BodyLimit, limit=lambda m, p: _most_bytes(service, m, p), streams=_is_upload)
    app.add_middleware(HostCheck, is_local=service.is_local)
    app.add_middleware(RequestLog, metrics=service.metrics, write=write_log)

    @app.post(_CLASSIFY, summary="Code a few texts", response_model=ClassifyResponse)
    def classify(given: ClassifyRequest, caller: TheCaller) -> Response:
        """Return themes with calibrated probability and evidence for each text, in order, and the model that coded them all."""
        where = caller.narrowed(given.consultation) or DEFAULT_CONSULTATION
        done = service.models.classify(given.texts, model=given.model, codebook=given.codebook, consultation=where)
        answer = ClassifyResponse(
            model=done.by.model_id,
            codebook=done.by.codebook.ref,
            codings=[_coding(done.by.codebook, c) for c in done.codings],
        )  # written out here, and not in the loop that everybody shares
        return Response(answer.model_dump_json(), media_type="application/json")

    @app.get("/v1/codebook", summary="The codebook in service")
    def codebook(caller: TheCaller) -> CodebookOut:
        """Return the themes of both levels, of the codebook that codes for this caller where a request names nothing."""
        by = service.models.get(consultation=caller.consultation or DEFAULT_CONSULTATION)
        themes = [
            CodebookTheme(id=t.id, label=t.label, parent=t.parent, definition=t.definition) for t in by.codebook.themes
        ]
        return CodebookOut(codebook=by.codebook.ref, model=by.model_id, themes=themes)

    @app.get("/health/live", summary="Is the process alive?")
    async def live() -> Health:
        """Return at once."""
        return Health(status="ok")

    @app.get("/health/ready", summary="Are the model and the store there?")
    def ready() -> Ready:
        """Return the number of live workers once the model is loaded, if the store answers and can be written to; else a problem."""
        prove_writable(service.database)
        n_workers = len(live_workers(service.database, silent_s=service.settings.silent_s))
        return Ready(status="ok", n_workers=n_workers)

    description_of_routes = cache(lambda: describe(app))

    @app.get("/openapi.json", include_in_schema=False)
    def description() -> JSONResponse:
        """Return the description of all routes."""
        return JSONResponse(description_of_routes())

    app.include_router(batches.router)
    app.include_router(models.router)
    app.include_router(administration.router)
    app.include_router(webhooks.router)
    app.include_router(error_pages.router)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ThemesError, _refused)
    app.add_exception_handler(Exception, _bug)
    return app


@asynccontextmanager
async def _lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Give more threads than callers may wait to be coded, so that they do not hold up anything else."""
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def _is_upload(method: str, path: str) -> bool:
    return method == "POST" and path in ("/v1/batches", "/v1/models")


def _most_bytes(service: Service, method: str, path: str) -> int:
    if not _is_upload(method, path):
        return MAX_BODY_BYTES
    return service.settings.max_batch_bytes if path == "/v1/batches" else MAX_ZIP_BYTES + FORM_BYTES


def _coding(codebook: Codebook, coded: CodedComment) -> CodingOut:
    themes = [
        ThemeOut(
            theme=c.theme,
            label=codebook.get_theme(c.theme).label,
            probability=c.probability,
            evidence=[EvidenceOut(start=s.start, end=s.end) for s in c.evidence],
        )
        for c in coded.codings
    ]
    return CodingOut(
        themes=themes, unsure=[str(t) for t in coded.unsure], probabilities={str(t): p for t, p in coded.probabilities}
    )


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- the handler is registered for it
    found = error.errors()
    if any(e["type"] == "json_invalid" for e in found):
        return problem(400, "not_json", "the body is no JSON.", allowed="a JSON object.", next_step="mend it.")
    route = getattr(request.scope.get("route"), "path", "")
    allowed = f"what /openapi.json says of {request.method} {route}."
    if route == _CLASSIFY:
        allowed = f"texts: 1 to {MAX_TEXTS} texts of 1 to {MAX_TEXT_CHARS} characters; model, codebook, consultation: text or left out."
    return problem(
        422,
        "invalid_request",
        f"{counted(len(found), 'field is not as it must be', 'fields are not as they must be')}.",
        allowed=allowed,
        next_step="mend the fields listed; a JSON body comes with the header `content-type: application/json`.",
        fields=[_field(e) for e in found[:_SHOWN_ERRORS]],
    )


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    """Return which field is not as it must be, and how it must be; nothing of what was sent."""
    place, *rest = map(str, error["loc"])
    said = {"at": ".".join(rest) or place, "found": str(error["type"])}
    return {**said, "allowed": str(error["msg"])} if error["type"] in _PLAIN else said


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- the handler is registered for it
    headers = dict(error.headers) if error.headers else {}
    if error.status_code == METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_allowed_methods(request.url.path)))
    codes = {404: "not_found", 405: "method_not_allowed", 400: "not_json"}
    code = codes.get(error.status_code, "refused")
    return problem(
        error.status_code, code, "there is nothing here for that path and method.", next_step="see /openapi.json.", headers=headers or None
    )  # fmt: skip


def _allowed_methods(path: str) -> set[str]:
    """Return the methods of all routes with a path: the router itself names those of the first alone."""
    return {method for method, pattern in _PATTERNS if pattern.fullmatch(path)}


async def _refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ThemesError)  # noqa: S101 -- the handler is registered for it
    return problem_of(error)


async def _bug(_request: Request, error: Exception) -> Response:
    return problem(500, "bug", f"our fault: {type(error).__name__}.", next_step="report it; no text was kept.")
