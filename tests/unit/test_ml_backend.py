"""Label Studio's own routes: suggestions for its tasks, nudges, and nothing for whoever lacks the secret."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from models.model import load_model
from nlp_service.api.label_studio import make_label_studio_app
from nlp_service.classify_texts import MAX_TEXT_CHARS, MAX_TEXTS
from nlp_service.loaded_models import LoadedModels
from tests.service_parts import models_of

SECRET = "a secret of some length"
BASIC = {"Authorization": "Basic " + base64.b64encode(f"themes:{SECRET}".encode()).decode()}
BEARER = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def models(small_model: Path) -> LoadedModels:
    return models_of(load_model(str(small_model)))


@pytest.fixture
def nudges() -> list[int]:
    return []


@pytest.fixture
def client(models: LoadedModels, nudges: list[int]) -> Iterator[TestClient]:
    app = make_label_studio_app(models, SECRET, lambda: nudges.append(1))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Basic x"}, {"Authorization": "Basic " + base64.b64encode(b"themes:no").decode()},
     {"Authorization": "Bearer"}, {"Authorization": f"Token {SECRET}"}],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/health"), ("POST", "/setup"), ("POST", "/predict"), ("POST", "/webhook")]
)
def test_nothing_opens_without_the_secret(
    client: TestClient, nudges: list[int], headers: dict[str, str], method: str, path: str
) -> None:
    answer = client.request(method, path, headers=headers, json={"tasks": []} if method == "POST" else None)
    assert answer.status_code == 401
    assert answer.json()["code"] == "wrong_secret"
    assert answer.headers["WWW-Authenticate"] == "Basic"
    assert nudges == []


def test_health_and_setup_say_which_model_and_read_no_token(client: TestClient, models: LoadedModels) -> None:
    assert client.get("/health", headers=BASIC).json() == {"status": "UP", "model_version": models.in_service.model_id}
    sent = {"project": "1.2", "schema": "<View/>", "hostname": "http://127.0.0.1:1", "access_token": "t"}
    assert client.post("/setup", json=sent, headers=BASIC).json()["model_version"] == models.in_service.model_id


def test_tasks_get_suggestions_in_order_with_marks_on_the_shown_text(client: TestClient, models: LoadedModels) -> None:
    texts = ["Lamps are out.\r\nMusic at night 😀.", "My bike was taken", "", 7, "x" * (MAX_TEXT_CHARS + 1)]
    sent = {
        "tasks": [{"id": i, "data": {"text": t}} for i, t in enumerate(texts)] + [{"data": {}}],
        "params": {"token": "t"},
    }
    answer = client.post("/predict", json=sent, headers=BASIC).json()["results"]
    assert len(answer) == 6
    assert [a["result"] for a in answer[2:]] == [[]] * 4
    coded = models.classify(texts[:2]).codings
    for got, expected, text in zip(answer, coded, texts, strict=False):
        chosen = [r["value"]["choices"] for r in got["result"] if r["type"] == "choices"]
        assert sorted(t for c in chosen for t in c) == sorted(expected.themes)
        shown = str(text).replace("\r\n", "\n")
        assert all(
            shown[r["value"]["start"] : r["value"]["end"]] == r["value"]["text"]
            for r in got["result"]
            if r["type"] == "labels"
        )
        assert got["model_version"] == models.in_service.model_id


def test_more_tasks_than_the_classifier_takes_at_once(client: TestClient) -> None:
    sent = {"tasks": [{"data": {"text": "dark"}}] * (MAX_TEXTS + 3)}
    answer = client.post("/predict", json=sent, headers=BASIC).json()["results"]
    assert len(answer) == MAX_TEXTS + 3
    assert answer[-1] == answer[0]


def test_a_body_that_is_none_is_refused_and_not_repeated(client: TestClient) -> None:
    for body in ({"tasks": "Ann Smith"}, {"tasks": [{"data": "Ann Smith"}]}, []):
        answer = client.post("/predict", json=body, headers=BASIC)
        assert answer.status_code == 422
        assert "Smith" not in answer.text


def test_a_webhook_is_a_nudge_whatever_it_says(client: TestClient, nudges: list[int]) -> None:
    for body in (b"{}", b'{"action": "ANNOTATION_CREATED", "annotation": {"id": 1}}', b"forged", b""):
        assert client.post("/webhook", content=body, headers=BEARER).status_code == 202
    assert nudges == [1, 1, 1, 1]
