"""Who codes a call's texts: what it names, else its consultation's pin, else the model in service, which follows the registry."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from models.artefact import ArtefactError, read_artefact, write_artefact
from models.classifier import Classifier
from models.model import ModelNotFoundError
from models.registry import Entry, folder_of, pin, publish, roll_back
from models.vocabulary import Codebook, ModelId, Theme, ThemeId
from models.weights import Base
from nlp_service import followed_registry
from nlp_service.api.app import make_app
from nlp_service.api.service import Service, open_service
from nlp_service.classify_texts import BusyError, OtherModelError
from nlp_service.find_model import ModelBrokenError
from nlp_service.loaded_models import MAX_AWAITING_LOAD, MAX_OTHERS, LoadedModels
from nlp_service.settings import Settings
from nlp_service.store.keys import Scope
from tests.conftest import THREE, make_artefact
from tests.service_parts import code_run, key_of, loaded

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TWO = Codebook("other", "7", tuple(Theme(ThemeId(i), i.title(), f"About {i}.") for i in ("parks", "buses")))
TEXTS = ["Lamps are out. Music at night.", "My bike was taken"]


@pytest.fixture(scope="module")
def made(base: Base, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Model folders a, b and c of one codebook and z of another."""
    place = tmp_path_factory.mktemp("made")
    for seed, name in enumerate("abcz", 1):
        artefact = make_artefact(base, TWO if name == "z" else THREE, seed=seed)
        write_artefact(place / name, replace(artefact, name=name, version="1"))
    return {name: place / name for name in "abcz"}


class Desk:
    """A registry, and models of it that are loaded, each load counted."""

    def __init__(self, folder: Path, made: dict[str, Path]) -> None:
        self.registry, self.made = folder / "registry", made
        self.ids = {name: ModelId(str(read_artefact(path).model_id)) for name, path in made.items()}
        self.loads: list[str] = []
        self.told: list[str] = []
        self.before_load: Callable[[Path], None] = lambda _: None

    def publish(self, name: str) -> ModelId:
        book = read_artefact(self.made[name]).codebook
        publish(self.registry, self.made[name], Entry(self.ids[name], book.id, book.version, "accepted", "now", "good"))
        return self.ids[name]

    def load(self, folder: Path) -> Classifier:
        self.loads.append(folder.name)
        self.before_load(folder)
        return self.classifier_of(str(read_artefact(folder).model_id))

    def classifier_of(self, model: str) -> Classifier:
        """Return the classifier of a model, loaded once for all tests; `starter` too."""
        return loaded(next((str(self.made[name]) for name, id_ in self.ids.items() if id_ == model), "starter"))

    def models(self, default: str | None = "flat") -> LoadedModels:
        return LoadedModels(self.registry, self.load, default=default, tell=self.told.append)


@pytest.fixture
def desk(tmp_path: Path, made: dict[str, Path]) -> Desk:
    return Desk(tmp_path, made)


@contextmanager
def served(models: LoadedModels, desk: Desk) -> Iterator[tuple[TestClient, Service]]:
    folder = desk.registry.parent
    settings = Settings(
        store=f"sqlite:///{folder / 'themes.db'}", secret_file=folder / "secret", registry=desk.registry, model="flat"
    )
    service = open_service(settings, models)
    with TestClient(make_app(service), raise_server_exceptions=False) as client:
        yield client, service
    service.close()


