"""A Label Studio that fails: clear errors, nothing believed, nothing left behind."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from annotation.label_studio import LabelStudio, LabelStudioError
from nlp_service.run_round import Server, Source, StartRequest, pull_round, start_round
from tests.conftest import THREE
from tests.unit.test_round import comment

ANSWERS: dict[str, tuple[int, object]] = {}
SEEN: list[tuple[str, str, str]] = []
HANG = threading.Event()


class Broken(BaseHTTPRequestHandler):
    """Answers what the test laid out, by method and path; 500 otherwise."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        path = self.path.partition("?")[0]
        SEEN.append((self.command, path, self.headers.get("Authorization") or ""))
        status, body = ANSWERS.get(f"{self.command} {path}", (500, "the server fell over: Ann Smith's comment"))
        if body is HANG:
            HANG.wait(30)
            return
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 -- what the base class calls

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def broken() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    HANG.set()
    server.shutdown()
    thread.join()
    server.server_close()
    HANG.clear()
    ANSWERS.clear()
    SEEN.clear()


def failure(url: str, *, timeout_s: float = 5.0, token: str = "t" * 40) -> str:
    with LabelStudio(url, token, timeout_s=timeout_s) as studio, pytest.raises(LabelStudioError) as caught:
        studio.export(7)
    return str(caught.value)


def test_a_server_that_fails_is_named_and_its_words_are_not_repeated(broken: str) -> None:
    said = failure(broken)
    assert "500: a failure of the server" in said
    assert "Smith" not in said
    assert "t" * 40 not in said


def test_a_server_that_hangs_is_left_in_time(broken: str) -> None:
    ANSWERS["GET /api/projects/7/export"] = (200, HANG)
    assert "does not answer" in failure(broken, timeout_s=0.3)


def test_nobody_there(broken: str) -> None:
    port = broken.rpartition(":")[2]
    assert "ConnectError" in failure(f"http://127.0.0.2:{port}")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<html>", "no JSON"),
        ({"tasks": []}, "where a list should be"),
        ([1], "where an object should be"),
        ([{"id": 1, "project": 8, "data": {"text": "Ann Smith"}}], "holds 1 task of another project"),
    ],
)
def test_answers_that_are_no_export_of_this_project_are_not_believed(broken: str, body: object, found: str) -> None:
    ANSWERS["GET /api/projects/7/export"] = (200, body)
    said = failure(broken)
    assert found in said
    assert "Smith" not in said


@pytest.mark.parametrize(
    ("status", "found"), [(401, "token is not accepted"), (403, "not allowed"), (404, "nothing of that id")]
)
def test_refusals_say_why(broken: str, status: int, found: str) -> None:
    ANSWERS["GET /api/projects/7/export"] = (status, {})
    assert found in failure(broken)


def test_a_personal_token_is_exchanged_and_a_legacy_one_is_sent(broken: str) -> None:
    ANSWERS["POST /api/token/refresh"] = (200, {"access": "short-lived"})
    ANSWERS["GET /api/users"] = (200, [{"id": 1, "email": "a@x"}])
    with LabelStudio(broken, "a.b.c") as studio:
        assert studio.users() == {1: "a@x"}
    assert [auth for _, _, auth in SEEN] == ["", "Bearer short-lived"]
    with LabelStudio(broken, "legacy") as studio:
        studio.users()
    assert SEEN[-1][2] == "Token legacy"


def test_no_address() -> None:
    with pytest.raises(LabelStudioError, match="no http address"):
        LabelStudio("localhost:8080", "t")


def codings(tmp_path: Path) -> StartRequest:
    from models.artefact import STARTER, read_artefact

    starter = read_artefact(STARTER)
    probabilities = {t.id: 0.1 for t in starter.codebook.codable}
    with (tmp_path / "c.jsonl").open("w") as coded, (tmp_path / "t.jsonl").open("w") as texts:
        for c in (comment(i) for i in range(8)):
            entry = {"comment_id": c.id, "themes": [], "unsure": [], "probabilities": probabilities}
            coded.write(json.dumps({**entry, "model": starter.model_id, "codebook": starter.codebook.ref}) + "\n")
            texts.write(json.dumps({"id": c.id, "text": c.text}) + "\n")
    return StartRequest(tmp_path / "c.jsonl", Source((tmp_path / "t.jsonl",)), tmp_path / "r", tmp_path / "none", 4)


def test_a_start_that_fails_half_way_deletes_what_it_made_and_leaves_no_folder(broken: str, tmp_path: Path) -> None:
    ANSWERS["GET /api/current-user/whoami"] = (200, {"email": "a@x"})
    ANSWERS["GET /api/projects"] = (200, {"results": [], "next": None})
    ANSWERS["POST /api/projects"] = (201, {"id": 5})
    request = codings(tmp_path)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(LabelStudioError, match="500"):
        start_round(request, Server(broken, "t"))
    assert ("DELETE", "/api/projects/5", "Token t") in SEEN
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_server_that_takes_fewer_tasks_than_it_was_sent_is_not_believed(broken: str, tmp_path: Path) -> None:
    ANSWERS["GET /api/current-user/whoami"] = (200, {"email": "a@x"})
    ANSWERS["GET /api/projects"] = (200, {"results": [], "next": None})
    ANSWERS["POST /api/projects"] = (201, {"id": 5})
    ANSWERS["POST /api/projects/5/import"] = (201, {"task_count": 0})
    with pytest.raises(LabelStudioError, match="of 1 task sent, it says that it took 0"):
        start_round(codings(tmp_path), Server(broken, "t"))


def test_a_pull_that_fails_leaves_what_was_pulled_before(broken: str, tmp_path: Path) -> None:
    from annotation.display import make_display
    from annotation.round import Kind, Suggested, make_round
    from nlp_service.round_folder import write_round

    c = comment(1)
    plan = make_round(
        blind=[(c, make_display(c.text), Suggested())],
        assisted=[],
        codebook=THREE,
        model="m",
        coders=1,
        overlap=0,
        seed=0,
    )
    write_round(tmp_path / "r", plan.with_project(Kind.BLIND, 7))
    (tmp_path / "r" / "decisions.jsonl").write_text("before\n")
    ANSWERS["GET /api/users"] = (200, [])
    with pytest.raises(LabelStudioError):
        pull_round(tmp_path / "r", Server(broken, "t"))
    assert (tmp_path / "r" / "decisions.jsonl").read_text() == "before\n"
    assert not (tmp_path / ".r.lock").exists()
