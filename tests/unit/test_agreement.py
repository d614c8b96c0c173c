"""Coefficients equal published examples; where they are not defined they are None and say why; answers come in any order."""

import json
import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.agreement import (
    FEW_COMMENTS,
    NO_DISAGREEMENT,
    NO_OVERLAP,
    NO_VARIATION,
    NO_YES,
    gwet_ac1,
    krippendorff_alpha,
    make_answers,
    masi_distance,
    measure_agreement,
    measure_drift,
    measure_sway,
    to_document,
)
from models.vocabulary import Comment, CommentId, DecidedComment, Decision, Suggestion, ThemeId, Verdict
from training.evaluation import coder_agreement

A, B, C = (ThemeId(t) for t in "abc")
THEMES = (A, B, C)
YES, NO, UNSURE = Verdict.YES, Verdict.NO, Verdict.UNSURE
BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

KRIPPENDORFF_2011 = """
    1 2 3 3 2 1 4 1 2 . . .
    1 2 3 3 2 2 4 1 2 5 . 3
    . 3 3 3 2 3 4 2 2 5 1 .
    1 2 3 3 2 4 4 1 2 5 1 .
"""


def counted(table: str) -> np.ndarray:
    """Counts of values by unit, from a table with a row for each coder."""
    rows = [line.split() for line in table.strip().splitlines()]
    values = sorted({v for row in rows for v in row} - {"."})
    return np.array([[[row[u] for row in rows].count(v) for v in values] for u in range(len(rows[0]))])


def decide(coder: str, comment: str, yes: str, *, minutes: float = 0, blind: bool | None = None) -> list[Decision]:
    """A decision on each theme."""
    at = BEGIN + timedelta(minutes=minutes)
    return [
        Decision(CommentId(comment), t, YES if t in yes else NO, coder=coder, decided_at=at, blind=blind)
        for t in THEMES
    ]


def made_decisions(n: int, slip: float, seed: int, coders: str = "xyz") -> list[Decision]:
    """Each coder gives a comment's true themes with slips."""
    rng = random.Random(seed)
    decisions = []
    for i in range(n):
        true = {t for t in THEMES if rng.random() < 0.3}
        for coder in coders:
            said = "".join(t for t in THEMES if (t in true) != (rng.random() < slip))
            decisions += decide(coder, f"c{i:03}", said, minutes=i)
    return decisions


def test_alpha_equals_the_examples_of_krippendorff_2011() -> None:
    binary = "0 1 0 0 0 0 0 0 1 0\n1 1 1 0 0 1 0 0 0 0"
    nominal = "a a b b d c c c e d d a\nb a b b b c c c e d d d"
    found = [krippendorff_alpha(counted(t)) for t in (binary, nominal, KRIPPENDORFF_2011)]
    assert found == pytest.approx([0.095, 0.692, 0.743], abs=0.0005)


def test_ac1_equals_gwets_examples() -> None:
    """Gwet 2014, chapter 5 (four raters, missing ratings); the abstractors of chapter 3; Gwet 2002, a rare trait (118, 5, 2, 0)."""
    two_raters = [[13, 0, 0], [0, 20, 7], [0, 4, 56]]
    rare = [[118, 5], [2, 0]]
    assert gwet_ac1(counted(KRIPPENDORFF_2011)) == pytest.approx(0.775, abs=0.0005)
    assert gwet_ac1(units_of(two_raters)) == pytest.approx(0.849, abs=0.0005)
    assert gwet_ac1(units_of(rare)) == pytest.approx(0.941, abs=0.0005)
    assert krippendorff_alpha(units_of(rare)) < 0  # type: ignore[operator] # the paradox that AC1 is for


def units_of(table: list[list[int]]) -> np.ndarray:
    """Counts by unit from a contingency table of two raters."""
    eye = np.eye(len(table), dtype=int)
    return np.array([eye[i] + eye[j] for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)])


def test_masi_follows_passonneau_2006() -> None:
    """Equal 1, one holds the other 2/3, overlap 1/3, disjoint 0; times Jaccard."""
    pairs = [("ab", "ab"), ("ab", "abcd"), ("ab", "bc"), ("ab", "cd"), ("", ""), ("", "a")]
    found = [masi_distance(frozenset(x), frozenset(y)) for x, y in pairs]
    assert found == pytest.approx([0, 0.667, 0.889, 1, 0, 1], abs=0.0005)


