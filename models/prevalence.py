"""Shares of respondents who raised a theme, with intervals that hold the model's error and the sample's.

The model has read every respondent (proxy f), people have read a random part of them (truth y). The share in this consultation is
estimated by the difference estimator mean(lambda f) over all + mean(y - lambda f) over the labelled, known as prediction-powered
inference (Angelopoulos et al. 2023) with its power tuned (PPI++, 2023). All respondents are known, so the population is finite: with everyone
labelled, nothing is uncertain. Respondents with as many comments form a stratum, because a random sample of comments holds all comments of
somebody who wrote one more often than of somebody who wrote three.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Method = Literal["prediction_powered", "labels_only", "model_only", "census"]

LEVEL: Final = 0.95
MIN_STRATUM: Final = 10
"""A stratum with fewer labelled respondents is joined with its neighbour."""
MIN_POSITIVES: Final = 5
"""With fewer positive or negative labels, only the labels count: a slope from so few would be luck."""
_MENDED_BELOW: Final = 4
DRAWS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Prevalence:
    """Estimated share of respondents who raised one theme.

    `low` and `high` are None where nothing was labelled; `why` then says so. `labels_to_halve` is how many more labelled
    respondents would halve the interval, None where that is beyond the consultation or there is no interval.
    """

    share: float
    low: float | None
    high: float | None
    rank_low: int | None
    rank_high: int | None
    method: Method
    n_labelled: int
    n_respondents: int
    tuning: float
    """Lambda in [0, 1]: how much the model's reading counts."""
    labels_to_halve: int | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """What one set of labels says: shares, squared standard errors, lambda; each of shape (n_themes,)."""

    share: FloatArray
    variance: FloatArray
    tuning: FloatArray


def estimate_prevalence(
    proxy: FloatArray,
    truth: BoolArray,
    labelled: BoolArray,
    *,
    n_comments: NDArray[np.int64] | None = None,
    weights: FloatArray | None = None,
    ranked: Sequence[int] | None = None,
    seed: int = 0,
    draws: int = DRAWS,
) -> list[Prevalence]:
    """Return an estimate for each theme.

    Parameters
    ----------
    proxy
        The model's probability that a respondent raised a theme, shape (n_respondents, n_themes).
    truth
        What people decided, same shape; rows that are not labelled are not read.
    labelled
        Which respondents people read, shape (n_respondents,): a random sample within each number of comments.
    n_comments
        How many comments each respondent wrote, shape (n_respondents,); one each if not given.
    weights
        How much each respondent counts, shape (n_respondents,), above 0; all alike if not given. They count as known: their own error
        is in no interval.
    ranked
        Columns to rank against each other (themes of one level); all if not given.
    seed, draws
        Of the bootstrap over respondents behind the ranks.

    Notes
    -----
    The interval is Wilson's (1927) at the effective number of labels p (1 - p) / se^2, which holds where a normal interval fails:
    for rare themes. With fewer than `MIN_POSITIVES` positive or negative labels it is Wilson's on the labels alone, their number
    raised for the finite population, and with up to three of them it reaches as far towards 0 (or 1) as Poisson's bound does: Wilson's own
    holds a rare theme's share too seldom there (Brown, Cai and DasGupta, 2001).
    """
    n, k = proxy.shape
    w = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    n_labelled = int(labelled.sum())
    if n_labelled == 0:
        why = "nothing was labelled by people: the share is the model's own, and its error is not known"
        shares = w @ proxy / w.sum() if n else np.zeros(k)
        return [Prevalence(float(s), None, None, None, None, "model_only", 0, n, 1.0, None, why) for s in shares]
    if n_labelled == n:
        shares = w @ truth / w.sum()
        ranks = _plain_ranks(shares, ranked)
        return [
            Prevalence(float(s), float(s), float(s), *ranks[j], "census", n, n, 0.0, None, "everybody was labelled")
            for j, s in enumerate(shares)
        ]
    strata = _strata(labelled, np.ones(n, np.int64) if n_comments is None else n_comments)
    part = _estimate(proxy, truth, labelled, strata, w)
    alone = _estimate(np.zeros_like(proxy), truth, labelled, strata, w)
    positives = truth[labelled].sum(axis=0)
    few = (positives < MIN_POSITIVES) | (n_labelled - positives < MIN_POSITIVES)
    share = np.where(few, alone.share, part.share).clip(0.0, 1.0)
    variance = np.where(few, alone.variance, part.variance)
    of_labelled = w[labelled]
    alike = float(of_labelled.sum() ** 2 / (n_labelled * (of_labelled**2).sum()))  # Kish's: 1 where all count alike
    lows, highs = _intervals(share, variance, few, n_labelled, n, alike)
    told = 1 / (1 - n_labelled / n)  # what a label counts for: the population is finite
    lows = np.where(few, np.minimum(lows, share * _least_part(told * positives)), lows)
    highs = np.where(few, np.maximum(highs, 1 - (1 - share) * _least_part(told * (n_labelled - positives))), highs)
    ranks = _rank_ranges(proxy, truth, labelled, strata, w, np.where(few, 0.0, part.tuning), share, ranked, seed, draws)
    more = _labels_to_halve(n_labelled, n)
    return [
        Prevalence(
            float(share[j]),
            float(lows[j]),
            float(highs[j]),
            *ranks[j],
            "labels_only" if few[j] else "prediction_powered",
            n_labelled,
            n,
            0.0 if few[j] else float(part.tuning[j]),
            more,
            f"fewer than {MIN_POSITIVES} positive or negative labels" if few[j] else "",
        )
        for j in range(k)
    ]


