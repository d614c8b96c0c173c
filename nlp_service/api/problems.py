"""Every refusal as a problem document (RFC 9457): a stable code, what was found, what is allowed, what to do next; never a sent text."""

import json
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from models.model import ModelNotFoundError
from models.registry import RegistryBusyError, RegistryError
from models.vocabulary import ThemesError
from nlp_service.api.error_pages import page_address
from nlp_service.classify_texts import BusyError, OtherModelError
from nlp_service.erase_files import EraseBusyError, EraseError
from nlp_service.erase_respondent import RespondentNotFoundError
from nlp_service.export_codings import NotDoneError
from nlp_service.find_model import ModelBrokenError
from nlp_service.list_models import finite
from nlp_service.publish_model import GateRefusedError, GoldError
from nlp_service.run_round import RoundBusyError
from nlp_service.store.database import StoreGoneError
from nlp_service.store.idempotency import InFlightError
from nlp_service.store.keys import KeyNotFoundError
from nlp_service.store.values import BatchNotFoundError
from nlp_service.store.webhooks import TooManyWebhooksError, WebhookNotFoundError
from nlp_service.submit_batch import QueueFullError, TooManyCommentsError


class NoKeyError(ThemesError):
    """The request came without an API key."""

    code = "no_key"


class BadKeyError(ThemesError):
    """The API key is unknown, revoked or past its end."""

    code = "bad_key"


class ForbiddenError(ThemesError):
    """The API key does not open this."""

    code = "forbidden"


class RateLimitError(ThemesError):
    """The caller made more requests than it may."""

    code = "rate_limited"


class TooLargeError(ThemesError):
    """The body has more bytes than the route takes."""

    code = "too_large"


class TooSlowError(ThemesError):
    """The body stopped coming."""

    code = "too_slow"


class NotAcceptableError(ThemesError):
    """None of the formats that the caller accepts can be given."""

    code = "not_acceptable"


class BadUploadError(ThemesError):
    """The body is no upload that can be read."""

    code = "bad_upload"


class BadRoleError(ThemesError):
    """A column's role in the query is given in no way that can be read."""

    code = "bad_role"


class OwnKeyError(ThemesError):
    """A key was told to revoke itself."""

    code = "own_key"


class WrongHostError(ThemesError):
    """The Host header names another machine: a page elsewhere may be using the caller's browser."""

    code = "wrong_host"


STATUS: Final[dict[type[ThemesError], int]] = {
    NoKeyError: 401,
    BadKeyError: 401,
    ForbiddenError: 403,
    BatchNotFoundError: 404,
    KeyNotFoundError: 404,
    WebhookNotFoundError: 404,
    RespondentNotFoundError: 404,
    ModelNotFoundError: 404,
    NotAcceptableError: 406,
    TooSlowError: 408,
    NotDoneError: 409,
    OwnKeyError: 409,
    TooManyWebhooksError: 409,
    RegistryError: 409,
    EraseError: 409,
    OtherModelError: 409,
    ModelBrokenError: 409,
    GoldError: 409,
    GateRefusedError: 409,
    InFlightError: 409,
    TooLargeError: 413,
    TooManyCommentsError: 413,
    WrongHostError: 421,
    RateLimitError: 429,
    BusyError: 503,
    QueueFullError: 503,
    RegistryBusyError: 503,
    RoundBusyError: 503,
    EraseBusyError: 503,
    StoreGoneError: 503,
}
"""All others are 422: what was sent cannot be used."""
RETRY_AFTER_S: Final[dict[type[ThemesError], int]] = {
    InFlightError: 1,
    RateLimitError: 10,
    BusyError: 1,
    QueueFullError: 30,
    RegistryBusyError: 5,
    RoundBusyError: 5,
    EraseBusyError: 5,
    StoreGoneError: 5,
}


class Problem(BaseModel):
    """Why a request was refused (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Where the code's page is: what it means and what to do; relative to the request.")
    status: int
    code: str = Field(description="Stable; GET /errors/{code} says what it means.")
    title: str = Field(description="What was found.")
    allowed: str | None = None
    next_step: str | None = None


def problem(
    status: int, code: str, title: str, *, allowed: str = "", next_step: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:  # fmt: skip
    """Return a response with media type application/problem+json."""
    document = {"type": page_address(code), "status": status, "code": code, "title": title}
    document |= {"allowed": allowed} if allowed else {}
    document |= {"next_step": next_step} if next_step else {}
    content = json.dumps(document | more, ensure_ascii=False).encode()
    return Response(content, status, headers, media_type="application/problem+json")


def problem_of(error: ThemesError) -> Response:
    """Return the problem document of an error, with the time to come back where there is one."""
    headers = {"Retry-After": str(RETRY_AFTER_S[type(error)])} if type(error) in RETRY_AFTER_S else {}
    if isinstance(error, NoKeyError | BadKeyError):
        headers["WWW-Authenticate"] = "Bearer"
    status = STATUS.get(type(error), 422)
    more: dict[str, Any] = {}
    if isinstance(error, GateRefusedError):
        more = {"model": error.entry.model, "reason": error.entry.reason, "gate": finite(error.entry.gate)}
    return problem(
        status,
        error.code,
        error.found,
        allowed=error.allowed,
        next_step=error.next_step,
        headers=headers or None,
        **more,
    )
