"""Batches over HTTP: handed in once, watched, read in every format, coded again, stopped, deleted, erased."""

import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from openpyxl import load_workbook
from starlette.testclient import TestClient

from models.model import Backend
from nlp_service.api.batches import FORMATS, negotiated
from nlp_service.api.problems import NotAcceptableError
from nlp_service.api.service import Service
from nlp_service.api.uploads import MAX_FIELD_BYTES, safe_name
from nlp_service.code_batch import CodeRequest, code_batch
from nlp_service.coding_pool import ModelChoice
from nlp_service.ingest.mapping import mapping_to_json, read_mapping
from nlp_service.store import database as database_module
from nlp_service.store.batches import get_batch
from nlp_service.store.keys import Scope
from nlp_service.store.workers import beat
from tests.postgresql import Server
from tests.service_parts import POISON, code_run, key_of, serving

CSV = "id,text\n" + "".join(f"c{i},Lamp {i} is out 😀 and music too.\n" for i in range(9)) + "c9,\n"
Parts = tuple[TestClient, Service, dict[str, str]]


@pytest.fixture
def parts(store_url: str, small_model: Path, tmp_path: Path) -> Iterator[Parts]:
    with serving(small_model, tmp_path, store=store_url) as (client, service):
        yield client, service, key_of(service, Scope.SUBMIT)


@pytest.fixture
def local(small_model: Path, tmp_path: Path) -> Iterator[Parts]:
    with serving(small_model, tmp_path, max_batch_bytes=5_000, max_batch_comments=20, max_waiting_comments=30) as (client, service):  # fmt: skip
        yield client, service, key_of(service, Scope.SUBMIT)


def send(client: TestClient, headers: dict[str, str], content: str | bytes = CSV, name: str = "in.csv", **more: Any) -> Any:  # fmt: skip
    return client.post("/v1/batches", headers=headers, files={"file": (name, content)}, **more)


