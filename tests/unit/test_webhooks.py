"""Of the end of a run every webhook is told: once, signed, again until it has heard, by one worker at a time; on both databases."""

import asyncio
import json
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import alembic.command
import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import delete, func, select, update

from nlp_service.store import database as database_module
from nlp_service.store import tables
from nlp_service.store.audit import read_entries
from nlp_service.store.batches import add_codings, delete_batch, set_state
from nlp_service.store.database import Database, is_up_to_date, open_store
from nlp_service.store.deliveries import DeliveryRecord, DeliveryState, Shares, claim_due, list_deliveries, note_outcome
from nlp_service.store.values import BatchRecord, RunState, WebhookId
from nlp_service.store.webhooks import (
    MAX_OF_CONSULTATION,
    MAX_WEBHOOKS,
    TooManyWebhooksError,
    Webhook,
    WebhookNotFoundError,
    delete_webhook,
    get_webhook,
    list_webhooks,
    make_webhook,
)
from nlp_service.webhooks.courier import SHARES, WAITS, Courier, wait_s
from nlp_service.webhooks.sender import Sender
from nlp_service.webhooks.signature import signed_headers
from tests.receiver import receiving
from tests.unit.test_store import coded, submit

HOUR = 3600
CERTIFICATE = Path(__file__).parents[1] / "localhost.pem"
NOWHERE = "http://127.0.0.1:9/"
MUTE_S = 55.0  # longer than any test waits for those that answer, shorter than a claim
LOOKUP_HANGS_S = 60.0


def hook(database: Database, url: str = NOWHERE, consultation: str | None = None) -> Webhook:
    return make_webhook(database, url, actor="k1", consultation=consultation)[0]


def ended(database: Database, consultation: str = "town", state: RunState = RunState.DONE) -> BatchRecord:
    batch = submit(database, consultation)
    assert set_state(database, batch.run.id, state)
    return batch


def courier(database: Database, *, retry_s: float = 10, timeout_s: float = 5) -> Courier:
    return Courier(database, Sender(private=False, timeout_s=timeout_s), retry_s=retry_s)


def deliver(database: Database, **how: float) -> int:
    return asyncio.run(courier(database, **how).deliver())


def deliveries(database: Database, webhook: Webhook) -> tuple[DeliveryRecord, ...]:
    return list_deliveries(database, webhook.id, limit=100)


def n_tried(database: Database) -> int:
    with database.read() as connection:
        tried = tables.deliveries.c.n_attempts > 0
        return connection.execute(select(func.count()).select_from(tables.deliveries).where(tried)).scalar_one()


def n_ended(database: Database) -> int:
    """Return how many attempts have ended without an answer."""
    with database.read() as connection:
        c = tables.deliveries.c
        given_up = c.last_at.is_not(None) & c.last_status.is_(None)
        return connection.execute(select(func.count()).select_from(tables.deliveries).where(given_up)).scalar_one()


def wait_for(true: Callable[[], object]) -> None:
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def make_due(database: Database) -> None:
    with database.write() as connection:
        connection.execute(update(tables.deliveries).values(due_at_s=0.0))


def test_a_signature_is_that_of_the_schemes_published_example() -> None:
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_example_of_the_how_to_tells_our_calls_from_others(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "receive-webhooks.md").read_text(encoding="utf-8")
    example: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], example)  # noqa: S102 -- our own page
    read = example["read_message"]
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    with receiving(200) as receiver:
        _, secret = make_webhook(database, receiver.url, actor="k1")
        ended(database)
        deliver(database)
    database.close()
    (message,) = receiver.came
    assert read(secret, message.headers, message.body)["data"]["state"] == "done"
    old = {**message.headers, **signed_headers(secret, message.headers["webhook-id"], 1614265330, message.body)}
    for headers, body in ((message.headers, message.body + b" "), (old, message.body), ({**message.headers, "webhook-id": "d-0"}, message.body)):  # fmt: skip
        with pytest.raises(ValueError, match="not"):
            read(secret, headers, body)


def test_attempts_wait_longer_and_longer_and_end() -> None:
    assert [wait_s(n, 10) for n in range(1, 9)] == [10, 60, 300, 1800, 2 * HOUR, 8 * HOUR, None, None]
    assert wait_s(1, 0.5) == 0.5


