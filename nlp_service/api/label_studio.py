"""Routes for Label Studio itself: suggestions on tasks made elsewhere (its ML backend protocol), and nudges by webhook.

Whoever calls must know the secret: as the password of HTTP basic authentication, or as a bearer token. What a caller sends about itself,
its address and an access token among it, is not read.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Header, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.responses import Response

from annotation.display import make_display
from annotation.interface import make_result
from nlp_service.api.problems import problem
from nlp_service.classify_texts import MAX_TEXT_CHARS, MAX_TEXTS, BusyError
from nlp_service.loaded_models import LoadedModels
from nlp_service.round_watch import RoundWatch

PREFIX: Final = "/label-studio"


class TaskIn(BaseModel):
    """A task as Label Studio sends it; only its data are read."""

    model_config = ConfigDict(extra="ignore")

    data: dict[str, Any]


class PredictIn(BaseModel):
    """Tasks that want suggestions."""

    model_config = ConfigDict(extra="ignore")

    tasks: list[TaskIn]


class PredictionOut(BaseModel):
    """Suggestions for one task, as Label Studio stores them."""

    model_version: str
    score: float
    result: list[dict[str, Any]]


class PredictOut(BaseModel):
    """Suggestions in the order of the tasks."""

    results: list[PredictionOut]


class StateOut(BaseModel):
    """Which model would answer."""

    status: str
    model_version: str


def make_label_studio_app(models: LoadedModels, secret: str, nudge: Callable[[], None]) -> FastAPI:
    """Return the routes as an application of their own, to be mounted at `/label-studio`: the service's keys do not open it.

    Parameters
    ----------
    models
        The one in service answers.
    secret
        What callers must know; at least 16 characters.
    nudge
        Called when a webhook comes in; must return at once. What the webhook says is not read: the export is the truth.
    """

    def admit(authorization: Annotated[str, Header()] = "") -> None:
        if not _knows(authorization, secret):
            raise HTTPException(401, headers={"WWW-Authenticate": "Basic"})

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(admit)])

    @app.get("/health", summary="Is the ML backend there?")
    def health() -> StateOut:
        """Return at once."""
        return StateOut(status="UP", model_version=models.in_service.model_id)

    @app.post("/setup", summary="Which model is it?")
    def setup() -> StateOut:
        """Return the model's id; the schema, host name and token that are sent are not read."""
        return StateOut(status="UP", model_version=models.in_service.model_id)

    @app.post("/predict", summary="Suggestions for tasks")
    def predict(given: PredictIn) -> PredictOut:
        """Return suggestions for each task; none for one without a text that can be coded."""
        texts = [_text(t.data) for t in given.tasks]
        return PredictOut(results=_predict(models, texts))

    @app.post("/webhook", status_code=202, summary="Something changed")
    def webhook() -> dict[str, str]:
        """Take the nudge."""
        nudge()
        return {"status": "taken"}

    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(AnyHTTPException, _http)
    app.add_exception_handler(BusyError, _busy)
    app.add_exception_handler(Exception, _bug)
    return app


def mount_label_studio(app: FastAPI, models: LoadedModels, secret: str, watch: RoundWatch | None) -> None:
    """Open `/label-studio` of the service; nudges go to the watch, if there is one."""
    app.mount(PREFIX, make_label_studio_app(models, secret, watch.nudge if watch is not None else lambda: None))


def _invalid(_request: Request, _error: Exception) -> Response:
    allowed = 'what Label Studio sends: {"tasks": [{"data": {"text": "..."}}]}'
    return problem(422, "invalid_request", "the body is not as it must be.", allowed=allowed, next_step="mend it.")


def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AnyHTTPException)  # noqa: S101 -- the handler is registered for it
    if error.status_code == 401:  # noqa: PLR2004
        return problem(
            401, "wrong_secret", "the secret is missing or wrong.", allowed="THEMES_LABEL_STUDIO_SECRET.",
            next_step="give it as the password of basic authentication, or as a bearer token.",
            headers=dict(error.headers or {}),
        )  # fmt: skip
    return problem(error.status_code, "not_found", "there is nothing here for that path and method.")


def _busy(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BusyError)  # noqa: S101 -- the handler is registered for it
    return problem(
        503, error.code, error.found, allowed=error.allowed, next_step=error.next_step, headers={"Retry-After": "1"}
    )


def _bug(_request: Request, error: Exception) -> Response:
    return problem(500, "bug", f"our fault: {type(error).__name__}.", next_step="report it; no text was kept.")


def _predict(models: LoadedModels, texts: Sequence[str]) -> list[PredictionOut]:
    wanted = [i for i, t in enumerate(texts) if t]
    model_id = models.in_service.model_id
    results = [PredictionOut(model_version=model_id, score=0.0, result=[]) for _ in texts]
    for start in range(0, len(wanted), MAX_TEXTS):
        some = wanted[start : start + MAX_TEXTS]
        done = models.classify([texts[i] for i in some])
        for i, coded in zip(some, done.codings, strict=True):
            display = make_display(texts[i])
            codings = [
                (c.theme, c.probability, [s for e in c.evidence if (s := display.to_display(e)) is not None])
                for c in coded.codings
            ]
            score = max((p for _, p, _ in codings), default=0.0)
            results[i] = PredictionOut(
                model_version=done.by.model_id, score=score, result=make_result(codings, display.text)
            )
    return results


def _text(data: dict[str, Any]) -> str:
    text = data.get("text")
    return text if isinstance(text, str) and len(text) <= MAX_TEXT_CHARS and text.strip() else ""


def _knows(authorization: str, secret: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), secret.encode())