@pytest.mark.slow
def test_a_file_handed_in_is_coded_and_reads_as_the_command_line_writes_it(
    parts: Parts, tmp_path: Path, small_model: Path
) -> None:
    client, service, key = parts
    answer = send(client, key)
    assert answer.status_code == 202, answer.text
    batch = answer.json()
    url = answer.headers["location"]
    assert (batch["n_rows"], batch["n_comments"], batch["n_problems"]) == (10, 9, 1)
    assert (batch["run"]["state"], batch["inputs"], batch["consultation"]) == ("queued", ["in.csv"], "default")
    assert client.get(f"{url}/codings", headers=key).json() == {"codings": [], "next_after": None}
    early = client.get(f"{url}/codings", headers={**key, "accept": "text/csv"})
    assert (early.status_code, early.json()["code"]) == (409, "not_done")
    code_run(service, batch["run"]["id"])
    done = client.get(url, headers=key).json()
    assert (done["run"]["state"], done["run"]["n_done"], len(done["runs"])) == ("done", 9, 1)

    (tmp_path / "in.csv").write_text(CSV)
    choice = ModelChoice(str(small_model), Backend.FAST, None, 64)
    for kind, extension in FORMATS.items():
        out = tmp_path / f"out.{extension}"
        code_batch(CodeRequest((tmp_path / "in.csv",), out, choice), start=lambda _n: nullcontext(lambda _done: None))
        got = client.get(f"{url}/codings", headers={**key, "accept": kind})
        assert got.status_code == 200, got.text
        assert got.headers["content-type"].startswith(kind)
        if extension == "xlsx":
            sheets = [load_workbook(io.BytesIO(b))["Comments"].iter_rows(values_only=True) for b in (got.content, out.read_bytes())]  # fmt: skip
            assert list(sheets[0]) == list(sheets[1])
        else:
            assert got.content == out.read_bytes(), kind
    assert len(pq.read_table(io.BytesIO(got.content))) == 9

    lines, after = [], -1
    while after is not None:
        page = client.get(f"{url}/codings", headers=key, params={"after": after, "limit": 4}).json()
        lines += page["codings"]
        after = page["next_after"]
    assert lines == [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    problems = client.get(f"{url}/problems", headers=key).json()["problems"]
    assert [(p["code"], p["row"]) for p in problems] == [("blank_text", 11)]


@pytest.mark.slow
def test_personal_data_is_replaced_as_the_command_line_does_and_other_languages_are_set_apart(
    local: Parts, tmp_path: Path, small_model: Path
) -> None:
    client, service, key = local
    french = "Il y a trop de bruit dans la rue le soir et personne ne vient quand on appelle."
    content = f"id,text\na,Ring me on 07700 900123 about the noise at SW1A 1AA.\nb,{french}\n"
    batch = send(client, key, content).json()
    assert (batch["n_comments"], batch["n_problems"]) == (1, 1)
    code_run(service, batch["run"]["id"])
    (tmp_path / "in.csv").write_text(content)
    choice = ModelChoice(str(small_model), Backend.FAST, None, 64)
    for with_personal_data in (False, True):
        out = tmp_path / "out.csv"
        request = CodeRequest((tmp_path / "in.csv",), out, choice, with_personal_data=with_personal_data)
        code_batch(request, start=lambda _n: nullcontext(lambda _done: None))
        got = client.get(
            f"/v1/batches/{batch['id']}/codings",
            headers={**key, "accept": "text/csv"},
            params={"with_personal_data": with_personal_data},
        )
        assert got.content == out.read_bytes()
        assert ("07700 900123" in got.text) is with_personal_data
    both = send(client, key, content, params={"all_languages": True}).json()
    assert both["n_comments"] == 2


def test_lines_of_json_are_taken_as_the_body(parts: Parts) -> None:
    client, _, key = parts
    body = '{"id": "a", "text": "lamp"}\n{"id": "b", "text": "x\\u0000y"}\n'
    answer = client.post("/v1/batches", headers={**key, "content-type": "application/x-ndjson"}, content=body)
    assert (answer.status_code, answer.json()["n_comments"]) == (202, 2), answer.text


def test_events_tell_of_progress_until_the_end(parts: Parts) -> None:
    client, service, key = parts
    batch = send(client, key).json()
    thread = threading.Thread(target=code_run, args=(service, batch["run"]["id"]))
    thread.start()
    with client.stream("GET", f"/v1/batches/{batch['id']}/events", headers=key) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        text = "".join(stream.iter_text())
    thread.join()
    events = [e.split("\ndata: ") for e in text.strip().split("\n\n")]
    last = json.loads(events[-1][1])
    assert (events[-1][0], last["state"], last["n_done"], last["n_comments"]) == ("event: end", "done", 9, 9)


def test_a_comment_that_stops_the_model_is_a_problem_and_the_others_are_coded(parts: Parts) -> None:
    client, service, key = parts
    batch = send(client, key, f"id,text\na,lamp\nb,{POISON}\nc,music\nd,bike\ne,noise\n").json()
    code_run(service, batch["run"]["id"])
    url = f"/v1/batches/{batch['id']}"
    run = client.get(url, headers=key).json()["run"]
    assert (run["state"], run["n_done"], run["n_problems"]) == ("done", 5, 1)
    coded = client.get(f"{url}/codings", headers=key).json()["codings"]
    assert [c["comment_id"] for c in coded] == ["a", "c", "d", "e"]
    (problem,) = client.get(f"{url}/problems", headers=key).json()["problems"]
    assert (problem["code"], problem["row"]) == ("not_codable", 3)
    assert POISON not in json.dumps(problem)


@pytest.mark.slow
def test_a_hundred_posts_with_one_idempotency_key_give_one_batch(parts: Parts) -> None:
    client, service, key = parts
    headers = {**key, "idempotency-key": "once"}
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(lambda _: send(client, headers), range(100)))
    kept = [a for a in answers if a.status_code == 202]
    assert {a.status_code for a in answers} <= {202, 409}
    assert {a.json()["code"] for a in answers if a.status_code == 409} <= {"in_flight"}
    assert len({a.json()["id"] for a in kept}) == 1
    assert sum("idempotency-replayed" not in a.headers for a in kept) == 1
    assert len(client.get("/v1/batches", headers=key).json()["batches"]) == 1
    again = send(client, headers)
    assert (again.json()["id"], again.headers["idempotency-replayed"]) == (kept[0].json()["id"], "true")
    other = send(client, headers, CSV + "c20,More.\n")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert send(client, {**key_of(service, Scope.SUBMIT), "idempotency-key": "once"}).json()["id"] != again.json()["id"]


