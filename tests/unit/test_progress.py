"""What more labels bring is a range that holds what they did bring; a stop has its reason."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from annotation.agreement import Figure, make_answers
from annotation.progress import (
    MIN_DECIDED,
    Advice,
    CurvePoint,
    Gain,
    expect_gain,
    measure_curve,
    measure_pace,
    suggest,
)
from models.vocabulary import CommentId, Decision, ThemeId, Verdict

THEME = ThemeId("bins")
UNKNOWN = Figure(None, None, None, 0, "nobody overlaps")
AGREED = Figure(0.8, 0.7, 0.9, 50)
CEILING = Figure(0.85, 0.8, 0.9, 50)
SMALL, LARGE = Gain(400, 50, 0.002, 0.0, 0.005), Gain(100, 50, 0.03, 0.01, 0.05)


def power_law(sizes: list[int], a: float, b: float, c: float, sd: float) -> list[CurvePoint]:
    return [CurvePoint(n, a - b * n**-c, sd) for n in sizes]


@pytest.mark.parametrize(("a", "b", "c"), [(0.8, 1.5, 0.3), (0.9, 1.5, 0.25), (1.0, 1.0, 0.15)])
def test_a_clean_power_law_is_continued(a: float, b: float, c: float) -> None:
    found = expect_gain(power_law([50, 70, 100, 140, 200], a, b, c, 0.005), 200, n_more=100)
    true = b * (200**-c - 300**-c)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= true <= found.high
    assert found.gain == pytest.approx(true, rel=0.35)


def test_noisier_points_leave_a_wider_range_and_more_labels_bring_more() -> None:
    sizes = [50, 70, 100, 140, 200]
    calm, rough = (expect_gain(power_law(sizes, 0.8, 2.0, 0.5, sd), 200) for sd in (0.005, 0.05))
    more = expect_gain(power_law(sizes, 0.8, 2.0, 0.5, 0.005), 200, n_more=200)
    assert None not in (calm.low, calm.high, rough.low, rough.high, more.gain, calm.gain)
    assert rough.high - rough.low > 2 * (calm.high - calm.low)  # type: ignore[operator]
    assert more.gain > 2 * calm.gain  # type: ignore[operator]
    assert calm.low >= 0  # type: ignore[operator]


def made_comments(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Themes are directions in noise."""
    rng = np.random.default_rng(seed)
    truth = rng.random((n, 5)) < 0.25
    directions = np.random.default_rng(99).normal(size=(5, 40))
    return truth @ directions + rng.normal(size=(n, 40)) * 2.5, truth


@pytest.mark.slow
def test_what_a_curve_promises_is_what_more_labels_bring() -> None:
    promised, brought = [], []
    for seed in range(4):
        vectors, truth = made_comments(400, seed)
        promised.append(expect_gain(measure_curve(vectors[:200], truth[:200], seed=seed), 200, n_more=200))
        now, then = (measure_curve(vectors[:m], truth[:m], seed=seed)[-1].micro_f1 for m in (286, 400))
        brought.append(then - now)
    lows, highs = (np.mean([getattr(p, name) for p in promised]) for name in ("low", "high"))
    assert lows <= 2 * np.mean(brought) <= 2 * highs
    assert highs < 0.25


def test_few_comments_or_none_with_a_theme_give_no_curve_and_say_why() -> None:
    vectors, truth = made_comments(MIN_DECIDED, 0)
    assert measure_curve(vectors[:-1], truth[:-1]) == ()
    assert measure_curve(vectors, np.zeros_like(truth)) == ()
    assert [p.n for p in measure_curve(vectors, truth)] == [10, 15, 21, 29, 42]
    found = expect_gain((), 20)
    assert (found.gain, found.low, found.high) == (None, None, None)
    assert str(MIN_DECIDED) in found.why


def test_the_same_decisions_give_the_same_outlook() -> None:
    vectors, truth = made_comments(100, 3)
    first, second = (expect_gain(measure_curve(vectors, truth), 100) for _ in range(2))
    assert first == second


def test_the_reason_to_stop_is_given() -> None:
    def ask(**given: object) -> tuple[Advice, str]:
        plain = {"n_left": 100, "gain": LARGE, "alpha": AGREED, "ceiling": CEILING}
        found = suggest(**{**plain, **given})  # type: ignore[arg-type]
        return found.advice, found.reason

    assert ask()[0] is Advice.GO_ON
    assert "0.030 to micro-F1 (0.010 to 0.050)" in ask()[1]
    assert ask(n_left=0)[0] is Advice.STOP
    assert ask(gain=SMALL)[0] is Advice.STOP
    assert ask(gain=SMALL, n_positive={THEME: 3})[0] is Advice.GO_ON
    assert ask(gain=SMALL, n_positive={THEME: 0})[0] is Advice.STOP
    assert ask(alpha=Figure(0.4, 0.3, 0.5, 60))[0] is Advice.MEND_CODEBOOK
    assert ask(alpha=Figure(0.6, 0.5, 0.7, 20))[0] is Advice.GO_ON
    assert ask(model_f1=Figure(0.88, 0.86, 0.9, 200))[0] is Advice.STOP
    assert ask(model_f1=Figure(0.88, 0.83, 0.9, 200))[0] is Advice.GO_ON
    unknown = ask(gain=expect_gain((), 10), alpha=UNKNOWN, ceiling=UNKNOWN, model_f1=AGREED)
    assert unknown == (Advice.GO_ON, expect_gain((), 10).why)


def test_pace_leaves_breaks_out() -> None:
    begin = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    at = [0, 30, 70, 100, 5000, 5030]
    decisions = [
        Decision(CommentId(f"{i}"), THEME, Verdict.NO, coder="x", decided_at=begin + timedelta(seconds=s))
        for i, s in enumerate(at)
    ]
    decisions.append(Decision(CommentId("0"), THEME, Verdict.YES, coder="y"))
    found = measure_pace(make_answers(decisions, [THEME]))
    assert [(p.coder, p.n_comments, p.seconds_per_comment) for p in found] == [("x", 6, 30.0), ("y", 1, None)]
