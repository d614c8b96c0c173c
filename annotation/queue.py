"""The order in which comments go to people: the ones whose answer the model needs, unlike each other, each with its reason.

The queue mixes three kinds of picks, in the same mix all the way down, so that people may stop anywhere: comments that the model is in
doubt about, theme by theme in turn, comments that may carry a theme with few examples so far, and plain random ones. Of look-alikes it
takes one.
What it picks is no sample of what residents wrote: shares are estimated from `draw_blind_sample` alone (models.prevalence).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import CommentId, RespondentId, ThemeId

FloatArray = NDArray[np.float64]

_FLOOR: Final = 1e-4
"""Probabilities are read no closer to 0 or 1: codings files have four decimals."""


class Reason(StrEnum):
    """Why a comment is in the queue."""

    UNCERTAIN = "uncertain"
    RARE_THEME = "rare_theme"
    RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Pick:
    """A comment in the queue, and why it is there."""

    comment_id: CommentId
    reason: Reason
    theme: ThemeId | None
    """The theme in doubt, or the rare theme that it may carry."""
    explanation: str
    """One sentence for whoever runs the round; holds no word of the comment."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The mix of the queue."""

    rare: float = 0.1
    """Share of picks for themes with few examples."""
    random: float = 0.05
    """Share of picks at random."""
    enough_positives: int = 20
    """A theme with as many positive decisions is not rare."""
    look_alike: float = 0.8
    """Cosine from which a comment gives way to others because it looks like one already decided or picked; 1 turns this off."""


def order_queue(
    ids: Sequence[CommentId],
    probabilities: FloatArray,
    thresholds: FloatArray,
    vectors: NDArray[np.floating],
    *,
    themes: Sequence[ThemeId],
    budget: int,
    seed: int = 0,
    n_positive: NDArray[np.int64] | None = None,
    decided_vectors: NDArray[np.floating] | None = None,
    settings: QueueSettings = QueueSettings(),
) -> tuple[Pick, ...]:
    """Return at most `budget` comments in the order in which people should see them; same input and seed, same order.

    Parameters
    ----------
    ids
        The comments that may be picked, n of them, each once; leave out what was decided before.
    probabilities
        Calibrated, shape (n, n_themes), as in a codings file.
    thresholds
        Above which a theme is coded, shape (n_themes,), strictly between 0 and 1.
    vectors
        Of the comments, shape (n, d), of any length; look-alikes point the same way.
    themes
        The columns' ids.
    n_positive
        How many decided comments carry each theme so far, shape (n_themes,); zeros if not given.
    decided_vectors
        Of comments decided before, shape (m, d): picks keep away from them too.

    Raises
    ------
    ValueError
        If shapes do not fit, there is no theme, an id is there twice, or a number is not finite.
    """
    n, k = probabilities.shape
    known = np.zeros((0, vectors.shape[1])) if decided_vectors is None else np.asarray(decided_vectors, np.float64)
    positive = np.zeros(k, np.int64) if n_positive is None else n_positive
    if budget < 0:
        raise ValueError("a queue has no negative length")
    _check(ids, probabilities, thresholds, vectors, themes, positive, known)
    state = _Queue(ids, probabilities, thresholds, np.asarray(vectors, np.float64), themes, positive, known, settings)
    return state.order(min(budget, n), seed)


def draw_blind_sample(
    ids: Sequence[CommentId], n: int, *, seed: int, respondents: Sequence[RespondentId | None] | None = None
) -> tuple[CommentId, ...]:
    """Return n of the comments at random, all if there are no more; every set of n is as likely as any other.

    With `respondents` (one for each comment, None where nobody is named) people are drawn instead, each with all their comments, until
    there are n comments or more: shares are of respondents, and who is read in part does not count (models.prevalence). It depends on
    the seed and on the sets, not on their order. Nothing the model says may choose what is in this sample.
    """
    if len(set(ids)) != len(ids):
        raise ValueError("each comment is there once")
    if n < 0:
        raise ValueError("a sample has no negative size")
    if respondents is not None and len(respondents) != len(ids):
        raise ValueError("respondents must fit ids")
    of: dict[tuple[bool, str], list[CommentId]] = {}
    for comment, who in sorted(zip(ids, respondents or [None] * len(ids), strict=True), key=lambda pair: pair[0]):
        of.setdefault((False, comment) if who is None else (True, who), []).append(comment)
    people = sorted(of)
    drawn: list[CommentId] = []
    for i in np.random.default_rng(seed).permutation(len(people)):
        if len(drawn) >= n:
            break
        drawn += of[people[int(i)]]
    return tuple(drawn)


def _check(
    ids: Sequence[CommentId],
    probabilities: FloatArray,
    thresholds: FloatArray,
    vectors: NDArray[np.floating],
    themes: Sequence[ThemeId],
    n_positive: NDArray[np.int64],
    known: FloatArray,
) -> None:
    n, k = probabilities.shape
    if len(ids) != n or len(vectors) != n or len(themes) != k or thresholds.shape != (k,) or n_positive.shape != (k,):
        raise ValueError("ids, probabilities, thresholds, vectors, themes and n_positive must fit each other")
    if k == 0:
        raise ValueError("there must be a theme")
    if known.shape[1] != vectors.shape[1]:
        raise ValueError("decided_vectors must be as long as vectors")
    if len(set(ids)) != n:
        raise ValueError("each comment is there once")
    if not (np.isfinite(probabilities).all() and np.isfinite(vectors).all() and np.isfinite(known).all()):
        raise ValueError("probabilities and vectors must be finite")
    if not ((thresholds > 0) & (thresholds < 1)).all():
        raise ValueError("thresholds lie strictly between 0 and 1")