def test_a_refused_post_frees_its_idempotency_key(local: Parts) -> None:
    client, _, key = local
    headers = {**key, "idempotency-key": "k"}
    assert send(client, headers, "id,text\n").status_code == 422
    assert send(client, headers).status_code == 202


def test_coding_again_adds_a_run_and_a_stopped_batch_stays_stopped(parts: Parts) -> None:
    client, service, key = parts
    batch = send(client, key).json()
    url = f"/v1/batches/{batch['id']}"
    code_run(service, batch["run"]["id"])
    again = client.post(f"{url}/runs", headers=key)
    assert again.status_code == 202
    assert again.json()["run"]["id"] != batch["run"]["id"]
    stopped = client.post(f"{url}/cancel", headers=key).json()
    assert stopped["run"]["state"] == "cancelled"
    code_run(service, stopped["run"]["id"])
    now = client.get(url, headers=key).json()
    assert [(r["state"], r["n_done"]) for r in now["runs"]] == [("done", 9), ("cancelled", 0)]
    assert client.post(f"{url}/runs", headers=key, json={"model": "nothing"}).json()["code"] == "model_not_found"


def test_a_deleted_batch_is_gone(parts: Parts) -> None:
    client, _, key = parts
    url = f"/v1/batches/{send(client, key).json()['id']}"
    assert client.delete(url, headers=key).status_code == 204
    for method, path in (("GET", url), ("GET", f"{url}/codings"), ("GET", f"{url}/events"), ("DELETE", url)):
        assert client.request(method, path, headers=key).json()["code"] == "batch_not_found"


@pytest.mark.parametrize(
    ("before", "status"),
    [("2026-11-30T12:00:00Z", 200), ("2999-01-01T00:00:00.5+01:00", 200), ("0.5", 422), ("1", 422)],
)
def test_batches_before_a_moment_are_asked_for_by_date_and_time(local: Parts, before: str, status: int) -> None:
    client, _, key = local
    send(client, key)
    found = client.get("/v1/batches", params={"before": before}, headers=key)
    assert found.status_code == status
    if status == 200:
        assert len(found.json()["batches"]) == (before > "2027")


