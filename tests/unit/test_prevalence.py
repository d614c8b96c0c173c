"""Intervals hold the truth as often as they say; a useless model costs nothing; respondents are the unit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from models.prevalence import MIN_POSITIVES, estimate_prevalence, wilson

FloatArray = np.ndarray


def consultation(rng: np.random.Generator, n: int, share: float, skill: float) -> tuple[FloatArray, FloatArray]:
    """Truth and proxy of n respondents and one theme; skill 0 is noise, 1 is perfect."""
    truth = rng.random((n, 1)) < share
    noise = rng.beta(2, 2 / share - 2, (n, 1))
    return truth, np.clip(skill * truth + (1 - skill) * noise, 0, 1)


def sample(rng: np.random.Generator, n: int, n_labelled: int) -> FloatArray:
    labelled = np.zeros(n, np.bool_)
    labelled[rng.permutation(n)[:n_labelled]] = True
    return labelled


def test_wilson_equals_published_values() -> None:
    """Newcombe 1998, table I, method 3."""
    for hits, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)):
        found = wilson(hits / n, n)
        assert (round(float(found[0]), 4), round(float(found[1]), 4)) == (low, high)
    assert wilson(1.0, 29)[1] == pytest.approx(1.0)


@pytest.mark.parametrize(("share", "skill"), [(0.02, 0.5), (0.1, 0.0), (0.1, 0.6), (0.3, 0.8), (0.5, 0.3), (0.1, 1.0)])
def test_intervals_hold_the_share_of_this_consultation(share: float, skill: float) -> None:
    rng = np.random.default_rng(round(1000 * share + skill))
    held = []
    for _ in range(400):
        truth, proxy = consultation(rng, 1500, share, skill)
        found = estimate_prevalence(proxy, truth, sample(rng, 1500, 150), draws=2)[0]
        assert found.low is not None
        assert found.high is not None
        held.append(found.low - 1e-12 <= truth.mean() <= found.high + 1e-12)
    assert np.mean(held) >= 0.925


def test_a_good_model_narrows_and_a_useless_one_does_not_widen() -> None:
    rng = np.random.default_rng(0)
    width: dict[float, list[float]] = {0.0: [], 0.8: []}
    plain = []
    for _ in range(200):
        for skill, widths in width.items():
            truth, proxy = consultation(rng, 3000, 0.2, skill)
            labelled = sample(rng, 3000, 200)
            found = estimate_prevalence(proxy, truth, labelled, draws=2)[0]
            assert found.low is not None
            assert found.high is not None
            widths.append(found.high - found.low)
            if skill == 0.0:
                alone = estimate_prevalence(np.zeros_like(proxy), truth, labelled, draws=2)[0]
                assert alone.low is not None
                assert alone.high is not None
                plain.append(alone.high - alone.low)
    assert np.mean(width[0.0]) <= 1.03 * np.mean(plain)
    assert np.mean(width[0.8]) <= 0.6 * np.mean(plain)


def test_nothing_labelled_gives_no_interval_and_says_why() -> None:
    found = estimate_prevalence(np.full((10, 1), 0.3), np.zeros((10, 1), np.bool_), np.zeros(10, np.bool_))[0]
    assert (found.share, found.low, found.high, found.rank_low) == (pytest.approx(0.3), None, None, None)
    assert found.method == "model_only"
    assert "labelled" in found.why


def test_everybody_labelled_leaves_nothing_to_estimate() -> None:
    truth = np.array([[True, False], [False, False], [True, True], [False, False]])
    found = estimate_prevalence(np.full((4, 2), 0.5), truth, np.ones(4, np.bool_))
    assert [(p.share, p.low, p.high, p.rank_low, p.rank_high) for p in found] == [
        (0.5, 0.5, 0.5, 1, 1),
        (0.25, 0.25, 0.25, 2, 2),
    ]


def test_few_positive_labels_fall_back_to_the_labels() -> None:
    rng = np.random.default_rng(2)
    truth, proxy = consultation(rng, 1000, 0.005, 0.9)
    labelled = sample(rng, 1000, 100)
    found = estimate_prevalence(proxy, truth, labelled)[0]
    assert truth[labelled].sum() < MIN_POSITIVES
    assert (found.method, found.share) == ("labels_only", truth[labelled].mean())


@pytest.mark.slow
@pytest.mark.parametrize(("share", "n_labelled"), [(0.005, 100), (0.02, 50), (0.02, 400), (0.98, 50), (0.995, 100)])
def test_intervals_of_rare_and_of_usual_shares_hold_them_often_enough(share: float, n_labelled: int) -> None:
    """Counted exactly: each number of positive labels by its probability, the model of no use."""
    n = 20_000
    held = 0.0
    for positives in range(n_labelled + 1):
        likelihood = binom.pmf(positives, n_labelled, share)
        if likelihood < 1e-6:
            continue
        truth = np.zeros((n, 1), np.bool_)
        truth[:positives] = True
        labelled = np.arange(n) < n_labelled
        (found,) = estimate_prevalence(np.full((n, 1), 0.5), truth, labelled, ranked=[])
        assert found.low is not None
        assert found.high is not None
        held += likelihood * (found.low <= share <= found.high)
    assert held >= 0.94


@pytest.mark.slow
def test_people_who_write_more_are_not_counted_for_less() -> None:
    """A tenth of all comments is labelled, so of those who wrote three only a thousandth is labelled whole."""
    rng = np.random.default_rng(3)
    errors, held = [], []
    for _ in range(150):
        n = 4000
        n_comments = np.where(rng.random(n) < 0.3, 2, 1)
        truth = rng.random((n, 1)) < np.where(n_comments == 2, 0.4, 0.1)[:, None]
        proxy = np.clip(0.5 * truth + 0.5 * rng.random((n, 1)), 0, 1)
        labelled = np.array([bool((rng.random(c) < 0.2).all()) for c in n_comments])
        found = estimate_prevalence(proxy, truth, labelled, n_comments=n_comments, draws=2)[0]
        assert found.low is not None
        assert found.high is not None
        errors.append(found.share - truth.mean())
        held.append(found.low <= truth.mean() <= found.high)
    assert abs(np.mean(errors)) < 0.005
    assert np.mean(held) >= 0.9


def test_ranges_of_ranks_hold_the_true_ranks() -> None:
    rng = np.random.default_rng(4)
    shares = np.array([0.3, 0.28, 0.2, 0.1, 0.05, 0.04])
    held = []
    for _ in range(80):
        truth = rng.random((1200, 6)) < shares
        proxy = np.clip(0.6 * truth + 0.4 * rng.random((1200, 6)), 0, 1)
        found = estimate_prevalence(proxy, truth, sample(rng, 1200, 200), draws=300)
        order = (-truth.mean(axis=0)).argsort().argsort() + 1
        held.extend(p.rank_low <= r <= p.rank_high for p, r in zip(found, order, strict=True))  # type: ignore[operator]
        assert all(p.rank_high - p.rank_low <= 4 for p in found)  # type: ignore[operator]
    assert np.mean(held) >= 0.95


def test_so_many_more_labels_halve_the_standard_error() -> None:
    truth, proxy = consultation(np.random.default_rng(5), 2000, 0.3, 0.0)
    more = estimate_prevalence(proxy, truth, sample(np.random.default_rng(6), 2000, 100), draws=2)[0].labels_to_halve
    assert more is not None
    n = 100 + more
    assert (1 / n - 1 / 2000) == pytest.approx((1 / 100 - 1 / 2000) / 4, rel=0.02)


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(0, 40))
def test_shares_lie_within_their_intervals_and_these_within_0_and_1(seed: int, n: int, n_labelled: int) -> None:
    rng = np.random.default_rng(seed)
    truth, proxy = rng.random((n, 3)) < 0.3, rng.random((n, 3))
    for p in estimate_prevalence(proxy, truth, sample(rng, n, min(n, n_labelled)), draws=20):
        assert 0 <= p.share <= 1
        if p.low is not None and p.high is not None:
            assert 0 <= p.low <= p.share + 1e-9
            assert p.share - 1e-9 <= p.high <= 1
        if p.rank_low is not None and p.rank_high is not None:
            assert 1 <= p.rank_low <= p.rank_high <= 3


def test_the_same_seed_gives_the_same_ranks() -> None:
    rng = np.random.default_rng(8)
    truth, proxy = rng.random((300, 5)) < 0.3, rng.random((300, 5))
    labelled = sample(rng, 300, 60)
    assert estimate_prevalence(proxy, truth, labelled) == estimate_prevalence(proxy, truth, labelled)