class _Queue:
    """Picks one comment after the other; what is picked counts as known for the next."""

    def __init__(
        self,
        ids: Sequence[CommentId],
        probabilities: FloatArray,
        thresholds: FloatArray,
        vectors: FloatArray,
        themes: Sequence[ThemeId],
        n_positive: NDArray[np.int64],
        known: FloatArray,
        settings: QueueSettings,
    ) -> None:
        self._order = np.argsort(np.array(ids), kind="stable")
        """Rows in the order of their ids: ties then fall the same way whatever the input's order."""
        self._ids, self._themes, self._settings = ids, themes, settings
        self._probabilities, self._thresholds = probabilities, thresholds
        self._vectors = _unit(vectors)
        self._positive = n_positive.astype(np.float64)
        self._free = np.ones(len(ids), np.bool_)
        self._near = _nearest(self._vectors, _unit(known))
        self._doubt = _entropy(_logit(probabilities) - _logit(thresholds))
        self._mass = (self._doubt**_SHARPNESS).sum(axis=0)
        """Of each theme, how much doubt the free comments hold."""
        self._owed = np.zeros(len(themes))

    def order(self, budget: int, seed: int) -> tuple[Pick, ...]:
        at_random = iter(self._order[np.random.default_rng(seed).permutation(len(self._order))])
        return tuple(self._pick(reason, at_random) for reason in _mix(budget, self._settings))

    def _pick(self, reason: Reason, at_random: Iterator[np.intp]) -> Pick:
        if reason is Reason.RARE_THEME:
            theme = int(self._positive.argmin())
            if self._positive[theme] < self._settings.enough_positives:
                row = self._best(self._probabilities[:, theme] * self._apart())
                self._positive[theme] += _MOVE_ON
                return self._taken(row, reason, theme)
            reason = Reason.UNCERTAIN
        if reason is Reason.RANDOM:
            return self._taken(next(int(i) for i in at_random if self._free[i]), reason, None)
        self._owed += _shares(self._mass)
        theme = int(self._owed.argmax())
        self._owed[theme] -= 1
        return self._taken(self._best(self._doubt[:, theme] * self._apart()), reason, theme)

    def _apart(self) -> FloatArray:
        """Return how far each comment is from looking like a known one: 1 below the cosine `look_alike`, down to 0 for the same."""
        cut = self._settings.look_alike
        if cut >= 1:
            return np.ones(len(self._near))
        return np.clip((1 - self._near) / (1 - cut), 0.0, 1.0)

    def _best(self, worth: FloatArray) -> int:
        ranked = np.where(self._free, worth, -1.0)[self._order]
        return int(self._order[int(ranked.argmax())])

    def _taken(self, row: int, reason: Reason, theme: int | None) -> Pick:
        explanation = self._explain(row, reason, theme)
        self._free[row] = False
        self._mass -= self._doubt[row] ** _SHARPNESS
        self._positive += self._probabilities[row]
        self._near = np.maximum(self._near, self._vectors @ self._vectors[row])
        return Pick(self._ids[row], reason, None if theme is None else self._themes[theme], explanation)

    def _explain(self, row: int, reason: Reason, theme: int | None) -> str:
        if theme is None:
            return _WHY[reason]
        p, cut = self._probabilities[row, theme], self._thresholds[theme]
        return _WHY[reason].format(theme=self._themes[theme], p=p, cut=cut)


_MOVE_ON: Final = 0.5
"""What a try for a rare theme counts for, found or not: the next one turns to another theme."""
_SHARPNESS: Final = 4
"""Doubt counts by this power, so that many comments far from a threshold do not add up to one near it."""
_WHY: Final = {
    Reason.UNCERTAIN: "nearest to the threshold of {theme} among what was left: probability {p:.2f}, coded from {cut:.2f}",
    Reason.RARE_THEME: "it may carry {theme} (probability {p:.2f}), of which there are few examples",
    Reason.RANDOM: "picked at random, to keep a check on what the model is sure of",
}


def _mix(budget: int, settings: QueueSettings) -> Iterator[Reason]:
    """Yield the reason of each place: every stretch of the queue holds the same mix."""
    shares = {Reason.RANDOM: settings.random, Reason.RARE_THEME: settings.rare}
    owed = dict.fromkeys(shares, 0.0)
    for _ in range(budget):
        for reason, share in shares.items():
            owed[reason] += share
        most = max(owed, key=lambda reason: owed[reason])
        if owed[most] >= 0.5 - 1e-9:
            owed[most] -= 1
            yield most
        else:
            yield Reason.UNCERTAIN


def _shares(mass: FloatArray) -> FloatArray:
    """Return each theme's share of uncertain picks: by the root of its doubt, which gives rarer themes more than their part."""
    root = np.sqrt(np.maximum(mass, 0.0))
    return np.asarray(root / root.sum()) if root.sum() > 0 else np.full(len(mass), 1 / len(mass))


def _logit(p: FloatArray) -> FloatArray:
    q = np.clip(p, _FLOOR, 1 - _FLOOR)
    return np.asarray(np.log(q / (1 - q)))


def _entropy(logits: FloatArray) -> FloatArray:
    """Return the entropy of yes and no in bits: 1 at the threshold, where log-odds are 0."""
    p = 1 / (1 + np.exp(-np.abs(logits)))
    return np.asarray(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))


def _unit(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def _nearest(vectors: FloatArray, known: FloatArray) -> FloatArray:
    """Return the cosine with the nearest known vector, shape (n,); 0 if none is known."""
    out = np.zeros(len(vectors))
    for start in range(0, len(known), 512):
        out = np.maximum(out, (vectors @ known[start : start + 512].T).max(axis=1))
    return out
