"""How well codings agree with decisions: the metrics file, and the numbers of the card."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import DecidedComment, ThemeId

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
MIN_SUPPORT = 1
N_BINS = 10


def metrics(
    themes: Sequence[str],
    predicted: BoolArray,
    truth: BoolArray,
    *,
    probabilities: FloatArray | None = None,
    thresholds: FloatArray | None = None,
    counted: BoolArray | None = None,
    min_support: int = MIN_SUPPORT,
) -> dict[str, Any]:
    """Return the contract's metrics.

    Parameters
    ----------
    themes
        Ids, the columns' order.
    predicted, truth
        Shape (n, n_themes).
    probabilities
        Out-of-sample probabilities, same shape, for the calibration error.
    thresholds
        Per theme, to print beside its scores.
    counted
        Where False, a cell is in dispute and counts for nothing; same shape.
    min_support
        Themes with fewer positives are left out of macro-F1.

    Notes
    -----
    samples-F1 gives 1 to a comment without a theme that got none. ECE is the mean gap between probability and rate
    over ten equal-width bins of all counted cells, weighted by size (Naeini, Cooper and Hauskrecht, 2015).
    """
    n, n_themes = truth.shape
    if predicted.shape != truth.shape or len(themes) != n_themes:
        raise ValueError("predicted, truth and themes must fit each other")
    counted = np.ones_like(truth) if counted is None else counted
    p, t = predicted & counted, truth & counted
    hits, said, true = (p & t).sum(axis=0), p.sum(axis=0), t.sum(axis=0)
    own = (p & t).sum(axis=1), p.sum(axis=1) + t.sum(axis=1)
    f1 = _ratio(2 * hits, said + true)
    with_support = true >= min_support
    wrong = (p != t) & counted
    per_theme = {
        theme: {
            "precision": _round(_ratio(hits, said)[k]) if said[k] else None,
            "recall": _round(_ratio(hits, true)[k]) if true[k] else None,
            "f1": _round(f1[k]) if said[k] + true[k] else None,
            "support": int(true[k]),
            "threshold": _round(float(thresholds[k])) if thresholds is not None else None,
            **_theme_ece(probabilities, t, counted, k),
        }
        for k, theme in enumerate(themes)
    }
    return {
        "n": n,
        "micro_f1": _round(_ratio(2 * hits.sum(), said.sum() + true.sum())),
        "macro_f1": _round(float(f1[with_support].mean())) if with_support.any() else None,
        "samples_f1": _round(float(np.where(own[1] == 0, 1.0, _ratio(2 * own[0], own[1])).mean())),
        "exact_match": _round(float((~wrong).all(axis=1).mean())),
        "hamming_loss": _round(float(wrong.sum() / counted.sum())),
        "ece": _round(expected_calibration_error(probabilities[counted], t[counted]))
        if probabilities is not None
        else None,
        "per_theme": per_theme,
    }


def _theme_ece(probabilities: FloatArray | None, truth: BoolArray, counted: BoolArray, k: int) -> dict[str, float]:
    if probabilities is None:
        return {}
    rows = counted[:, k]
    return {"ece": _round(expected_calibration_error(probabilities[rows, k], truth[rows, k]))}


def expected_calibration_error(probabilities: FloatArray, truth: BoolArray) -> float:
    """Return the weighted mean gap between probability and rate over equal-width bins; both of shape (n,)."""
    bins = np.minimum((probabilities * N_BINS).astype(int), N_BINS - 1)
    size = np.bincount(bins, minlength=N_BINS)
    gap = np.abs(np.bincount(bins, probabilities, N_BINS) - np.bincount(bins, truth.astype(float), N_BINS))
    return float(gap.sum() / max(1, size.sum()))


def bootstrap_intervals(
    predicted: BoolArray,
    truth: BoolArray,
    groups: Sequence[str],
    *,
    probabilities: FloatArray | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile bootstrap intervals of overall metrics, drawing whole groups (respondents).

    Parameters
    ----------
    predicted, truth, probabilities
        Shape (n, n_themes); the calibration error is left out if there are no probabilities.
    groups
        The respondent of each comment, length n.

    Notes
    -----
    macro-F1 is over the themes that a draw holds. Efron (1979); groups are drawn by multinomial weights.
    """
    names, index = np.unique(np.array(groups), return_inverse=True)

    def summed(cells: NDArray[Any]) -> FloatArray:
        by_group = np.zeros((len(names), cells.shape[1]))
        np.add.at(by_group, index, cells.astype(np.float64))
        return by_group

    both_of_row = predicted.sum(axis=1) + truth.sum(axis=1)
    own = np.where(both_of_row == 0, 1.0, _ratio(2 * (predicted & truth).sum(axis=1), both_of_row))
    columns: list[FloatArray] = [
        summed(predicted & truth),
        summed(predicted),
        summed(truth),
        summed(np.column_stack((np.ones(len(truth)), own, (predicted == truth).all(axis=1)))),
    ]
    if probabilities is not None:
        bins = np.minimum((probabilities * N_BINS).astype(int), N_BINS - 1)
        gaps = [np.where(bins == b, probabilities - truth, 0.0).sum(axis=1) for b in range(N_BINS)]
        columns.append(summed(np.column_stack(gaps)))
    edges = np.cumsum([0, *(c.shape[1] for c in columns)])
    table = np.concatenate(columns, axis=1)
    rng = np.random.default_rng(seed)
    drawn: dict[str, list[float]] = {name: [] for name in ("micro_f1", "macro_f1", "samples_f1", "exact_match", "ece")}
    for _ in range(draws):
        sums = rng.multinomial(len(names), np.full(len(names), 1 / len(names))) @ table
        hits, said, true, rows, *gap = (sums[a:b] for a, b in itertools.pairwise(edges))
        held = true > 0
        drawn["micro_f1"].append(float(_ratio(2 * hits.sum(), said.sum() + true.sum())))
        drawn["macro_f1"].append(float(_ratio(2 * hits, said + true)[held].mean()) if held.any() else 0.0)
        drawn["samples_f1"].append(float(rows[1] / rows[0]))
        drawn["exact_match"].append(float(rows[2] / rows[0]))
        if gap:
            drawn["ece"].append(float(np.abs(gap[0]).sum() / (rows[0] * truth.shape[1])))
    return {
        name: (_round(np.quantile(values, 0.025)), _round(np.quantile(values, 0.975)))
        for name, values in drawn.items()
        if values
    }


