"""Webhooks of the real service reach a real receiver: signed, again after it failed, though workers are killed and the service is replaced."""

import json
import time
from pathlib import Path

import psutil
import pytest

from nlp_service.client import Client
from tests.receiver import receiving
from tests.running_service import running_service

pytestmark = pytest.mark.slow
BRISK = {"chunk_comments": "4", "beat_s": "0.3", "silent_s": "2", "webhook_retry_s": "1"}
WORDS = "The street lights on our road have been out since May"


def test_a_receiver_that_fails_first_is_told_again_though_the_worker_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n" + "".join(f"c{i},{WORDS} {i}\n" for i in range(8)), "utf-8")
    with (
        receiving(500, 500, 200) as receiver,
        running_service(tmp_path, scope="admin", workers=1, **BRISK) as service,
        Client(service.url, key=service.env["THEMES_KEY"]) as client,
    ):
        hook = client.make_webhook(f"{receiver.url}/in", consultation="town")
        assert hook.secret is not None
        assert [(w.id, w.url, w.consultation, w.secret) for w in client.webhooks()] == [
            (hook.id, hook.url, "town", None)
        ]
        batch = client.submit(path, consultation="town")
        receiver.wait_for(1, 240)
        (worker,) = [p for p in psutil.Process(service.process.pid).children() if "worker" in p.cmdline()]
        worker.kill()
        came = receiver.wait_for(3, 240)
        while client.deliveries(hook.id)[0]["state"] != "delivered":
            time.sleep(0.05)
        (delivery,) = client.deliveries(hook.id)
        assert (delivery["n_attempts"], delivery["last_status"], delivery["batch"]) == (3, 200, batch.id)
        assert all(m.is_signed_with(hook.secret) for m in came)
        assert {m.headers["webhook-id"] for m in came} == {delivery["id"]}
        told = json.loads(came[0].body)
        assert (told["type"], told["data"]["batch"], told["data"]["state"]) == ("batch.ended", batch.id, "done")
        assert (told["data"]["n_comments"], told["data"]["n_done"]) == (8, 8)
        client.delete_webhook(hook.id)
        assert client.webhooks() == []
    for place in (service.log.read_text(), *(m.body.decode() for m in came)):
        assert WORDS not in place
        assert "in.csv" not in place
    assert "localhost" not in service.log.read_text()


def test_what_waits_is_delivered_by_the_service_that_comes_after(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(f"text\n{WORDS}\n", "utf-8")
    with receiving(200) as receiver:
        with (
            running_service(tmp_path, scope="admin", **BRISK) as service,
            Client(service.url, key=service.env["THEMES_KEY"]) as client,
        ):
            hook = client.make_webhook(receiver.url)
            batch = client.submit(path)
            client.cancel(batch.id)
            assert [d["state"] for d in client.deliveries(hook.id)] == ["waiting"]
        assert receiver.came == []
        with running_service(tmp_path, workers=1, **BRISK):
            (message,) = receiver.wait_for(1)
    assert hook.secret is not None
    assert message.is_signed_with(hook.secret)
    assert json.loads(message.body)["data"]["state"] == "cancelled"