@pytest.mark.parametrize("state", [RunState.DONE, RunState.FAILED, RunState.CANCELLED])
def test_a_webhook_is_told_of_each_end_once_though_it_is_ended_twice(database: Database, state: RunState) -> None:
    one = hook(database)
    batch = submit(database)
    add_codings(database, batch.run.id, batch.id, {0: coded(0)})
    assert set_state(database, batch.run.id, RunState.CODING)
    assert deliveries(database, one) == ()
    with ThreadPoolExecutor(6) as pool:
        moved = list(pool.map(lambda _: set_state(database, batch.run.id, state, error=None), range(6)))
    assert sum(moved) == 1
    (found,) = deliveries(database, one)
    assert (found.batch, found.run, found.state, found.n_attempts) == (batch.id, batch.run.id, "waiting", 0)
    (claimed,) = claim_due(database, limit=9, seconds=60)
    told = json.loads(claimed.body)
    at = datetime.fromisoformat(told.pop("timestamp"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
    assert told == {
        "type": "batch.ended",
        "data": {
            "batch": batch.id, "run": batch.run.id, "consultation": "town", "state": state.value, "error": None,
            "n_comments": 10, "n_done": 1, "n_problems": 0,
        },
    }  # fmt: skip


def test_an_end_that_is_not_kept_is_told_to_nobody(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    one, batch = hook(database), submit(database)

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("nlp_service.store.batches.add_deliveries", broken)
    with pytest.raises(ZeroDivisionError):
        set_state(database, batch.run.id, RunState.DONE)
    monkeypatch.undo()
    assert deliveries(database, one) == ()
    assert set_state(database, batch.run.id, RunState.DONE)
    assert len(deliveries(database, one)) == 1


def test_webhooks_of_one_consultation_are_told_of_that_one_alone(database: Database) -> None:
    town, county, both = hook(database, consultation="town"), hook(database, consultation="county"), hook(database)
    ended(database, "town")
    ended(database, "other")
    assert [len(deliveries(database, w)) for w in (town, county, both)] == [1, 0, 2]
    assert [w.id for w in list_webhooks(database, consultation="town")] == [town.id]
    assert get_webhook(database, town.id, consultation="town") == town
    with pytest.raises(WebhookNotFoundError):
        get_webhook(database, both.id, consultation="town")


def test_of_many_workers_one_is_given_a_delivery_until_its_claim_is_over(database: Database) -> None:
    hook(database)
    for _ in range(5):
        ended(database)
    with ThreadPoolExecutor(8) as pool:
        claimed = [
            one for some in pool.map(lambda _: claim_due(database, limit=2, seconds=60), range(16)) for one in some
        ]
    assert len(claimed) == len({c.id for c in claimed}) == 5
    assert claim_due(database, limit=9, seconds=60) == ()
    make_due(database)
    again = claim_due(database, limit=9, seconds=60)
    assert {c.id for c in again} == {c.id for c in claimed}
    assert {c.n_attempts for c in again} == {2}
    late = next(c for c in claimed if c.id == again[0].id)
    assert not note_outcome(database, late, DeliveryState.DELIVERED, status=200, error=None)
    assert note_outcome(database, again[0], DeliveryState.DELIVERED, status=200, error=None)
    assert not note_outcome(database, again[0], DeliveryState.WAITING, status=500, error=None)


def test_what_was_tried_least_goes_first(database: Database) -> None:
    one = hook(database)
    ended(database)
    claim_due(database, limit=9, seconds=60)
    make_due(database)
    new = ended(database).run.id
    assert [c.run for c in claim_due(database, limit=1, seconds=60)] == [new]
    assert len(deliveries(database, one)) == 2


def test_a_receiver_that_fails_is_called_again_with_the_same_id_and_body_until_it_answers_well(
    database: Database,
) -> None:
    with receiving(500, 302, 200) as receiver:
        one, secret = make_webhook(database, f"{receiver.url}/hooks?from=themes", actor="k1")
        ended(database)
        for n in (1, 2, 3):
            assert deliver(database) == 1
            (now,) = deliveries(database, one)
            assert now.n_attempts == n
            assert deliver(database) == 0
            if n < 3:
                assert now.state is DeliveryState.WAITING
                assert now.next_at is not None
                assert now.last_at is not None
                assert (now.next_at - now.last_at).total_seconds() == pytest.approx(WAITS[n - 1] * 10, abs=5)
            make_due(database)
        assert deliver(database) == 0
    assert (now.state, now.last_status, now.last_error, now.next_at) == (DeliveryState.DELIVERED, 200, None, None)
    assert all(m.is_signed_with(secret) for m in receiver.came)
    assert {(m.headers["webhook-id"], m.body) for m in receiver.came} == {(now.id, receiver.came[0].body)}
    assert [m.path for m in receiver.came] == ["/hooks?from=themes"] * 3
    assert {m.headers["host"] for m in receiver.came} == {httpx.URL(receiver.url).netloc.decode()}
    assert {m.headers["content-type"] for m in receiver.came} == {"application/json"}


def test_what_fails_to_the_end_of_the_schedule_is_given_up_and_listed_so(database: Database) -> None:
    with receiving(503) as receiver:
        one = hook(database, receiver.url)
        ended(database)
        for _ in range(len(WAITS) + 1):
            make_due(database)
            deliver(database)
        make_due(database)
        assert deliver(database) == 0
    assert len(receiver.came) == len(WAITS) + 1
    (now,) = deliveries(database, one)
    assert (now.state, now.last_status, now.next_at) == (DeliveryState.GIVEN_UP, 503, None)


def test_a_receiver_that_says_it_is_gone_is_not_called_again(database: Database) -> None:
    with receiving(410) as receiver:
        one = hook(database, receiver.url)
        ended(database)
        deliver(database)
    assert [(d.state, d.last_status) for d in deliveries(database, one)] == [(DeliveryState.GIVEN_UP, 410)]


@pytest.mark.slow
def test_receivers_that_are_away_slow_or_of_a_refused_address_are_said_so_and_hold_nobody_up(
    database: Database,
) -> None:
    with receiving(200) as slow, receiving(200) as good:
        slow.pause_s = 3
        urls = {NOWHERE: "webhook_unreachable", slow.url: "webhook_timeout", "https://169.254.169.254/": "webhook_address_refused", "https://10.1.2.3/": "webhook_address_refused"}  # fmt: skip
        hooks = {hook(database, url).id: error for url, error in urls.items()}
        fine = hook(database, good.url)
        ended(database)
        assert deliver(database, timeout_s=1) == len(urls) + 1
    for webhook, error in hooks.items():
        (found,) = list_deliveries(database, WebhookId(webhook), limit=9)
        assert (found.state, found.last_status, found.last_error) == (DeliveryState.WAITING, None, error)
    assert [d.state for d in deliveries(database, fine)] == [DeliveryState.DELIVERED]


@contextmanager
def mute() -> Iterator[str]:
    """Yield the address of a receiver that is connected to and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


@pytest.mark.slow
def test_the_mute_receivers_of_one_consultation_hold_up_nobody_elses(database: Database) -> None:
    with receiving(200) as good:
        with mute() as silent:
            for _ in range(MAX_OF_CONSULTATION):
                hook(database, silent, "town")
            hook(database, good.url, "county")
            for _ in range(4):
                ended(database, "town")
            ended(database, "county")
            running = courier(database, timeout_s=MUTE_S)
            running.start()
            good.wait_for(1)
            assert n_ended(database) == 0  # all of the town's attempts that were begun are under way still
            assert n_tried(database) == SHARES.of_consultation + 1
        wait_for(lambda: n_tried(database) > SHARES.of_consultation + 1)  # its own are tried one after another
        running.stop()


@pytest.mark.slow
def test_a_mute_receiver_does_not_hold_up_others_of_its_consultation(database: Database) -> None:
    with receiving(200) as good:
        with mute() as silent:
            hook(database, silent, "town")
            hook(database, good.url, "town")
            for _ in range(6):
                ended(database, "town")
            running = courier(database, timeout_s=MUTE_S)
            running.start()
            good.wait_for(6)
            assert n_ended(database) == 0
        running.stop()


@pytest.mark.slow
def test_names_that_never_resolve_hold_up_nobody_elses(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nlp_service.webhooks.address.LOOKUP_S", 0.1)
    real, go_on, asked = socket.getaddrinfo, threading.Event(), []

    def getaddrinfo(host: Any, *given: Any, **more: Any) -> Any:
        if "never" not in str(host):
            return real(host, *given, **more)
        asked.append(host)
        go_on.wait(LOOKUP_HANGS_S)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    with receiving(200) as good:
        for i in range(MAX_OF_CONSULTATION):
            hook(database, f"https://never{i}.example/", "town")
        hook(database, good.url, "county")
        for _ in range(2):
            ended(database, "town")
        running = courier(database)
        running.start()
        wait_for(lambda: len(asked) == 2 * MAX_OF_CONSULTATION)
        ended(database, "county")
        good.wait_for(1, seconds=LOOKUP_HANGS_S / 2)  # while every lookup of the others still hangs
        go_on.set()
        running.stop()


@pytest.mark.slow
def test_what_comes_due_while_an_attempt_is_under_way_is_sent_without_waiting_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nlp_service.webhooks.courier.POLL_S", 0.05)
    with receiving(200) as good:
        with mute() as silent:
            hook(database, silent, "town")
            hook(database, good.url, "county")
            ended(database, "town")
            running = courier(database, timeout_s=MUTE_S)
            running.start()
            wait_for(lambda: n_tried(database) == 1)
            ended(database, "county")
            good.wait_for(1)
            assert n_ended(database) == 0
        running.stop()


def test_no_webhook_and_no_consultation_is_given_more_than_its_share(database: Database) -> None:
    shares = Shares(of_webhook=2, of_consultation=3)
    town, other = hook(database, consultation="town"), hook(database, consultation="town")
    every = hook(database)
    for _ in range(4):
        ended(database, "town")
    first = claim_due(database, limit=4, seconds=60, shares=shares)
    assert Counter(d.consultation for d in first) == {"town": 2, None: 2}
    second = claim_due(database, limit=9, seconds=60, shares=shares, under_way=first)
    assert [d.consultation for d in second] == ["town"]
    assert max(Counter(d.webhook for d in (*first, *second)).values()) == 2
    assert claim_due(database, limit=9, seconds=60, shares=shares, under_way=(*first, *second)) == ()
    for delivery in (*first, *second):
        assert note_outcome(database, delivery, DeliveryState.DELIVERED, status=200, error=None)
    third = claim_due(database, limit=9, seconds=60, shares=shares)
    assert Counter(d.consultation for d in third) == {"town": 3, None: 2}
    assert {d.webhook for d in (*first, *second, *third)} == {town.id, other.id, every.id}


def test_those_with_the_fewest_under_way_go_first(database: Database) -> None:
    hook(database, consultation="town")
    for _ in range(3):
        ended(database, "town")
    busy = claim_due(database, limit=1, seconds=60)
    hook(database, consultation="county")
    ended(database, "county")
    (next_,) = claim_due(database, limit=1, seconds=60, under_way=busy)
    assert (busy[0].consultation, next_.consultation) == ("town", "county")


def test_a_host_that_leads_elsewhere_than_when_it_was_registered_is_not_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    with receiving(200) as receiver:
        port = httpx.URL(receiver.url).port
        one = hook(database, f"https://tool.example.org:{port}/")
        ended(database)
        there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("10.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: there)
        deliver(database)
        monkeypatch.undo()
    assert receiver.came == []
    assert deliveries(database, one)[0].last_error == "webhook_address_refused"
    database.close()


def test_the_certificate_must_be_that_of_the_hosts_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE)
    with receiving(200, tls=tls) as receiver:
        right, wrong = hook(database, receiver.url), hook(database, receiver.url.replace("localhost", "127.0.0.1"))
        ended(database)
        deliver(database)
        assert [d.last_error for w in (right, wrong) for d in deliveries(database, w)] == ["webhook_unreachable"] * 2
        make_due(database)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        deliver(database)
    assert [d.state for w in (right, wrong) for d in deliveries(database, w)] == ["delivered", "waiting"]
    assert len(receiver.came) == 1
    database.close()


def test_an_answer_without_end_is_not_read(tmp_path: Path) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    with receiving(200) as receiver:
        receiver.body = b"x" * 50_000_000
        one = hook(database, receiver.url)
        ended(database)
        deliver(database)
    assert deliveries(database, one)[0].state is DeliveryState.DELIVERED
    database.close()


def test_proxies_of_the_environment_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    with receiving(200) as receiver:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
            monkeypatch.setenv(name, NOWHERE)
        hook(database, receiver.url)
        ended(database)
        deliver(database)
    assert len(receiver.came) == 1
    database.close()


def test_a_deleted_webhook_or_batch_leaves_no_delivery(database: Database) -> None:
    one, other = hook(database), hook(database)
    batch, _ = ended(database), ended(database)
    (claimed, *_) = claim_due(database, limit=9, seconds=60)
    delete_webhook(database, one.id, actor="k2")
    delete_webhook(database, one.id, actor="k2")
    delete_batch(database, batch.id, actor="k2")
    assert len(deliveries(database, other)) == 1
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.deliveries)).scalar_one() == 1
    note_outcome(database, claimed, DeliveryState.WAITING, status=500, error=None, wait_s=10)
    with database.write() as connection:
        connection.execute(delete(tables.webhooks))
    did = [(e.did, e.actor, e.subject) for e in read_entries(database) if e.did.startswith("webhook")]
    assert did == [("webhook.delete", "k2", one.id), ("webhook.make", "k1", other.id), ("webhook.make", "k1", one.id)]


def test_runs_end_while_webhooks_are_made_and_deleted(database: Database) -> None:
    batches = [submit(database) for _ in range(12)]

    def come_and_go(_: int) -> None:
        delete_webhook(database, hook(database).id, actor="k1")

    with ThreadPoolExecutor(6) as pool:
        going = [pool.submit(come_and_go, i) for i in range(24)]
        done = [pool.submit(set_state, database, b.run.id, RunState.DONE) for b in batches]
        assert all(f.result() for f in done)
        for f in going:
            f.result()
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(tables.deliveries)).scalar_one() == 0


def test_there_are_only_so_many_webhooks_of_one_consultation_and_of_all(tmp_path: Path) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    of_one = [hook(database, consultation="town") for _ in range(MAX_OF_CONSULTATION)]
    with pytest.raises(TooManyWebhooksError, match="consultation"):
        hook(database, consultation="town")
    delete_webhook(database, of_one.pop().id, actor="k1")
    of_one.append(hook(database, consultation="town"))
    for one in of_one:
        delete_webhook(database, one.id, actor="k1")
    made = [hook(database) for _ in range(MAX_WEBHOOKS)]
    with pytest.raises(TooManyWebhooksError):
        hook(database)
    delete_webhook(database, made[0].id, actor="k1")
    hook(database)
    database.close()


def test_a_store_of_the_release_before_is_brought_up_to_date_and_keeps_what_it_holds(store_url: str) -> None:
    before = Database(store_url)
    with before.write() as connection:
        config = database_module._migrations()
        config.attributes["connection"] = connection
        alembic.command.upgrade(config, "0001")
    batch = submit(before)
    with before.read() as connection:
        assert not is_up_to_date(connection)
    before.close()
    now = open_store(store_url)
    with now.read() as connection:
        assert is_up_to_date(connection)
        assert compare_metadata(MigrationContext.configure(connection), tables.metadata) == []
    one = hook(now)
    assert set_state(now, batch.run.id, RunState.DONE)
    assert len(deliveries(now, one)) == 1
    now.close()


@pytest.mark.slow
def test_the_courier_delivers_until_it_is_stopped_and_goes_on_where_another_ended(database: Database) -> None:
    with receiving(500, 200) as receiver:
        one, secret = make_webhook(database, receiver.url, actor="k1")
        ended(database)
        for n in (1, 2):
            running = courier(database, retry_s=0.1)
            running.start()
            receiver.wait_for(n)
            running.stop()
        (now,) = deliveries(database, one)
        assert (now.state, now.n_attempts) == (DeliveryState.DELIVERED, 2)
    assert all(m.is_signed_with(secret) for m in receiver.came)


def test_a_courier_outlives_a_database_that_is_gone_and_a_fault_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_store(f"sqlite:///{tmp_path / 'themes.db'}")
    real, faults = (
        claim_due,
        [database_module.StoreGoneError("gone", allowed="there", next_step="wait"), ZeroDivisionError()],
    )

    def failing(*given: Any, **more: Any) -> Any:
        if faults:
            raise faults.pop()
        return real(*given, **more)

    monkeypatch.setattr("nlp_service.webhooks.courier.claim_due", failing)
    monkeypatch.setattr("nlp_service.webhooks.courier.POLL_S", 0.05)
    with receiving(200) as receiver:
        hook(database, receiver.url)
        ended(database)
        running = courier(database)
        running.start()
        receiver.wait_for(1)
        running.stop()
    assert faults == []
    database.close()
