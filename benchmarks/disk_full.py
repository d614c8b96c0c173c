"""A disk that fills up again and again under a batch: `python -m benchmarks.disk_full [POINTS]`. It mounts a small disk, so it needs root.

A worker codes batches on a disk of its own kind (tmpfs). At a random moment the rest of the disk is filled; the service has to
say so, the worker to live, and both to go on once there is room. Finished batches are compared, byte for byte, with `themes code`.
"""

import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx

from benchmarks.kill_batches import hand_in, start
from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from benchmarks.speed import write_csv
from nlp_service.export_codings import export_codings
from nlp_service.jobs.engine import JobQueue
from nlp_service.store.batches import get_batch
from nlp_service.store.database import Database, open_store
from nlp_service.store.values import BatchId, RunState
from tests.running_service import THEMES, RunningService, running_service

N_COMMENTS = 3_000
DISK_MB = 64
PATIENCE_S = 60.0
PAUSE_S = (0.2, 2.0)


def fill(disk: Path) -> Path:
    """Write until the disk is full; return the file that fills it."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while file.write(b"\0" * size) == size:
                    pass
    return ballast


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Return whether something comes to hold in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if holds():
            return True
        time.sleep(0.1)
    return False


def filled(
    service: RunningService, disk: Path, n_points: int, path: Path, direct: bytes, folder: Path
) -> dict[str, Any]:
    """Return what became of the service, the worker and the batches."""
    url = service.env["THEMES_STORE"]
    database = open_store(url)
    queue, moments = JobQueue(database), random.Random(7)  # noqa: S311 -- moments, no secrets
    worker = start(url)
    found = dict.fromkeys(("points", "said_in_health", "said_in_state", "worker_ended", "resumed", "batches", "lost", "files_that_differ"), 0)  # fmt: skip

    def health() -> int:
        with suppress(httpx.TransportError):
            return httpx.get(f"{service.url}/health/ready", timeout=PATIENCE_S).status_code
        return 0

    def says_room() -> bool:
        shown = httpx.get(f"{service.url}/v1/batches/{batch.id}", headers=service.key, timeout=PATIENCE_S)
        return bool(shown.json()["run"]["waits_for"] == "room")

    try:
        batch = hand_in(database, queue, path)
        while True:
            now = get_batch(database, batch.id)
            if now.run.state.is_final:
                found["batches"] += 1
                found["lost"] += now.n_comments - now.run.n_done if now.run.state is RunState.DONE else now.n_comments
                export_codings(database, now, "jsonl", folder / "out.jsonl")
                found["files_that_differ"] += (folder / "out.jsonl").read_bytes() != direct
                if found["points"] >= n_points:
                    break
                batch = hand_in(database, queue, path)
            if found["points"] >= n_points:
                time.sleep(0.5)
                continue
            time.sleep(moments.uniform(*PAUSE_S))
            ballast = fill(disk)
            found["points"] += 1
            found["said_in_health"] += within(PATIENCE_S, lambda: health() == httpx.codes.SERVICE_UNAVAILABLE)
            is_over = get_batch(database, batch.id).run.state.is_final
            found["said_in_state"] += is_over or says_room()
            time.sleep(moments.uniform(*PAUSE_S))
            if worker.poll() is not None:
                found["worker_ended"] += 1
                worker = start(url)
            ballast.unlink()
            answers = within(PATIENCE_S, lambda: health() == httpx.codes.OK)
            found["resumed"] += answers and gets_on(database, batch.id)
    finally:
        worker.kill()
        worker.wait()
        queue.close()
        database.close()
    return found


def gets_on(database: Database, batch: BatchId) -> bool:
    """Return whether a batch gets on, or is over."""
    before = get_batch(database, batch).run.n_done

    def is_on() -> bool:
        run = get_batch(database, batch).run
        return run.state.is_final or run.n_done > before

    return within(PATIENCE_S, is_on)


def main() -> None:
    n_points = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        disk = folder / "disk"
        disk.mkdir()
        path = folder / "in.csv"
        write_csv(path, speed_comments(N_COMMENTS))
        subprocess.run([THEMES, "code", path, "--out", folder / "direct.jsonl", "--quiet"], check=True, stderr=subprocess.DEVNULL)  # fmt: skip
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", disk], check=True)
        try:
            store = f"sqlite:///{disk / 'themes.db'}"
            with running_service(folder, scope="admin", options=["--quiet"], store=store) as service:
                figures = filled(service, disk, n_points, path, (folder / "direct.jsonl").read_bytes(), folder)
        finally:
            subprocess.run(["umount", disk], check=True)
    bars = {
        "said_in_health": (">=", n_points),
        "said_in_state": (">=", n_points),
        "resumed": (">=", n_points),
        "worker_ended": ("<=", 0),
        "lost": ("<=", 0),
        "files_that_differ": ("<=", 0),
    }
    publish("disk_full", figures, bars)


if __name__ == "__main__":
    main()