def wait_for(true: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.slow
def test_a_caller_is_answered_by_the_model_or_codebook_it_names(desk: Desk) -> None:
    first, second, other = desk.publish("a"), desk.publish("b"), desk.publish("z")
    with served(desk.models(), desk) as (client, _):

        def by(**named: str) -> tuple[str, str]:
            answer = client.post("/v1/classify", json={"texts": TEXTS, **named}).json()
            expected = list(desk.classifier_of(answer["model"]).code_texts(TEXTS))
            got = [list(c["probabilities"].values()) for c in answer["codings"]]
            assert got == [[float(p) for p in c.probabilities] for c in expected]
            return answer["model"], answer["codebook"]

        assert by() == by(codebook="flat") == by(codebook="flat@1") == by(model="flat") == (second, "flat@1")
        assert by(model=first) == by(model=first, codebook="flat") == (first, "flat@1")
        assert by(model=other) == by(codebook="other") == by(codebook="other@7") == (other, "other@7")
        starter = client.post("/v1/classify", json={"texts": TEXTS, "model": "starter"}).json()
        named = client.post("/v1/classify", json={"texts": TEXTS, "codebook": starter["codebook"]}).json()
        assert named["model"] == starter["model"]
        assert starter["model"].startswith("starter-")


@pytest.mark.parametrize("named", [{"model": "zebra"}, {"codebook": "zebra"}, {"codebook": "flat@2"}])
def test_what_is_not_there_is_404_and_says_what_is(desk: Desk, named: dict[str, str]) -> None:
    desk.publish("a")
    with served(desk.models(), desk) as (client, _):
        answer = client.post("/v1/classify", json={"texts": TEXTS, **named})
        assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
        assert "'flat'" in answer.json()["allowed"]


def test_a_model_and_a_codebook_that_do_not_fit_are_409(desk: Desk) -> None:
    first = desk.publish("a")
    desk.publish("z")
    with served(desk.models(), desk) as (client, _):
        answer = client.post("/v1/classify", json={"texts": TEXTS, "model": first, "codebook": "other"})
        assert (answer.status_code, answer.json()["code"]) == (409, "other_model")
        assert "flat@1" in answer.json()["allowed"]


def test_no_request_names_a_path(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.publish("a")
    with served(desk.models(), desk) as (client, service):
        key = key_of(service, Scope.SUBMIT, Scope.CLASSIFY)
        batch = client.post("/v1/batches", headers=key, files={"file": ("in.csv", "text\nLamp is out\n")}).json()
        monkeypatch.chdir(desk.made["b"].parent)
        for path in (str(desk.made["b"]), "b", "./b", "../made0/b", f"{desk.registry}/models/{desk.ids['a']}", "."):
            for field in ("model", "codebook"):
                answer = client.post("/v1/classify", headers=key, json={"texts": TEXTS, field: path})
                assert answer.json()["code"] == "model_not_found"
            again = client.post(f"/v1/batches/{batch['id']}/runs", headers=key, json={"model": path})
            assert again.json()["code"] == "model_not_found"
            sent = client.post(
                "/v1/batches", headers=key, params={"model": path}, files={"file": ("in.csv", "text\nLamp is out\n")}
            )
            assert sent.json()["code"] in ("model_not_found", "invalid_request")


@pytest.mark.slow
def test_the_pin_of_a_consultation_counts_as_it_does_for_batches(desk: Desk) -> None:
    first, second, other = desk.publish("a"), desk.publish("b"), desk.publish("z")
    pin(desk.registry, "town", first, at=NOW)
    with served(desk.models(), desk) as (client, service):
        bound, free = key_of(service, Scope.CLASSIFY, consultation="town"), key_of(service, Scope.CLASSIFY)

        def by(key: dict[str, str], **named: str) -> str:
            return str(client.post("/v1/classify", headers=key, json={"texts": TEXTS, **named}).json().get("model"))

        assert by(bound) == by(free, consultation="town") == by(bound, codebook="flat") == first
        assert by(free) == by(free, consultation="county") == by(bound, model=second) == second
        assert by(bound, codebook="other") == other
        foreign = client.post("/v1/classify", headers=bound, json={"texts": TEXTS, "consultation": "county"})
        assert foreign.json()["code"] == "forbidden"
        assert client.get("/v1/codebook", headers=bound).json()["model"] == first
        assert client.get("/v1/codebook", headers=free).json()["model"] == second
        pin(desk.registry, "default", first, at=NOW)
        submit = key_of(service, Scope.SUBMIT)
        batch = client.post("/v1/batches", headers=submit, files={"file": ("in.csv", "text\nLamp is out\n")}).json()
        code_run(service, batch["run"]["id"])
        assert by(free) == batch["run"]["model"] == first


def test_a_model_whose_folder_is_broken_says_so_and_troubles_nobody_else(desk: Desk) -> None:
    broken, second = desk.publish("a"), desk.publish("b")
    card = folder_of(desk.registry, broken) / "card.md"
    content = card.read_bytes()
    card.write_bytes(b"changed")
    with served(desk.models(), desk) as (client, _):
        for _ in range(2):
            answer = client.post("/v1/classify", json={"texts": TEXTS, "model": broken})
            assert (answer.status_code, answer.json()["code"]) == (409, "model_broken")
            assert "card.md" in answer.json()["title"]
        assert client.post("/v1/classify", json={"texts": TEXTS}).json()["model"] == second
        card.write_bytes(content)
        assert client.post("/v1/classify", json={"texts": TEXTS, "model": broken}).json()["model"] == broken


def test_many_who_ask_at_once_wait_for_one_load(desk: Desk) -> None:
    first = desk.publish("a")
    desk.publish("b")
    models, go_on = desk.models(), threading.Event()
    desk.before_load = lambda _: wait_for(go_on.is_set)
    with ThreadPoolExecutor(MAX_AWAITING_LOAD) as pool:
        asked = [pool.submit(models.classify, TEXTS, model=first) for _ in range(MAX_AWAITING_LOAD)]
        wait_for(lambda: models._n_awaiting == MAX_AWAITING_LOAD)
        go_on.set()
        assert {f.result(30).by.model_id for f in asked} == {first}
    assert desk.loads == [desk.ids["b"], first]


def test_a_load_holds_up_nobody_whose_model_is_there(desk: Desk) -> None:
    first, second = desk.publish("a"), desk.publish("b")
    models, go_on = desk.models(), threading.Event()
    desk.before_load = lambda _: wait_for(go_on.is_set)
    with served(models, desk) as (client, _), ThreadPoolExecutor(MAX_AWAITING_LOAD + 1) as pool:

        def ask() -> str:
            return str(client.post("/v1/classify", json={"texts": TEXTS, "model": first}).json()["model"])

        asked = [pool.submit(ask) for _ in range(MAX_AWAITING_LOAD)]
        wait_for(lambda: models._n_awaiting == MAX_AWAITING_LOAD)
        assert client.post("/v1/classify", json={"texts": TEXTS}).json()["model"] == second
        assert client.get("/health/live").status_code == 200
        more = client.post("/v1/classify", json={"texts": TEXTS, "model": first})
        assert (more.status_code, more.json()["code"], more.headers["retry-after"]) == (503, "busy", "1")
        go_on.set()
        assert {f.result(30) for f in asked} == {first}


def test_callers_of_all_models_together_are_bounded(desk: Desk) -> None:
    first = desk.publish("a")
    desk.publish("b")
    models = LoadedModels(desk.registry, desk.load, default="flat", max_waiting=1)
    go_on = threading.Event()
    desk.before_load = lambda _: wait_for(go_on.is_set)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(models.classify, TEXTS, model=first) for _ in range(2)]
        wait_for(lambda: models._room._n_inside == 2)
        with pytest.raises(BusyError):
            models.classify(TEXTS)
        go_on.set()
        assert len([f.result(30) for f in asked]) == 2
    assert len(models.classify(TEXTS).codings) == 2


def test_the_model_not_asked_for_longest_makes_room(desk: Desk) -> None:
    ids = [desk.publish(name) for name in "abc"]
    desk.publish("z")
    models = desk.models("other")
    assert MAX_OTHERS == 2
    for name in (0, 1, 0, 2, 0, 1):
        assert models.get(model=ids[name]).model_id == ids[name]
    assert desk.loads[1:] == [ids[0], ids[1], ids[2], ids[1]]
    assert len(models._others) == MAX_OTHERS


def test_the_model_in_service_follows_what_is_published_and_taken_back(desk: Desk) -> None:
    first = desk.publish("a")
    models, go_on = desk.models(), threading.Event()
    desk.before_load = lambda _: wait_for(go_on.is_set)
    second = desk.publish("b")
    assert models.classify(TEXTS).by.model_id == models.classify(TEXTS).by.model_id == first
    go_on.set()
    wait_for(lambda: models.in_service.model_id == second)
    roll_back(desk.registry, "flat", at=NOW)
    assert models.classify(TEXTS).by.model_id == first
    assert desk.loads == [first, second]
    assert [t.split(",")[0] for t in desk.told] == [second, first]


def test_every_answer_is_of_one_model_whatever_is_published_meanwhile(desk: Desk) -> None:
    ids = [desk.publish("a"), desk.ids["b"]]
    expected = {}
    for name, model in zip("ab", ids, strict=True):
        plain = loaded(str(desk.made[name]))
        expected[model] = [tuple(map(float, c.probabilities)) for c in plain.code_texts(TEXTS)]
    models, seen, stop = desk.models(), set(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            done = models.classify(TEXTS)
            assert [tuple(p for _, p in c.probabilities) for c in done.codings] == expected[done.by.model_id]
            assert {c.model for c in done.codings} == {done.by.model_id}
            seen.add(done.by.model_id)

    with ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask) for _ in range(4)]
        for _ in range(5):
            desk.publish("b")
            wait_for(lambda: models.in_service.model_id == ids[1])
            roll_back(desk.registry, "flat", at=NOW)
            wait_for(lambda: models.in_service.model_id == ids[0])
        stop.set()
        for asker in askers:
            asker.result(30)
    assert seen == set(ids)


