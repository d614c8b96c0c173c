"""Routes under `/v1` and `/health`: thin doors to `nlp_service.classify_texts`."""

from typing import Annotated, Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.vocabulary import CodedComment
from nlp_service.api.problems import problem
from nlp_service.classify_texts import MAX_TEXT_CHARS, MAX_TEXTS, BusyError, OtherModelError, TextClassifier

MAX_BODY_BYTES: Final = 8_000_000
_SHOWN_ERRORS: Final = 20
_EXAMPLE: Final[dict[str, Any]] = {
    "texts": ["The street lights on our road have been out since May.", "More police on foot, please."]
}

Text = Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT_CHARS, strict=True)]


class ClassifyRequest(BaseModel):
    """Texts to code."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    texts: Annotated[list[Text], Field(min_length=1, max_length=MAX_TEXTS)]
    model: Annotated[str | None, Field(max_length=200, description="Refuse unless this model is in service.")] = None
    codebook: Annotated[str | None, Field(max_length=200, description="Refuse unless it is this codebook.")] = None


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


def make_app(classifier: TextClassifier) -> FastAPI:
    """Return the service around a loaded model."""
    app = FastAPI(title="Theme coding", version="1", docs_url=None, redoc_url=None)
    app.add_middleware(BodyLimit, max_bytes=MAX_BODY_BYTES)

    @app.post("/v1/classify", summary="Code a few texts", responses=_REFUSALS)
    def classify(given: ClassifyRequest) -> ClassifyResponse:
        """Return themes with calibrated probability and evidence for each text, in order."""
        coded = classifier.classify(given.texts, model=given.model, codebook=given.codebook)
        return ClassifyResponse(
            model=classifier.model_id,
            codebook=classifier.codebook.ref,
            codings=[_coding(classifier, c) for c in coded],
        )

    @app.get("/v1/codebook", summary="The codebook in service")
    def codebook() -> CodebookOut:
        """Return the themes of both levels."""
        themes = [
            CodebookTheme(id=t.id, label=t.label, parent=t.parent, definition=t.definition)
            for t in classifier.codebook.themes
        ]
        return CodebookOut(codebook=classifier.codebook.ref, model=classifier.model_id, themes=themes)

    @app.get("/health/live", summary="Is the process alive?")
    def live() -> Health:
        """Return at once."""
        return Health(status="ok")

    @app.get("/health/ready", summary="Is the model loaded?")
    def ready() -> Health:
        """Return once the model is loaded: the service starts to listen only then."""
        return Health(status="ok")

    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OtherModelError, _other_model)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(Exception, _bug)
    return app


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": text, "content": {"application/problem+json": {}}}
    for status, text in (
        (400, "The body is no JSON."),
        (409, "Another model or codebook is in service."),
        (413, "The body is too large."),
        (422, "A field is not as it must be."),
        (503, "Too many callers; Retry-After says when."),
    )
}


def _coding(classifier: TextClassifier, coded: CodedComment) -> CodingOut:
    themes = [
        ThemeOut(
            theme=c.theme,
            label=classifier.codebook.get_theme(c.theme).label,
            probability=c.probability,
            evidence=[EvidenceOut(start=s.start, end=s.end) for s in c.evidence],
        )
        for c in coded.codings
    ]
    return CodingOut(
        themes=themes, unsure=[str(t) for t in coded.unsure], probabilities={str(t): p for t, p in coded.probabilities}
    )


def _invalid(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- the handler is registered for it
    found = error.errors()
    fields = [{"at": ".".join(map(str, e["loc"][1:])), "found": e["type"]} for e in found[:_SHOWN_ERRORS]]
    if any(e["type"] == "json_invalid" for e in found):
        return problem(400, "not_json", "the body is no JSON object.", allowed='{"texts": [...]}', next_step="mend it.")
    return problem(
        422,
        "invalid_request",
        f"{len(found)} fields are not as they must be.",
        allowed=f"texts: 1 to {MAX_TEXTS} texts of 1 to {MAX_TEXT_CHARS} characters; model, codebook: text or left out.",
        next_step="mend the fields listed.",
        fields=fields,
    )


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- the handler is registered for it
    codes = {404: "not_found", 405: "method_not_allowed", 400: "not_json"}
    code = codes.get(error.status_code, "refused")
    headers = dict(error.headers) if error.headers else None
    return problem(
        error.status_code, code, "there is nothing here for that path and method.", next_step="see /openapi.json.", headers=headers
    )  # fmt: skip


def _other_model(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OtherModelError)  # noqa: S101 -- the handler is registered for it
    return problem(409, error.code, error.found, allowed=error.allowed, next_step=error.next_step)


def _busy(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BusyError)  # noqa: S101 -- the handler is registered for it
    return problem(
        503, error.code, error.found, allowed=error.allowed, next_step=error.next_step, headers={"Retry-After": "1"}
    )


def _bug(_request: Request, error: Exception) -> Response:
    return problem(500, "bug", f"our fault: {type(error).__name__}.", next_step="report it; no text was kept.")


class BodyLimit:
    """Turns away a body over a limit, by its stated length or while it comes."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app, self._max = app, max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = b""
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = not stated.isdigit() or int(stated) > self._max
        more = not too_large
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._max:
                too_large, more = True, False
        if too_large:
            refusal = problem(
                413, "too_large", "the body is too large.", allowed=f"{self._max} bytes.", next_step="send fewer texts."
            )
            await refusal(scope, receive, send)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)
