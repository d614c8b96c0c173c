"""Webhooks over HTTP: made with a secret that is shown once, seen by whom they belong to, and called when a batch ends."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from nlp_service.api.service import Service
from nlp_service.store import tables
from nlp_service.store.keys import Scope
from nlp_service.store.webhooks import MAX_OF_CONSULTATION, MAX_WEBHOOKS
from nlp_service.webhooks.courier import Courier
from nlp_service.webhooks.sender import Sender
from tests.receiver import receiving
from tests.service_parts import code_run, key_of, serving

Parts = tuple[TestClient, Service, dict[str, str]]
CSV = "id,text\na,Lamp is out by the Harpist's umbrella\nb,Music\n"
URL = "http://127.0.0.1:9000/themes"
PUBLIC = "https://93.184.215.14/in"


@pytest.fixture
def parts(store_url: str, small_model: Path, tmp_path: Path) -> Iterator[Parts]:
    with serving(small_model, tmp_path, store=store_url) as (client, service):
        yield client, service, key_of(service, Scope.ADMIN)


def send(client: TestClient, key: dict[str, str]) -> Any:
    return client.post("/v1/batches", headers=key, files={"file": ("harpist.csv", CSV)}).json()


def deliver(service: Service) -> int:
    return asyncio.run(Courier(service.database, Sender(private=False), retry_s=10).deliver())


def test_a_webhook_is_called_when_a_batch_is_done_stopped_or_coded_again_and_told_no_words(parts: Parts) -> None:
    client, service, key = parts
    with receiving(500, 200) as receiver:
        made = client.post("/v1/webhooks", headers=key, json={"url": f"{receiver.url}/in"})
        assert made.status_code == 201, made.text
        hook = made.json()
        assert hook["secret"].startswith("whsec_")
        batch = send(client, key)
        code_run(service, batch["run"]["id"])
        code_run(service, batch["run"]["id"])
        again = client.post(f"/v1/batches/{batch['id']}/runs", headers=key, json={}).json()
        client.post(f"/v1/batches/{batch['id']}/cancel", headers=key)
        assert deliver(service) == 2
    url = f"/v1/webhooks/{hook['id']}/deliveries"
    found = client.get(url, headers=key).json()["deliveries"]
    assert [(d["run"], d["batch"], d["n_attempts"]) for d in found] == [(again["run"]["id"], batch["id"], 1), (batch["run"]["id"], batch["id"], 1)]  # fmt: skip
    assert sorted((d["state"], d["last_status"], d["next_at"] is None) for d in found) == [("delivered", 200, True), ("waiting", 500, False)]  # fmt: skip
    assert [d["id"] for d in client.get(url, headers=key, params={"limit": 1}).json()["deliveries"]] == [found[0]["id"]]
    told = {t["data"]["run"]: t for t in (json.loads(m.body) for m in receiver.came)}
    assert {t["type"] for t in told.values()} == {"batch.ended"}
    data = told[batch["run"]["id"]]["data"]
    assert (data["batch"], data["state"], data["consultation"]) == (batch["id"], "done", "default")
    assert (data["n_comments"], data["n_done"], data["n_problems"]) == (2, 2, 0)
    assert told[again["run"]["id"]]["data"]["state"] == "cancelled"
    assert all(m.is_signed_with(hook["secret"]) for m in receiver.came)
    assert not any(b"harpist" in m.body.lower() for m in receiver.came)


def test_the_secret_is_shown_once_and_stands_in_no_list_and_no_log(parts: Parts) -> None:
    client, _, key = parts
    hook = client.post("/v1/webhooks", headers=key, json={"url": URL, "consultation": "town"}).json()
    listed = client.get("/v1/webhooks", headers=key)
    assert listed.json() == {"webhooks": [{k: v for k, v in hook.items() if k != "secret"}]}
    assert (hook["url"], hook["consultation"]) == (URL, "town")
    audit = client.get("/v1/audit", headers=key)
    assert ("webhook.make", hook["id"]) in [(e["did"], e["subject"]) for e in audit.json()["entries"]]
    for page in (listed, audit):
        assert hook["secret"][6:] not in page.text
    assert "9000" not in audit.text


def test_a_key_of_one_consultation_makes_sees_and_deletes_its_own_alone(parts: Parts) -> None:
    client, service, key = parts
    town = key_of(service, Scope.ADMIN, consultation="town")
    other = client.post("/v1/webhooks", headers=key, json={"url": URL, "consultation": "county"}).json()
    every = client.post("/v1/webhooks", headers=key, json={"url": URL}).json()
    mine = client.post("/v1/webhooks", headers=town, json={"url": PUBLIC}).json()
    assert mine["consultation"] == "town"
    wide = client.post("/v1/webhooks", headers=town, json={"url": PUBLIC, "consultation": "county"})
    assert (wide.status_code, wide.json()["code"]) == (403, "forbidden")
    assert [w["id"] for w in client.get("/v1/webhooks", headers=town).json()["webhooks"]] == [mine["id"]]
    for hook in (other, every):
        for method, path in (("GET", "/deliveries"), ("DELETE", "")):
            refused = client.request(method, f"/v1/webhooks/{hook['id']}{path}", headers=town)
            assert (refused.status_code, refused.json()["code"]) == (404, "webhook_not_found")
    send(client, key)
    assert client.get(f"/v1/webhooks/{mine['id']}/deliveries", headers=town).json() == {"deliveries": []}
    assert client.delete(f"/v1/webhooks/{mine['id']}", headers=town).status_code == 204
    assert client.delete(f"/v1/webhooks/{mine['id']}", headers=town).status_code == 404
    assert len(client.get("/v1/webhooks", headers=key).json()["webhooks"]) == 2


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "https://169.254.169.254/latest", "https://10.0.0.1/", "http://no-such.invalid/", "https://[fe80::1]/"])  # fmt: skip
def test_addresses_that_are_not_called_cannot_be_registered(parts: Parts, url: str) -> None:
    client, _, key = parts
    refused = client.post("/v1/webhooks", headers=key, json={"url": url})
    assert (refused.status_code, refused.json()["code"]) == (422, "webhook_address_refused")
    assert url not in refused.text
    assert client.get("/v1/webhooks", headers=key).json() == {"webhooks": []}


def test_private_networks_are_called_where_the_setting_says_so(small_model: Path, tmp_path: Path) -> None:
    with serving(small_model, tmp_path, webhook_private=True) as (client, service):
        key = key_of(service, Scope.ADMIN)
        assert client.post("/v1/webhooks", headers=key, json={"url": "https://10.0.0.1/in"}).status_code == 201


def test_what_is_no_webhook_is_refused(parts: Parts) -> None:
    client, _, key = parts
    for bad in ({}, {"url": ""}, {"url": 7}, {"url": URL, "secret": "x"}, {"url": URL, "consultation": ""}, {"url": URL + "x" * 2_000}):  # fmt: skip
        assert client.post("/v1/webhooks", headers=key, json=bad).json()["code"] == "invalid_request"
    for _ in range(MAX_WEBHOOKS):
        assert client.post("/v1/webhooks", headers=key, json={"url": URL}).status_code == 201
    full = client.post("/v1/webhooks", headers=key, json={"url": URL})
    assert (full.status_code, full.json()["code"]) == (409, "too_many_webhooks")


def test_a_key_of_one_consultation_finds_out_nothing_of_this_machine_and_its_network(
    small_model: Path, tmp_path: Path
) -> None:
    with serving(small_model, tmp_path, webhook_private=True) as (client, service):
        town, key = key_of(service, Scope.ADMIN, consultation="town"), key_of(service, Scope.ADMIN)
        for url in (URL, "https://127.0.0.1/", "https://[::1]:5432/", "https://10.0.0.1/"):
            refused = client.post("/v1/webhooks", headers=town, json={"url": url})
            assert (refused.status_code, refused.json()["code"]) == (422, "webhook_address_refused")
        assert client.post("/v1/webhooks", headers=town, json={"url": PUBLIC}).status_code == 201
        for url in (URL, "https://10.0.0.1/"):
            made = client.post("/v1/webhooks", headers=key, json={"url": url, "consultation": "town"})
            assert made.status_code == 201


def test_a_host_of_a_key_of_one_consultation_that_leads_to_this_machine_later_is_not_called(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, service, key = parts
    town = key_of(service, Scope.ADMIN, consultation="default")
    with receiving(200) as receiver:
        port = receiver.url.rpartition(":")[2]
        made = client.post("/v1/webhooks", headers=town, json={"url": PUBLIC.replace("/in", f":{port}/in")}).json()
        mine = client.post("/v1/webhooks", headers=key, json={"url": receiver.url, "consultation": "default"}).json()
        batch = send(client, key)
        code_run(service, batch["run"]["id"])
        here = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)
        assert deliver(service) == 2
        monkeypatch.undo()
    found = [
        client.get(f"/v1/webhooks/{w['id']}/deliveries", headers=key).json()["deliveries"][0] for w in (made, mine)
    ]
    assert [(d["last_status"], d["last_error"]) for d in found] == [(None, "webhook_address_refused"), (200, None)]
    assert len(receiver.came) == 1


def test_a_key_of_one_consultation_does_not_take_the_webhooks_of_all(parts: Parts) -> None:
    client, service, key = parts
    town = key_of(service, Scope.ADMIN, consultation="town")
    for _ in range(MAX_OF_CONSULTATION):
        assert client.post("/v1/webhooks", headers=town, json={"url": PUBLIC}).status_code == 201
    full = client.post("/v1/webhooks", headers=town, json={"url": PUBLIC})
    assert (full.status_code, full.json()["code"]) == (409, "too_many_webhooks")
    assert str(MAX_OF_CONSULTATION) in full.json()["allowed"]
    assert client.post("/v1/webhooks", headers=key, json={"url": URL, "consultation": "town"}).status_code == 409
    for where in ({}, {"consultation": "county"}):
        assert client.post("/v1/webhooks", headers=key, json={"url": URL, **where}).status_code == 201


def test_a_deleted_batch_is_told_of_no_more(parts: Parts) -> None:
    client, service, key = parts
    with receiving(200) as receiver:
        hook = client.post("/v1/webhooks", headers=key, json={"url": receiver.url}).json()
        batch = send(client, key)
        assert client.delete(f"/v1/batches/{batch['id']}", headers=key).status_code == 204
        assert deliver(service) == 0
    assert client.get(f"/v1/webhooks/{hook['id']}/deliveries", headers=key).json() == {"deliveries": []}


def test_erasing_a_respondent_leaves_what_is_to_be_delivered_as_it_is(parts: Parts) -> None:
    client, service, key = parts
    hook = client.post("/v1/webhooks", headers=key, json={"url": URL}).json()
    batch = send(client, key)
    code_run(service, batch["run"]["id"])
    assert client.delete("/v1/respondents/a", headers=key).json()["n_comments"] == 1
    (found,) = client.get(f"/v1/webhooks/{hook['id']}/deliveries", headers=key).json()["deliveries"]
    assert found["state"] == "waiting"
    with service.database.write() as connection:
        connection.execute(update(tables.deliveries).values(due_at_s=0.0))
    assert deliver(service) == 1