def test_alpha_of_sets_equals_a_published_figure() -> None:
    """The nine pairs of sets and the graded distance (0, 1/3, 2/3, 1) of Passonneau 2004, as DKPro Statistics publishes
    them; there an empty set is a part of any other."""
    pairs = ["-/-", "a/-", "a/a", "a/b", "ab/a", "ab/ac", "abc/abc", "c/ac", "c/ac"]
    sets = [tuple(frozenset(side.strip("-")) for side in pair.split("/")) for pair in pairs]
    values = sorted({s for pair in sets for s in pair}, key=sorted)
    counts = np.array([[pair.count(v) for v in values] for pair in sets])

    def graded(x: frozenset[str], y: frozenset[str]) -> float:
        return 0 if x == y else 1 if not x & y and x and y else 1 / 3 if x <= y or y <= x else 2 / 3

    distances = np.array([[graded(x, y) for y in values] for x in values])
    assert krippendorff_alpha(counts, distances) == pytest.approx(0.186, abs=0.001)


def test_every_figure_of_three_comments_by_hand() -> None:
    decisions = decide("x", "1", "ab") + decide("y", "1", "a") + decide("x", "2", "b") + decide("y", "2", "b")
    decisions += decide("x", "3", "") + decide("y", "3", "") + decide("x", "4", "c")
    found = measure_agreement(make_answers(decisions, THEMES))
    assert (found.n_comments, found.n_pairs) == (3, 3)
    assert found.micro_f1.value == pytest.approx(2 * 2 / 5)
    assert found.macro_f1.value == pytest.approx((1 + 2 / 3) / 2)
    assert found.exact_match.value == pytest.approx(2 / 3)
    assert [t.f1.value for t in found.themes] == [1, pytest.approx(2 / 3), None]
    assert found.themes[1].observed == pytest.approx(2 / 3)
    assert found.themes[1].alpha.value == pytest.approx(krippendorff_alpha(np.array([[1, 1], [0, 2], [2, 0]])))
    assert found.alpha_sets.value == pytest.approx(1 - (2 * (2 / 3) / 6) / expected_masi(["ab", "a", "b", "b", "", ""]))
    assert [(p.coders, p.n_comments, p.exact_match) for p in found.pairs] == [(("x", "y"), 3, pytest.approx(2 / 3))]
    assert [(c.coder, c.n_comments, c.n_shared, c.themes_per_comment) for c in found.coders] == [
        ("x", 4, 3, 1.0),
        ("y", 3, 3, pytest.approx(2 / 3)),
    ]


def expected_masi(sets: list[str]) -> float:
    n = len(sets)
    apart = [masi_distance(frozenset(x), frozenset(y)) for x in sets for y in sets]
    return sum(apart) / (n * (n - 1))


def test_the_ceiling_equals_what_the_model_card_says() -> None:
    decisions = made_decisions(40, 0.1, 1)
    said: dict[tuple[str, str], set[ThemeId]] = {}
    for d in decisions:
        said.setdefault((d.comment_id, str(d.coder)), set()).update({d.theme} if d.verdict is YES else set())
    decided = [DecidedComment(Comment(CommentId(c), "x"), frozenset(t), coder=k) for (c, k), t in said.items()]
    card = coder_agreement(decided, THEMES)
    found = measure_agreement(make_answers(decisions, THEMES), draws=10)
    assert card is not None
    assert (found.n_pairs, round(found.micro_f1.value or 0, 4)) == (card["n_pairs"], card["micro_f1"])
    assert round(found.exact_match.value or 0, 4) == card["exact_match"]


def test_one_coder_or_no_overlap_is_no_agreement() -> None:
    for decisions in (decide("x", "1", "a"), decide("x", "1", "a") + decide("y", "2", "a"), []):
        found = measure_agreement(make_answers(decisions, THEMES))
        figures = [found.alpha, found.alpha_sets, found.micro_f1, found.exact_match, found.themes[0].ac1]
        assert [(f.value, f.n, f.why) for f in figures] == [(None, 0, NO_OVERLAP)] * 5
        drift = measure_drift(make_answers(decisions, THEMES))
        assert (drift.blocks, drift.alpha_change.value) == ((), None)


