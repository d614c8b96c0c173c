"""Parts of the data that never share a text: for scores that are out of sample."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.text import normalise
from models.vocabulary import DecidedComment

N_FOLDS: Final = 4
MIN_SOURCES: Final = 4
"""With so many sources or more, each held-out part consists of whole sources."""


def make_folds(
    decided: Sequence[DecidedComment], *, seed: int, n_folds: int = N_FOLDS
) -> tuple[NDArray[np.int64], str]:
    """Return each comment's fold, 0 to `n_folds` - 1, and how they were made: "source" or "text".

    Comments of one source (if there are enough sources), one respondent, or one normalised text are never parted.
    """
    sources = Counter(d.source for d in decided)
    by_source = None not in sources and len(sources) >= max(MIN_SOURCES, n_folds)
    units: dict[str, list[int]] = defaultdict(list)
    root = _unions([_keys(d, by_source=by_source) for d in decided])
    for i, unit in enumerate(root):
        units[unit].append(i)
    rng = np.random.default_rng(seed)
    order = sorted(units)
    rng.shuffle(order)
    order.sort(key=lambda u: -len(units[u]))
    sizes = np.zeros(n_folds, dtype=np.int64)
    folds = np.empty(len(decided), dtype=np.int64)
    for unit in order:
        fold = int(np.argmin(sizes))
        folds[units[unit]] = fold
        sizes[fold] += len(units[unit])
    return folds, "source" if by_source else "text"


def _keys(decided: DecidedComment, *, by_source: bool) -> list[str]:
    if by_source:
        return [f"s:{decided.source}"]
    keys = [f"t:{normalise(decided.comment.text).text.casefold()}"]
    if decided.comment.respondent is not None:
        keys.append(f"r:{decided.comment.respondent}")
    return keys


def _unions(keys: Sequence[Sequence[str]]) -> list[str]:
    """Return for each row the name of the group that its keys tie it to (union-find)."""
    parent: dict[str, str] = {}

    def find(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for row in keys:
        for other in row[1:]:
            parent[find(other)] = find(row[0])
    return [find(row[0]) for row in keys]
