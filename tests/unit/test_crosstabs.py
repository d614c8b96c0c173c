"""Crosstabs: intervals, tests with few false discoveries, and differences that are named only where they hold."""

import numpy as np
import pytest

from models.prevalence import wilson
from nlp_service.report.crosstabs import NO_ANSWER, difference_interval, make_crosstabs
from tests.closed_questions import asked


def people(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


def test_a_real_difference_is_found_with_its_interval() -> None:
    rng = np.random.default_rng(0)
    cells = ["Agree"] * 200 + ["Disagree"] * 200
    raised = np.stack([rng.random(400) < np.repeat([0.1, 0.4], 200), rng.random(400) < 0.3], axis=1)
    tables, findings = make_crosstabs(
        [asked("I feel safe at night", people(len(cells)), cells)],
        people(400),
        raised,
        [("light", "Lighting"), ("noise", "Noise")],
        threshold=5,
    )
    assert {(f.label, f.group) for f in findings} == {("Lighting", "Agree"), ("Lighting", "Disagree")}
    up = next(f for f in findings if f.group == "Disagree")
    assert up.difference_low > 0
    assert up.low <= up.share <= up.high
    cell = next(r for r in tables[0].rows if r.theme == "light").cells[1]
    low, high = wilson(raised[200:, 0].mean(), 200)
    assert (cell.low, cell.high) == (pytest.approx(float(low)), pytest.approx(float(high)))


def test_without_any_difference_few_reports_name_one() -> None:
    rng = np.random.default_rng(1)
    named = 0
    for _ in range(30):
        cells = list(rng.choice(["a", "b", "c"], 150))
        raised = rng.random((150, 12)) < rng.uniform(0.05, 0.5, 12)
        _, findings = make_crosstabs(
            [asked("ward", people(len(cells)), cells)],
            people(150),
            raised,
            [(f"t{k}", "T") for k in range(12)],
            threshold=5,
        )
        named += bool(findings)
    assert named <= 4


def test_a_group_for_those_who_did_not_answer_makes_the_cells_add_up() -> None:
    cells = ["a"] * 40 + ["b"] * 40 + [""] * 20
    raised = np.tile([True, False], 50)[:, None]
    (table,), _ = make_crosstabs(
        [asked("ward", people(len(cells)), cells)], people(100), raised, [("t", "T")], threshold=5
    )
    assert [g.name for g in table.groups] == ["a", "b", NO_ANSWER]
    row = table.rows[0]
    assert sum(c.n or 0 for c in row.cells) == row.total.n == 50


def test_an_interval_of_a_difference_holds_it_and_is_as_wide_as_both() -> None:
    low, high = difference_interval((0.3, 0.25, 0.36), (0.2, 0.16, 0.25))
    assert low < 0.1 < high
    assert low == pytest.approx(0.1 - np.hypot(0.05, 0.05))


def test_respondents_who_wrote_nothing_are_in_no_crosstab() -> None:
    cells = ["a"] * 50 + ["b"] * 50
    (table,), _ = make_crosstabs(
        [asked("ward", people(len(cells)), cells)], people(100)[:60], np.ones((60, 1), bool), [("t", "T")], threshold=5
    )
    assert table.n_all == 60
