"""Around every request: a request id, a line in the log, the Host header and the size of the body checked."""

import asyncio
import json
import re
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nlp_service.api.metrics import Metrics
from nlp_service.api.problems import TooLargeError, TooSlowError, WrongHostError, problem_of
from nlp_service.classify_texts import BusyError, WaitingRoom

LOCAL_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "[::1]", "testserver"})
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNKNOWN: Final = "(none)"
BODY_S: Final = 30.0
"""Between two pieces of a body; whoever is silent for longer is turned away."""
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


def write_log_line(fields: dict[str, str | int | float]) -> None:
    """Write a line of JSON to standard error."""
    sys.stderr.write(json.dumps(fields) + "\n")


class RequestLog:
    """Gives each request an id, counts it, and writes one line: route and status, never a path, a query or a body."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, write: Callable[[dict[str, str | int | float]], None] | None
    ) -> None:
        self._app, self._metrics, self._write = app, metrics, write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(8)
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                there = {name for name, _ in message["headers"]}
                more = [(n, v) for n, v in _SAFE if n not in there]
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode()), *more]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", _UNKNOWN)
            method = scope["method"] if route != _UNKNOWN else _UNKNOWN
            self._metrics.count(method, route, status, seconds)
            if self._write is not None:
                caller = getattr(scope.get("state", {}).get("caller"), "id", "")
                self._write(
                    {
                        "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
                        "request_id": request_id,
                        "method": method,
                        "route": route,
                        "status": status,
                        "ms": round(1000 * seconds, 1),
                        "caller": caller,
                    }
                )


class HostCheck:
    """Turns away requests that name another machine, where the service is for this machine alone."""

    def __init__(self, app: ASGIApp, *, is_local: bool) -> None:
        self._app, self._is_local = app, is_local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http" and self._is_local:
            hosts = [v.decode("latin-1") for n, v in scope["headers"] if n == b"host"]
            if len(hosts) != 1 or re.sub(r":\d{1,5}$", "", hosts[0].lower()) not in LOCAL_HOSTS:
                error = WrongHostError(
                    "the Host header names another machine.",
                    allowed="localhost, 127.0.0.1 or [::1].",
                    next_step="call the service by its own address.",
                )
                await problem_of(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


@dataclass(frozen=True, slots=True)
class _Turned:
    """The route of a request that was turned away before it came there."""

    path: str


class BusyCheck:
    """Turns callers of one route away before anything is done for them, while too many are inside already.

    Even the key is not looked at: when thousands call at once, that look is what would hold up everybody else. `LoadedModels` has
    a bound of its own behind it, which holds for whoever comes by another route too.

    Parameters
    ----------
    room
        Holds a place for each caller, until there is an answer: sending it may take a slow reader for ever.
    route
        Method and path.
    """

    def __init__(self, app: ASGIApp, room: WaitingRoom, route: tuple[str, str]) -> None:
        self._app, self._room, self._route = app, room, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 503."""
        if scope["type"] != "http" or (scope["method"], scope["path"]) != self._route:
            await self._app(scope, receive, send)
            return
        with ExitStack() as stack:
            try:
                stack.enter_context(self._room.place())
            except BusyError as error:
                scope["route"] = _Turned(scope["path"])
                await problem_of(error)(scope, receive, send)
                return

            async def answering(message: Message) -> None:
                stack.close()
                await send(message)

            await self._app(scope, receive, answering)


class BodyLimit:
    """Turns away a body over a limit, by its stated length or while it comes, and one that stops coming.

    Parameters
    ----------
    limit
        The most bytes for a method and path.
    streams
        Whether the body of a method and path is passed on as it comes; all others are read whole first.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str, str], int], streams: Callable[[str, str], bool]) -> None:
        self._app, self._limit, self._streams = app, limit, streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 413 or 408."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._limit(scope["method"], scope["path"])
        refusal = TooLargeError("the body is too large.", allowed=f"{most} bytes.", next_step="send less at a time.")
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if not stated.isdigit() or int(stated) > most:
            await problem_of(refusal)(scope, receive, send)
            return
        slow = TooSlowError(
            "the body does not come on.", allowed=f"{BODY_S:.0f} s between two pieces.", next_step="send it again."
        )
        n_bytes, comes = 0, True

        async def counted() -> Message:
            nonlocal n_bytes, comes
            try:
                async with asyncio.timeout(BODY_S if comes else None):
                    message = await receive()
            except TimeoutError:
                raise slow from None
            n_bytes += len(message.get("body", b""))
            comes = message.get("more_body", False)
            if n_bytes > most:
                raise refusal
            return message

        if self._streams(scope["method"], scope["path"]):
            await self._app(scope, counted, send)
            return
        body, more = b"", True
        while more:
            try:
                message = await counted()
            except (TooLargeError, TooSlowError) as error:
                await problem_of(error)(scope, receive, send)
                return
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)
