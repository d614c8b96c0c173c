"""Where a round stands: how fast people go, what the next labels are expected to bring, and whether to stop.

Pure functions: no clock, no model, no file. What more labels bring is read off a learning curve. `measure_curve` makes one from the decisions
themselves with a quick learner (ridge regression on comment vectors); a caller who has scores of trained models by number of decisions
gives those instead. Either way the answer is a range, because a curve from a few hundred comments leaves much open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotation.agreement import Answers, Figure
from models.counts import counted
from models.vocabulary import ThemeId

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

N_MORE: Final = 50
LEVEL: Final = 0.9
LONGEST_GAP_S: Final = 600.0
"""A longer time between two answers of a coder is a break."""
MIN_DECIDED: Final = 60
"""With fewer decided comments no curve is drawn."""
MIN_GAIN: Final = 0.01
"""Stop when the next `N_MORE` labels are unlikely to raise micro-F1 by so much."""
RELIABLE: Final = 0.667
"""Krippendorff's lowest alpha from which tentative conclusions may be drawn (Content Analysis, 2004, p. 241)."""
MIN_EXAMPLES: Final = 10
"""A theme with fewer positive decisions has a calibration and threshold borrowed from the others (models.calibration)."""
_HELD_OUT: Final = 0.3
_SIZES: Final = (0.25, 0.35, 0.5, 0.7, 1.0)
"""Parts of the comments that are not held out, on which the quick learner is fitted in turn."""
_POWERS: Final = np.linspace(0.05, 0.3, 6)
_RIDGE: Final = 0.3
_SMALLEST_SD: Final = 0.005
_DRAWS: Final = 4_000


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Micro-F1 of a model that learnt from n comments, and how far it scatters (one standard deviation)."""

    n: int
    micro_f1: float
    sd: float


@dataclass(frozen=True, slots=True)
class Gain:
    """What `n_more` labels are expected to add to micro-F1: median and 90 % interval; None where it cannot be said."""

    n_now: int
    n_more: int
    gain: float | None
    low: float | None
    high: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one coder goes."""

    coder: str
    n_comments: int
    seconds_per_comment: float | None
    """Median time between two answers, breaks of more than ten minutes left out; None without two timed answers."""


class Advice(StrEnum):
    """What to do next."""

    STOP = "stop"
    GO_ON = "go_on"
    MEND_CODEBOOK = "mend_codebook"


@dataclass(frozen=True, slots=True)
class Outlook:
    """A suggestion, and the reason in one sentence. People decide."""

    advice: Advice
    reason: str


def measure_pace(answers: Answers) -> tuple[Pace, ...]:
    """Return each coder's pace from the times of the answers."""
    out = []
    for j, coder in enumerate(answers.coders):
        own = answers.times[:, j]
        decided = (answers.verdicts[:, j] >= 0).any(axis=1)
        gaps = np.diff(np.sort(own[decided & ~np.isnan(own)]))
        gaps = gaps[(gaps > 0) & (gaps <= LONGEST_GAP_S)]
        out.append(Pace(coder, int(decided.sum()), float(np.median(gaps)) if len(gaps) else None))
    return tuple(out)


def measure_curve(
    vectors: NDArray[np.floating], truth: BoolArray, *, repeats: int = 20, seed: int = 0
) -> tuple[CurvePoint, ...]:
    """Return a learning curve of a quick learner on decided comments; empty with fewer than `MIN_DECIDED` of them or no yes.

    Parameters
    ----------
    vectors
        Of the decided comments, shape (n, d); look-alikes point the same way.
    truth
        What was decided, shape (n, n_themes).
    repeats, seed
        How often comments are split anew into learnt from and held out.

    Notes
    -----
    Ridge regression of each theme on unit vectors; a yes is called above the one cut that gives the best F1 on the leave-one-out scores
    of the comments learnt from. It learns less than a fine-tuned model does, so read the curve's slope and not its height.
    """
    n = len(vectors)
    if n < MIN_DECIDED or not truth.any():
        return ()
    kernel = _kernel(np.asarray(vectors, np.float64))
    n_held = round(_HELD_OUT * n)
    sizes = [max(10, round(part * (n - n_held))) for part in _SIZES]
    rng = np.random.default_rng(seed)
    scores = np.zeros((repeats, len(sizes)))
    for row in range(repeats):
        order = rng.permutation(n)
        held = order[:n_held]
        for column, size in enumerate(sizes):
            rows = order[n_held : n_held + size]
            scores[row, column] = _held_out_f1(kernel, truth, rows, held)
    sds = np.maximum(scores.std(axis=0, ddof=1), _SMALLEST_SD)
    return tuple(CurvePoint(s, float(m), float(d)) for s, m, d in zip(sizes, scores.mean(axis=0), sds, strict=True))


