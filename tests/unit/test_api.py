"""The scoring endpoint: codings as the command line gives them, refusals as problems that repeat no text."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from models.model import load_model
from nlp_service.api.app import MAX_BODY_BYTES, make_app
from nlp_service.api.service import open_service
from nlp_service.classify_texts import MAX_TEXT_CHARS, MAX_TEXTS, BusyError, TextClassifier
from nlp_service.cli.main import run
from nlp_service.loaded_models import LoadedModels
from nlp_service.settings import Settings
from tests.service_parts import models_of

SECRET = "Harpist's umbrella"
TEXTS = ["Lamps are out. Music at night 😀.", "My bike was taken", "x", " \n "]


@pytest.fixture(scope="module")
def models(small_model: Path) -> LoadedModels:
    return models_of(load_model(str(small_model)))


@contextmanager
def served(models: LoadedModels, folder: Path) -> Iterator[TestClient]:
    settings = Settings(store=f"sqlite:///{folder / 'themes.db'}", secret_file=folder / "secret")
    service = open_service(settings, models)
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield client
    service.close()


@pytest.fixture(scope="module")
def client(models: LoadedModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(models, tmp_path_factory.mktemp("service")) as client:
        yield client


def test_texts_are_coded_in_order_as_the_classifier_codes_them(client: TestClient, small_model: Path) -> None:
    answer = client.post("/v1/classify", json={"texts": TEXTS}).json()
    plain = load_model(str(small_model))
    assert answer["codebook"] == plain.codebook.ref
    assert answer["model"] == plain.artefact.model_id
    expected = list(plain.code_texts(TEXTS))
    assert len(answer["codings"]) == len(TEXTS)
    for got, coding, text in zip(answer["codings"], expected, TEXTS, strict=True):
        assert list(got["probabilities"].values()) == [float(p) for p in coding.probabilities]
        assert [t["theme"] for t in got["themes"]] == [plain.codebook.codable[k].id for k in coding.coded]
        assert all(0 <= e["start"] < e["end"] <= len(text) for t in got["themes"] for e in t["evidence"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid_request"),
        ({"texts": []}, 422, "invalid_request"),
        ({"texts": [""]}, 422, "invalid_request"),
        ({"texts": [7]}, 422, "invalid_request"),
        ({"texts": SECRET}, 422, "invalid_request"),
        ({"texts": [SECRET] * (MAX_TEXTS + 1)}, 422, "invalid_request"),
        ({"texts": [SECRET * MAX_TEXT_CHARS]}, 422, "invalid_request"),
        ({"texts": ["a"], SECRET: 1}, 422, "invalid_request"),
        ({"texts": [SECRET], "model": "another"}, 404, "model_not_found"),
        ({"texts": [SECRET], "codebook": "another"}, 404, "model_not_found"),
        ({"texts": [SECRET], "consultation": ""}, 422, "invalid_request"),
    ],
)
def test_what_cannot_be_coded_is_refused_with_a_code_and_without_the_text(
    client: TestClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = client.post("/v1/classify", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["next_step"]
    if SECRET not in body:
        assert SECRET not in answer.text


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"texts": ["\\ud800"]}', b'{"texts": ["a"']
)
def test_a_body_that_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post("/v1/classify", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_over_the_limit_is_turned_away_stated_or_streamed(client: TestClient) -> None:
    large = b'{"texts": ["' + b"a" * MAX_BODY_BYTES + b'"]}'

    def streamed() -> Iterator[bytes]:
        for start in range(0, len(large), 1_000_000):
            yield large[start : start + 1_000_000]

    for content in (large, streamed()):
        answer = client.post("/v1/classify", content=content, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_other_paths_and_methods_are_problems_too(client: TestClient) -> None:
    assert client.get("/v1/nothing").json()["code"] == "not_found"
    wrong = client.get("/v1/classify")
    assert (wrong.status_code, wrong.json()["code"], wrong.headers["allow"]) == (405, "method_not_allowed", "POST")
    shared = client.put("/v1/batches/b-1")
    assert (shared.status_code, shared.headers["allow"]) == (405, "DELETE, GET")


def test_the_versions_in_service_may_be_asked_for(client: TestClient, models: LoadedModels) -> None:
    classifier = models.in_service
    for codebook in (classifier.codebook.id, classifier.codebook.ref):
        body = {"texts": ["a"], "model": classifier.model_id, "codebook": codebook}
        assert client.post("/v1/classify", json=body).status_code == 200
    themes = client.get("/v1/codebook").json()["themes"]
    assert [t["id"] for t in themes] == [t.id for t in classifier.codebook.themes]
    assert client.get("/health/live").json() == {"status": "ok"}
    assert client.get("/health/ready").json() == {"status": "ok", "n_workers": 0}


@pytest.mark.slow
def test_callers_at_once_each_get_their_own_answer(client: TestClient) -> None:
    texts = [f"lamp {i} is out, and music too" for i in range(60)]
    alone = [client.post("/v1/classify", json={"texts": [t]}).json() for t in texts]
    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda t: client.post("/v1/classify", json={"texts": [t]}).json(), texts))
    assert together == alone


def test_a_text_that_breaks_the_model_fails_its_own_caller_alone(small_model: Path) -> None:
    classifier = TextClassifier(load_model(str(small_model)))
    code_texts = classifier._classifier.code_texts
    inside, go_on, groups = threading.Event(), threading.Event(), []

    def breakable(texts: list[str]) -> Any:
        groups.append(list(texts))
        if texts == ["first"]:
            inside.set()
            assert go_on.wait(20)
        if SECRET in texts:
            raise MemoryError
        return code_texts(texts)

    classifier._classifier.code_texts = breakable  # type: ignore[method-assign,assignment]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(classifier.classify, ["first"])
        assert inside.wait(20)
        others = [pool.submit(classifier.classify, [t]) for t in ("lamp", SECRET, "music")]
        while len(classifier._waiting) < 3:
            pass
        go_on.set()
        assert [len(f.result(20)) for f in (first, others[0], others[2])] == [1, 1, 1]
        with pytest.raises(MemoryError):
            others[1].result(20)
    assert sorted(groups[1]) == sorted(["lamp", SECRET, "music"])


@pytest.mark.slow
def test_too_many_callers_are_turned_away_with_a_time_to_come_back(small_model: Path, tmp_path: Path) -> None:
    models = models_of(load_model(str(small_model)), max_waiting=1)
    classifier = models.in_service
    inside, go_on = threading.Event(), threading.Event()
    code_texts = classifier._classifier.code_texts

    def slow(texts: list[str]) -> Any:
        inside.set()
        assert go_on.wait(20)
        return code_texts(texts)

    classifier._classifier.code_texts = slow  # type: ignore[method-assign,assignment]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(models.classify, ["a"])
        assert inside.wait(20)
        second = pool.submit(models.classify, ["b"])
        while models._room._n_inside < 2:
            pass
        with pytest.raises(BusyError):
            models.classify(["c"])
        with served(models, tmp_path) as client:
            refused = client.post("/v1/classify", json={"texts": ["d"]})
        assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (503, "busy", "1")
        go_on.set()
        assert len(first.result(20).codings) == len(second.result(20).codings) == 1


def test_a_bug_says_nothing_of_the_text(small_model: Path, tmp_path: Path) -> None:
    classifier = load_model(str(small_model))

    def broken(_texts: list[str]) -> Any:
        raise RuntimeError(SECRET)

    classifier.code_texts = broken  # type: ignore[method-assign,assignment]
    with served(models_of(classifier), tmp_path) as client:
        answer = client.post("/v1/classify", json={"texts": [SECRET]})
    assert (answer.status_code, answer.json()["code"]) == (500, "bug")
    assert SECRET not in answer.text


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "example.org", "10.0.0.1", ""])  # noqa: S104 -- what must be refused
def test_the_service_listens_to_this_machine_alone(host: str) -> None:
    assert run(["serve", "--host", host]) == 3
