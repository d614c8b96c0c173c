"""From score to probability, and from probability to yes, no or unsure."""

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
UNSURE_LOGITS: Final = 0.8
"""Log-odds to either side of a threshold that count as unsure: for a threshold of .4, from .23 to .60."""
_CONVERGED: Final = 1e-9
OWN_WEIGHT: Final = 0.5
"""What the mean F1 of themes counts beside F1 over all cells where thresholds are chosen."""
_GRID: Final = np.arange(5, 96) / 100.0
COMMENT_WEIGHT: Final = 0.5
"""What the mean F1 of comments counts beside F1 over all cells where the fallback is chosen."""
MIN_POSITIVES: Final = 10
"""A theme with fewer positives than this uses the pooled calibration and threshold as they are."""
_MIN_GAINED: Final = 5
"""A fallback must find so many more of the decisions."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What thresholds are chosen for: the best F1, or the least loss that still reaches a recall or a precision."""

    measure: Literal["f1", "recall", "precision"] = "f1"
    at_least: float = 0.0
    """The recall or precision to reach, in (0, 1); without meaning for F1."""


BEST_F1: Final = Aim()


@dataclass(frozen=True, slots=True)
class Calibration:
    """Per-theme scale and bias of the logistic link, threshold and "unsure" band; arrays of shape (n_themes,).

    A probability at or above `threshold` is a yes. From `unsure_low` up to `unsure_high` it is also marked unsure.
    Where no theme of a comment reaches its threshold, its likeliest is a yes, and unsure, if it reaches `fallback`.
    """

    scale: FloatArray
    bias: FloatArray
    threshold: FloatArray
    unsure_low: FloatArray
    unsure_high: FloatArray
    n_positives: tuple[int, ...]
    fallback: float | None = None

    def verdicts(self, probabilities: FloatArray) -> NDArray[np.bool_]:
        """Return which themes are a yes, same shape as the probabilities: (n, n_themes)."""
        said = probabilities >= self.threshold
        if self.fallback is not None:
            bare = np.flatnonzero(~said.any(axis=1) & (probabilities.max(axis=1) >= self.fallback))
            said[bare, probabilities[bare].argmax(axis=1)] = True
        return np.asarray(said)

    def logits(self, scores: NDArray[np.floating[Any]]) -> FloatArray:
        """Return calibrated log-odds of raw scores, shape (..., n_themes)."""
        return np.asarray(scores, dtype=np.float64) * self.scale + self.bias

    def probabilities(self, scores: NDArray[np.floating[Any]]) -> FloatArray:
        """Return calibrated probabilities in [0, 1] of raw scores, shape (..., n_themes)."""
        return sigmoid(self.logits(scores))

    def to_document(self) -> dict[str, Any]:
        """Return plain lists, for the artefact."""
        names = ("scale", "bias", "threshold", "unsure_low", "unsure_high")
        numbers = {name: [round(float(v), 6) for v in getattr(self, name)] for name in names}
        last = {} if self.fallback is None else {"fallback": round(self.fallback, 6)}
        return {**numbers, "n_positives": list(self.n_positives), **last}

    @classmethod
    def from_document(cls, document: dict[str, Any], n_themes: int) -> "Calibration":
        """Return the calibration in plain lists; ValueError where a list is short or a number is not one."""
        arrays: dict[str, FloatArray] = {}
        for name in ("scale", "bias", "threshold", "unsure_low", "unsure_high"):
            array = np.array(document[name], dtype=np.float64)
            if array.shape != (n_themes,) or not np.isfinite(array).all():
                raise ValueError(f"calibration.{name} must be {n_themes} finite numbers")
            arrays[name] = array
        counts = tuple(int(n) for n in document["n_positives"])
        if len(counts) != n_themes:
            raise ValueError(f"calibration.n_positives must be {n_themes} counts")
        fallback = document.get("fallback")
        if fallback is not None and not 0 < float(fallback) < 1:
            raise ValueError("calibration.fallback must be between 0 and 1")
        return cls(**arrays, n_positives=counts, fallback=None if fallback is None else float(fallback))


