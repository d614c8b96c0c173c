"""Workers killed at random over batches: `python -m benchmarks.kill_batches [KILLS] [COMMENTS]`, on SQLite and on PostgreSQL.

Several workers share a store; one is killed (SIGKILL) at a random moment, again and again, and another started in its
place. When a batch is done it is compared, byte for byte, with `themes code`, and the next one is handed in, until there
were enough kills.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from benchmarks.speed import write_csv
from nlp_service.export_codings import export_codings
from nlp_service.jobs.engine import JobQueue
from nlp_service.settings import Settings
from nlp_service.store.batches import get_batch
from nlp_service.store.database import Database, open_store
from nlp_service.store.values import BatchRecord, RunState
from nlp_service.submit_batch import Submission, submit_batch
from tests.postgresql import Server

THEMES = Path(sys.executable).with_name("themes")
WORKERS, CHUNK = 3, 32
SILENT_S, PAUSE_S = 3.0, (0.5, 6.0)


def start(url: str, *, silent_s: float = SILENT_S) -> "subprocess.Popen[bytes]":
    env = {**os.environ, "THEMES_STORE": url, "THEMES_BEAT_S": "0.5", "THEMES_SILENT_S": str(silent_s)}
    return subprocess.Popen([THEMES, "worker", "--jobs", "1"], env=env, stderr=subprocess.DEVNULL)


def hand_in(database: Database, queue: JobQueue, path: Path) -> BatchRecord:
    done = submit_batch(database, Settings(chunk_comments=CHUNK), Submission(path, "kills"), actor="benchmark")
    assert done.run is not None
    queue.start(done.run)
    return get_batch(database, done.batch)


def killed(url: str, n_kills: int, path: Path, direct: bytes, folder: Path) -> dict[str, Any]:
    """Return what became of the batches."""
    database = open_store(url)
    queue, moments = JobQueue(database), random.Random(2026)  # noqa: S311 -- moments, no secrets
    workers = [start(url) for _ in range(WORKERS)]
    batch, kills, lost, differ, n_batches = hand_in(database, queue, path), 0, 0, 0, 0
    try:
        while True:
            now = get_batch(database, batch.id)
            if now.run.state.is_final:
                n_batches += 1
                lost += now.n_comments - now.run.n_done if now.run.state is RunState.DONE else now.n_comments
                export_codings(database, now, "jsonl", folder / "out.jsonl")
                differ += (folder / "out.jsonl").read_bytes() != direct
                if kills >= n_kills:
                    break
                batch = hand_in(database, queue, path)
            if kills < n_kills:
                time.sleep(moments.uniform(*PAUSE_S))
                victim = moments.randrange(WORKERS)
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = start(url)
                kills += 1
            else:
                time.sleep(0.5)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        queue.close()
        database.close()
    return {"kills": kills, "batches": n_batches, "lost": lost, "files_that_differ": differ}


def main() -> None:
    n_kills, n_comments = int((sys.argv[1:] or ["200"])[0]), int((sys.argv[2:] or ["20000"])[0])
    figures: dict[str, Any] = {"comments_a_batch": n_comments}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "in.csv"
        write_csv(path, speed_comments(n_comments))
        subprocess.run([THEMES, "code", path, "--out", folder / "direct.jsonl", "--quiet"], check=True, stderr=subprocess.DEVNULL)  # fmt: skip
        direct = (folder / "direct.jsonl").read_bytes()
        server = Server()
        try:
            for kind, url in (("sqlite", f"sqlite:///{folder / 'themes.db'}"), ("postgresql", server.new_database())):
                found = killed(url, n_kills, path, direct, folder)
                figures |= {f"{kind}_{k}": v for k, v in found.items()}
        finally:
            server.remove()
    bars = {f"{k}_{w}": ("<=", 0) for k in ("sqlite", "postgresql") for w in ("lost", "files_that_differ")}
    publish("kill_batches", figures, bars)


if __name__ == "__main__":
    main()