def test_the_same_answer_everywhere_is_defined() -> None:
    always_no = [d for i in range(12) for c in "xy" for d in decide(c, f"{i:02}", "")]
    found = measure_agreement(make_answers(always_no, THEMES))
    theme = found.themes[0]
    assert (theme.alpha.value, theme.alpha.why) == (None, NO_VARIATION)
    assert (theme.ac1.value, theme.ac1.low, theme.ac1.why) == (1.0, None, NO_DISAGREEMENT)
    assert (theme.f1.value, theme.f1.why, theme.rare) == (None, NO_YES, True)
    assert (found.exact_match.value, found.alpha_sets.why) == (1.0, NO_VARIATION)
    always_yes = [d for i in range(12) for c in "xy" for d in decide(c, f"{i:02}", "abc")]
    theme = measure_agreement(make_answers(always_yes, THEMES)).themes[0]
    assert (theme.alpha.value, theme.ac1.value, theme.f1.value) == (None, 1.0, 1.0)


def test_never_the_same_answer_is_below_chance() -> None:
    opposed = [d for i in range(12) for c, said in (("x", "abc"), ("y", "")) for d in decide(c, f"{i:02}", said)]
    found = measure_agreement(make_answers(opposed, THEMES))
    assert found.alpha.value is not None
    assert found.alpha.value < 0
    assert (found.micro_f1.value, found.exact_match.value) == (0.0, 0.0)


def test_perfect_agreement_is_one_and_claims_no_interval() -> None:
    found = measure_agreement(make_answers(made_decisions(30, 0.0, 2), THEMES))
    assert [f.value for f in (found.alpha, found.alpha_sets, found.micro_f1, found.macro_f1)] == [1.0] * 4
    assert (found.alpha.low, found.alpha.high, found.alpha.why) == (None, None, NO_DISAGREEMENT)


def test_few_comments_have_no_interval() -> None:
    found = measure_agreement(make_answers(made_decisions(9, 0.3, 3), THEMES))
    assert found.alpha.value is not None
    assert (found.alpha.low, found.alpha.why) == (None, FEW_COMMENTS)


def test_intervals_hold_the_agreement_of_the_coders() -> None:
    truth = measure_agreement(make_answers(made_decisions(4000, 0.1, 99, "xy"), THEMES), draws=1)
    held = []
    for seed in range(40):
        found = measure_agreement(make_answers(made_decisions(120, 0.1, seed, "xy"), THEMES), draws=100)
        for a, b in (
            (truth.alpha, found.alpha),
            (truth.micro_f1, found.micro_f1),
            (truth.alpha_sets, found.alpha_sets),
        ):
            assert None not in (a.value, b.low, b.high)
            held.append(b.low <= a.value <= b.high)  # type: ignore[operator]
    assert np.mean(held) >= 0.88


def test_unsure_is_no_answer_and_the_latest_decision_counts() -> None:
    first, second = decide("x", "1", "a", minutes=0)[0], decide("x", "1", "", minutes=5)[0]
    other = decide("y", "1", "", minutes=1)
    for order in ([first, second], [second, first]):
        answers = make_answers([*order, *other], (A,))
        assert answers.verdicts.tolist() == [[[0], [0]]]
        assert (answers.n_replaced, answers.n_left_out) == (1, 2)
    unsure = Decision(CommentId("1"), A, UNSURE, coder="x", decided_at=BEGIN)
    assert make_answers([unsure, *other], (A,)).verdicts.tolist() == [[[-1], [0]]]
    assert make_answers([Decision(CommentId("1"), A, YES)], (A,)).n_left_out == 1


def test_order_of_decisions_changes_nothing_and_the_same_seed_gives_the_same_bytes() -> None:
    decisions = made_decisions(30, 0.2, 4)
    mixed = random.Random(0).sample(decisions, len(decisions))
    one, two = (json.dumps(to_document(measure_agreement(make_answers(d, THEMES)))) for d in (decisions, mixed))
    assert one == two


def test_coders_who_tire_show_in_the_blocks() -> None:
    fresh, tired = made_decisions(100, 0.02, 5), made_decisions(100, 0.4, 6)
    later = [
        Decision(CommentId("t" + d.comment_id), d.theme, d.verdict, coder=d.coder, decided_at=BEGIN + timedelta(days=1))
        for d in tired
    ]
    drift = measure_drift(make_answers(fresh + later, THEMES), n_blocks=2)
    assert [b.n_comments for b in drift.blocks] == [100, 100]
    assert drift.blocks[0].end < drift.blocks[1].begin
    assert drift.alpha_change.high is not None
    assert drift.alpha_change.high < -0.3
    steady = measure_drift(make_answers(made_decisions(200, 0.1, 7), THEMES))
    assert len(steady.blocks) == 4
    assert steady.alpha_change.low is not None
    assert steady.alpha_change.high is not None
    assert steady.alpha_change.low <= 0 <= steady.alpha_change.high


