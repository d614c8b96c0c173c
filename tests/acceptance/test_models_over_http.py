"""A real service takes a model by HTTP, codes with it from then on, goes back, and may be killed in the middle."""

import io
import json
import threading
import time
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from models.artefact import read_artefact, write_artefact
from models.model import load_model
from models.weights import Base
from nlp_service.publish_model import PublishRequest, publish_model
from tests.conftest import make_artefact
from tests.running_service import RunningService, running_service

pytestmark = pytest.mark.slow
N_GOLD = 3000
"""Enough that the gate is at work for seconds."""


def made(base: Base, place: Path, n_gold: int) -> tuple[Path, Path]:
    """Return two models that say the same; the first is published, with a gold set that it is perfect on."""
    first = make_artefact(base, seed=1)
    for version in ("1", "2"):
        write_artefact(place / version, replace(first, version=version))
    texts = [f"the music next door, time {i}" for i in range(n_gold)]
    with (place / "gold.jsonl").open("w") as gold:
        for i, coding in enumerate(load_model(str(place / "1")).code_texts(texts)):
            themes = [first.codebook.codable[k].id for k in coding.coded]
            gold.write(json.dumps({"comment_id": str(i), "text": texts[i], "themes": themes}) + "\n")
    publish_model(PublishRequest(place / "1", place / "registry", place / "gold.jsonl"), now=datetime.now(UTC))
    return place / "1", place / "2"


def upload(service: RunningService, folder: Path) -> httpx.Response:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    files = {"file": ("m.zip", out.getvalue())}
    return httpx.post(f"{service.url}/v1/models", headers=service.key, files=files, timeout=120)


def coded_by(service: RunningService) -> str:
    answer = httpx.post(f"{service.url}/v1/classify", headers=service.key, json={"texts": ["lamp"]}, timeout=60)
    return str(answer.raise_for_status().json()["model"])


def test_a_running_service_codes_with_what_is_published_and_taken_back(base: Base, tmp_path: Path) -> None:
    one, two = (str(read_artefact(f).model_id) for f in made(base, tmp_path, 60))
    settings = {"registry": str(tmp_path / "registry"), "model": "flat"}
    with running_service(tmp_path, scope="admin", options=["--quiet"], **settings) as service:
        assert coded_by(service) == one
        assert upload(service, tmp_path / "2").status_code == 201
        until = time.monotonic() + 60
        while coded_by(service) == one:
            assert time.monotonic() < until
        assert coded_by(service) == two
        back = httpx.post(f"{service.url}/v1/codebooks/flat/rollback", headers=service.key, json={})
        assert back.status_code == 200
        assert coded_by(service) == one
        assert f"{two}, flat@1: in service from now on" in service.log.read_text()


def test_a_service_killed_while_it_publishes_leaves_the_registry_as_it_was(base: Base, tmp_path: Path) -> None:
    one, two = made(base, tmp_path, N_GOLD)
    document = (tmp_path / "registry" / "registry.json").read_bytes()
    settings = {"registry": str(tmp_path / "registry"), "model": "flat"}
    with running_service(tmp_path, scope="admin", options=["--quiet"], **settings) as service:
        ended: list[Exception] = []

        def send() -> None:
            try:
                while upload(service, two).status_code == 503:  # the question below may come in between
                    pass
            except httpx.TransportError as error:
                ended.append(error)

        sender = threading.Thread(target=send)
        sender.start()
        url = f"{service.url}/v1/models"
        until = time.monotonic() + 60
        while httpx.post(url, headers=service.key, files={"file": ("m.zip", b"")}).status_code != 503:
            assert time.monotonic() < until
        assert coded_by(service) == str(read_artefact(one).model_id)
        service.process.kill()
        sender.join(60)
    assert len(ended) == 1
    assert (tmp_path / "registry" / "registry.json").read_bytes() == document
    with running_service(tmp_path, scope="admin", options=["--quiet"], **settings) as service:
        assert upload(service, tmp_path / "2").status_code == 201
