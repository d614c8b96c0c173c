"""Comments for speed: as long as real ones, drawn from the public NHS file; not part of the project."""

import csv

import numpy as np

from benchmarks.report import SHARED

MEAN_WORDS = 29.0


def speed_comments(n: int, *, repeats: float = 0.05, seed: int = 0) -> list[str]:
    """Return n comments of 29 words on average, of which a share are repeats of others.

    Where more are asked for than the file has, further ones are made by joining parts of two.
    """
    with (SHARED / "nhs_v6" / "v6framework_230831.csv").open(
        encoding="utf-8-sig", errors="replace", newline=""
    ) as file:
        texts = sorted({r["FFT answer"].strip() for r in csv.DictReader(file) if (r["FFT answer"] or "").strip()})
    rng = np.random.default_rng(seed)
    words = [t.split() for t in texts]
    distinct: dict[str, None] = {}
    wanted = round(n * (1 - repeats))
    while len(distinct) < wanted:
        a, b = (words[int(i)] for i in rng.integers(len(words), size=2))
        length = int(np.clip(rng.lognormal(3.05, 0.85), 2, 220))
        both = [*a, *b]
        while len(both) < length:
            both.extend(words[int(rng.integers(len(words)))])
        start = int(rng.integers(max(1, len(both) - length)))
        distinct.setdefault(" ".join(both[start : start + length]))
    made = list(distinct)
    made.extend(made[int(i)] for i in rng.integers(len(made), size=n - len(made)))
    return [made[int(i)] for i in rng.permutation(n)]
