"""The one gate: who asks, what the route needs, and whether one opens the other. A route without a row here opens to nobody."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import Depends, Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool

from nlp_service.api.problems import BadKeyError, BadUploadError, ForbiddenError, NoKeyError, RateLimitError
from nlp_service.api.service import Service, the_service
from nlp_service.store.keys import Key, Scope

Need = Scope | Literal["anyone", "any key", "admin of all"]

ACCESS: Final[dict[tuple[str, str], Need]] = {
    ("GET", "/health/live"): "anyone",
    ("GET", "/health/ready"): "anyone",
    ("GET", "/openapi.json"): "anyone",
    ("GET", "/errors/{code}"): "anyone",
    ("GET", "/first-key"): "anyone",  # its own token opens it, once
    ("POST", "/first-key"): "anyone",
    ("GET", "/metrics"): "any key",
    ("POST", "/v1/classify"): Scope.CLASSIFY,
    ("GET", "/v1/codebook"): Scope.CLASSIFY,
    ("GET", "/v1/codebooks"): Scope.CLASSIFY,
    ("GET", "/v1/models"): Scope.CLASSIFY,
    ("POST", "/v1/models"): Scope.PUBLISH,
    ("GET", "/v1/models/{model}"): Scope.CLASSIFY,
    ("GET", "/v1/models/{model}/card"): Scope.CLASSIFY,
    ("PUT", "/v1/consultations/{consultation:path}/pin"): Scope.PUBLISH,
    ("DELETE", "/v1/consultations/{consultation:path}/pin"): Scope.PUBLISH,
    ("POST", "/v1/codebooks/{codebook}/rollback"): Scope.PUBLISH,
    ("POST", "/v1/batches"): Scope.SUBMIT,
    ("GET", "/v1/batches"): Scope.SUBMIT,
    ("GET", "/v1/batches/{batch}"): Scope.SUBMIT,
    ("DELETE", "/v1/batches/{batch}"): Scope.SUBMIT,
    ("GET", "/v1/batches/{batch}/events"): Scope.SUBMIT,
    ("GET", "/v1/batches/{batch}/codings"): Scope.SUBMIT,
    ("GET", "/v1/batches/{batch}/problems"): Scope.SUBMIT,
    ("GET", "/v1/batches/{batch}/disclosures"): Scope.SUBMIT,
    ("POST", "/v1/batches/{batch}/cancel"): Scope.SUBMIT,
    ("POST", "/v1/batches/{batch}/runs"): Scope.SUBMIT,
    ("DELETE", "/v1/respondents/{respondent:path}"): Scope.ADMIN,
    ("POST", "/v1/keys"): Scope.ADMIN,
    ("GET", "/v1/keys"): Scope.ADMIN,
    ("DELETE", "/v1/keys/{key}"): Scope.ADMIN,
    ("GET", "/v1/audit"): "admin of all",
    ("POST", "/v1/webhooks"): Scope.ADMIN,
    ("GET", "/v1/webhooks"): Scope.ADMIN,
    ("DELETE", "/v1/webhooks/{webhook}"): Scope.ADMIN,
    ("GET", "/v1/webhooks/{webhook}/deliveries"): Scope.ADMIN,
}

_LOCAL: Final = "local"
MAX_REASON_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `consultation` is the only one that is open to them; None: all."""

    id: str
    scopes: frozenset[Scope]
    consultation: str | None = None
    key: Key | None = None

    def opens(self, need: Need) -> bool:
        """Return whether the caller has what a route needs."""
        if need == "any key":
            return self.key is not None
        if need == "admin of all":
            return Scope.ADMIN in self.scopes and self.consultation is None
        return need in self.scopes or Scope.ADMIN in self.scopes

    def narrowed(self, consultation: str | None) -> str | None:
        """Return the consultation that a request is about: the one asked for, else the caller's; raises ForbiddenError."""
        if self.consultation is not None and consultation not in (None, self.consultation):
            raise ForbiddenError(
                "the key belongs to another consultation.",
                allowed="the key's own consultation.",
                next_step="leave `consultation` out, or ask for a key of that consultation.",
            )
        return consultation or self.consultation

    def check_of_all(self) -> None:
        """Raise ForbiddenError if the caller belongs to one consultation."""
        if self.consultation is not None:
            raise ForbiddenError(
                "the key belongs to one consultation, and a model codes them all.",
                allowed="a key without a consultation.",
                next_step="ask for one.",
            )

    def reason_to_override(self, reason: str | None) -> str | None:
        """Return why the gate is to be overridden, if it is; raises ForbiddenError or BadUploadError."""
        if reason is None:
            return None
        if Scope.ADMIN not in self.scopes:
            raise ForbiddenError(
                "the key may publish what the gate lets through, and nothing else.",
                allowed=f"`override` with the scope {Scope.ADMIN}.",
                next_step="leave `override` out, or ask for a key with that scope.",
            )
        if not 0 < len(reason.strip()) <= MAX_REASON_CHARS:
            raise BadUploadError(
                "`override` is no reason.",
                allowed=f"1 to {MAX_REASON_CHARS} characters.",
                next_step="say why, or leave it out.",
            )
        return reason.strip()


class RateLimits:
    """Requests of each caller in the last minute, in this process. Safe to share between threads."""

    def __init__(self, requests_a_minute: int) -> None:
        self._item = RateLimitItemPerMinute(requests_a_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, caller: str) -> None:
        """Count a request; raises RateLimitError where it is one too many."""
        if not self._limiter.hit(self._item, caller):
            raise RateLimitError(
                "too many requests came with this key.",
                allowed=f"{self._item.amount} a minute (THEMES_REQUESTS_A_MINUTE).",
                next_step="wait as long as Retry-After says.",
            )


async def gate(request: Request, service: Annotated[Service, Depends(the_service)]) -> Caller:
    """Return the caller if the route is open to it; raises NoKeyError, BadKeyError, ForbiddenError or RateLimitError."""
    need = ACCESS.get((request.method, request.scope["route"].path))
    if need == "anyone":
        return Caller("anyone", frozenset())
    caller = await run_in_threadpool(_caller, request, service)
    if need is not None:
        limits: RateLimits = request.app.state.rate_limits
        limits.check(caller.id)
    request.state.caller = caller
    if need is None or not caller.opens(need):
        if caller.key is None:
            raise NoKeyError(
                "the request came without an API key.",
                allowed="the header `Authorization: Bearer KEY`.",
                next_step="make a key with `themes key create`, or ask whoever runs the service.",
            )
        raise ForbiddenError(
            "the key does not open this.",
            allowed=f"a key with the scope {need}." if need is not None else "nobody.",
            next_step="ask for a key with that scope.",
        )
    return caller


TheCaller = Annotated[Caller, Depends(gate)]
TheService = Annotated[Service, Depends(the_service)]


def _caller(request: Request, service: Service) -> Caller:
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if not scheme:
        is_open = service.is_local and not service.keys.has_keys()
        return Caller(_LOCAL, frozenset({Scope.CLASSIFY} if is_open else ()))
    key = service.keys.find_key(text.strip()) if scheme.lower() == "bearer" else None
    if key is None or not key.is_valid(datetime.now(UTC)):
        raise BadKeyError(
            "the API key is unknown, revoked or past its end.",
            allowed="a valid key.",
            next_step="check the key, or make a new one.",
        )
    return Caller(key.id, key.scopes, key.consultation, key)