def test_a_batch_says_what_it_waits_for(local: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    client, service, key = local
    batch = send(client, key).json()["id"]

    def waits() -> list[str | None]:
        one = client.get(f"/v1/batches/{batch}", headers=key).json()
        listed = client.get("/v1/batches", headers=key).json()["batches"][0]
        return [one["run"]["waits_for"], one["runs"][0]["waits_for"], listed["run"]["waits_for"]]

    assert waits() == ["worker"] * 3
    beat(service.database, "w", service_version="test")
    assert waits() == [None] * 3
    assert client.get("/health/ready").status_code == 200
    with monkeypatch.context() as patched:
        patched.setattr(database_module, "MIN_FREE_BYTES", 2**62)
        assert waits() == ["room"] * 3
        health = client.get("/health/ready")
        assert (health.status_code, health.json()["code"]) == (503, "store_unavailable")
    code_run(service, get_batch(service.database, batch).run.id)
    assert waits() == [None] * 3


def test_a_key_of_one_consultation_sees_that_one_alone(local: Parts) -> None:
    client, service, key = local
    town = key_of(service, Scope.SUBMIT, consultation="town")
    mine, other = send(client, town).json(), send(client, key, "text\nOther\n").json()
    assert mine["consultation"] == "town"
    assert [b["id"] for b in client.get("/v1/batches", headers=town).json()["batches"]] == [mine["id"]]
    assert len(client.get("/v1/batches", headers=key).json()["batches"]) == 2
    for path in ("", "/codings", "/problems", "/events"):
        assert client.get(f"/v1/batches/{other['id']}{path}", headers=town).status_code == 404
    assert client.post(f"/v1/batches/{other['id']}/cancel", headers=town).status_code == 404
    assert send(client, town, params={"consultation": "county"}).json()["code"] == "forbidden"
    assert client.get("/v1/batches?consultation=county", headers=town).json()["code"] == "forbidden"


@pytest.mark.parametrize(
    ("content", "name", "status", "code"),
    [
        ("", "in.csv", 422, "empty_file"),
        ("id,text\na,\n", "in.csv", 422, "no_comments"),
        ("x" * 6_000, "in.csv", 413, "too_large"),
        ("abc", "in.pdf", 422, "unknown_format"),
        ("text\n" + "lamp out\n" * 21, "in.csv", 413, "too_many_comments"),
    ],
)
def test_a_file_that_cannot_be_taken_is_refused_and_nothing_is_kept(
    local: Parts, content: str, name: str, status: int, code: str
) -> None:
    client, _, key = local
    answer = send(client, key, content, name)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert client.get("/v1/batches", headers=key).json()["batches"] == []


def test_bodies_that_are_no_upload_are_refused(local: Parts) -> None:
    client, _, key = local
    post = client.post
    assert post("/v1/batches", headers=key, json={}).json()["code"] == "bad_upload"
    assert post("/v1/batches", headers=key).json()["code"] == "bad_upload"
    assert post("/v1/batches", headers=key, files={"other": ("a.csv", CSV)}).json()["code"] == "bad_upload"
    form = {**key, "content-type": "multipart/form-data; boundary=x"}
    assert post("/v1/batches", headers=form, content=b"nonsense").json()["code"] == "bad_upload"
    two = [("file", ("a.csv", CSV)), ("file", ("b.csv", CSV))]
    assert post("/v1/batches", headers=key, files=two).json()["code"] == "bad_upload"

    def endless() -> Iterator[bytes]:
        yield from [b'{"text": "lamp"}\n' * 50] * 10

    streamed = post("/v1/batches", headers={**key, "content-type": "application/x-ndjson"}, content=endless())
    assert (streamed.status_code, streamed.json()["code"]) == (413, "too_large")


REMARKS = "Ticket,Comment,Notes for analysts\nT-1,Typed in by hand,Lamp is out\nT-2,Typed in by hand,Loud music\n"
ROLES = ["Ticket=id", "Comment=ignore", "Notes for analysts=open"]


def coded_ids(client: TestClient, service: Service, key: dict[str, str], batch: dict[str, Any]) -> list[str]:
    code_run(service, batch["run"]["id"])
    url = f"/v1/batches/{batch['id']}/codings"
    return [c["comment_id"] for c in client.get(url, headers=key).json()["codings"]]


def test_columns_have_the_roles_that_the_query_names(local: Parts) -> None:
    client, service, key = local
    once = {**key, "idempotency-key": "once"}
    batch = send(client, once, REMARKS, params={"role": ROLES}).json()
    assert coded_ids(client, service, key, batch) == ["T-1", "T-2"]
    assert coded_ids(client, service, key, send(client, key, REMARKS).json()) == ["row-2", "row-3"]
    assert send(client, once, REMARKS, params={"role": ROLES}).json()["id"] == batch["id"]
    other = send(client, once, REMARKS, params={"role": [*ROLES[:2], "Notes for analysts=ignore"]})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    absent = send(client, key, REMARKS, params={"role": "Ward=id"})
    assert (absent.status_code, absent.json()["code"]) == (422, "missing_column")


@pytest.mark.parametrize("wrong", ["Quetzal=poet", "Quetzal", "=open", "Quetzal=", ""])
def test_a_role_that_is_none_is_refused_with_those_that_there_are(local: Parts, wrong: str) -> None:
    client, _, key = local
    answer = send(client, key, REMARKS, params={"role": [ROLES[0], wrong]})
    said = answer.json()
    assert (answer.status_code, said["code"], said["type"]) == (422, "bad_role", "/errors/bad_role")
    assert said["title"] == "role 2 of 2 is no column with a role."
    assert said["allowed"].startswith("COL=ROLE, where ROLE is one of: id, open, single,")
    assert "themes inspect" in said["next_step"]
    assert "Quetzal" not in answer.text
    assert client.get("/v1/batches", headers=key).json()["batches"] == []


def test_a_saved_mapping_comes_in_the_form_and_a_role_in_the_query_comes_before_it(
    local: Parts, tmp_path: Path
) -> None:
    client, service, key = local
    lines = "".join(f"- {{column: {c}, role: {r}}}\n" for c, r in (role.split("=") for role in [*ROLES, "Gone=id"]))
    (tmp_path / "roles.yaml").write_text(f"columns:\n{lines}")
    mapping = mapping_to_json(read_mapping(tmp_path / "roles.yaml"))
    once = {**key, "idempotency-key": "once"}
    batch = send(client, once, REMARKS, data={"mapping": mapping}).json()
    assert "in.csv: 1 column of the mapping is not in it: 'Gone'." in batch["notes"]
    assert coded_ids(client, service, key, batch) == ["T-1", "T-2"]
    assert send(client, once, REMARKS, data={"mapping": mapping}).json()["id"] == batch["id"]
    assert send(client, once, REMARKS).json()["code"] == "idempotency_mismatch"
    told = send(client, key, REMARKS, data={"mapping": mapping}, params={"role": "Comment=open"}).json()
    assert told["n_comments"] == 4


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"mapping": "columns: []"}, "mapping_invalid"),
        ({"mapping": '{"columns": [{"column": "Ward", "role": "poet"}]}'}, "mapping_invalid"),
        ({"mapping": " " * MAX_FIELD_BYTES}, "mapping_invalid"),
        ({"mapping": " " * (MAX_FIELD_BYTES + 1)}, "bad_upload"),
        ({"roles": "{}"}, "bad_upload"),
    ],
    ids=["YAML", "no role", "as long as it may be", "too long", "another field"],
)
def test_a_form_with_another_field_than_a_mapping_is_refused(parts: Parts, fields: dict[str, str], code: str) -> None:
    client, _, key = parts
    answer = send(client, key, REMARKS, data=fields)
    assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
    assert client.get("/v1/batches", headers=key).json()["batches"] == []


