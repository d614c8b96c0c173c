"""Thresholds are the best ones, probabilities mean what they say, rare themes borrow strength."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.calibration import (
    MIN_POSITIVES,
    Aim,
    Calibration,
    best_threshold,
    fit_calibration,
    sigmoid,
)


def f1(probabilities: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    said = probabilities >= threshold
    return 2 * (said & truth).sum() / max(1, said.sum() + truth.sum())


def best_f1(probabilities: np.ndarray, truth: np.ndarray) -> float:
    return max(f1(probabilities, truth, p) for p in np.unique(probabilities))


@given(st.lists(st.tuples(st.integers(1, 19), st.booleans()), min_size=1, max_size=40))
def test_no_other_threshold_is_better(cells: list[tuple[int, bool]]) -> None:
    probabilities = np.array([p / 20 for p, _ in cells])
    truth = np.array([t for _, t in cells])
    found = f1(probabilities, truth, best_threshold(probabilities, truth))
    assert found >= max(f1(probabilities, truth, c) for c in np.linspace(0.025, 0.975, 39)) - 1e-9


def test_nothing_true_gives_one_half() -> None:
    assert best_threshold(np.array([0.1, 0.9]), np.array([False, False])) == 0.5


def test_probabilities_are_calibrated_after_fitting() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(-1, 2, (4000, 3))
    truth = rng.random((4000, 3)) < sigmoid(logits)
    fitted = fit_calibration(logits * 3 + 2, truth)
    probabilities = fitted.probabilities(logits * 3 + 2)
    for low in (0.1, 0.3, 0.5, 0.7):
        inside = (probabilities >= low) & (probabilities < low + 0.2)
        assert abs(probabilities[inside].mean() - truth[inside].mean()) < 0.04


def test_a_theme_with_few_positives_takes_the_pooled_values() -> None:
    rng = np.random.default_rng(2)
    scores = rng.normal(size=(400, 2))
    truth = np.zeros((400, 2), bool)
    truth[:, 0] = scores[:, 0] > 0.5
    truth[: MIN_POSITIVES - 1, 1] = True
    fitted = fit_calibration(scores, truth)
    assert fitted.n_positives == (int(truth[:, 0].sum()), MIN_POSITIVES - 1)
    assert fitted.scale[0] != pytest.approx(fitted.scale[1])
    only = fit_calibration(scores[:, 1:], truth[:, 1:])
    probabilities = only.probabilities(scores[:, 1:]).ravel()
    assert only.threshold[0] == pytest.approx(best_f1(probabilities, truth[:, 1]) / 2, abs=1e-6)


def test_a_theme_without_positives_enough_for_a_threshold_of_its_own_takes_the_common_one() -> None:
    rng = np.random.default_rng(6)
    truth = np.column_stack([rng.random(600) < share for share in (0.4, 0.3, 0.02)])
    truth[:, 2] = False
    truth[: MIN_POSITIVES - 1, 2] = True
    scores = rng.normal(size=truth.shape) + 1.5 * truth
    fitted = fit_calibration(scores, truth)
    common = best_f1(fitted.probabilities(scores).ravel(), truth.ravel()) / 2
    assert fitted.threshold[2] == pytest.approx(common, abs=1e-6)
    truth[:MIN_POSITIVES, 2] = True
    assert fit_calibration(scores, truth).threshold[2] != pytest.approx(common, abs=1e-3)


def test_bands_surround_thresholds_and_a_document_keeps_all() -> None:
    rng = np.random.default_rng(3)
    truth = rng.random((300, 2)) < 0.3
    fitted = fit_calibration(rng.normal(size=(300, 2)) + truth, truth)
    assert (fitted.unsure_low < fitted.threshold).all()
    assert (fitted.threshold < fitted.unsure_high).all()
    again = Calibration.from_document(fitted.to_document(), 2)
    np.testing.assert_allclose(again.threshold, fitted.threshold, atol=1e-6)


@pytest.mark.parametrize("spoil", ["scale", "threshold", "n_positives"])
def test_a_document_that_is_short_is_refused(spoil: str) -> None:
    document = fit_calibration(np.zeros((9, 2)), np.ones((9, 2), bool)).to_document()
    document[spoil] = document[spoil][:1]
    with pytest.raises(ValueError, match=spoil):
        Calibration.from_document(document, 2)


def test_the_likeliest_theme_is_the_fallback_where_that_raises_f1() -> None:
    rng = np.random.default_rng(4)
    kind = rng.integers(0, 6, 900)
    truth = kind[:, None] == np.arange(6)
    scores = rng.normal(size=truth.shape) + 1.5 * truth
    plain, fitted = fit_calibration(scores, truth), fit_calibration(scores, truth, fallback=True)
    assert plain.fallback is None
    assert fitted.fallback is not None
    probabilities = fitted.probabilities(scores)
    said, before = fitted.verdicts(probabilities), plain.verdicts(probabilities)
    assert (said >= before).all()
    added = (said & ~before).sum(axis=1)
    assert added.max() == 1
    assert not before[added > 0].any()
    assert probabilities[added > 0].max(axis=1).min() >= fitted.fallback

    def served(verdicts: np.ndarray) -> float:
        hits = verdicts & truth
        of_comments = 2 * hits.sum(axis=1) / np.maximum(verdicts.sum(axis=1) + truth.sum(axis=1), 1)
        return float(2 * hits.sum() / (verdicts.sum() + truth.sum()) + of_comments.mean() / 2)

    assert served(said) > served(before)
    lower = replace(fitted, fallback=fitted.fallback - 0.02).verdicts(probabilities)
    assert served(said) >= served(lower)
    again = Calibration.from_document(fitted.to_document(), 6)
    assert again.fallback == pytest.approx(fitted.fallback, abs=1e-6)
    with pytest.raises(ValueError, match="fallback"):
        Calibration.from_document({**fitted.to_document(), "fallback": 1.5}, 6)


def test_no_fallback_where_comments_without_a_theme_are_just_that() -> None:
    rng = np.random.default_rng(5)
    truth = rng.random((900, 3)) < 0.1
    scores = np.where(truth, 4.0, -4.0) + rng.normal(scale=0.1, size=truth.shape)
    assert fit_calibration(scores, truth, fallback=True).fallback is None


def test_shapes_must_fit() -> None:
    with pytest.raises(ValueError, match="same shape"):
        fit_calibration(np.zeros((3, 2)), np.zeros((2, 2), bool))


@given(st.floats(-1e6, 1e6))
def test_sigmoid_never_overflows(x: float) -> None:
    assert 0.0 <= float(sigmoid(np.array(x))) <= 1.0


def test_a_stated_aim_is_reached_and_no_more_is_given_away_than_needed() -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(2000) < 0.2
    p = sigmoid(np.where(truth, 1.0, -2.0) + rng.normal(0, 1.2, 2000))

    def at(threshold: float) -> tuple[float, float]:
        said = p >= threshold
        return float((said & truth).sum() / truth.sum()), float((said & truth).sum() / said.sum())

    for_recall = best_threshold(p, truth, Aim("recall", 0.9))
    assert at(for_recall)[0] >= 0.9
    assert at(for_recall + 0.02)[0] < 0.9
    for_precision = best_threshold(p, truth, Aim("precision", 0.9))
    assert at(for_precision)[1] >= 0.9
    assert all(at(t)[1] < 0.9 for t in np.linspace(0.02, for_precision - 0.01, 50))


def test_a_precision_out_of_reach_gives_the_best_there_is() -> None:
    truth = np.array([False, True, False, False])
    assert best_threshold(np.array([0.9, 0.8, 0.7, 0.1]), truth, Aim("precision", 0.99)) == pytest.approx(0.75)
