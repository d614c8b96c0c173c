"""The human round against a real Label Studio: started once, with an admin and two annotators."""

import contextlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from annotation.display import make_display
from annotation.interface import NONE, make_interface
from annotation.label_studio import LabelStudio
from annotation.label_studio_server import LabelStudioServer, find_accounts, start_with_accounts
from annotation.round import Kind
from models.codebook import SHIPPED, read_codebook
from models.model import load_model
from models.text import make_segments
from models.vocabulary import Segment
from nlp_service.api.label_studio import PREFIX, make_label_studio_app
from nlp_service.cli.main import run
from nlp_service.ingest.comments import read_comments
from nlp_service.round_folder import read_round
from nlp_service.round_watch import RoundWatch
from nlp_service.run_round import PulledRound, Server, Source, StartRequest, pull_round, start_round
from tests.conftest import THREE
from tests.label_studio import Person
from tests.service_parts import models_of

THEMES = Path(sys.executable).with_name("themes")
ROOT = Path(__file__).parents[2]
SURVEY = ROOT / "nlp_service" / "samples" / "survey.csv"
pytestmark = pytest.mark.slow
BOOK = read_codebook(SHIPPED)
SECRET = "a secret of some length"


class Studio:
    """The server, and the people at it."""

    def __init__(self, server: LabelStudioServer, people: list[Person], place: Path) -> None:
        self.server, self.place = server, place
        self.admin, self.ann, self.bob = people
        self.at = Server(server.url, server.admin.token)

    def themes(self, *arguments: object, expect: int = 0, process: bool = False) -> str:
        """Return what the command line says: called in this process, or as the program that users start."""
        given = {
            "THEMES_REGISTRY": str(self.place / "registry"), "OMP_NUM_THREADS": "1", "THEMES_JOBS": "1",
            "THEMES_LABEL_STUDIO_URL": self.server.url, "THEMES_LABEL_STUDIO_TOKEN": self.server.admin.token,
            "THEMES_STORE": f"sqlite:///{self.place / 'themes.db'}",
        }  # fmt: skip
        words = [str(a) for a in arguments]
        if process:
            done = subprocess.run(
                [THEMES, *words], capture_output=True, text=True, timeout=900, env=os.environ | given, cwd=self.place
            )
            code, said = done.returncode, done.stdout + done.stderr
        else:
            out = io.StringIO()
            with (
                pytest.MonkeyPatch.context() as patch,
                contextlib.chdir(self.place),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(out),
            ):
                for name, value in given.items():
                    patch.setenv(name, value)
                code, said = run(words), out.getvalue()
        assert code == expect, said
        return said


@pytest.fixture(scope="session")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    place = tmp_path_factory.mktemp("studio")
    server, accounts = start_with_accounts(place / "data", venv=ROOT / ".venv-label-studio")
    people = [Person(server.url, a) for a in accounts]
    try:
        yield Studio(server, people, place)
    finally:
        for person in people:
            person.close()
        server.stop()


@pytest.fixture(scope="session")
def codings(studio: Studio) -> Path:
    studio.themes("code", survey(studio), "--out", "coded.jsonl", "--quiet")
    return studio.place / "coded.jsonl"


def survey(studio: Studio) -> Path:
    """Return the shorter comments of the sample consultation as a file."""
    path = studio.place / "short.jsonl"
    short = sorted(read_comments([SURVEY]).comments, key=lambda c: (len(c.text), c.id))[:80]
    path.write_text("".join(json.dumps({"id": c.id, "text": c.text}) + "\n" for c in short))
    return path


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def start(studio: Studio, codings: Path, name: str, labels: int = 10, **more: Any) -> Path:
    out = studio.place / name
    start_round(StartRequest(codings, Source((survey(studio),)), out, studio.place / "none", labels, **more), studio.at)
    return out


