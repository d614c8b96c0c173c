"""The real service on a real port, beside the command line."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nlp_service.client import Client
from tests.running_service import THEMES, RunningService, running_service

pytestmark = pytest.mark.slow
TEXTS = [
    "The street lights on our road have been out since May and I walk the long way round.",
    "Dealers by the lifts every night, nobody comes when you ring. More police on foot please.",
    "No problem here, I feel safe.",
    "Café owner 😀: bins on fire again!",
]


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})  # noqa: S310 -- our own server
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("service")) as service:
        yield service.url
    assert not any(text in service.log.read_text() for text in TEXTS)


def test_the_service_codes_as_the_command_line_does(address: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(
        "".join(json.dumps({"id": str(i), "text": t}) + "\n" for i, t in enumerate(TEXTS))
    )
    done = subprocess.run(
        [THEMES, "code", tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl", "--quiet"],
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    answer = ask(f"{address}/v1/classify", {"texts": TEXTS})
    assert (answer["model"], answer["codebook"]) == (lines[0]["model"], lines[0]["codebook"])
    for coding, line in zip(answer["codings"], lines, strict=True):
        assert (coding["probabilities"], coding["unsure"]) == (line["probabilities"], line["unsure"])
        assert [(t["theme"], t["probability"]) for t in coding["themes"]] == [(t["theme"], t["probability"]) for t in line["themes"]]  # fmt: skip
        assert [[[e["start"], e["end"]] for e in t["evidence"]] for t in coding["themes"]] == [t["evidence"] for t in line["themes"]]  # fmt: skip
    assert answer["codings"][0]["themes"]


def test_many_callers_each_get_their_own_answer(address: str) -> None:
    texts = [f"{TEXTS[i % len(TEXTS)]} Number {i}." for i in range(48)]
    together = ask(f"{address}/v1/classify", {"texts": texts})["codings"]
    with ThreadPoolExecutor(12) as pool:
        alone = list(pool.map(lambda t: ask(f"{address}/v1/classify", {"texts": [t]})["codings"][0], texts))
    assert alone == together


def test_the_description_is_open_api_with_an_example(address: str) -> None:
    document = ask(f"{address}/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["ClassifyRequest"]["examples"]


def test_a_refusal_is_a_problem(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(f"{address}/v1/classify", {"texts": []})
    assert refused.value.code == 422
    assert json.load(refused.value)["code"] == "invalid_request"


BRISK = {"chunk_comments": "4", "beat_s": "0.3", "silent_s": "2"}


def test_a_batch_handed_in_is_coded_as_the_command_line_does_though_its_worker_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    rows = [f"c{i},{TEXTS[i % 4].replace(',', '')} {i}\n" for i in range(39)]
    path.write_text("id,text\n" + "".join(rows) + "c39,My husband hits me and I am afraid he will kill me\n", "utf-8")
    with running_service(tmp_path, scope="submit", workers=1, **BRISK) as service, client_of(service) as client:
        submit = subprocess.Popen(
            [THEMES, "submit", path, "--url", service.url, "--out", tmp_path / "out.csv"],
            env=service.env,
            stderr=subprocess.DEVNULL,
        )
        while not (batches := client.batches()) or not batches[0].n_done:
            time.sleep(0.05)
        (worker,) = [p for p in psutil.Process(service.process.pid).children() if "worker" in p.cmdline()]
        worker.kill()
        assert submit.wait(240) == 0
        assert len(list(client.codings(batches[0].id))) == 40
        assert client.problems(batches[0].id) == []
        assert client.disclosures(batches[0].id)[0]["comment_id"] == "c39"
        assert client.cancel(batches[0].id).state == "done"
        client.delete(batches[0].id)
        assert client.batches() == []
    done = subprocess.run([THEMES, "code", path, "--out", tmp_path / "direct.csv", "--quiet"], capture_output=True)
    assert done.returncode == 0
    for name in ("", ".safeguarding.jsonl"):
        assert (tmp_path / f"out.csv{name}").read_bytes() == (tmp_path / f"direct.csv{name}").read_bytes()
    lines = [json.loads(line) for line in service.log.read_text().splitlines() if line.startswith("{")]
    assert {"route": "/v1/batches", "status": 202}.items() <= next(e for e in lines if e["method"] == "POST").items()
    assert "street" not in json.dumps(lines)


def test_twenty_erased_respondents_leave_no_byte_anywhere_within_a_minute(tmp_path: Path) -> None:
    marker = "quetzalcoatlus"
    path = tmp_path / "in.csv"
    rows = [f"p{i},{TEXTS[i % 4].replace(',', '')} {i}{f' {marker}{i}' if i % 10 == 0 else ''}\n" for i in range(200)]
    path.write_text("id,text\n" + "".join(rows), "utf-8")
    decided = [{"comment_id": r.split(",")[0], "text": r.split(",")[1].strip(), "themes": []} for r in rows]
    (tmp_path / "decisions.jsonl").write_text("".join(json.dumps(d) + "\n" for d in decided))
    more = {**BRISK, "erase_from": str(tmp_path / "decisions.jsonl")}
    with running_service(tmp_path, scope="admin", workers=1, **more) as service, client_of(service) as client:
        batch = client.wait(client.submit(path).id)
        path.unlink()
        assert batch.n_done == 200
        assert holding(tmp_path, marker)
        until = time.monotonic() + 60
        for i in range(0, 200, 10):
            erased = httpx.delete(f"{service.url}/v1/respondents/p{i}", headers=service.key, timeout=60)
            assert (erased.json()["n_comments"], erased.json()["n_lines"]) == (1, 1)
        while (left := holding(tmp_path, marker)) and time.monotonic() < until:
            time.sleep(0.5)
        assert left == []
        assert len(list(client.codings(batch.id))) == 180
    assert holding(tmp_path, marker) == []


def client_of(service: RunningService) -> Client:
    return Client(service.url, key=service.env["THEMES_KEY"])


def holding(folder: Path, marker: str) -> list[str]:
    return [p.name for p in folder.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()]