def wilson(share: FloatArray | float, n: FloatArray | float, *, level: float = LEVEL) -> tuple[FloatArray, FloatArray]:
    """Return Wilson's score interval of a share from n observations; n may be fractional, and all arrays broadcast."""
    z2 = _z(level) ** 2
    p, m = np.asarray(share, np.float64), np.maximum(np.asarray(n, np.float64), 1e-9)
    middle = (p + z2 / (2 * m)) / (1 + z2 / m)
    half = np.sqrt(z2) * np.sqrt(p * (1 - p) / m + z2 / (4 * m**2)) / (1 + z2 / m)
    return np.clip(middle - half, 0.0, 1.0), np.clip(middle + half, 0.0, 1.0)


def _z(level: float) -> float:
    from statistics import NormalDist  # noqa: PLC0415

    return NormalDist().inv_cdf(0.5 + level / 2)


def _strata(labelled: BoolArray, n_comments: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each respondent's stratum, numbered from 0: by number of comments, joined upwards until each has enough labels."""
    out = np.empty(len(labelled), np.int64)
    current, held = 0, 0
    for number in np.unique(n_comments):
        rows = n_comments == number
        out[rows] = current
        held += int(labelled[rows].sum())
        if held >= MIN_STRATUM:
            current, held = current + 1, 0
    if current:
        out[out == current] = current - 1
    return out


def _estimate(
    proxy: FloatArray, truth: BoolArray, labelled: BoolArray, strata: NDArray[np.int64], weights: FloatArray
) -> _Part:
    """Return the stratified difference estimate; one lambda a theme for all strata.

    Weighted residuals are averaged by their weights, and their variance is that of the linearised ratio (Särndal, Swensson and
    Wretman, 1992, section 5.6).
    """
    f, y = proxy[labelled], truth[labelled].astype(np.float64)
    centred = f - f.mean(axis=0)
    spread = (centred**2).sum(axis=0)
    slope = (centred * (y - y.mean(axis=0))).sum(axis=0) / np.maximum(spread, 1e-12)
    tuning = np.where(spread > 1e-12, np.clip(slope, 0.0, 1.0), 0.0)  # noqa: PLR2004 -- a proxy that never varies
    share, variance = np.zeros(proxy.shape[1]), np.zeros(proxy.shape[1])
    of_labelled = strata[labelled]
    for stratum in np.unique(strata):
        rows = strata == stratum
        weight, size = weights[rows].sum() / weights.sum(), int(rows.sum())
        rest = y[of_labelled == stratum] - tuning * f[of_labelled == stratum]
        mean, moved = _linearised(rest, weights[labelled][of_labelled == stratum])
        m = len(rest)
        share += weight * (tuning * (weights[rows] @ proxy[rows] / weights[rows].sum()) + mean)
        variance += weight**2 * (1 - m / size) * moved.var(axis=0, ddof=1 if m > 1 else 0) / m
    return _Part(share, variance, tuning)


def _linearised(rest: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the weighted mean of rows, and how much each row moves it."""
    mean = weights @ rest / weights.sum()
    return mean, weights[:, None] * (rest - mean) / weights.mean()


def _intervals(
    share: FloatArray, variance: FloatArray, few: BoolArray, n_labelled: int, n: int, alike: float
) -> tuple[FloatArray, FloatArray]:
    plain = alike * n_labelled / (1 - n_labelled / n)
    effective = np.where(few | (variance <= 0), plain, share * (1 - share) / np.maximum(variance, 1e-12))
    return wilson(share, np.maximum(effective, 1.0))


def _least_part(counts: FloatArray) -> FloatArray:
    """Return the least rate that gives such a count or more in 5 % of samples, by Poisson, for each that was counted; 1 for none and from four on."""
    from scipy.special import gammaincinv  # noqa: PLC0415 -- with scipy's start-up

    mended = (counts > 0) & (counts < _MENDED_BELOW)
    x = np.where(mended, counts, 1.0)
    return np.where(mended, gammaincinv(x, 1 - LEVEL) / x, 1.0)


def _labels_to_halve(n_labelled: int, n: int) -> int | None:
    """Return how many more labels halve a standard error that shrinks with 1/n_labelled - 1/n."""
    needed = 1 / ((1 / n_labelled - 1 / n) / 4 + 1 / n)
    return int(np.ceil(needed)) - n_labelled


def _plain_ranks(shares: FloatArray, ranked: Sequence[int] | None) -> list[tuple[int | None, int | None]]:
    chosen = list(range(len(shares)) if ranked is None else ranked)
    ranks: list[tuple[int | None, int | None]] = [(None, None)] * len(shares)
    for j in chosen:
        above = sum(shares[i] > shares[j] for i in chosen)
        ties = sum(shares[i] == shares[j] for i in chosen)
        ranks[j] = (int(above) + 1, int(above + ties))
    return ranks


def _rank_ranges(
    proxy: FloatArray,
    truth: BoolArray,
    labelled: BoolArray,
    strata: NDArray[np.int64],
    weights: FloatArray,
    tuning: FloatArray,
    share: FloatArray,
    ranked: Sequence[int] | None,
    seed: int,
    draws: int,
) -> list[tuple[int | None, int | None]]:
    """Return ranks that hold the true one: a theme is above another only where the difference's interval clears zero.

    Differences are drawn by a bootstrap over labelled respondents, all themes of a respondent together (Efron, 1979), within strata,
    scaled to the finite population; ranges from intervals of differences after Mohamad, Goeman and van Zwet (2019).
    """
    chosen = np.arange(len(share)) if ranked is None else np.asarray(ranked, np.intp)
    rest = truth[labelled][:, chosen] - tuning[chosen] * proxy[labelled][:, chosen]
    of_labelled = strata[labelled]
    rng = np.random.default_rng(seed)
    moved = np.zeros((draws, len(chosen)))
    for stratum in np.unique(strata):
        rows, size = of_labelled == stratum, int((strata == stratum).sum())
        m = int(rows.sum())
        _, centred = _linearised(rest[rows], weights[labelled][rows])
        times = rng.multinomial(m, np.full(m, 1 / m), size=draws)
        scale = np.sqrt((1 - m / size) * m / max(1, m - 1))
        moved += weights[strata == stratum].sum() / weights.sum() * scale * (times @ centred) / m
    estimate = share[chosen]
    ranks: list[tuple[int | None, int | None]] = [(None, None)] * len(share)
    for a, j in enumerate(chosen):
        difference = estimate - estimate[a]
        wander = np.quantile(np.abs(moved - moved[:, [a]]), LEVEL, axis=0)
        above, below = int((difference > wander).sum()), int((-difference > wander).sum())
        ranks[int(j)] = (above + 1, len(chosen) - below)
    return ranks


def to_document(theme: str, prevalence: Prevalence, n_comments: int) -> dict[str, Any]:
    """Return a line of a shares file: the contract's keys first, then what explains them."""
    p = prevalence

    def rounded(value: float | None) -> float | None:
        return None if value is None else round(value, 6)

    return {
        "theme": theme,
        "share": rounded(p.share),
        "low": rounded(p.low),
        "high": rounded(p.high),
        "rank_low": p.rank_low,
        "rank_high": p.rank_high,
        "method": p.method,
        "n_labelled": p.n_labelled,
        "n_comments": n_comments,
        "n_respondents": p.n_respondents,
        "tuning": rounded(p.tuning),
        "labels_to_halve": p.labels_to_halve,
        "why": p.why,
    }
