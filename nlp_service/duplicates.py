"""Comments that say the same: copies and campaign texts, found and counted. Nothing is deleted."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from models.vocabulary import CommentId

MIN_NEAR_WORDS: Final = 8
"""Shorter texts ("more police please") agree by chance: only equal wording groups them."""
SIMILARITY: Final = 0.6
"""Share of word triples, of all that either text has, from which on two texts are one campaign's."""
_SHINGLE_WORDS: Final = 3
_PERMUTATIONS: Final = 64
_MOST_COMPARED: Final = 50
"""Of very many look-alikes in one bucket, each is compared with this many: the first ones hold the group together."""
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Comments of the same or nearly the same wording, in input order; the first stands for all."""

    comments: tuple[CommentId, ...]
    n_wordings: int
    """Different wordings among them, letters' case and punctuation aside; 1 where all are copies."""

    @property
    def size(self) -> int:
        """Return the number of comments."""
        return len(self.comments)


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What repeats in a batch."""

    groups: tuple[DuplicateGroup, ...]
    """The largest first, then by the place of the first comment; each of at least two."""
    n_comments: int
    n_distinct: int
    """Groups, and comments that stand alone."""


def find_duplicates(comments: Sequence[tuple[CommentId, str]]) -> Duplicates:
    """Return the groups among comments given as (id, text).

    Equal wording (words, whatever their case and punctuation) always groups. Longer texts group too when MinHash (Broder 1997,
    `datasketch`) proposes them and they share `SIMILARITY` of their word triples, counted exactly; likeness is handed on.
    """
    wordings: dict[tuple[str, ...], list[int]] = {}
    for i, (_, text) in enumerate(comments):
        wordings.setdefault(tuple(_WORD.findall(text.casefold())) or (text.strip(),), []).append(i)
    keys = list(wordings)
    leader = list(range(len(keys)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for a, b in _alike(keys):
        first, second = sorted((find(a), find(b)))
        leader[second] = first
    groups: dict[int, list[int]] = {}
    for k in range(len(keys)):
        groups.setdefault(find(k), []).append(k)
    found: list[tuple[int, DuplicateGroup]] = []
    for members in groups.values():
        places = sorted(i for k in members for i in wordings[keys[k]])
        if len(places) > 1:
            found.append((places[0], DuplicateGroup(tuple(comments[i][0] for i in places), len(members))))
    found.sort(key=lambda pair: (-pair[1].size, pair[0]))
    return Duplicates(tuple(g for _, g in found), len(comments), len(groups))


def _alike(keys: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Yield pairs of places of keys that are nearly the same."""
    long = [i for i, key in enumerate(keys) if len(key) >= MIN_NEAR_WORDS]
    if len(long) < 2:  # noqa: PLR2004 -- a pair
        return
    triples = {i: {" ".join(keys[i][j : j + _SHINGLE_WORDS]) for j in range(len(keys[i]) - 2)} for i in long}
    times = Counter(s for own in triples.values() for s in own)
    # two texts that share this much have at least that part of their triples in common with others: the rest stand alone
    long = [i for i in long if sum(times[s] > 1 for s in triples[i]) >= SIMILARITY * len(triples[i])]
    if not long:
        return
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 -- brings SciPy, which only this needs

    index = MinHashLSH(threshold=SIMILARITY - 0.1, num_perm=_PERMUTATIONS)
    hashes = MinHash.generator(([s.encode() for s in triples[i]] for i in long), num_perm=_PERMUTATIONS, seed=1)
    for i, minhash in zip(long, hashes, strict=True):
        for other in sorted(index.query(minhash))[:_MOST_COMPARED]:
            both = len(triples[i] & triples[other])
            if both >= SIMILARITY * (len(triples[i]) + len(triples[other]) - both):
                yield other, i
        index.insert(i, minhash, check_duplication=False)