def test_a_round_from_codings_to_a_model_that_codes(studio: Studio, small_model: Path) -> None:
    """On the sample consultation's shorter comments, with three themes, so that training takes seconds."""
    comments = survey(studio)
    short = read_comments([comments]).comments
    studio.themes("code", comments, "--out", "short-coded.jsonl", "--model", small_model, "--quiet")
    begin = (
        "round", "start", "--codings", "short-coded.jsonl", "--comments", comments, "--labels", 60, "--coders", 2, "--overlap", 0.5,
        "--blind", 0.4, "--model", small_model, "--out", "round-1",
    )  # fmt: skip
    assert "60 tasks added" in studio.themes(*begin)
    assert "0 tasks added" in studio.themes(*begin)
    out = studio.place / "round-1"
    plan = read_round(out)
    blind, assisted = plan.find_project(Kind.BLIND), plan.find_project(Kind.ASSISTED)
    assert blind is not None
    assert assisted is not None
    assert studio.ann.predictions(blind) == []
    assert studio.ann.project(blind)["show_collab_predictions"] is False
    assert studio.ann.project(assisted)["title"] == f"Round {plan.id}, assisted"
    assert len(studio.ann.predictions(assisted)) == len(plan.of(Kind.ASSISTED))
    assert studio.ann.next_task(assisted)["data"]["key"] == plan.of(Kind.ASSISTED)[0].key

    themes = [t.id for t in THREE.codable]
    for project in (blind, assisted):
        for number, task in enumerate(studio.ann.tasks(project)):
            mine = [themes[number % 3]]
            studio.ann.answer(task["id"], mine, seconds=8, missing="Lost cats" if number == 0 else "")
            if number % 2:
                studio.bob.answer(task["id"], mine if number % 4 == 1 else [NONE], seconds=20)
    n_shared = sum(len(plan.of(k)) // 2 for k in (Kind.BLIND, Kind.ASSISTED))
    n_differ = sum(len(plan.of(k)) // 4 for k in (Kind.BLIND, Kind.ASSISTED))
    said = studio.themes("round", "pull", "round-1")
    decisions = lines(out / "decisions.jsonl")
    assert len(decisions) == 60 + n_shared
    assert {d["coder"] for d in decisions} == {studio.ann.email, studio.bob.email}
    assert {d["blind"] for d in decisions} == {True, False}
    assert all((d["suggested"] is None) == d["blind"] for d in decisions)
    assert f"{60 - n_differ} comments settled" in said
    before = (out / "decisions.jsonl").read_bytes()
    studio.themes("round", "pull", "round-1")
    assert (out / "decisions.jsonl").read_bytes() == before

    table = studio.themes("round", "status", "round-1")
    assert f"{studio.ann.email}: 60 answers, median 8.0 s" in table
    assert "lost cats" in table
    assert "comments are open" in studio.themes("round", "close", "round-1", expect=3)

    assert f"{n_differ} tasks added" in studio.themes("round", "adjudicate", "round-1")
    assert "adjudication: 0 tasks added" in studio.themes("round", "adjudicate", "round-1")
    third = read_round(out).find_project(Kind.ADJUDICATION)
    assert third is not None
    for task in studio.admin.tasks(third):
        assert "Coder 2: none of these" in task["data"]["sides"]
        studio.admin.answer(task["id"], [themes[0]])
    said = studio.themes("round", "pull", "round-1")
    assert f"60 comments settled ({n_shared - n_differ} by agreement, {n_differ} adjudicated), 0 open" in said
    settled = lines(out / "settled.jsonl")
    assert sum(line["coder"] == "adjudicated" and len(line["history"]) == 3 for line in settled) == n_differ

    said = studio.themes(
        "round", "close", "round-1", "--comments", comments, "--threads", 1, "--folds", 2, process=True
    )
    assert "codes flat from now on" in said
    again = lines(out / "codings.jsonl")
    assert [c["comment_id"] for c in again] == [c.id for c in short]
    assert again[0]["model"] in said
    assert again[0]["model"] in studio.themes("model", "list")
    assert not any(c.text in said + table for c in short if len(c.text) > 12)

    gold = {line["text"].casefold() for line in lines(out / "gold.jsonl")}
    differed = [line for line in settled if line["coder"] == "adjudicated" and line["text"].casefold() not in gold]
    somebody = max(differed, key=lambda line: len(line["text"]))
    told = studio.themes("erase", somebody["comment_id"], "--from", out)
    assert "2 tasks in Label Studio" in told
    assert f"trained on them: {again[0]['model']}" in told
    assert [p.name for p in out.glob("*.jsonl") if somebody["comment_id"] in {e["comment_id"] for e in lines(p) if "comment_id" in e}] == []  # fmt: skip
    shown = [t["data"]["text"] for kind in (blind, assisted, third) for t in studio.admin.tasks(kind)]
    assert somebody["text"] not in shown
    kept = lines(out / "decisions.jsonl")
    assert "59 comments settled" in studio.themes("round", "pull", "round-1")
    assert lines(out / "decisions.jsonl") == kept
    assert "0 tasks added" in studio.themes(*begin)
    assert "error respondent_not_found" in studio.themes("erase", somebody["comment_id"], "--from", out, expect=4)

    others = [line["comment_id"] for line in differed if line is not somebody]
    elsewhere = shutil.copytree(out, studio.place / "moved")
    plan_file = json.loads((elsewhere / "round.json").read_text())
    moved = {**plan_file, "url": "http://127.0.0.1:9", "projects": dict.fromkeys(plan_file["projects"], 999999)}
    (elsewhere / "round.json").write_text(json.dumps(moved))
    assert "left: moved: 2 tasks in Label Studio (round_refused)" in studio.themes("erase", others[0], "--from", elsewhere, expect=3)  # fmt: skip
    with studio.at.connect() as server:
        server.delete_project(third)
    assert "1 task in Label Studio" in studio.themes("erase", others[1], "--from", out)


def test_the_second_start_of_a_server_keeps_its_accounts(studio: Studio) -> None:
    kept = find_accounts(studio.place / "data")
    assert [a.email for a in kept] == [studio.admin.email, studio.ann.email, studio.bob.email]
    assert (studio.place / "data" / "accounts.json").stat().st_mode & 0o077 == 0


def replay(studio: Studio, tasks: list[dict[str, Any]], out: Path, rng: random.Random, n: int) -> PulledRound:
    """Do n random things, and return what is pulled after them."""
    themes = [t.id for t in BOOK.codable[:6]]
    for _ in range(n):
        person = rng.choice((studio.ann, studio.bob))
        task = rng.choice(tasks)["id"]
        there = [a for t in person.tasks(rng.choice(tasks)["project"]) for a in t["annotations"]]
        what = rng.choice(("answer", "answer", "again", "change", "delete", "skip", "forge"))
        if what in ("change", "delete") and there:
            one = rng.choice(there)["id"]
            person.change(one, [rng.choice(themes)]) if what == "change" else person.delete(one)
        elif what == "skip":
            person.skip(task)
        elif what == "forge":
            tampered = {"data": {"key": "forged", "text": "forged", "suggested": ""}}
            studio.admin.send("POST", f"/api/projects/{tasks[0]['project']}/import", [tampered])
        else:
            picked = rng.sample(themes, rng.randint(1, 3))
            for _ in range(2 if what == "again" else 1):
                person.answer(task, picked)
    return pull_round(out, studio.at)


def expected(studio: Studio, projects: list[int], out: Path) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return what the export says, read in the plainest way: last answer of each coder on each planned task, unless a skip."""
    names = {1: studio.admin.email, 2: studio.ann.email, 3: studio.bob.email}
    planned = {t.key: t.comment.id for t in read_round(out).tasks}
    last: dict[tuple[str, str], dict[str, Any]] = {}
    for project in projects:
        for task in studio.admin.tasks(project):
            key = task["data"]["key"]
            if key not in planned:
                continue
            for a in task["annotations"]:
                who = (planned[key], names[a["completed_by"]])
                if who not in last or (a["updated_at"], a["id"]) > (last[who]["updated_at"], last[who]["id"]):
                    last[who] = a
    return {
        (comment, coder, tuple(sorted(a["result"][0]["value"]["choices"])))
        for (comment, coder), a in last.items()
        if not a["was_cancelled"]
    }


def lose_nothing(studio: Studio, codings: Path, name: str, n_sequences: int) -> None:
    rng = random.Random(7)
    out = start(studio, codings, name, labels=6, seed=11)
    plan = read_round(out)
    projects = [p for _, p in plan.projects]
    tasks = [t for p in projects for t in studio.admin.tasks(p)]
    for number in range(n_sequences):
        if number == n_sequences // 2:
            studio.server.stop()
            studio.server.start()
        pulled = replay(studio, tasks, out, rng, rng.randint(1, 5))
        decided = {(d["comment_id"], d["coder"], tuple(d["themes"])) for d in lines(out / "decisions.jsonl")}
        assert decided == expected(studio, projects, out)
        assert len(pulled.answers) >= len(decided)


def test_nothing_is_lost_or_doubled_whatever_people_do(studio: Studio, codings: Path) -> None:
    lose_nothing(studio, codings, "sequences", 12)


def test_offsets_come_back_through_the_server(studio: Studio) -> None:
    send_offsets(studio, 1_000)


def send_offsets(studio: Studio, n_texts: int) -> None:
    rng = random.Random(3)
    pieces = (
        "a",
        "word ",
        "\r\n",
        "\n",
        "😀",
        "👩‍👩‍👧",
        "e\u0301",
        "שלום ",
        "مرحبا ",
        "🏴‍☠️",
        "  ",
        "<b>",
        "&amp;",
        "\t",
        "क्षि",
    )
    texts = ["".join(rng.choices(pieces, k=rng.randint(3, 40))) + "end." for _ in range(n_texts)]
    with LabelStudio(studio.server.url, studio.server.admin.token) as client:
        project = client.make_project({"title": "Offsets", "label_config": make_interface(BOOK, suggestions=False)})
        shown = [make_display(t) for t in texts]
        segments = [rng.choice(make_segments(t)) for t in texts]
        label = BOOK.codable[0].id
        documents = []
        for i, (display, segment) in enumerate(zip(shown, segments, strict=True)):
            s = display.to_display(segment)
            assert s is not None
            value = {"start": s.start, "end": s.end, "text": s.of(display.text), "labels": [label]}
            mark = {"from_name": "evidence", "to_name": "text", "type": "labels", "value": value}
            documents.append({"data": {"text": display.text, "key": str(i)}, "annotations": [{"result": [mark]}]})
        client.import_tasks(project, documents)
        for task in client.export(project):
            i = int(task["data"]["key"])
            assert task["data"]["text"] == shown[i].text
            value = task["annotations"][0]["result"][0]["value"]
            back = shown[i].to_original(Segment(value["start"], value["end"]))
            assert back is not None
            assert back == segments[i]
        client.delete_project(project)


def test_hostile_text_and_answers_change_nothing_else(studio: Studio) -> None:
    evil = [
        "<script>alert(1)</script> " * 3,
        "x" * 100_000,
        "s3://bucket/secret",
        "$text {{7*7}}",
        "=cmd()",
        "\u202eevil",
    ]
    (studio.place / "evil.jsonl").write_text(
        "".join(json.dumps({"id": f"e{i}", "text": t}) + "\n" for i, t in enumerate(evil))
    )
    studio.themes("code", "evil.jsonl", "--out", "evil-coded.jsonl", "--quiet")
    studio.themes(
        "round", "start", "--codings", "evil-coded.jsonl", "--comments", "evil.jsonl", "--labels", 6, "--out", "evil"
    )
    out = studio.place / "evil"
    projects = [p for _, p in read_round(out).projects]
    tasks = [t for p in projects for t in studio.admin.tasks(p)]
    assert {evil[0], evil[1], evil[3]} < {t["data"]["text"] for t in tasks}
    studio.ann.answer(tasks[0]["id"], ["<script>not a theme"])
    studio.ann.answer(tasks[1]["id"], [BOOK.codable[0].id], marks={BOOK.codable[0].id: Segment(0, 10**6)})
    studio.bob.answer(tasks[2]["id"], [])
    said = studio.themes("round", "pull", "evil")
    assert "1 decision -> " in said
    assert all(code in said for code in ("unknown_theme", "bad_evidence", "unclear_answer"))
    studio.admin.delete_task(tasks[3]["id"])
    assert "missing_task" in studio.themes("round", "pull", "evil")
    again = studio.themes(
        "round", "start", "--codings", "evil-coded.jsonl", "--comments", "evil.jsonl", "--labels", 6, "--out", "evil"
    )
    assert "1 task added" in again
    assert "missing_task" not in studio.themes("round", "pull", "evil")
    other = studio.themes(
        "round",
        "start",
        "--codings",
        "evil-coded.jsonl",
        "--comments",
        "evil.jsonl",
        "--labels",
        5,
        "--out",
        "evil",
        expect=3,
    )
    assert "holds another round" in other


@pytest.fixture
def service(small_model: Path) -> Iterator[tuple[str, list[RoundWatch]]]:
    """The routes for Label Studio, listening; whoever puts a watch into the list gets the nudges."""
    watches: list[RoundWatch] = []
    models = models_of(load_model(str(small_model)))
    app = FastAPI()
    app.mount(PREFIX, make_label_studio_app(models, SECRET, lambda: [w.nudge() for w in watches] and None))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}{PREFIX}", watches
    for watch in watches:
        watch.stop()
    server.should_exit = True
    thread.join()


def wait_until(true: Callable[[], object]) -> None:
    for _ in range(600):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come about within a minute")


def test_tasks_made_elsewhere_get_suggestions_from_the_service(
    studio: Studio, service: tuple[str, list[RoundWatch]]
) -> None:
    url, _ = service
    with LabelStudio(studio.server.url, studio.server.admin.token) as client:
        project = client.make_project({"title": "Elsewhere", "label_config": make_interface(THREE, suggestions=False)})
        client.import_tasks(
            project, [{"data": {"text": t}} for t in ("The music next door\r\nall night", "My bike was taken 😀")]
        )
        client.add_ml_backend(project, url, SECRET)
    every = {"selectedItems": {"all": True, "excluded": []}}
    studio.admin.send("POST", f"/api/dm/actions?id=retrieve_tasks_predictions&project={project}", every)
    predictions = studio.admin.predictions(project)
    assert len(predictions) == 2
    assert all(p["model_version"].startswith("test-0.1") for p in predictions)


def test_an_answer_is_pulled_by_itself_after_a_webhook(
    studio: Studio, codings: Path, service: tuple[str, list[RoundWatch]]
) -> None:
    url, watches = service
    request = StartRequest(
        codings, Source((survey(studio),)), studio.place / "nudged", studio.place / "none", 4, seed=21
    )
    calling = replace(studio.at, webhook=f"{url}/webhook", secret=SECRET)
    start_round(request, calling)
    start_round(request, calling)
    plan = read_round(request.out)
    project = plan.projects[0][1]
    assert len(studio.admin.webhooks(project)) == 1
    watches.append(RoundWatch(request.out, studio.at, quiet_s=0.1))
    watches[0].start()
    studio.ann.answer(studio.ann.tasks(project)[0]["id"], [BOOK.codable[0].id])
    decisions = request.out / "decisions.jsonl"
    wait_until(lambda: decisions.exists() and decisions.read_text())
    assert lines(decisions)[0]["themes"] == [BOOK.codable[0].id]


@pytest.mark.soak
def test_nothing_is_lost_in_five_hundred_sequences(studio: Studio, codings: Path) -> None:
    lose_nothing(studio, codings, "many-sequences", 500)


@pytest.mark.soak
def test_offsets_of_ten_thousand_texts_come_back(studio: Studio) -> None:
    send_offsets(studio, 10_000)