def sigmoid(logits: NDArray[np.floating[Any]]) -> FloatArray:
    """Return 1 / (1 + exp(-x)) without overflow."""
    x = np.asarray(logits, dtype=np.float64)
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def fit_calibration(
    scores: FloatArray,
    truth: NDArray[np.bool_],
    *,
    shrink: float = 30.0,
    aim: Aim = BEST_F1,
    fallback: bool = False,
) -> Calibration:
    """Return a calibration learnt from scores that must be out of sample.

    Parameters
    ----------
    scores
        Raw scores, shape (n, n_themes), of comments that the model was not fitted on.
    truth
        Decisions, shape (n, n_themes).
    shrink
        Strength, in positives, with which a theme is pulled to what all themes share.
    aim
        What thresholds are for. A recall or precision holds for all themes together and for themes with many positives; rare themes
        are pulled to what holds for all.
    fallback
        Whether to learn from which probability on a comment's likeliest theme is coded where none reaches its threshold: where
        that does most for F1 over all cells and for the mean F1 of comments, the latter with weight `COMMENT_WEIGHT`, if it helps at
        all. For the aim of best F1 only.

    Notes
    -----
    Platt (1999) scaling, fitted by Newton steps: first one scale and bias for all cells, then for each theme with a
    Gaussian prior at the pooled values, whose weight is that of `shrink` positives. For a recall or a precision, thresholds meet
    it for each theme, shrunk likewise on the log-odds scale towards the pooled optimum. For F1 they serve all cells together and
    each theme's own F1, the latter with weight `OWN_WEIGHT`; the common one is half the best F1 that any common threshold reaches, which is where the best
    threshold of calibrated probabilities lies (Lipton, Elkan and Naryanaswamy, 2014) and moves less by chance than the best one seen.
    The unsure band spans `UNSURE_LOGITS` to either side of the threshold.
    """
    n, k = scores.shape
    if truth.shape != (n, k):
        raise ValueError("scores and truth must have the same shape")
    positives = truth.sum(axis=0)
    pooled = _newton(scores.ravel(), truth.ravel().astype(float), np.array([1.0, 0.0]), np.zeros(2))
    scale, bias = np.full(k, pooled[0]), np.full(k, pooled[1])
    for j in range(k):
        if positives[j] >= MIN_POSITIVES:
            prior = np.array([shrink, shrink]) / 4.0
            scale[j], bias[j] = _newton(scores[:, j], truth[:, j].astype(float), pooled, prior)
    scale = np.maximum(scale, 0.05)
    probabilities = sigmoid(scores * scale + bias)
    if aim == BEST_F1:
        threshold = _f1_thresholds(probabilities, truth)
    else:
        threshold = _shrunk_thresholds(probabilities, truth, aim, shrink)
    low, high = sigmoid(_logit(threshold) - UNSURE_LOGITS), sigmoid(_logit(threshold) + UNSURE_LOGITS)
    learnt = Calibration(scale, bias, threshold, low, high, tuple(int(p) for p in positives))
    if fallback and aim == BEST_F1:
        return replace(learnt, fallback=_best_fallback(probabilities, truth, learnt.verdicts(probabilities)))
    return learnt


def _f1_thresholds(probabilities: FloatArray, truth: NDArray[np.bool_]) -> FloatArray:
    """Return for each theme the threshold that does most for F1 over all cells and for the mean of the themes' own.

    A common theme decides much of the first, a rare one as much as any other of the second. What is true above a threshold
    is counted half from the decisions and half from the probabilities, so that a rare theme's threshold does not chase chance.
    """
    n_themes = truth.shape[1]
    pooled = _half_of_best_f1(probabilities.ravel(), truth.ravel())
    said = probabilities >= pooled
    cells = max(int(said.sum() + truth.sum()), 1)
    best_f1 = 2 * (said & truth).sum() / cells
    threshold = np.full(n_themes, pooled)
    for j in np.flatnonzero(truth.sum(axis=0) >= MIN_POSITIVES):
        order = np.argsort(-probabilities[:, j], kind="stable")
        ranked, true = probabilities[order, j], (truth[order, j] + probabilities[order, j]) / 2
        n_said = np.searchsorted(-ranked, -_GRID, side="right")
        hits = _running_sum(true)[n_said]
        of_all = (2 * hits - best_f1 * n_said) / cells
        own = 2 * hits / (n_said + true.sum())
        threshold[j] = _GRID[int(np.argmax(of_all + OWN_WEIGHT * own / n_themes))]
    return threshold


