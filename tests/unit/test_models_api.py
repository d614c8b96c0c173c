"""Models over HTTP: published through the gate, looked at, taken back, pinned; nothing in a request names a path."""

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from models.artefact import STARTER, Artefact, read_artefact, write_artefact
from models.model import load_model
from models.registry import folder_of, read_registry
from models.trained_on import make_marks
from models.weights import Base
from nlp_service import publish_upload
from nlp_service.api.permission import MAX_REASON_CHARS
from nlp_service.api.service import Service
from nlp_service.publish_model import PublishRequest, publish_model
from nlp_service.store.keys import Scope
from tests.conftest import make_artefact
from tests.service_parts import key_of, loaded, serving

pytestmark = pytest.mark.slow  # the gate codes its gold set twice each time
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TEXTS = [f"{t}, time {i}" for i in range(8) for t in ("the music next door", "my bike was taken", "the lamp is out")]
Parts = tuple[TestClient, Service, dict[str, str]]


def turned(artefact: Artefact) -> Artefact:
    t = artefact.tagger
    return replace(artefact, tagger=replace(t, head=-t.head, head_bias=-t.head_bias, lexical=-t.lexical))


@pytest.fixture(scope="module")
def made(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model folders: `first`; `good`, which says the same; `bad`, which says the contrary; and others that cannot be used."""
    place = tmp_path_factory.mktemp("made")
    first = make_artefact(base, seed=1)
    kinds = {
        "first": first,
        "good": replace(first, card_text="# Good\n", card={"n_comments": 9}),
        "bad": turned(first),
        "path": replace(first, encoder=str(place)),
        "narrow": replace(first, tagger=replace(first.tagger, head=first.tagger.head[:, :9])),
    }
    for name, artefact in kinds.items():
        write_artefact(place / name, replace(artefact, version=name))
    lines = []
    for i, (text, coding) in enumerate(zip(TEXTS, load_model(str(place / "first")).code_texts(TEXTS), strict=True)):
        themes = [first.codebook.codable[k].id for k in coding.coded]
        lines.append(json.dumps({"comment_id": str(i), "text": text, "themes": themes}) + "\n")
    (place / "gold.jsonl").write_text("".join(lines))
    return place


@pytest.fixture
def parts(made: Path, tmp_path: Path) -> Iterator[Parts]:
    """A service in which `first` codes, its gold set fixed, and a key that may publish."""
    publish_model(PublishRequest(made / "first", tmp_path / "registry", made / "gold.jsonl"), now=NOW)
    with serving(made / "first", tmp_path) as (client, service):
        yield client, service, key_of(service, Scope.PUBLISH, Scope.CLASSIFY)


def zipped(folder: Path, **changed: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.writestr(path.name, changed.get(path.name.partition(".")[0], path.read_bytes()))
    return out.getvalue()


def send(parts: Parts, folder: Path, *, key: dict[str, str] | None = None, **fields: str) -> httpx.Response:
    return parts[0].post("/v1/models", headers=key or parts[2], files={"file": ("m.zip", zipped(folder))}, data=fields)


def model_id(folder: Path) -> str:
    return str(read_artefact(folder).model_id)


def audit(parts: Parts) -> list[dict[str, Any]]:
    admin = key_of(parts[1], Scope.ADMIN)
    return [e for e in parts[0].get("/v1/audit", headers=admin).json()["entries"] if e["did"].startswith("model.")]


@pytest.mark.slow
def test_a_model_that_passes_the_gate_is_published_and_codes(parts: Parts, made: Path) -> None:
    client, service, key = parts
    good, first = model_id(made / "good"), model_id(made / "first")
    answer = send(parts, made / "good")
    assert answer.status_code == 201, answer.text
    said = answer.json()
    assert (said["model"], said["status"], said["is_published"], said["codebook"]) == (good, "accepted", True, "flat@1")
    assert said["compared_with"] == first
    assert said["gate"]["passed"] is True
    assert "gold set was kept out" in said["notes"][0]
    assert answer.headers["location"] == f"/v1/models/{good}"
    assert read_registry(service.settings.registry).find_published("flat") == good
    assert client.post("/v1/classify", headers=key, json={"texts": TEXTS[:1], "model": "flat"}).json()["model"] == good
    (entry,) = audit(parts)
    assert (entry["did"], entry["subject"], entry["details"]) == ("model.publish", good, {"codebook": "flat@1"})


def test_a_model_that_does_worse_is_refused_with_the_report_and_stays_listed(parts: Parts, made: Path) -> None:
    client, service, key = parts
    bad = model_id(made / "bad")
    answer = send(parts, made / "bad")
    assert (answer.status_code, answer.json()["code"]) == (409, "gate_refused")
    assert answer.json()["model"] == bad
    assert "micro_f1 1.0000 -> " in answer.json()["reason"]
    assert answer.json()["gate"]["passed"] is False
    listed = {m["model"]: m["status"] for m in client.get("/v1/models", headers=key).json()["models"]}
    assert listed[bad] == "refused"
    assert read_registry(service.settings.registry).find_published("flat") == model_id(made / "first")
    assert audit(parts)[0]["did"] == "model.refuse"


def test_only_an_admin_overrides_the_gate_and_the_reason_is_written_down(parts: Parts, made: Path) -> None:
    client, service, key = parts
    refused = send(parts, made / "bad", override="to try it")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    admin = key_of(service, Scope.ADMIN)
    for empty in (" ", "x" * (MAX_REASON_CHARS + 1)):
        assert send(parts, made / "bad", key=admin, override=empty).json()["code"] == "bad_upload"
    answer = send(parts, made / "bad", key=admin, override="to try it")
    assert (answer.status_code, answer.json()["override"], answer.json()["gate"]["passed"]) == (201, "to try it", False)
    assert audit(parts)[0]["details"] == {"codebook": "flat@1", "override": "to try it"}
    one = client.get(f"/v1/models/{model_id(made / 'bad')}", headers=key).json()
    assert (one["override"], one["is_published"]) == ("to try it", True)


def test_without_a_fixed_gold_set_nothing_is_published(made: Path, tmp_path: Path) -> None:
    with serving(made / "first", tmp_path) as (client, service):
        parts = client, service, key_of(service, Scope.PUBLISH)
        answer = send(parts, made / "good")
        assert (answer.status_code, answer.json()["code"]) == (409, "gold_refused")
        assert not (tmp_path / "registry" / "registry.json").exists()
        assert audit(parts) == []


def test_a_gold_set_that_is_gone_or_changed_is_said_so(parts: Parts, made: Path, tmp_path: Path) -> None:
    path = made / "gold.jsonl"
    content = path.read_bytes()
    try:
        path.write_bytes(content.replace(b"time 1", b"time 9", 1))
        assert "not the gold set that was fixed" in send(parts, made / "good").json()["title"]
        path.unlink()
        gone = send(parts, made / "good")
        assert (gone.status_code, gone.json()["code"]) == (409, "gold_refused")
        assert str(made) not in gone.text
    finally:
        path.write_bytes(content)


def test_a_key_of_one_consultation_publishes_nothing(parts: Parts, made: Path) -> None:
    bound = key_of(parts[1], Scope.PUBLISH, consultation="town")
    assert send(parts, made / "good", key=bound).json()["code"] == "forbidden"
    rollback = parts[0].post("/v1/codebooks/flat/rollback", headers=bound, json={})
    assert rollback.json()["code"] == "forbidden"


def test_uploads_that_are_no_models_are_refused_and_leave_the_registry_as_it_was(parts: Parts, made: Path) -> None:
    client, service, key = parts
    document = service.settings.registry / "registry.json"
    before = document.read_bytes()

    def code(**more: Any) -> str:
        answer = client.post("/v1/models", headers=key, **more)
        assert answer.status_code == 422, answer.text
        assert str(made) not in answer.text
        return str(answer.json()["code"])

    def uploaded(data: bytes) -> dict[str, Any]:
        return {"files": {"file": ("m.zip", data)}}

    assert code() == code(json={"folder": str(made / "good")}) == "bad_upload"
    assert code(files={"other": ("m.zip", b"")}) == "bad_upload"
    for field in ("gold", "folder", "registry"):
        assert code(**uploaded(zipped(made / "good")), data={field: str(made)}) == "bad_upload"
    assert code(**uploaded(b"PK")) == "model_zip_invalid"
    assert code(**uploaded(zipped(made / "good", card=b"changed"))) == "model_invalid"
    assert code(**uploaded(zipped(made / "good", manifest=b"[" * 100_000))) == "model_invalid"
    assert code(**uploaded(zipped(made / "path"))) == "model_invalid"
    assert code(**uploaded(zipped(made / "narrow"))) == "model_invalid"
    assert document.read_bytes() == before
    assert audit(parts) == []


def test_one_model_is_published_at_a_time_and_others_come_back(
    parts: Parts, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, key = parts
    inside, go_on = threading.Event(), threading.Event()
    unpack = publish_upload.unpack_model

    def slow(zip_file: Path, folder: Path) -> None:
        inside.set()
        assert go_on.wait(30)
        unpack(zip_file, folder)

    monkeypatch.setattr(publish_upload, "unpack_model", slow)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(send, parts, made / "good")
        assert inside.wait(30)
        second = send(parts, made / "bad")
        assert (second.status_code, second.json()["code"], second.headers["retry-after"]) == (503, "registry_busy", "5")
        assert client.get("/health/live").status_code == 200
        assert client.post("/v1/classify", headers=key, json={"texts": TEXTS[:1]}).status_code == 200
        go_on.set()
        assert first.result(60).status_code == 201
    assert send(parts, made / "bad").status_code == 409


@pytest.mark.slow
def test_a_model_is_shown_with_its_report_and_its_card(parts: Parts, made: Path) -> None:
    client, _, key = parts
    send(parts, made / "good")
    good = model_id(made / "good")
    one = client.get(f"/v1/models/{good}", headers=key).json()
    assert one["card"] == {"n_comments": 9}
    assert one["gate"]["checks"][0]["name"] == "micro_f1"
    assert one["at"]
    card = client.get(f"/v1/models/{good}/card", headers=key)
    assert (card.text, card.headers["content-type"]) == ("# Good\n", "text/markdown; charset=utf-8")
    starter = client.get("/v1/models/starter", headers=key).json()
    assert starter == client.get(f"/v1/models/{starter['model']}", headers=key).json()
    assert (starter["status"], starter["at"], starter["gate"]) == ("starter", None, {})
    for name in ("none", "flat", "..%2Fmodels", str(made).replace("/", "%2F")):
        assert client.get(f"/v1/models/{name}", headers=key).status_code == 404


def test_a_model_of_the_registry_that_is_broken_is_said_so(parts: Parts, made: Path) -> None:
    client, service, key = parts
    first = model_id(made / "first")
    (folder_of(service.settings.registry, read_artefact(made / "first").model_id or "") / "card.md").write_text("x")  # type: ignore[arg-type]
    answer = client.get(f"/v1/models/{first}", headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "model_broken")


@pytest.mark.slow
def test_pins_are_put_seen_and_taken_out_within_what_a_key_opens(parts: Parts, made: Path) -> None:
    client, service, key = parts
    first, good = model_id(made / "first"), model_id(made / "good")
    send(parts, made / "good")
    town = key_of(service, Scope.PUBLISH, Scope.CLASSIFY, consultation="town/east 1")
    url = "/v1/consultations/town%2Feast%201/pin"
    assert client.put(url, headers=town, json={"model": first}).json() == {
        "consultation": "town/east 1",
        "model": first,
    }
    assert client.put("/v1/consultations/county/pin", headers=key, json={"model": good}).status_code == 200
    assert client.put("/v1/consultations/county/pin", headers=town, json={"model": good}).status_code == 403
    assert client.delete("/v1/consultations/county/pin", headers=town).status_code == 403
    assert client.get("/v1/models", headers=key).json()["pins"] == {"county": good, "town/east 1": first}
    assert client.get("/v1/models", headers=town).json()["pins"] == {"town/east 1": first}
    assert client.post("/v1/classify", headers=town, json={"texts": TEXTS[:1]}).json()["model"] == first
    starter = str(read_artefact(STARTER).model_id)
    for name in ("starter", starter):
        kept = client.put("/v1/consultations/park/pin", headers=key, json={"model": name})
        assert kept.json() == {"consultation": "park", "model": starter}
    assert client.delete("/v1/consultations/park/pin", headers=key).status_code == 204
    unknown = client.put(url, headers=town, json={"model": "none"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "model_not_found")
    assert client.delete(url, headers=town).status_code == 204
    again = client.delete(url, headers=town)
    assert (again.status_code, again.json()["code"]) == (409, "registry_refused")
    assert "county" not in again.text
    assert [(e["did"], e["details"].get("consultation")) for e in audit(parts)[:6]] == [
        ("model.unpin", "town/east 1"), ("model.unpin", "park"), ("model.pin", "park"), ("model.pin", "park"),
        ("model.pin", "county"), ("model.pin", "town/east 1"),
    ]  # fmt: skip


@pytest.mark.slow
def test_only_an_admin_pins_a_model_that_the_gate_refused_and_it_is_written_down(parts: Parts, made: Path) -> None:
    client, service, key = parts
    bad, url = model_id(made / "bad"), "/v1/consultations/default/pin"
    assert send(parts, made / "bad").status_code == 409
    refused = client.put(url, headers=key, json={"model": bad})
    assert (refused.status_code, refused.json()["code"]) == (409, "gate_refused")
    assert refused.json()["gate"]["passed"] is False
    assert read_registry(service.settings.registry).pins == {}
    assert client.post("/v1/classify", headers=key, json={"texts": TEXTS[:1]}).json()["model"] != bad
    assert client.put(url, headers=key_of(service, Scope.ADMIN), json={"model": bad}).status_code == 200
    assert audit(parts)[0]["details"] == {"consultation": "default", "gate": "refused"}
    assert send(parts, made / "bad", key=key_of(service, Scope.ADMIN), override="to try it").status_code == 201
    assert client.put(url, headers=key, json={"model": bad}).status_code == 200


def test_a_model_with_a_card_that_is_none_is_refused_before_the_gate(parts: Parts, made: Path, tmp_path: Path) -> None:
    client, service, key = parts
    first = read_artefact(made / "first")
    marks = make_marks([("p1", "Lamp is out")], key="ab" * 32)
    kinds: list[dict[str, Any]] = [
        {"card": []}, {"card": None}, {"card": "words"}, {"card": {}, "trained_on": marks},
        {"card": {"data_sha256": "zz"}, "trained_on": marks}, {"card": {"data_sha256": 7}, "trained_on": marks},
    ]  # fmt: skip
    for i, kind in enumerate(kinds):
        write_artefact(tmp_path / "odd", replace(first, version=f"odd{i}", **kind))
        answer = send(parts, tmp_path / "odd")
        assert (answer.status_code, answer.json()["code"]) == (422, "model_invalid")
    assert len(read_registry(service.settings.registry).entries) == 1
    assert client.get("/v1/models", headers=key).status_code == 200


def test_what_was_published_over_http_is_taken_back_over_http(parts: Parts, made: Path) -> None:
    client, _, key = parts
    send(parts, made / "good")
    after = client.post("/v1/codebooks/flat/rollback", headers=key, json={"reason": "worse in use"}).json()["codebooks"]
    assert after["flat"] == model_id(made / "first")
    assert after == client.get("/v1/codebooks", headers=key).json()["codebooks"]
    assert loaded(str(made / "first")).artefact.model_id == after["flat"]
