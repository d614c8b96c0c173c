"""The one gate: every route, every method, every kind of caller. A route without a row in the table fails here."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute
from sqlalchemy import update
from starlette.testclient import TestClient

from nlp_service.api.permission import ACCESS, Need
from nlp_service.api.service import Service
from nlp_service.store import tables
from nlp_service.store.keys import Scope
from tests.service_parts import key_of, serving

Held = tuple[TestClient, Service, dict[str, dict[str, str]]]


@pytest.fixture(scope="module")
def held(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    folder = tmp_path_factory.mktemp("matrix")
    with serving(small_model, folder, requests_a_minute=100_000) as (client, service):
        actors: dict[str, dict[str, str]] = {scope.value: key_of(service, scope) for scope in Scope}
        actors["nobody"] = {}
        actors["admin of one"] = key_of(service, Scope.ADMIN, consultation="town")
        actors["unknown"] = {"authorization": "Bearer themes_" + "0" * 16 + "_" + "A" * 43}
        actors["no bearer"] = {"authorization": "Basic YTpi"}
        revoked, text = service.keys.make_key("r", [Scope.ADMIN], actor="test")
        service.keys.revoke(revoked.id, actor="test")
        actors["revoked"] = {"authorization": f"Bearer {text}"}
        late, text = service.keys.make_key("l", [Scope.ADMIN], actor="test", lifetime=timedelta(days=1))
        with service.database.write() as connection:
            past = datetime.now(UTC) - timedelta(seconds=1)
            connection.execute(update(tables.keys).where(tables.keys.c.id == late.id).values(expires_at=past))
        actors["past its end"] = {"authorization": f"Bearer {text}"}
        yield client, service, actors


def routes(client: TestClient) -> list[tuple[str, str]]:
    app: Any = client.app
    found: list[tuple[str, str]] = []

    def walk(routes: list[Any]) -> None:
        for route in routes:
            if isinstance(route, APIRoute):
                found.extend((method, route.path) for method in route.methods or ())
            elif hasattr(route, "original_router"):
                walk(route.original_router.routes)
            elif hasattr(route, "routes"):
                walk(route.routes)
            else:
                raise AssertionError(f"a route of a kind that this test does not know: {type(route).__name__}")

    walk(list(app.router.routes))
    return found


def opens(actor: str, need: Need) -> int | None:
    """Return the status of the refusal, or None where the gate opens."""
    if need == "anyone":
        return None
    if actor in ("nobody", "unknown", "no bearer", "revoked", "past its end"):
        return 401
    if need == "any key":
        return None
    if need == "admin of all":
        return None if actor == "admin" else 403
    return None if actor in (need.value, "admin", "admin of one") else 403


def test_every_route_has_a_row_and_every_row_a_route(held: Held) -> None:
    assert sorted(routes(held[0])) == sorted(ACCESS)


def test_every_route_opens_to_exactly_whom_it_should(held: Held) -> None:
    client, _, actors = held
    wrong = []
    for (method, path), need in ACCESS.items():
        for actor, headers in actors.items():
            url = path.replace("{respondent:path}", "nobody").replace("{batch}", "b-0").replace("{key}", "k-0").replace("{codebook}", "none").replace("{webhook}", "w-0").replace("{model}", "none").replace("{code}", "none").replace("{consultation:path}", "town")  # fmt: skip
            answer = client.request(method, url, headers=headers)
            expected = opens(actor, need)
            refused = answer.status_code if answer.status_code in (401, 403) and "first-key" not in path else None
            if refused == 403 and answer.json()["title"] != "the key does not open this.":
                refused = None  # the gate opened; a narrower rule of the route refused
            if refused != expected:
                wrong.append((method, path, actor, answer.status_code, expected))
    assert wrong == []


def test_without_a_key_this_machine_may_classify_until_there_is_one(small_model: Path, tmp_path: Path) -> None:
    body = {"texts": ["lamp"]}
    with serving(small_model, tmp_path) as (client, service):
        assert client.post("/v1/classify", json=body).status_code == 200
        assert client.get("/v1/batches").status_code == 401
        header = key_of(service, Scope.SUBMIT)
        assert client.post("/v1/classify", json=body).json()["code"] == "no_key"
        assert client.post("/v1/classify", json=body, headers=header).json()["code"] == "forbidden"
        assert client.get("/v1/batches", headers=header).status_code == 200


def test_where_other_machines_may_call_nothing_opens_without_a_key(small_model: Path, tmp_path: Path) -> None:
    with serving(small_model, tmp_path, is_local=False) as (client, _):
        assert client.post("/v1/classify", json={"texts": ["lamp"]}).status_code == 401
        assert client.get("/health/live", headers={"host": "themes.example.org"}).status_code == 200


HOSTS = ("localhost", "127.0.0.1:8765", "[::1]:80", "LOCALHOST")
STRANGE_HOSTS = (
    "example.org", "localhost.example.org", "127.0.0.1.example.org", "localhost@example.org", "example.org:8765", "localhost:80:80",
    "127.0.0.2", "0.0.0.1", "[::]", "localhost,example.org", "local host", "localhost.", "localhost/", "a.localhost", "127.1", "2130706433",
)  # fmt: skip
PATHS = (
    "/v1/keys", "/v1//keys", "//v1/keys", "/v1/keys/", "/V1/keys", "/v1/./keys", "/v1/../v1/keys", "/v1/classify/../keys", "/v1/keys%2f",
    "/v1%2fkeys", "/v1/%6beys", "/v1/keys;a=b", "/v1/keys?x=/health/live", "/v1/keys#/health/live", "/health/../v1/keys", "/v1/keys%00",
    "/v1/keys%20", "/health/live/../../v1/keys", "/health/live%2f..%2f..%2fv1%2fkeys", "/openapi.json/../v1/keys", "/v1/audit", "/v1\\keys",
    "/first-key/../v1/keys", "/v1/keys..;/", "/%2e%2e/v1/keys", "/v1/batches/..%2fkeys", "/v1/batches/../../v1/keys", "/v1/ keys",
)  # fmt: skip
HEADERS = (
    {"x-original-url": "/health/live"}, {"x-rewrite-url": "/health/live"}, {"x-forwarded-for": "127.0.0.1"}, {"x-http-method-override": "GET"},
    {"x-forwarded-host": "localhost"}, {"forwarded": "for=127.0.0.1"}, {"x-forwarded-prefix": "/health"}, {"x-real-ip": "127.0.0.1"},
    {"authorization": "bearer"}, {"authorization": "Bearer "}, {"authorization": "Bearer null"}, {"cookie": "key=admin"},
)  # fmt: skip


def test_tricks_with_hosts_paths_and_headers_open_nothing(held: Held) -> None:
    client = held[0]
    assert len(HOSTS) + len(STRANGE_HOSTS) + len(PATHS) + len(HEADERS) >= 60
    for host in HOSTS:
        assert client.get("/v1/keys", headers={"host": host}).status_code == 401
    for host in STRANGE_HOSTS:
        for path in ("/health/live", "/v1/keys"):
            assert client.get(path, headers={"host": host}).status_code == 421, host
    for path in PATHS:
        answer = client.request("GET", "http://testserver" + path, headers={}, follow_redirects=False)
        assert answer.status_code in (307, 401, 404) or answer.json() == {"status": "ok"}, path
        assert "keys" not in answer.text or answer.status_code != 200
    for headers in HEADERS:
        assert client.get("/v1/keys", headers=headers).status_code == 401, headers


def test_too_many_requests_are_turned_away_by_key(small_model: Path, tmp_path: Path) -> None:
    with serving(small_model, tmp_path, requests_a_minute=3) as (client, service):
        one, other = key_of(service, Scope.SUBMIT), key_of(service, Scope.SUBMIT)
        assert [client.get("/v1/batches", headers=one).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = client.get("/v1/batches", headers=one)
        assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "10")
        assert client.get("/v1/batches", headers=other).status_code == 200
        assert client.get("/health/live").status_code == 200


def test_the_first_link_makes_one_admin_key(small_model: Path, tmp_path: Path) -> None:
    with serving(small_model, tmp_path) as (client, service):
        token = service.first_link.token
        assert client.get("/first-key", params={"token": "wrong"}).status_code == 403
        assert client.post("/first-key", data={"token": "wrong"}).status_code == 403
        page = client.get("/first-key", params={"token": token})
        assert page.status_code == 200
        assert "<button>" in page.text
        assert service.keys.list_keys() == ()
        made = client.post("/first-key", data={"token": token})
        key = made.text.partition("<pre>")[2].partition("</pre>")[0]
        assert client.get("/v1/audit", headers={"authorization": f"Bearer {key}"}).status_code == 200
        assert client.post("/first-key", data={"token": token}).status_code == 403
        assert client.get("/first-key", params={"token": token}).status_code == 403


def test_keys_are_made_listed_and_revoked_over_http_and_stay_in_their_consultation(held: Held) -> None:
    client, _, actors = held
    admin, of_one = actors["admin"], actors["admin of one"]
    made = client.post("/v1/keys", headers=admin, json={"name": "n", "scopes": ["classify"], "days": 2}).json()
    assert client.get("/v1/codebook", headers={"authorization": f"Bearer {made['key']}"}).status_code == 200
    assert made["key"] not in client.get("/v1/keys", headers=admin).text
    assert client.delete(f"/v1/keys/{made['id']}", headers=of_one).status_code == 404
    assert client.delete(f"/v1/keys/{made['id']}", headers=admin).json()["revoked_at"]
    assert client.get("/v1/codebook", headers={"authorization": f"Bearer {made['key']}"}).json()["code"] == "bad_key"
    mine = admin["authorization"].split("_")[1]
    locked_out = client.delete(f"/v1/keys/{mine}", headers=admin)
    assert (locked_out.status_code, locked_out.json()["code"]) == (409, "own_key")
    own = client.post("/v1/keys", headers=of_one, json={"name": "n", "scopes": ["admin"]}).json()
    assert own["consultation"] == "town"
    wide = client.post("/v1/keys", headers=of_one, json={"name": "n", "scopes": ["admin"], "consultation": "other"})
    assert wide.status_code == 403
    assert {k["consultation"] for k in client.get("/v1/keys", headers=of_one).json()["keys"]} == {"town"}
    for bad in ({"name": "", "scopes": ["admin"]}, {"name": "n", "scopes": []}, {"name": "n", "scopes": ["all"]}):
        assert client.post("/v1/keys", headers=admin, json=bad).status_code == 422
