"""Eight workers, one PostgreSQL, 200 batches: `python -m benchmarks.many_workers [BATCHES] [COMMENTS]`.

All batches are handed in at once while the workers run. Every comment must have one coding, the one that `themes code` gives it, and no
job may have been taken up twice.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy import text

from benchmarks.kill_batches import THEMES, hand_in, start
from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from benchmarks.speed import write_csv
from nlp_service.export_codings import export_codings
from nlp_service.jobs.engine import JobQueue
from nlp_service.store.batches import get_batch
from nlp_service.store.database import Database, open_store
from nlp_service.store.values import BatchRecord
from tests.postgresql import Server

WORKERS = 8
_COUNTS = {
    "codings": "SELECT count(*) FROM codings",
    "comments_coded_twice": "SELECT count(*) FROM (SELECT 1 FROM codings GROUP BY batch, ordinal HAVING count(*) > 1) AS twice",
    "jobs": "SELECT count(*) FROM dbos.workflow_status",
    "jobs_taken_up_twice": "SELECT count(*) FROM dbos.workflow_status WHERE recovery_attempts > 1",
}


def wait(database: Database, batches: list[BatchRecord]) -> list[BatchRecord]:
    """Return the batches once all have ended."""
    while not all(get_batch(database, b.id).run.state.is_final for b in batches):
        time.sleep(1)
    return [get_batch(database, b.id) for b in batches]


def main() -> None:
    n_batches, n_comments = int((sys.argv[1:] or ["200"])[0]), int((sys.argv[2:] or ["100"])[0])
    texts = speed_comments(n_batches * n_comments)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        server = Server()
        stack.callback(server.remove)
        url = server.new_database()
        database = open_store(url)
        stack.callback(database.close)
        queue = JobQueue(database)
        stack.callback(queue.close)
        for _ in range(WORKERS):
            worker = start(url, silent_s=120.0)
            stack.callback(worker.wait)
            stack.callback(worker.terminate)
        files = [folder / f"{i}.csv" for i in range(n_batches)]
        for i, file in enumerate(files):
            write_csv(file, texts[i * n_comments : (i + 1) * n_comments], first=i * n_comments)
        began = time.perf_counter()
        done = wait(database, [hand_in(database, queue, file) for file in files])
        seconds = time.perf_counter() - began
        write_csv(folder / "all.csv", texts)
        code = [THEMES, "code", folder / "all.csv", "--out", folder / "direct.jsonl", "--quiet"]
        subprocess.run(code, check=True, stderr=subprocess.DEVNULL)
        direct, differ = (folder / "direct.jsonl").read_bytes().splitlines(keepends=True), 0
        for i, batch in enumerate(done):
            export_codings(database, batch, "jsonl", folder / "out.jsonl")
            differ += (folder / "out.jsonl").read_bytes() != b"".join(direct[i * n_comments : (i + 1) * n_comments])
        with database.read() as connection:
            counts: dict[str, Any] = {k: connection.execute(text(q)).scalar_one() for k, q in _COUNTS.items()}
    figures = {"workers": WORKERS, "batches": n_batches, "comments": len(texts), "seconds": round(seconds, 1)}
    figures |= counts | {"files_that_differ": differ, "comments_not_coded": len(texts) - counts["codings"]}
    bars = dict.fromkeys(("comments_coded_twice", "comments_not_coded", "files_that_differ"), ("<=", 0.0))
    publish("many_workers", figures, bars)


if __name__ == "__main__":
    main()
