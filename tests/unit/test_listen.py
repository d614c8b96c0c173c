"""Very many connections at once: all of them wait, few are taken up before those that were are answered."""

import asyncio
import socket

import pytest
from starlette.responses import PlainTextResponse

from nlp_service.api import listen
from nlp_service.api.listen import MAX_NEW, PatientServer, ServeRefusedError, bind, configured

N = 300
ASK = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def started() -> tuple[PatientServer, tuple[str, int]]:
    (listener,) = bind("127.0.0.1", 0)
    server = configured(PlainTextResponse("here"), [listener])
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    return server, listener.getsockname()


def n_silent(server: PatientServer) -> int:
    return sum(c.cycle is None for c in server.server_state.connections)


def test_few_are_taken_up_before_those_that_were_have_asked_and_all_are_answered() -> None:
    async def held() -> tuple[list[int], list[bytes]]:
        server, address = await started()
        callers = [socket.create_connection(address, timeout=5) for _ in range(N)]  # the loop stands still meanwhile
        for caller in callers:
            caller.sendall(ASK)
        silent = []
        while server.server_state.total_requests < N:
            await asyncio.sleep(0)
            silent.append(n_silent(server))
        await asyncio.sleep(0.1)
        answers = [caller.recv(1_000) for caller in callers]
        for caller in callers:
            caller.close()
        await server.shutdown()
        return silent, answers

    silent, answers = asyncio.run(held())
    assert 1 <= max(silent) <= MAX_NEW
    assert all(a.endswith(b"here") for a in answers)


@pytest.mark.slow
def test_those_who_say_half_a_word_keep_nobody_out_and_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listen, "HEAD_S", 5.0)

    async def held() -> tuple[bytes, int, list[bytes]]:
        server, address = await started()
        ticking = asyncio.create_task(server.main_loop())
        mute = [socket.create_connection(address, timeout=5) for _ in range(N)]
        for one in mute:
            one.sendall(b"G")  # enough for the kernel to hand it over
        reader, writer = await asyncio.open_connection(*address)
        writer.write(ASK)
        answer = await asyncio.wait_for(reader.read(), 20)
        n_left = n_silent(server)
        ends = [await asyncio.to_thread(one.recv, 10) for one in mute]
        for one in (*mute, writer):
            one.close()
        server.should_exit = True
        await ticking
        await server.shutdown()
        return answer, n_left, ends

    answer, n_left, ends = asyncio.run(held())
    assert answer.endswith(b"here")
    assert n_left == N  # answered before any of the others was cut off
    assert set(ends) == {b""}


def test_those_who_go_at_once_keep_nobody_out() -> None:
    async def held() -> bytes:
        server, address = await started()
        for _ in range(N):
            socket.create_connection(address, timeout=5).close()
        reader, writer = await asyncio.open_connection(*address)
        writer.write(ASK)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await server.shutdown()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        return answer

    assert asyncio.run(held()).endswith(b"here")


def test_a_port_that_another_has_is_refused_by_name() -> None:
    (taken,) = bind("127.0.0.1", 0)
    with taken, pytest.raises(ServeRefusedError) as refused:
        bind("127.0.0.1", taken.getsockname()[1])
    assert "Address already in use" in refused.value.found


def test_a_host_of_two_addresses_is_listened_to_at_both() -> None:
    bound = bind("localhost", 0)
    assert {s.getsockname()[0] for s in bound} <= {"127.0.0.1", "::1"}
    assert bound
    for one in bound:
        one.close()
