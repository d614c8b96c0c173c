"""The gate lets equals and betters through and stops what is worse, for the reason that it is worse."""

import numpy as np
import pytest

from training.gate import Coded, run_gate

THEMES = ["a", "b", "c"]
RNG = np.random.default_rng(7)
TRUTH = RNG.random((400, 3)) < (0.3, 0.2, 0.004)
GROUPS = [str(i // 2) for i in range(400)]


def coded(error: float, *, seed: int = 0, boast: float = 0.0) -> Coded:
    """Return verdicts that are wrong in a share of cells, with honest probabilities unless `boast` moves them."""
    rng = np.random.default_rng(seed)
    predicted = TRUTH ^ (rng.random(TRUTH.shape) < error)
    honest = np.where(predicted, 1 - error, error)
    return Coded(np.clip(honest + np.where(predicted, -boast, boast), 0, 1), predicted)


def failed(before: Coded, after: Coded) -> set[str]:
    return {c.name for c in run_gate(THEMES, TRUTH, GROUPS, before, after).checks if not c.passed}


def test_a_model_passes_against_itself_with_no_difference() -> None:
    report = run_gate(THEMES, TRUTH, GROUPS, coded(0.05), coded(0.05))
    assert report.passed
    assert {(c.difference, c.low, c.high) for c in report.checks} == {(0.0, 0.0, 0.0)}


def test_a_better_model_passes_and_a_worse_one_does_not() -> None:
    assert failed(coded(0.15), coded(0.02, seed=1)) == set()
    assert {"micro_f1", "macro_f1", "share_error"} <= failed(coded(0.02), coded(0.15, seed=1))


def test_one_ruined_theme_is_found_though_the_whole_improves() -> None:
    before, after = coded(0.12), coded(0.0, seed=1)
    ruined = after.predicted.copy()
    ruined[:, 1] = False
    assert "f1 b" in failed(before, Coded(after.probabilities, ruined))


def test_probabilities_that_lie_are_found_though_every_verdict_is_the_same() -> None:
    assert failed(coded(0.05), coded(0.05, boast=0.3)) == {"ece"}


def test_a_theme_with_few_positives_is_named_and_not_judged() -> None:
    report = run_gate(THEMES, TRUTH, GROUPS, coded(0.05), coded(0.05))
    assert report.themes_not_judged == ("c",)
    assert "f1 c" not in {c.name for c in report.checks}


@pytest.mark.slow
def test_equal_models_of_different_errors_rarely_fail_by_theme() -> None:
    """Chance alone must not stop a theme: the interval allows for the number of themes."""
    stopped = sum(
        any(name.startswith("f1 ") for name in failed(coded(0.08, seed=2 * s), coded(0.08, seed=2 * s + 1)))
        for s in range(40)
    )
    assert stopped <= 4


def test_the_interval_is_that_of_respondents_drawn_whole() -> None:
    """Two comments of one respondent are no two witnesses: doubling every comment changes no interval."""
    before, after = coded(0.1), coded(0.08, seed=1)
    one = [str(i) for i in range(400)]

    def twice(c: Coded) -> Coded:
        return Coded(np.vstack((c.probabilities, c.probabilities)), np.vstack((c.predicted, c.predicted)))

    single = run_gate(THEMES, TRUTH, one, before, after).checks[0]
    double = run_gate(THEMES, np.vstack((TRUTH, TRUTH)), one * 2, twice(before), twice(after)).checks[0]
    assert (double.low, double.high) == pytest.approx((single.low, single.high))
