"""The gate asks of a candidate model: is it at least as good, on a fixed gold set, as the one that codes now.

Both models code the same comments, and whole respondents are resampled together (paired bootstrap), so that what both
get right or wrong cancels.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.evaluation import N_BINS

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

DRAWS: Final = 2_000
MIN_POSITIVES: Final = 5
"""A theme with fewer positives in the gold set is not judged on its own."""


@dataclass(frozen=True, slots=True)
class Coded:
    """What a model says of the gold set: probabilities and verdicts, both of shape (n, n_themes)."""

    probabilities: FloatArray
    predicted: BoolArray


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison: the figure of the model that codes now, of the candidate, and the difference with its interval."""

    name: str
    before: float
    after: float
    difference: float
    low: float
    high: float
    passed: bool
    rule: str


@dataclass(frozen=True, slots=True)
class GateReport:
    """All checks, and the reasons if any failed."""

    checks: tuple[Check, ...]
    n_comments: int
    n_respondents: int
    themes_not_judged: tuple[str, ...]
    """Themes with fewer than `MIN_POSITIVES` positives in the gold set."""

    @property
    def passed(self) -> bool:
        """Whether every check was passed."""
        return all(c.passed for c in self.checks)

    @property
    def reason(self) -> str:
        """The failed checks in words, or what was gained."""
        shown = [c for c in self.checks if not c.passed] or [
            c for c in self.checks if c.name in ("micro_f1", "macro_f1")
        ]
        return "; ".join(
            f"{c.name} {c.before:.4f} -> {c.after:.4f} ({c.difference:+.4f}, {c.low:+.4f} to {c.high:+.4f})"
            for c in shown
        )

    def to_document(self) -> dict[str, Any]:
        """Return plain values for the registry."""
        return {
            "passed": self.passed,
            "n_comments": self.n_comments,
            "n_respondents": self.n_respondents,
            "themes_not_judged": list(self.themes_not_judged),
            "checks": [asdict(c) for c in self.checks],
        }


def run_gate(
    themes: Sequence[str],
    truth: BoolArray,
    groups: Sequence[str],
    before: Coded,
    after: Coded,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> GateReport:
    """Return the comparison of two models on the same comments.

    Parameters
    ----------
    themes
        Ids, the columns' order.
    truth
        Decisions, shape (n, n_themes).
    groups
        The respondent of each comment; they are drawn whole.
    before, after
        The model that codes now, and the candidate.

    Notes
    -----
    Rules. Micro- and macro-F1: not lower. A theme's F1, calibration error (ECE over all cells) and share error (mean
    distance between coded and decided share of comments): not clearly worse, that is, the 95 % interval of the difference does
    not lie wholly on the worse side; for themes the interval is widened for their number (Bonferroni), or one model in
    two would fail by chance with 43 themes.
    """
    names, index = np.unique(np.array(groups), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    weights = np.vstack((np.ones((1, len(names))), drawn)).astype(np.float64)
    old, new = (_figures(c, truth, index, len(names), weights) for c in (before, after))
    positives = truth.sum(axis=0)
    judged = [k for k in range(len(themes)) if positives[k] >= MIN_POSITIVES]
    checks = [
        _check("micro_f1", old.micro, new.micro, at_least=True),
        _check("macro_f1", *(np.nanmean(f.theme_f1[:, positives > 0], axis=1) for f in (old, new)), at_least=True),
        _check("ece", old.ece, new.ece, better=-1),
        _check("share_error", old.share_error, new.share_error, better=-1),
        *(_check(f"f1 {themes[k]}", old.theme_f1[:, k], new.theme_f1[:, k], level=0.05 / len(judged)) for k in judged),
    ]
    few = tuple(t for k, t in enumerate(themes) if positives[k] < MIN_POSITIVES)
    return GateReport(tuple(checks), len(truth), len(names), few)


@dataclass(frozen=True, slots=True)
class _Figures:
    """Each figure for the whole gold set (row 0) and for each draw; a theme that a draw lacks has no F1 there."""

    micro: FloatArray
    theme_f1: FloatArray
    ece: FloatArray
    share_error: FloatArray


def _figures(coded: Coded, truth: BoolArray, index: NDArray[np.intp], n_groups: int, weights: FloatArray) -> _Figures:
    def summed(cells: NDArray[Any]) -> FloatArray:
        by_group = np.zeros((n_groups, cells.shape[1]))
        np.add.at(by_group, index, cells.astype(np.float64))
        return weights @ by_group

    hits, said, true = (summed(c) for c in (coded.predicted & truth, coded.predicted, truth))
    n = summed(np.ones((len(truth), 1)))
    both = said + true
    bins = np.minimum((coded.probabilities * N_BINS).astype(int), N_BINS - 1)
    gap = sum(
        np.abs(summed((np.where(bins == b, coded.probabilities - truth, 0.0)).sum(axis=1, keepdims=True)))
        for b in range(N_BINS)
    )
    return _Figures(
        micro=2 * hits.sum(axis=1) / np.maximum(both.sum(axis=1), 1.0),
        theme_f1=np.where(both > 0, 2 * hits / np.maximum(both, 1.0), np.nan),
        ece=np.asarray(gap)[:, 0] / (n[:, 0] * truth.shape[1]),
        share_error=(np.abs(said - true) / n).mean(axis=1),
    )


def _check(
    name: str, old: FloatArray, new: FloatArray, *, at_least: bool = False, better: int = 1, level: float = 0.05
) -> Check:
    difference = new - old
    low, high = (float(q) for q in np.nanquantile(difference[1:], (level / 2, 1 - level / 2)))
    here = float(difference[0])
    if at_least:
        passed, rule = here >= 0, "not lower"
    else:
        passed = high >= 0 if better > 0 else low <= 0
        rule = "not clearly lower" if better > 0 else "not clearly higher"
    numbers = {"before": float(old[0]), "after": float(new[0]), "difference": here, "low": low, "high": high}
    return Check(name, passed=passed, rule=rule, **{key: round(v, 6) for key, v in numbers.items()})
