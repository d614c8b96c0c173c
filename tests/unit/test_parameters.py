"""A query parameter that a route does not know is refused by name, after the gate and before anything else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from nlp_service.api.parameters import MAX_SHOWN, MAX_SHOWN_CHARS
from nlp_service.api.permission import ACCESS
from nlp_service.api.service import Service
from nlp_service.store.keys import Scope
from tests.service_parts import key_of, serving

Held = tuple[TestClient, Service, dict[str, str]]
ROUTES = [(method, path) for method, path in ACCESS if path.startswith("/v1/")]
SURVEY = {"file": ("in.csv", "id,Q1,Q2\n1,Lamp is out,Music at night\n")}


@pytest.fixture(scope="module")
def held(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    with serving(small_model, tmp_path_factory.mktemp("parameters")) as (client, service):
        yield client, service, key_of(service, Scope.ADMIN)


def address(path: str) -> str:
    return re.sub(r"\{[^}]+\}", "none", path)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_refuses_what_it_does_not_know_and_lists_what_its_description_has(
    held: Held, method: str, path: str
) -> None:
    client, _, admin = held
    described = client.get("/openapi.json").json()["paths"][re.sub(r":path\}", "}", path)][method.lower()]
    known = {p["name"] for p in described.get("parameters", ()) if p["in"] == "query"}
    answer = client.request(method, address(path), params={"zz": "1"}, headers=admin)
    said = answer.json()
    assert (answer.status_code, said["code"]) == (422, "unknown_parameter")
    assert answer.headers["content-type"] == "application/problem+json"
    assert said["title"] == "the query has 1 parameter that is not known here: 'zz'."
    assert set(said["allowed"].removesuffix(".").split(", ")) == (known or {"no parameters in the query"})
    assert "422" in described["responses"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_whom_the_gate_turns_away_is_told_nothing_of_parameters(held: Held, method: str, path: str) -> None:
    client, service, _ = held
    nobody = client.request(method, address(path), params={"zz": "1"})
    assert (nobody.status_code, nobody.json()["code"]) == (401, "no_key")
    other = key_of(service, Scope.ANNOTATE)
    assert client.request(method, address(path), params={"zz": "1"}, headers=other).json()["code"] == "forbidden"


def test_a_misspelt_column_codes_nothing_and_the_right_name_is_offered(held: Held) -> None:
    client, _, admin = held
    before = client.get("/v1/batches", headers=admin).json()
    refused = client.post("/v1/batches", params={"textt": "Q1"}, files=SURVEY, headers=admin)
    assert refused.json()["next_step"] == "nothing was done; did you mean text?"
    assert client.get("/v1/batches", headers=admin).json() == before
    taken = client.post("/v1/batches", params={"text": ["Q1", "Q2"], "id": "id"}, files=SURVEY, headers=admin)
    assert (taken.status_code, taken.json()["n_comments"]) == (202, 2)


def test_a_name_is_refused_before_values_are_looked_at(held: Held) -> None:
    client, _, admin = held
    answer = client.get("/v1/batches", params={"limit": "none", "offset": "3"}, headers=admin)
    assert answer.json()["code"] == "unknown_parameter"
    assert client.get("/v1/batches", params={"limit": "none"}, headers=admin).json()["code"] == "invalid_request"


@pytest.mark.parametrize(
    "name", ["", "\x1b[31m\r\nSet-Cookie: a=b\0", "\u202egnp", "\N{PILE OF POO}" * 5_000, "'\"<b>"]
)
def test_of_a_name_only_what_can_be_shown_is_shown(held: Held, name: str) -> None:
    client, _, admin = held
    answer = client.get("/v1/keys", params={name: "1"}, headers=admin)
    assert answer.json()["title"].endswith(f"not known here: {name[:MAX_SHOWN_CHARS]!r}.")
    assert all(c.isprintable() for c in answer.json()["title"])
    assert len(answer.content) < 1_000


def test_of_very_many_names_the_first_are_shown(held: Held) -> None:
    client, _, admin = held
    answer = client.get("/v1/batches", params={f"limit{i}": "1" for i in range(5_000)}, headers=admin)
    assert answer.json()["title"].startswith("the query has 5000 parameters that are not known here: 'limit0', ")
    assert answer.json()["title"].count("'limit") == MAX_SHOWN
    assert answer.json()["next_step"] == "nothing was done; did you mean limit?"


def test_pages_for_people_take_what_mail_programs_add(held: Held) -> None:
    client, _, admin = held
    for path in ("/health/live", "/health/ready", "/openapi.json", "/errors/busy", "/metrics"):
        assert client.get(path, params={"utm_source": "mail"}, headers=admin).status_code == 200
    assert client.get("/first-key", params={"token": "wrong", "utm_source": "mail"}).status_code == 403