def test_with_too_many_comments_waiting_no_batch_is_taken(local: Parts) -> None:
    client, service, key = local
    batches = [send(client, key).json() for _ in range(3)]
    full = send(client, key)
    assert (full.status_code, full.json()["code"], full.headers["retry-after"]) == (503, "queue_full", "30")
    code_run(service, batches[0]["run"]["id"])
    assert send(client, key).status_code == 202


def test_an_erased_respondent_leaves_no_byte_in_the_files_of_the_store(local: Parts, tmp_path: Path) -> None:
    client, service, key = local
    marker = "Quetzalcoatlus"
    batch = send(client, key, f"id,text\np1,{marker} on the roof\np2,lamp out\n").json()
    code_run(service, batch["run"]["id"])
    admin = key_of(service, Scope.ADMIN)
    misspelt, elsewhere = (
        client.delete(f"/v1/respondents/{who}", headers=admin) for who in ("P1", "p1?consultation=none")
    )
    for nobody in (misspelt, elsewhere):
        assert (nobody.status_code, nobody.json()["code"]) == (404, "respondent_not_found")
        assert "P1" not in nobody.text
    held = [p for p in tmp_path.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()]
    assert held
    erased = client.delete("/v1/respondents/p1", headers=admin).json()
    assert (erased["found"], erased["n_comments"], erased["batches"]) == (True, 1, [batch["id"]])
    assert (erased["n_lines"], erased["n_tasks"], erased["models"], erased["models_unknown"], erased["left"]) == (0, 0, [], [], [])  # fmt: skip
    assert [p.name for p in tmp_path.rglob("*") if p.is_file() and marker.encode() in p.read_bytes()] == []
    now = client.get(f"/v1/batches/{batch['id']}", headers=key).json()
    assert (now["n_comments"], now["n_erased"]) == (2, 1)
    codings = client.get(f"/v1/batches/{batch['id']}/codings", headers={**key, "accept": "application/x-ndjson"})
    assert [json.loads(line)["comment_id"] for line in codings.text.splitlines()] == ["p2"]
    entries = client.get("/v1/audit", headers=admin).json()["entries"]
    assert [e["did"] for e in entries[:3]] == ["respondent.erase"] * 3
    assert [e["details"]["comments"] for e in entries[:3]] == [1, 0, 0]
    assert client.delete("/v1/respondents/p1", headers=admin).json()["code"] == "respondent_not_found"