def test_comments_without_times_are_counted_and_in_no_block() -> None:
    plain = [Decision(d.comment_id, d.theme, d.verdict, coder=d.coder) for d in made_decisions(20, 0.1, 8)]
    drift = measure_drift(make_answers(plain, THEMES))
    assert (drift.blocks, drift.n_without_time) == ((), 20)
    assert json.loads(json.dumps(to_document(drift)))["alpha_change"]["value"] is None


def suggest_all(n: int, seed: int, shift: float = 0.0) -> list[Suggestion]:
    rng = random.Random(seed)
    out = []
    for i in range(n):
        for t in THEMES:
            p = min(1.0, rng.choice((0.1, 0.1, 0.8)) + shift)
            out.append(Suggestion(CommentId(f"c{i:03}"), t, YES if p > 0.5 else NO, p))
    return out


def answer(suggestions: list[Suggestion], sway: float, seed: int, *, blind: bool, coder: str) -> list[Decision]:
    """The truth follows the probability; with the chance `sway` people say what was suggested instead."""
    rng, truth = random.Random(seed), random.Random(77)
    out = []
    for s in suggestions:
        true = truth.random() < s.probability
        said = (s.verdict is YES) if rng.random() < sway else true
        out.append(Decision(s.comment_id, s.theme, YES if said else NO, coder=coder, blind=blind))
    return out


def test_people_who_follow_suggestions_show_on_the_same_comments() -> None:
    made = suggest_all(120, 1)
    swayed = answer(made, 0.6, 2, blind=False, coder="x") + answer(made, 0.0, 3, blind=True, coder="y")
    found = measure_sway(swayed, made, THEMES)
    assert (found.same_comments, found.n_assisted, found.n_blind) == (True, 120, 120)
    assert found.model_f1.difference.low is not None
    assert found.model_f1.difference.low > 0.02
    assert found.kept.assisted is not None
    assert found.kept.blind == pytest.approx(0.8, abs=0.06)
    assert found.kept.assisted > 0.88
    assert found.added.difference.high is not None
    assert found.added.difference.high < 0
    free = answer(made, 0.0, 2, blind=False, coder="x") + answer(made, 0.0, 3, blind=True, coder="y")
    same = measure_sway(free, made, THEMES)
    assert same.model_f1.difference.value == 0.0
    assert all(c.difference.value == 0.0 for _, c in same.theme_rates)


def test_different_comments_are_compared_less_what_the_model_expects_of_them() -> None:
    """The queue chose comments richer in themes: the raw rates differ, and that is not the suggestions' doing."""
    rich, plain = suggest_all(300, 4, shift=0.15), suggest_all(300, 5)
    rich = [Suggestion(CommentId("q" + s.comment_id), s.theme, s.verdict, s.probability) for s in rich]
    decisions = answer(rich, 0.0, 2, blind=False, coder="x") + answer(plain, 0.0, 3, blind=True, coder="x")
    found = measure_sway(decisions, rich + plain, THEMES)
    assert not found.same_comments
    for _, c in found.theme_rates:
        assert c.assisted is not None
        assert c.blind is not None
        assert c.assisted > c.blind + 0.05
        assert c.difference.low is not None
        assert c.difference.high is not None
        assert c.difference.low <= 0 <= c.difference.high


def test_one_side_alone_sways_nobody_and_says_so() -> None:
    made = suggest_all(20, 6)
    found = measure_sway(answer(made, 0.0, 2, blind=False, coder="x"), made, THEMES)
    assert (found.n_assisted, found.n_blind, found.kept.blind, found.kept.difference.value) == (20, 0, None, None)
    assert found.kept.difference.why == NO_OVERLAP
    assert measure_sway([], [], THEMES).model_f1.assisted is None
    assert json.dumps(to_document(found))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30))
def test_coefficients_are_at_most_one_and_no_order_of_units_matters(units: list[tuple[int, int]]) -> None:
    counts = np.array(units)
    for coefficient in (krippendorff_alpha, gwet_ac1):
        found = coefficient(counts)
        assert found == pytest.approx(coefficient(counts[::-1]))
        assert found is None or found <= 1 + 1e-12