def test_a_service_started_with_a_folder_stays_with_it(desk: Desk) -> None:
    models = desk.models(str(desk.made["c"]))
    desk.publish("a")
    assert models.classify(TEXTS).by.model_id == desk.ids["c"]
    assert models.get(model=desk.ids["c"]).model_id == desk.ids["c"]
    assert models.get(codebook="flat").model_id == desk.ids["c"]
    assert models.get(model="flat").model_id == desk.ids["a"]


def test_a_new_model_that_cannot_be_loaded_leaves_the_old_one_in_service(desk: Desk) -> None:
    first = desk.publish("a")
    models = desk.models()
    second = desk.publish("b")
    shutil.rmtree(folder_of(desk.registry, second))
    assert models.in_service.model_id == first
    wait_for(lambda: desk.told)
    assert f"{first} stays in service" in desk.told[0]
    assert models.in_service.model_id == first
    with pytest.raises(ModelBrokenError):
        models.get(model=second)


@pytest.mark.parametrize("fault", [OSError(12, "no memory"), MemoryError()])
def test_a_new_model_that_a_fault_keeps_out_is_told_of_and_tried_again_after_a_while(
    desk: Desk, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_service.loaded_models.RETRY_S", 0.2)
    first = desk.publish("a")
    models, faults = desk.models(), [fault, fault]

    def fail_twice(_: Path) -> None:
        if faults:
            raise faults.pop()

    desk.before_load = fail_twice
    second = desk.publish("b")
    assert models.get().model_id == first
    wait_for(lambda: models.get().model_id == second)
    stayed = f"the model {second} cannot be loaded: {type(fault).__name__}. {first} stays in service."
    assert desk.told == [stayed, stayed, f"{second}, flat@1: in service from now on"]
    assert desk.loads == [first, second, second, second]


@pytest.mark.parametrize("mends", ["a caller names it", "the registry changes"])
def test_a_new_model_that_a_fault_kept_out_comes_into_service_without_waiting_when(desk: Desk, mends: str) -> None:
    first = desk.publish("a")
    models, faults = desk.models(), [OSError(12, "no memory")]
    desk.before_load = lambda _: (_ for _ in ()).throw(faults.pop()) if faults else None
    second = desk.publish("b")
    assert models.get().model_id == first
    wait_for(lambda: desk.told)
    assert models.get().model_id == first
    if mends == "a caller names it":
        assert models.get(model=second).model_id == second
    else:
        pin(desk.registry, "town", first, at=NOW)
    wait_for(lambda: models.in_service.model_id == second)
    assert len(desk.loads) == 3


def test_where_the_model_in_service_was_taken_back_and_there_is_none_before_callers_are_told(desk: Desk) -> None:
    first = desk.publish("a")
    models = desk.models()
    roll_back(desk.registry, "flat", at=NOW)
    with pytest.raises(ModelNotFoundError):
        models.classify(TEXTS)
    assert models.get(model=first).model_id == first
    desk.publish("a")
    assert models.classify(TEXTS).by.model_id == first


def test_a_registry_that_cannot_be_read_any_more_changes_nothing_until_it_can(desk: Desk) -> None:
    first, second = desk.publish("a"), desk.publish("b")
    models = desk.models()
    document = desk.registry / "registry.json"
    content = document.read_bytes()
    document.write_text("{")
    assert models.get(model=first).model_id == first
    assert models.in_service.model_id == second
    assert len(desk.told) == 1
    document.write_bytes(content)
    roll_back(desk.registry, "flat", at=NOW)
    assert models.in_service.model_id == first


def test_the_registry_is_parsed_when_it_changes_and_not_for_each_call(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.publish("a")
    models, reads = desk.models(), []
    read = followed_registry.read_registry
    monkeypatch.setattr(followed_registry, "read_registry", lambda folder: reads.append(folder) or read(folder))
    for _ in range(50):
        models.get()
    assert reads == []
    desk.publish("b")
    for _ in range(50):
        models.get()
    assert reads == [desk.registry]


def test_models_that_cannot_be_used_at_first_stop_the_start(desk: Desk) -> None:
    first = desk.publish("a")
    with pytest.raises(ModelNotFoundError, match="zebra"):
        desk.models("zebra")
    (folder_of(desk.registry, first) / "card.md").write_text("changed")
    with pytest.raises(ArtefactError, match=r"card\.md"):
        desk.models()


def test_a_codebook_beside_a_model_by_name_is_checked_without_a_service_too(desk: Desk) -> None:
    first = desk.publish("a")
    with pytest.raises(OtherModelError):
        desk.models().get(model=first, codebook="flat@9")