def test_a_respondent_can_be_erased_while_the_batch_is_coded(parts: Parts, postgresql: Server) -> None:
    client, service, key = parts
    batch = send(client, key).json()
    admin = key_of(service, Scope.ADMIN)
    assert client.delete("/v1/respondents/c5", headers=admin).json()["n_comments"] == 1
    code_run(service, batch["run"]["id"])
    run = client.get(f"/v1/batches/{batch['id']}", headers=key).json()["run"]
    assert (run["state"], run["n_done"]) == ("done", 8)


def test_what_is_not_as_it_must_be_is_said_in_terms_of_its_own_route(local: Parts) -> None:
    client, service, _ = local
    admin = key_of(service, Scope.ADMIN)
    wrong = client.post("/v1/keys", headers=admin, json={"name": "", "scopes": ["everything"], "words": "Quetzal"})
    said = wrong.json()
    assert (wrong.status_code, said["allowed"]) == (422, "what /openapi.json says of POST /v1/keys.")
    by_field = {f["at"]: f.get("allowed", "") for f in said["fields"]}
    assert by_field["name"] == "String should have at least 1 character"
    assert "'admin'" in by_field["scopes.0"]
    assert "Quetzal" not in wrong.text
    boolean = client.post("/v1/keys", headers=admin, json={"name": "k", "scopes": ["submit"], "days": True})
    assert (boolean.status_code, boolean.json()["fields"][0]["found"]) == (422, "int_type")
    limit = client.get("/v1/audit?limit=0", headers=admin).json()
    assert limit["fields"] == [{"at": "limit", "found": "greater_than_equal", "allowed": "Input should be greater than or equal to 1"}]  # fmt: skip


def test_models_codebooks_metrics_and_audit_can_be_read(local: Parts) -> None:
    client, service, key = local
    admin = key_of(service, Scope.ADMIN)
    send(client, key)
    models = client.get("/v1/models", headers=admin).json()["models"]
    assert [m["status"] for m in models] == ["starter"]
    assert client.get("/v1/codebooks", headers=admin).json()["codebooks"] == {"community-safety": models[0]["model"]}
    rollback = client.post("/v1/codebooks/community-safety/rollback", headers=admin)
    assert (rollback.status_code, rollback.json()["code"]) == (409, "registry_refused")
    text = client.get("/metrics", headers=key).text
    assert 'themes_requests_total{method="POST",route="/v1/batches",status="202"} 1.0' in text
    assert "themes_waiting_comments 9.0" in text
    did = [e["did"] for e in client.get("/v1/audit", headers=admin).json()["entries"]]
    assert did == ["batch.submit", "key.make", "key.make"]


def test_answers_carry_a_request_id_and_may_not_be_kept_by_caches(local: Parts) -> None:
    client, _, key = local
    answer = client.get("/v1/batches", headers={**key, "x-request-id": "abc-1"})
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("abc-1", "no-store")
    assert len(client.get("/health/live", headers={"x-request-id": "a b"}).headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"),
        ("image/png, text/*", "text/csv"),
        ("text/csv;q=0, */*;q=0.1", "application/json"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
    ],
)
def test_the_format_liked_best_is_given(accept: str | None, kind: str) -> None:
    assert negotiated(accept) == kind


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", ",", "text/csv;q=x"])
def test_other_formats_are_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError):
        negotiated(accept)


def test_names_of_files_cannot_leave_their_folder() -> None:
    assert safe_name("../../etc/passwd", "d.csv") == "passwd"
    assert safe_name("C:\\a\\b.csv", "d.csv") == "b.csv"
    assert safe_name("a\x00\n/..", "d.csv") == "d.csv"
    for name in ("", ".", "..", "/", " "):
        assert safe_name(name, "d.csv") == "d.csv"
    long = safe_name("ü" * 400 + ".csv", "d.csv")
    assert long.endswith(".csv")
    assert len(long.encode()) <= 150