def theme_rates(decided: Sequence[DecidedComment], themes: Sequence[ThemeId]) -> dict[str, Any] | None:
    """Return each theme's share of all decided comments and of those drawn at random; None if none is marked `blind`.

    Comments that a queue chose for their doubt are no sample of what residents wrote; blind ones are.
    """
    blind = [d for d in decided if d.blind]
    if not blind:
        return None
    rates = {
        t: {name: _round(sum(t in d.themes for d in rows) / len(rows)) for name, rows in (("trained_on", decided), ("blind", blind))}
        for t in themes
    }  # fmt: skip
    return {"n_blind": len(blind), "per_theme": rates}


def confusable_pairs(
    themes: Sequence[str], predicted: BoolArray, truth: BoolArray, *, most: int = 12
) -> list[dict[str, Any]]:
    """Return the pairs in which one theme was most often coded where another, and not it, was decided."""
    extra, missed = predicted & ~truth, truth & ~predicted
    counts = missed.T.astype(np.int64) @ extra.astype(np.int64)
    order = np.argsort(-counts, axis=None, kind="stable")[:most]
    rows = [(int(i // len(themes)), int(i % len(themes))) for i in order]
    return [{"decided": themes[a], "coded": themes[b], "n": int(counts[a, b])} for a, b in rows if counts[a, b] > 1]


def coder_agreement(decided: Sequence[DecidedComment], themes: Sequence[ThemeId]) -> dict[str, Any] | None:
    """Return how well coders agree on the comments that two of them saw; None if there are none.

    Notes
    -----
    Of each comment (one id) every pair of coders counts. F1 between two codings is the same whichever is called the truth.
    Agreement beyond chance is Scott's pi (1955) over all cells, since pairs have no first and second coder.
    """
    by_comment: dict[str, dict[str, frozenset[ThemeId]]] = {}
    for d in decided:
        if d.coder is not None:
            by_comment.setdefault(d.comment.id, {})[d.coder] = d.themes
    pairs = [p for coders in by_comment.values() for p in itertools.combinations(coders.values(), 2)]
    if not pairs:
        return None
    a, b = (np.array([[t in pair[side] for t in themes] for pair in pairs], dtype=np.bool_) for side in (0, 1))
    agreed, rate = float((a == b).mean()), float((a.mean() + b.mean()) / 2)
    chance = rate**2 + (1 - rate) ** 2
    return {
        "n_pairs": len(pairs),
        "micro_f1": _round(_ratio(2 * (a & b).sum(), a.sum() + b.sum())),
        "exact_match": _round((a == b).all(axis=1).mean()),
        "scott_pi": _round((agreed - chance) / (1 - chance)) if chance < 1 else None,
    }


def _ratio(top: Any, bottom: Any) -> Any:
    return np.asarray(top, dtype=float) / np.maximum(np.asarray(bottom, dtype=float), 1.0)


def _round(value: Any) -> float:
    return round(float(value), 4)
