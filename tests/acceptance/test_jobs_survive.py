"""Batches are coded whatever happens to the workers: killed, stopped, halted; on SQLite and on PostgreSQL."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from nlp_service.export_codings import export_codings
from nlp_service.jobs.engine import JobQueue
from nlp_service.settings import Settings
from nlp_service.store.batches import get_batch
from nlp_service.store.database import Database, open_store
from nlp_service.store.values import BatchRecord, RunState
from nlp_service.submit_batch import Submission, submit_batch
from tests.postgresql import Server

THEMES = Path(sys.executable).with_name("themes")
N = 96
SILENT_S = 2.0
PATIENCE_S = 240
HELD_S = 45  # longer than a writer waits for SQLite before it tries again
pytestmark = pytest.mark.slow
Started = Callable[[], "subprocess.Popen[str]"]


@pytest.fixture
def worker(store_url: str) -> Iterator[Started]:
    processes: list[subprocess.Popen[str]] = []
    env = {**os.environ, "THEMES_STORE": store_url, "THEMES_BEAT_S": "0.3", "THEMES_SILENT_S": str(SILENT_S)}

    def start() -> "subprocess.Popen[str]":
        process = subprocess.Popen([THEMES, "worker", "--jobs", "1"], env=env, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        _, errors = process.communicate()
        assert "Lamp" not in errors


@pytest.fixture
def batch(database: Database, small_model: Path, tmp_path: Path) -> BatchRecord:
    path = tmp_path / "in.csv"
    path.write_text("id,text\n" + "".join(f"c{i},Lamp {i} is out and {'music ' * (i % 7)}too\n" for i in range(N)))
    settings = Settings(model=str(small_model), chunk_comments=4)
    submitted = submit_batch(database, settings, Submission(path, "town"), actor="t")
    queue = JobQueue(database)
    assert submitted.run is not None
    queue.start(submitted.run)
    queue.close()
    return get_batch(database, submitted.batch)


def wait_for(database: Database, batch: BatchRecord, n_done: int) -> BatchRecord:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        now = get_batch(database, batch.id)
        if now.run.n_done >= n_done and (n_done < N or now.run.state is RunState.DONE):
            return now
        time.sleep(0.05)
    raise TimeoutError(f"{now.run.state} at {now.run.n_done}")


def halt(pid: int, database: Database) -> None:
    """Halt a process between two writes: a halted one that is writing to SQLite holds up all others until it goes on."""
    while True:
        os.kill(pid, signal.SIGSTOP)
        while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        files = [] if database.file is None else [database.file, database.file.with_suffix(".jobs.db")]
        if not any(is_being_written(f) for f in files):
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.02)


def is_being_written(file: Path) -> bool:
    with closing(sqlite3.connect(file, timeout=0, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return True
        connection.execute("ROLLBACK")
        return False


def assert_as_if_nothing_happened(database: Database, done: BatchRecord, model: Path, folder: Path) -> None:
    assert (done.run.n_done, done.run.n_problems, done.run.attempt) == (N, 0, 0)
    export_codings(database, done, "jsonl", folder / "service.jsonl")
    command = [THEMES, "code", folder / "in.csv", "--out", folder / "direct.jsonl", "--model", model, "--quiet", "--jobs", "1"]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE_S)
    assert (folder / "service.jsonl").read_bytes() == (folder / "direct.jsonl").read_bytes()


def test_workers_killed_at_any_moment_lose_and_double_nothing(
    database: Database, batch: BatchRecord, worker: Started, small_model: Path, tmp_path: Path
) -> None:
    moments = random.Random(11)
    for part in (0, N // 2):
        process = worker()
        wait_for(database, batch, part + 1)
        time.sleep(moments.random() / 3)
        process.kill()
        process.wait()
    worker()
    assert_as_if_nothing_happened(database, wait_for(database, batch, N), small_model, tmp_path)


def test_a_worker_that_is_halted_and_goes_on_later_changes_nothing(
    database: Database, batch: BatchRecord, worker: Started, small_model: Path, tmp_path: Path
) -> None:
    halted = worker()
    wait_for(database, batch, 1)
    halt(halted.pid, database)
    worker()
    before = get_batch(database, batch.id).run.n_done
    wait_for(database, batch, min(N, before + 16))
    time.sleep(3 * SILENT_S)
    os.kill(halted.pid, signal.SIGCONT)
    done = wait_for(database, batch, N)
    time.sleep(1)
    assert get_batch(database, batch.id) == done
    assert_as_if_nothing_happened(database, done, small_model, tmp_path)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("suffix", [".db", ".jobs.db"])
def test_a_file_that_another_process_writes_to_for_long_is_waited_for(
    database: Database, batch: BatchRecord, worker: Started, small_model: Path, tmp_path: Path, suffix: str
) -> None:
    assert database.file is not None
    first = worker()
    wait_for(database, batch, 1)
    with closing(sqlite3.connect(database.file.with_suffix(suffix), timeout=PATIENCE_S, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        second = worker()
        time.sleep(HELD_S)
        assert get_batch(database, batch.id).run.n_done < N
        assert (first.poll(), second.poll()) == (None, None)
        other.execute("ROLLBACK")
    assert_as_if_nothing_happened(database, wait_for(database, batch, N), small_model, tmp_path)


def test_a_worker_that_is_stopped_ends_with_its_chunk_and_another_goes_on(
    database: Database, batch: BatchRecord, worker: Started, small_model: Path, tmp_path: Path
) -> None:
    first = worker()
    wait_for(database, batch, 1)
    first.terminate()
    assert first.wait(60) == 0
    done = get_batch(database, batch.id).run.n_done
    assert done % 4 == 0
    time.sleep(0.5)
    assert get_batch(database, batch.id).run.n_done == done
    worker()
    assert_as_if_nothing_happened(database, wait_for(database, batch, N), small_model, tmp_path)


def test_a_database_that_goes_away_is_waited_for(small_model: Path, tmp_path: Path) -> None:
    server = Server()
    url = server.new_database()
    database = open_store(url)
    path = tmp_path / "in.csv"
    path.write_text("id,text\n" + "".join(f"c{i},Lamp {i} is out\n" for i in range(N)))
    settings = Settings(model=str(small_model), chunk_comments=4)
    submitted = submit_batch(database, settings, Submission(path, "town"), actor="t")
    env = {**os.environ, "THEMES_STORE": url, "THEMES_BEAT_S": "0.3", "THEMES_SILENT_S": str(SILENT_S)}
    process = subprocess.Popen([THEMES, "worker", "--jobs", "1"], env=env, stderr=subprocess.DEVNULL)
    batch = get_batch(database, submitted.batch)
    wait_for(database, batch, 1)
    server.stop()
    time.sleep(1)
    assert process.poll() is None
    server.start()
    done = wait_for(database, batch, N)
    process.terminate()
    assert process.wait(60) == 0
    assert_as_if_nothing_happened(database, done, small_model, tmp_path)
    database.close()
    server.remove()
