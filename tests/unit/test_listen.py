"""Very many connections at once: all of them wait, few are taken up before others are answered."""

import asyncio
import socket

from starlette.responses import PlainTextResponse

from nlp_service.api.listen import ACCEPTED_AT_ONCE, configured

N = 300


def test_many_connections_wait_and_few_are_taken_up_at_once() -> None:
    async def held() -> list[int]:
        server = configured(PlainTextResponse("here"), "127.0.0.1", 0)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        await server.startup()
        address = server.servers[0].sockets[0].getsockname()
        callers = [socket.create_connection(address, timeout=5) for _ in range(N)]  # the loop stands still meanwhile
        counts = []
        while len(server.server_state.connections) < N:
            await asyncio.sleep(0)
            counts.append(len(server.server_state.connections))
        for caller in callers:
            caller.close()
        await server.shutdown()
        return counts

    counts = asyncio.run(held())
    assert max(b - a for a, b in zip([0, *counts], counts, strict=False)) <= ACCEPTED_AT_ONCE + 1
