"""The same codings, byte for byte, whatever the batch size, processes and order: `make bench-bytes`."""

import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from benchmarks.speed import THEMES

N = 2_000


def main() -> None:
    texts = speed_comments(N, seed=5)
    rows = [{"id": f"c{i:05d}", "text": t} for i, t in enumerate(texts)]
    digests: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        orders = {"plain": rows, "shuffled": [rows[int(i)] for i in np.random.default_rng(1).permutation(N)]}
        for order, listed in orders.items():
            path = folder / f"{order}.jsonl"
            path.write_text("".join(json.dumps(r) + "\n" for r in listed), encoding="utf-8")
            for batch, jobs in ((1, 1), (7, 1), (64, 1), (1, 2), (64, 2)):
                if order == "shuffled" and (batch, jobs) not in ((7, 1), (64, 2)):
                    continue
                out = folder / "out.jsonl"
                command = [
                    THEMES,
                    "code",
                    path,
                    "--out",
                    out,
                    "--quiet",
                    "--batch-size",
                    str(batch),
                    "--jobs",
                    str(jobs),
                ]
                subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
                lines = sorted(out.read_bytes().splitlines(keepends=True))
                digests[f"{order}, batch {batch}, {jobs} processes"] = hashlib.sha256(b"".join(lines)).hexdigest()[:16]
    figures = {**digests, "distinct_outputs": len(set(digests.values()))}
    publish("same_bytes", figures, {"distinct_outputs": ("<=", 1)})


if __name__ == "__main__":
    main()
    sys.exit(0)
