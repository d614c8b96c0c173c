"""Suppression: no small cell is shown, and an attack on all published tables recovers none of the hidden ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from nlp_service.report.closed import ClosedQuestion, Kind, count_answers
from nlp_service.report.crosstabs import Crosstab, hidden_everywhere, make_crosstabs
from nlp_service.report.suppression import hide_cells, small_cells
from tests.closed_questions import asked

THRESHOLD = 5


def bounds(total: int, most: list[int]) -> list[tuple[int, int]]:
    """Return the least and greatest value of each unknown: they add up to a total, and each is at most so large."""
    return [(max(0, total - (sum(most) - m)), min(total, m)) for m in most]


def attack(table: Crosstab) -> list[tuple[int, int]]:
    """Return the range to which each hidden cell can be narrowed by all that the table shows."""
    found: list[tuple[int, int]] = []
    for row in table.rows:
        hidden = [i for i, c in enumerate(row.cells) if c.n is None]
        total = row.total.n or 0
        bases = [table.groups[i].n for i in hidden]
        if table.kind is Kind.MULTI:  # groups overlap: each is a table of its own, against all who did not choose it
            found += [(max(0, total + b - table.n_all), min(total, b)) for b in bases if b is not None]
        elif hidden:
            rest = total - sum(c.n for c in row.cells if c.n is not None)
            found += bounds(rest, [rest if b is None else b for b in bases])
    return found


@given(st.lists(st.integers(0, 9), min_size=1, max_size=4), st.data())
@pytest.mark.slow
def test_the_attack_finds_what_a_solver_finds(most: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(0, sum(most)))
    for i, (low, high) in enumerate(bounds(total, most)):
        goal = np.eye(len(most))[i]
        sides = [
            linprog(s * goal, A_eq=np.ones((1, len(most))), b_eq=[total], bounds=[(0, m) for m in most])
            for s in (1, -1)
        ]
        assert (round(sides[0].fun), round(-sides[1].fun)) == (low, high)


def made(rng: np.random.Generator) -> tuple[list[ClosedQuestion], list[str], np.ndarray]:
    n = int(rng.integers(30, 400))
    people = [f"p{i}" for i in range(n)]
    wards = rng.dirichlet(rng.uniform(0.2, 3, size=int(rng.integers(2, 9))))
    ward = [f"ward {i}" if rng.random() < 0.98 else "" for i in rng.choice(len(wards), n, p=wards)]
    scale = ["Strongly agree", "Agree", "Neither", "Disagree", "Strongly disagree"]
    safe = rng.choice(scale, n, p=rng.dirichlet(np.ones(5)))
    ticks = ["; ".join(o for o in ("cctv", "patrols", "lights", "youth") if rng.random() < 0.4) for _ in people]
    questions = [
        asked("ward", people, ward),
        asked("I feel safe", people, list(safe)),
        asked("what works", people, ticks),
    ]
    wrote = [p for p in people if rng.random() < rng.choice([0.7, 1.0])]
    raised = rng.random((len(wrote), 6)) < rng.uniform(0.02, 0.5, 6)
    return questions, wrote, raised


@pytest.mark.slow
def test_an_attack_on_200_generated_reports_recovers_no_hidden_cell() -> None:
    rng = np.random.default_rng(0)
    n_hidden = 0
    for _ in range(200):
        questions, wrote, raised = made(rng)
        themes = [(f"t{k}", f"Theme {k}") for k in range(raised.shape[1])]
        tables, findings = make_crosstabs(questions, wrote, raised, themes, threshold=THRESHOLD)
        for question, table in zip(questions, tables, strict=True):
            closed = count_answers(question, threshold=THRESHOLD, also=hidden_everywhere(question, wrote, THRESHOLD))
            shown = [o.n for o in closed.options if o.n is not None]
            assert not any(0 < n < THRESHOLD for n in shown)
            if question.kind is not Kind.MULTI and len(shown) < len(closed.options):
                n_lost = len(closed.options) - len(shown)
                rest = closed.n_answered - sum(shown)
                narrowed = bounds(rest, [rest] * n_lost)
                n_hidden += n_lost
                assert all(high - low >= THRESHOLD - 1 for low, high in narrowed)
            for row in table.rows:
                assert not any(c.n is not None and 0 < c.n < THRESHOLD for c in row.cells)
            narrowed = attack(table)
            n_hidden += len(narrowed)
            assert all(high - low >= 1 for low, high in narrowed)
            for f in findings:
                assert 0 < f.share <= 1
    assert n_hidden > 1000


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8))
def test_every_small_count_is_hidden_and_never_alone(counts: list[int]) -> None:
    small = small_cells(counts, [None] * len(counts), threshold=THRESHOLD)
    hidden = hide_cells(counts, small, threshold=THRESHOLD)
    assert {i for i, n in enumerate(counts) if 0 < n < THRESHOLD} <= hidden
    assert len(hidden) != 1
    assert bool(hidden) == bool(small)
    if len(hidden) < len(counts) and hidden:
        assert sum(counts[i] for i in hidden) >= THRESHOLD


def test_all_but_few_of_a_group_is_small_too() -> None:
    assert small_cells([40, 12], [42, 30], threshold=THRESHOLD) == {0}


def test_hiding_nothing_when_nothing_is_small() -> None:
    assert (
        hide_cells([10, 0, 7], small_cells([10, 0, 7], [None] * 3, threshold=THRESHOLD), threshold=THRESHOLD)
        == frozenset()
    )


def test_the_same_options_are_hidden_in_a_question_and_in_its_crosstab() -> None:
    people = [f"p{i}" for i in range(100)]
    cells = ["a"] * 50 + ["b"] * 30 + ["c"] * 17 + ["d"] * 3
    question = asked("ward", people, cells)
    hidden = hidden_everywhere(question, people, THRESHOLD)
    assert {question.options[i] for i in hidden} == {"c", "d"}
    table, _ = make_crosstabs([question], people, np.ones((100, 1), bool), [("t", "T")], threshold=THRESHOLD)
    assert [g.n for g in table[0].groups] == [50, 30, None, None]
