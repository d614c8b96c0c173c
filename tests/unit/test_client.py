"""The client against the real application, and against a server that is busy, broken or away."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from nlp_service.client import (
    TRIES,
    AsyncClient,
    BatchFailedError,
    Client,
    ServiceError,
    ServiceUnreachableError,
)
from nlp_service.ingest.mapping import read_mapping
from nlp_service.store.keys import Scope
from tests.service_parts import code_run, key_of, listening, serving

BATCH = {
    "id": "b-1", "consultation": "town", "n_rows": 2, "n_comments": 2, "n_problems": 0,
    "run": {"state": "failed", "n_done": 1, "n_problems": 0, "model": "m", "codebook": "c@1", "error": "job_failed"},
}  # fmt: skip


@contextmanager
def answering(*answers: tuple[int, dict[str, str], Any]) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the address of a server that gives these answers one after another, and the headers that it was sent."""
    left, seen = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append({k.lower(): v for k, v in self.headers.items()})
            status, headers, body = left.pop(0)
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 -- the name that the library calls

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", seen
        server.shutdown()
        thread.join()


@pytest.mark.slow
def test_the_async_client_goes_the_whole_way(small_model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\na,Lamp is out\nb,My husband hits me every night and I am afraid he will kill me\nc,\n")
    with serving(small_model, tmp_path) as (plain, service):
        text = key_of(service, Scope.SUBMIT, Scope.CLASSIFY)["authorization"].removeprefix("Bearer ")

        async def go() -> None:
            transport = httpx.ASGITransport(plain.app)  # type: ignore[arg-type]
            async with AsyncClient("http://localhost", key=text, transport=transport) as client:
                (coded,) = await client.classify(["Lamp is out"])
                assert len(coded.probabilities) == 3
                (named,) = await client.classify(["Lamp is out"], codebook="flat", consultation="town")
                assert (named.model, named.codebook) == (coded.model, "flat@1")
                with pytest.raises(ServiceError, match="model_not_found"):
                    await client.classify(["Lamp is out"], model="none")
                with pytest.raises(ServiceError, match="unknown_parameter"):
                    await client.submit(path, column="text")
                batch = await client.submit(path, consultation="town", idempotency_key="k")
                assert (await client.submit(path, consultation="town", idempotency_key="k")).id == batch.id
                assert (batch.state, batch.n_comments, batch.n_problems) == ("queued", 2, 1)
                with pytest.raises(ServiceError, match="not_done"):
                    await client.disclosures(batch.id)
                code_run(service, plain.get(f"/v1/batches/{batch.id}", headers={"authorization": f"Bearer {text}"}).json()["run"]["id"])  # fmt: skip
                assert (await client.wait(batch.id)).n_done == 2
                await client.download(batch.id, tmp_path / "out.jsonl")
                assert [b.id for b in await client.batches(consultation="town")] == [batch.id]
                assert [c["comment_id"] async for c in client.codings(batch.id)] == ["a", "b"]
                assert [p["code"] for p in await client.problems(batch.id)] == ["blank_text"]
                (first,) = await client.disclosures(batch.id)
                assert (first["comment_id"], first["row"]) == ("b", 3)
                assert (await client.cancel(batch.id)).state == "done"
                with pytest.raises(ServiceError) as refused:
                    await client.get("b-none")
                assert (refused.value.status, refused.value.code) == (404, "batch_not_found")
                await client.delete(batch.id)
                assert await client.batches() == []

        asyncio.run(go())
    assert [json.loads(line)["comment_id"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == ["a", "b"]


def test_both_clients_say_how_a_file_is_read(small_model: Path, tmp_path: Path) -> None:
    path, saved = tmp_path / "in.csv", tmp_path / "roles.yaml"
    french = "Il y a trop de bruit dans la rue le soir et personne ne vient quand on appelle."
    path.write_text(f"Ticket,Comment,Notes for analysts\nT-1,Typed in by hand,Lamp is out\nT-2,Typed,{french}\n")
    saved.write_text("columns:\n- {column: Ticket, role: id}\n- {column: Notes for analysts, role: open}\n")
    mapping, role = read_mapping(saved), ["Comment=ignore"]
    with serving(small_model, tmp_path) as (plain, service), listening(service) as url:
        header = key_of(service, Scope.SUBMIT)
        key = header["authorization"].removeprefix("Bearer ")

        async def go() -> str:
            async with AsyncClient(url, key=key) as client:
                return (await client.submit(path, mapping=mapping, role=role, all_languages=True)).id

        with Client(url, key=key) as client:
            one = client.submit(path, mapping=mapping, role=role, all_languages=True).id
            alone = client.submit(path, mapping=mapping, role=role, all_languages=False)
        for batch in (one, asyncio.run(go())):
            code_run(service, plain.get(f"/v1/batches/{batch}", headers=header).json()["run"]["id"])
            codings = plain.get(f"/v1/batches/{batch}/codings", headers=header).json()["codings"]
            assert [c["comment_id"] for c in codings] == ["T-1", "T-2"]
    assert (alone.n_comments, alone.n_problems) == (1, 1)


@pytest.mark.slow
def test_a_busy_service_is_asked_again_with_the_same_idempotency_key(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("text\nLamp\n")
    later = {"retry-after": "0"}
    with (
        answering((503, later, {}), (429, later, {}), (409, later, {"code": "in_flight"}), (202, {}, BATCH)) as (
            url,
            seen,
        ),
        Client(url, key="themes_k") as client,
    ):
        assert client.submit(path).id == "b-1"
    assert len(seen) == 4
    assert len({s["idempotency-key"] for s in seen}) == 1
    assert {s["authorization"] for s in seen} == {"Bearer themes_k"}


@pytest.mark.slow
def test_a_service_that_stays_busy_is_said_so() -> None:
    busy = (503, {"retry-after": "0"}, {"code": "busy", "title": "many", "allowed": "few", "next_step": "wait"})
    with answering(*[busy] * TRIES) as (url, seen), Client(url) as client, pytest.raises(ServiceError) as refused:
        client.classify(["lamp"])
    assert (refused.value.code, refused.value.found, len(seen)) == ("busy", "many", TRIES)


def test_answers_that_are_no_problem_documents_are_refusals_too() -> None:
    with answering((500, {}, b"<html>"), (400, {}, [1])) as (url, _), Client(url) as client:
        for status in (500, 400):
            with pytest.raises(ServiceError) as refused:
                client.get("b-1")
            assert (refused.value.status, refused.value.code) == (status, "service_refused")


@pytest.mark.slow
def test_a_batch_that_failed_says_why() -> None:
    with answering((200, {}, BATCH)) as (url, _), Client(url) as client, pytest.raises(BatchFailedError, match="job_failed"):  # fmt: skip
        client.wait("b-1")


def test_a_file_of_no_format_is_not_asked_for(tmp_path: Path) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServiceError, match="names no output format"):
        client.download("b-1", tmp_path / "out.txt")


@pytest.mark.slow
def test_where_nothing_listens_the_client_says_so() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServiceUnreachableError):
        client.get("b-1")
