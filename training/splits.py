"""Ways to hold out a part of the data: at random, by text and respondent, by source. For scores out of sample."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.text import normalise
from models.vocabulary import DecidedComment

N_FOLDS: Final = 4
MANY_COMMENTS: Final = 2_000
"""From so many on, half of them calibrate as well as three quarters, and two held-out fits take a third of the time of four."""
MIN_SOURCES: Final = 4
"""With so many sources or more, the parts that calibrate a model consist of whole sources."""


STOCK_SHARE: Final = 0.01
STOCK_COMMENTS: Final = 20
"""A text that so many comments, and such a share of them, consist of is a stock answer ("nothing"): it ties nobody."""


class Split(StrEnum):
    """What is never parted."""

    RANDOM = "random"
    """Nothing: a text that was written twice can be on both sides. Flatters; for comparison with others' figures."""
    TEXT = "text"
    """One normalised text, one respondent. Stock answers, which every consultation brings again, can be on both sides: they
    would tie most respondents together."""
    SOURCE = "source"
    """One source: another consultation, place or wave."""


def find_n_folds(n_comments: int) -> int:
    """Return how many held-out parts to calibrate with."""
    return N_FOLDS if n_comments < MANY_COMMENTS else 2


def find_split(decided: Sequence[DecidedComment], *, n_folds: int = N_FOLDS) -> Split:
    """Return the strictest split that the data allow for parts of like size."""
    sources = Counter(d.source for d in decided)
    enough = None not in sources and len(sources) >= max(MIN_SOURCES, n_folds)
    return Split.SOURCE if enough else Split.TEXT


def make_folds(
    decided: Sequence[DecidedComment], *, seed: int, n_folds: int = N_FOLDS, split: Split | None = None
) -> tuple[NDArray[np.int64], Split]:
    """Return each comment's fold, 0 to `n_folds` - 1, and how they were made; `find_split` says if not given.

    Folds have like numbers of comments. Where single comments or small groups are dealt out, each theme's positives are
    shared out evenly too (Sechidis, Tsoumakas and Vlahavas, 2011, with groups in the place of rows).
    """
    split = find_split(decided, n_folds=n_folds) if split is None else split
    units: dict[str, list[int]] = defaultdict(list)
    for i, unit in enumerate(_unions(_all_keys(decided, split))):
        units[unit].append(i)
    rng = np.random.default_rng(seed)
    order = sorted(units)
    rng.shuffle(order)
    order.sort(key=lambda u: -len(units[u]))
    if split is Split.SOURCE:
        return _by_size(order, units, n_folds, len(decided)), split
    return _stratified([units[u] for u in order], decided, n_folds), split


def has_ties(decided: Sequence[DecidedComment]) -> bool:
    """Return whether any text or respondent occurs twice."""
    return len(set(_unions(_all_keys(decided, Split.TEXT)))) < len(decided)


def _by_size(order: Sequence[str], units: dict[str, list[int]], n_folds: int, n: int) -> NDArray[np.int64]:
    sizes = np.zeros(n_folds, dtype=np.int64)
    folds = np.empty(n, dtype=np.int64)
    for unit in order:
        fold = int(np.argmin(sizes))
        folds[units[unit]] = fold
        sizes[fold] += len(units[unit])
    return folds


def _stratified(groups: Sequence[list[int]], decided: Sequence[DecidedComment], n_folds: int) -> NDArray[np.int64]:
    """Return folds of groups: the rarest theme left is dealt out first, to the fold that lacks most of it."""
    themes = sorted({t for d in decided for t in d.themes})
    column = {t: k for k, t in enumerate(themes)}
    counts = np.zeros((len(groups), len(themes) + 1))
    for g, rows in enumerate(groups):
        counts[g, -1] = len(rows)
        for i in rows:
            for t in decided[i].themes:
                counts[g, column[t]] += 1
    wanted = np.tile(counts.sum(axis=0) / n_folds, (n_folds, 1))
    folds = np.empty(len(decided), dtype=np.int64)
    left = np.ones(len(groups), np.bool_)
    remaining = counts[:, :-1].sum(axis=0)
    while left.any():
        rarest = int(np.argmin(np.where(remaining > 0, remaining, np.inf))) if (remaining > 0).any() else -1
        for g in map(int, np.flatnonzero(left & (counts[:, rarest] > 0))):
            fold = int(np.lexsort((-wanted[:, -1], -wanted[:, rarest]))[0])
            folds[groups[g]] = fold
            wanted[fold] -= counts[g]
            remaining -= counts[g, :-1]
            left[g] = False
    return folds


def _all_keys(decided: Sequence[DecidedComment], split: Split) -> list[list[str]]:
    """Return what ties each comment to others."""
    if split is Split.SOURCE:
        return [[f"s:{d.source}"] for d in decided]
    if split is Split.RANDOM:
        return [[f"i:{place}"] for place in range(len(decided))]
    texts = [normalise(d.comment.text).text.casefold() for d in decided]
    times = Counter(texts)
    stock = {t for t, n in times.items() if n > max(STOCK_COMMENTS, STOCK_SHARE * len(decided))}
    return [
        [
            f"i:{place}" if text in stock else f"t:{text}",
            *([f"r:{d.comment.respondent}"] if d.comment.respondent is not None else []),
        ]
        for place, (text, d) in enumerate(zip(texts, decided, strict=True))
    ]


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
