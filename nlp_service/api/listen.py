"""Listening: the HTTP server around the application, which stays quick to answer when very many connect at once."""

import asyncio
import errno
import gc
import socket
import sys
from collections import deque
from contextlib import suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from models.vocabulary import ThemesError

MAX_NEW: Final = 8
"""Connections that are taken up and have not asked for anything yet."""
PATIENCE_S: Final = 0.02
"""A connection that is silent for longer is not waited for: the next are taken up beside it."""
HEAD_S: Final = 10.0
"""Whoever has not asked for anything by then is cut off."""
DEFER_S: Final = 5
"""For so long the kernel keeps a connection to itself that has said nothing."""
LOOK_AGAIN_S: Final = 0.002
STOP_S: Final = 20
"""A service that is told to stop waits for answers that are being sent for so long."""
WAITING: Final = 4096
"""Connections that may wait in the kernel to be taken up; it may allow fewer."""
SWITCH_S: Final = 0.0002
"""How long a thread keeps the interpreter when another wants it. Python's own 5 ms let a request that codes hold up every other a
hundred times over: each time the server reads or writes, it waits for the interpreter again."""
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_FULL_S: Final = 0.5


class ServeRefusedError(ThemesError):
    """The service cannot listen where it was asked to."""

    code = "serve_refused"


class PatientServer(uvicorn.Server):
    """Takes up the next connections only when those before have said what they want, while thousands may wait.

    Left alone, asyncio takes up all that are there, then reads them all, then answers them all: whoever asks for something
    else meanwhile waits for thousands.
    """

    def __init__(self, config: uvicorn.Config, listeners: list[socket.socket]) -> None:
        super().__init__(config)
        self.listeners = listeners
        self._new: list[tuple[float, Any]] = []
        self._silent: deque[tuple[float, Any]] = deque()
        self._accepting: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to take up connections."""
        await super().startup([*(sockets or ())])
        self._accepting = [asyncio.create_task(self._accept(listener)) for listener in self.listeners]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take up no more, and end once everybody is answered."""
        for task in self._accepting:
            task.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for listener in self.listeners:
            listener.close()
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while self._is_waiting(loop.time()):
                await asyncio.sleep(LOOK_AGAIN_S)
            try:
                taken, _ = await loop.sock_accept(listener)
            except OSError as error:  # the caller has gone, or there is no room for one more
                await asyncio.sleep(_FULL_S if error.errno in _FULL else 0)
                continue
            with suppress(OSError):
                await loop.connect_accepted_socket(self._make_connection, taken)

    def _make_connection(self) -> asyncio.Protocol:
        made = H11Protocol(self.config, self.server_state, self.lifespan.state)
        now = asyncio.get_running_loop().time()
        self._new.append((now, made))
        self._silent.append((now, made))
        return made

    async def on_tick(self, counter: int) -> bool:
        """Cut off who has been silent for too long; called ten times a second."""
        now = asyncio.get_running_loop().time()
        while self._silent and now - self._silent[0][0] >= HEAD_S:
            _, one = self._silent.popleft()
            if one.cycle is None and one in self.server_state.connections:
                one.transport.close()
        return await super().on_tick(counter)

    def _is_waiting(self, now: float) -> bool:
        """Return whether enough connections were taken up that have not asked for anything."""
        open_ones = self.server_state.connections
        self._new = [(at, c) for at, c in self._new if c.cycle is None and c in open_ones and now - at < PATIENCE_S]
        return len(self._new) >= MAX_NEW


def bind(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen at every address of a host; raises ServeRefusedError."""
    bound: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            bound.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if hasattr(socket, "TCP_DEFER_ACCEPT"):  # Linux: whoever says nothing waits in the kernel
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, DEFER_S)
            one.bind(address)
            one.listen(WAITING)
            one.setblocking(False)
    except OSError as error:
        for one in bound:
            one.close()
        raise ServeRefusedError(
            f"the service cannot listen at {host}, port {port} ({error.strerror}).",
            allowed="an address of this machine, and a port that no other program has.",
            next_step="stop the other program, or name another port with --port.",
        ) from error
    return bound


def configured(app: ASGIApp, listeners: list[socket.socket]) -> PatientServer:
    """Return a server that takes up nobody yet."""
    config = uvicorn.Config(
        app,
        http=H11Protocol,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )
    return PatientServer(config, listeners)


def listen(app: ASGIApp, listeners: list[socket.socket]) -> None:
    """Serve until stopped."""
    sys.setswitchinterval(SWITCH_S)
    gc.freeze()  # what is loaded stays: to look through it for what does not takes a tenth of a second each time
    with suppress(KeyboardInterrupt):  # raised again by uvicorn once all is shut down
        configured(app, listeners).run()
