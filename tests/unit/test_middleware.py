"""What stands around every request."""

import asyncio
import json

import pytest
from starlette.types import Message, Receive, Scope, Send

from nlp_service.api import middleware
from nlp_service.api.middleware import BodyLimit, BusyCheck
from nlp_service.classify_texts import WaitingRoom

ROUTE = ("POST", "/v1/classify")


class Held:
    """An application that answers when it is let go."""

    def __init__(self) -> None:
        self.n_inside, self.go_on = 0, asyncio.Event()

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        self.n_inside += 1
        if scope["path"] == ROUTE[1]:
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/broken":
            raise ValueError


async def ask(app: BusyCheck, method: str, path: str) -> tuple[int, Scope, bytes]:
    sent: list[Message] = []
    scope: Scope = {"type": "http", "method": method, "path": path, "headers": []}

    async def receive() -> Message:
        raise AssertionError("nothing of the body is read")

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], scope, b"".join(m.get("body", b"") for m in sent)


def test_callers_are_turned_away_while_as_many_as_may_be_are_inside_and_other_routes_never() -> None:
    async def story() -> None:
        held = Held()
        app = BusyCheck(held, WaitingRoom(1), ROUTE)
        inside = [asyncio.create_task(ask(app, *ROUTE)) for _ in range(2)]
        while held.n_inside < 2:
            await asyncio.sleep(0)
        status, scope, body = await ask(app, *ROUTE)
        assert (status, json.loads(body)["code"], scope["route"].path) == (503, "busy", ROUTE[1])
        assert (await ask(app, "GET", ROUTE[1] + "/x"))[0] == 200
        held.go_on.set()
        assert [(await one)[0] for one in inside] == [200, 200]
        assert (await ask(app, *ROUTE))[0] == 200

    asyncio.run(story())


def test_a_caller_whose_request_breaks_leaves_its_place() -> None:
    async def story() -> None:
        app = BusyCheck(Held(), WaitingRoom(0), ("POST", "/broken"))
        for _ in range(3):
            with pytest.raises(ValueError, match=r"^$"):
                await ask(app, "POST", "/broken")

    asyncio.run(story())


def test_a_reader_who_does_not_read_holds_no_place() -> None:
    async def story() -> None:
        held = Held()
        held.go_on.set()
        app, stuck, sending = BusyCheck(held, WaitingRoom(0), ROUTE), asyncio.Event(), asyncio.Event()

        async def send(_message: Message) -> None:
            sending.set()
            await stuck.wait()

        async def receive() -> Message:
            raise AssertionError("nothing of the body is read")

        scope: Scope = {"type": "http", "method": ROUTE[0], "path": ROUTE[1], "headers": []}
        slow = asyncio.create_task(app(scope, receive, send))
        await sending.wait()
        assert (await ask(app, *ROUTE))[0] == 200
        stuck.set()
        await slow

    asyncio.run(story())


def test_a_body_that_stops_coming_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "BODY_S", 0.05)
    pieces = [{"type": "http.request", "body": b"{", "more_body": True}]

    async def story() -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            if pieces:
                return pieces.pop()
            await asyncio.Event().wait()
            raise AssertionError

        async def send(message: Message) -> None:
            sent.append(message)

        app = BodyLimit(Held(), limit=lambda _m, _p: 100, streams=lambda _m, _p: False)
        await app({"type": "http", "method": "POST", "path": "/x", "headers": []}, receive, send)
        return sent

    sent = asyncio.run(story())
    assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (408, "too_slow")
