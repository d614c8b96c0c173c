"""A NUL in a name or an id is refused or not found, by both databases alike: PostgreSQL has no place for it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from models.artefact import read_artefact
from models.registry import Entry, publish, read_registry
from nlp_service.api.service import Service
from nlp_service.store import tables
from nlp_service.store.audit import add_entry, read_entries
from nlp_service.store.database import NulError, open_store
from nlp_service.store.keys import Scope
from tests.service_parts import key_of, serving

Parts = tuple[TestClient, Service, dict[str, str]]
URL = "http://127.0.0.1:9000/themes"


@pytest.fixture
def parts(store_url: str, small_model: Path, tmp_path: Path) -> Iterator[Parts]:
    artefact = read_artefact(small_model)
    assert artefact.model_id is not None
    entry = Entry(artefact.model_id, artefact.codebook.id, artefact.codebook.version, "accepted", "now", "good")
    publish(tmp_path / "registry", small_model, entry)
    with serving(small_model, tmp_path, store=store_url) as (client, service):
        yield client, service, key_of(service, Scope.ADMIN)


NOT_FOUND = [
    ("GET", "/v1/batches/%00", "batch_not_found"), ("DELETE", "/v1/batches/b-%00", "batch_not_found"), ("GET", "/v1/batches/%00/events", "batch_not_found"),
    ("GET", "/v1/batches/%00/codings", "batch_not_found"), ("GET", "/v1/batches/%00/problems", "batch_not_found"), ("POST", "/v1/batches/%00/cancel", "batch_not_found"),
    ("POST", "/v1/batches/%00/runs", "batch_not_found"), ("DELETE", "/v1/webhooks/%00", "webhook_not_found"), ("GET", "/v1/webhooks/%00/deliveries", "webhook_not_found"),
    ("DELETE", "/v1/keys/%00", "key_not_found"), ("GET", "/v1/models/%00", "model_not_found"), ("GET", "/v1/models/%00/card", "model_not_found"),
]  # fmt: skip


def test_an_id_with_a_nul_is_not_found(parts: Parts) -> None:
    client, _, key = parts
    for method, path, code in NOT_FOUND:
        answer = client.request(method, path, headers=key, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, code), path


def test_a_name_with_a_nul_is_refused_wherever_one_is_given(parts: Parts) -> None:
    client, service, key = parts
    (model,) = {e.model for e in read_registry(service.settings.registry).entries}
    bodies: list[tuple[str, str, Any]] = [
        ("POST", "/v1/keys", {"name": "a\0", "scopes": ["submit"]}), ("POST", "/v1/keys", {"name": "a", "scopes": ["submit"], "consultation": "\0"}),
        ("POST", "/v1/webhooks", {"url": URL, "consultation": "a\0b"}), ("POST", "/v1/classify", {"texts": ["x"], "consultation": "a\0"}),
        ("PUT", "/v1/consultations/a%00/pin", {"model": model}), ("DELETE", "/v1/consultations/%00/pin", None), ("GET", "/v1/batches?consultation=%00", None),
        ("DELETE", "/v1/respondents/p1?consultation=%00", None),
    ]  # fmt: skip
    for method, path, body in bodies:
        answer = client.request(method, path, headers=key, json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), path
    for named in ({"consultation": "a\0"}, {"filename": "a\0.csv"}):
        sent = client.post("/v1/batches", headers=key, params=named, files={"file": ("in.csv", "text\nLamp is out\n")})
        assert (sent.status_code, sent.json()["code"]) == (422, "invalid_request")
    assert read_registry(service.settings.registry).pins == {}
    assert client.get("/v1/webhooks", headers=key).json() == {"webhooks": []}


def test_a_respondent_and_a_text_with_a_nul_are_kept_coded_and_erased(parts: Parts) -> None:
    client, _, key = parts
    line = '{"comment_id": "c\\u0000", "text": "The lamp is \\u0000 out"}\n'
    kind = {"content-type": "application/x-ndjson"}
    batch = client.post("/v1/batches", headers={**key, **kind}, params={"id": "comment_id"}, content=line)
    assert batch.status_code == 202, batch.text
    assert client.post("/v1/classify", headers=key, json={"texts": ["The lamp\0 is out"]}).status_code == 200
    assert client.delete("/v1/respondents/c%00", headers=key).json()["n_comments"] == 1
    assert client.delete("/v1/respondents/p%00", headers=key).json()["code"] == "respondent_not_found"


def test_the_store_takes_no_nul_from_anybody_and_keeps_nothing_of_the_rest(store_url: str) -> None:
    database = open_store(store_url)
    rows = [{"name": name, "created_at": datetime.now(UTC)} for name in ("town", "t\0wn")]
    with pytest.raises(NulError, match="NUL") as refused, database.write() as connection:
        add_entry(connection, "k1", "key.make", "k2")
        connection.execute(insert(tables.consultations), rows)
    assert "wn" not in str(refused.value)
    with pytest.raises(NulError), database.read() as connection:
        connection.execute(select(tables.runs).where(tables.runs.c.id == "r-\0"))
    with database.read() as connection:
        assert connection.execute(select(tables.consultations)).all() == []
    assert read_entries(database) == ()
    database.close()
