"""Listening: the HTTP server around the application, which stays quick to answer when very many connect at once."""

import socket
from contextlib import suppress
from typing import Final

import uvicorn
from starlette.types import ASGIApp

ACCEPTED_AT_ONCE: Final = 8
"""Connections that are taken up before requests that came earlier go on."""
WAITING: Final = 2048
"""Connections that may wait in the kernel to be taken up."""


class PatientServer(uvicorn.Server):
    """Takes up a few connections at a time, while as many as ever may wait.

    asyncio has one number for both: with 2,000 it would set up 2,000 connections before it answers anybody.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        for one in (s for server in self.servers for s in server.sockets):
            with socket.fromfd(one.fileno(), one.family, one.type) as same:
                same.listen(WAITING)


def configured(app: ASGIApp, host: str, port: int) -> PatientServer:
    """Return a server that does not listen yet."""
    return PatientServer(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            backlog=ACCEPTED_AT_ONCE,
            log_level="warning",
            access_log=False,
            server_header=False,
        )
    )


def listen(app: ASGIApp, host: str, port: int) -> None:
    """Serve until stopped; exits where it cannot listen, after saying so."""
    with suppress(KeyboardInterrupt):  # raised again by uvicorn once all is shut down
        configured(app, host, port).run()