def expect_gain(curve: Sequence[CurvePoint], n_now: int, *, n_more: int = N_MORE, seed: int = 0) -> Gain:
    """Return what `n_more` labels are expected to add to micro-F1 at `n_now` decided comments.

    Notes
    -----
    The curve is a power law, f1(n) = a - b n^-c with b >= 0 and no F1 above 1 (Figueroa et al. 2012, Predicting sample size required for
    classification performance). For each of six powers c in [0.05, 0.3] a and b have a normal posterior given the points and their
    scatter; powers weigh by how well they fit. The interval is that of the mixture, so it holds both what the points leave open and
    which power it is; steeper powers said that learning was over when it was not (NHS comments, 100 to 400 decisions). The scatter of a point is not divided by the number of repeats, because repeats share comments.
    """
    if len(curve) < 3:  # noqa: PLR2004 -- a power law has three numbers
        why = f"a learning curve needs {MIN_DECIDED} decided comments, some with a theme"
        return Gain(n_now, n_more, None, None, None, why)
    size, score, sd = (np.array([getattr(p, name) for p in curve], np.float64) for name in ("n", "micro_f1", "sd"))
    sd = np.maximum(sd, _SMALLEST_SD)
    rng = np.random.default_rng(seed)
    gains, weights = [], []
    for power in _POWERS:
        x = size**-power
        design = np.column_stack((np.ones_like(x), -x)) / sd[:, None]
        precision = design.T @ design
        spread = np.linalg.inv(precision + 1e-9 * np.eye(2))
        best = spread @ (design.T @ (score / sd))
        misfit = float(((score / sd - design @ best) ** 2).sum())
        drawn = best + rng.normal(size=(_DRAWS, 2)) @ np.linalg.cholesky(spread).T
        then = drawn[:, 0] - drawn[:, 1] * float(n_now + n_more) ** -power
        possible = (drawn[:, 1] >= 0) & (then <= 1)
        gain = drawn[possible, 1] * (n_now**-power - float(n_now + n_more) ** -power)
        gains.append(gain)
        weights.append(np.full(len(gain), np.exp(-misfit / 2)))
    gain, weight = np.concatenate(gains), np.concatenate(weights)
    if not len(gain) or weight.sum() <= 0:
        return Gain(n_now, n_more, None, None, None, "the scores do not follow a learning curve")
    low, middle, high = _quantiles(gain, weight, ((1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2))
    return Gain(n_now, n_more, middle, low, high)


def suggest(
    *,
    n_left: int,
    gain: Gain,
    alpha: Figure,
    ceiling: Figure,
    model_f1: Figure | None = None,
    n_positive: dict[ThemeId, int] | None = None,
    min_gain: float = MIN_GAIN,
) -> Outlook:
    """Return whether to stop, go on or mend the codebook, by the first of these that holds.

    Nothing is left; coders clearly agree too little (the whole interval of alpha is below `RELIABLE`); the model agrees with people as
    well as they do with each other; the next labels are unlikely to bring `min_gain` and no theme is short of examples. Else go on.

    Parameters
    ----------
    n_left
        Comments in the queue that nobody decided.
    gain
        From `expect_gain`.
    alpha, ceiling
        From `measure_agreement`: alpha over all themes, coder-coder micro-F1.
    model_f1
        Held-out micro-F1 of the model in service, on the same consultation.
    n_positive
        Positive decisions of each theme.
    """
    if n_left <= 0:
        return Outlook(Advice.STOP, "every comment in the queue is decided")
    if alpha.high is not None and alpha.high < RELIABLE:
        return Outlook(
            Advice.MEND_CODEBOOK,
            f"coders agree too little (alpha {alpha.value:.2f}, at most {alpha.high:.2f}, of {RELIABLE} needed): "
            "settle the themes they differ on before more is labelled",
        )
    if model_f1 is not None and model_f1.value is not None and ceiling.value is not None:
        surely = model_f1.low if model_f1.low is not None else model_f1.value
        if surely >= ceiling.value:
            return Outlook(
                Advice.STOP,
                f"the model agrees with people (micro-F1 {model_f1.value:.2f}) as well as they do with each other ({ceiling.value:.2f})",
            )
    if gain.gain is None or gain.low is None or gain.high is None:
        return Outlook(Advice.GO_ON, gain.why)
    expected = f"the next {counted(gain.n_more, 'label is', 'labels are')} expected to add {gain.gain:.3f} to micro-F1 ({gain.low:.3f} to {gain.high:.3f})"
    short = [t for t, n in (n_positive or {}).items() if 0 < n < MIN_EXAMPLES]
    if gain.high >= min_gain:
        return Outlook(Advice.GO_ON, expected)
    if short:
        return Outlook(
            Advice.GO_ON,
            f"{expected}, but {counted(len(short), 'theme has', 'themes have')} fewer than {MIN_EXAMPLES} examples, such as {short[0]}",
        )
    return Outlook(Advice.STOP, f"{expected}: less than {min_gain}")


def _kernel(vectors: FloatArray) -> FloatArray:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.where(length > 0, length, 1.0)
    return np.asarray(unit @ unit.T + 1.0)


def _held_out_f1(kernel: FloatArray, truth: BoolArray, rows: NDArray[np.intp], held: NDArray[np.intp]) -> float:
    inverse = np.linalg.inv(kernel[np.ix_(rows, rows)] + _RIDGE * np.eye(len(rows)))
    weights = inverse @ np.where(truth[rows], 1.0, -1.0)
    left_out = np.where(truth[rows], 1.0, -1.0) - weights / np.diag(inverse)[:, None]
    said = kernel[np.ix_(held, rows)] @ weights >= _best_cut(left_out.ravel(), truth[rows].ravel())
    wanted = truth[held]
    return float(2 * (said & wanted).sum() / max(1, said.sum() + wanted.sum()))


def _best_cut(scores: FloatArray, truth: BoolArray) -> float:
    order = np.argsort(-scores, kind="stable")
    f1 = 2 * np.cumsum(truth[order]) / (np.arange(1, len(order) + 1) + truth.sum())
    return float(scores[order][int(f1.argmax())])


def _quantiles(values: FloatArray, weights: FloatArray, at: Sequence[float]) -> list[float]:
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    return [float(values[order][min(int(np.searchsorted(share, q)), len(order) - 1)]) for q in at]