def _shrunk_thresholds(probabilities: FloatArray, truth: NDArray[np.bool_], aim: Aim, shrink: float) -> FloatArray:
    """Return each theme's threshold for a recall or a precision, on the log-odds scale shrunk towards what all themes share."""
    positives = truth.sum(axis=0)
    k = len(positives)
    pooled_cut = _logit(best_threshold(probabilities.ravel(), truth.ravel(), aim))
    threshold = np.empty(k)
    for j in range(k):
        weight = positives[j] / (positives[j] + shrink) if positives[j] >= MIN_POSITIVES else 0.0
        own = _logit(best_threshold(probabilities[:, j], truth[:, j], aim)) if weight else 0.0
        threshold[j] = sigmoid(np.array(weight * own + (1 - weight) * pooled_cut))
    return threshold


def _best_fallback(probabilities: FloatArray, truth: NDArray[np.bool_], said: NDArray[np.bool_]) -> float | None:
    """Return the probability from which the likeliest theme of a comment without any is best coded; None if never."""
    bare = np.flatnonzero(~said.any(axis=1))
    likeliest = probabilities[bare].argmax(axis=1)
    top, right, n_true = probabilities[bare, likeliest], truth[bare, likeliest], truth[bare].sum(axis=1)
    order = np.argsort(-top, kind="stable")
    n_said = said.sum() + np.arange(len(bare) + 1)
    n_hits = (said & truth).sum() + _running_sum(right[order])
    of_cells = 2 * n_hits / np.maximum(n_said + truth.sum(), 1)
    gain = 2 * right / (1 + n_true) - (n_true == 0)  # a comment that has no theme was right as it was
    of_comments = _running_sum(gain[order]) / len(truth)
    last_of_tie = np.concatenate(([True], np.append(top[order][:-1] > top[order][1:], True)[: len(bare)]))
    best = int(np.argmax(np.where(last_of_tie, of_cells + COMMENT_WEIGHT * of_comments, -np.inf)))
    if n_hits[best] - n_hits[0] < _MIN_GAINED:
        return None
    return float(np.clip(top[order][best - 1], 0.02, 0.98))


def _running_sum(values: NDArray[Any]) -> FloatArray:
    """Return the sums of the first 0, 1, ... n values."""
    return np.concatenate(([0.0], np.cumsum(values)))


def _half_of_best_f1(probabilities: FloatArray, truth: NDArray[np.bool_]) -> float:
    """Return half the best F1 of any one threshold; 0.5 if nothing is true."""
    if not truth.any():
        return 0.5
    said = probabilities >= best_threshold(probabilities, truth)
    return float(np.clip((said & truth).sum() / (said.sum() + truth.sum()), 0.02, 0.98))


def best_threshold(probabilities: FloatArray, truth: NDArray[np.bool_], aim: Aim = BEST_F1) -> float:
    """Return the probability from which to call "yes"; 0.5 if nothing is true.

    For F1, where it is best. For a recall, the highest that reaches it; for a precision, the lowest that reaches it, or where
    precision is best if none does.
    """
    total = int(truth.sum())
    if total == 0:
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    hits = np.cumsum(truth[order])
    said = np.arange(1, len(order) + 1)
    ranked = probabilities[order]
    last_of_tie = np.append(ranked[:-1] > ranked[1:], True)
    if aim.measure == "f1":
        best = int(np.argmax(np.where(last_of_tie, 2 * hits / (said + total), -1.0)))
    elif aim.measure == "recall":
        best = int(np.argmax(last_of_tie & (hits >= aim.at_least * total)))
    else:
        precision = np.where(last_of_tie, hits / said, -1.0)
        reached = np.flatnonzero(precision >= aim.at_least)
        best = int(reached[-1]) if len(reached) else int(np.argmax(precision))
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float(np.clip((ranked[best] + below) / 2, 0.02, 0.98))


def _logit(p: FloatArray | float) -> FloatArray:
    q = np.clip(np.asarray(p, dtype=np.float64), 1e-6, 1 - 1e-6)
    return np.asarray(np.log(q / (1 - q)))


def _newton(x: FloatArray, y: FloatArray, start: FloatArray, prior: FloatArray) -> FloatArray:
    """Return scale and bias of penalised logistic regression, the penalty pulling to `start`."""
    theta = start.astype(float).copy()
    design = np.column_stack((x, np.ones_like(x)))
    ridge = np.diag(prior + 1e-6)
    for _ in range(50):
        p = sigmoid(design @ theta)
        gradient = design.T @ (p - y) + ridge @ (theta - start)
        curvature = (design * (p * (1 - p))[:, None]).T @ design + ridge
        step = np.linalg.solve(curvature, gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
        theta -= step
        if float(np.abs(step).max()) < _CONVERGED:
            break
    return theta
