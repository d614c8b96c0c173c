"""Closed questions: kinds told apart, scales in order, every figure with its base."""

from datetime import date

import pytest

from nlp_service.ingest.days import first_and_last, read_days
from nlp_service.report.closed import ClosedQuestion, Kind, count_answers
from tests.closed_questions import asked


def question(cells: list[str], name: str = "q") -> ClosedQuestion:
    return asked(name, [f"p{i}" for i in range(len(cells))], cells)


def test_a_scale_is_ordered_and_its_sides_are_summed_on_the_base_of_those_who_answered() -> None:
    cells = ["Agree"] * 20 + ["Strongly disagree"] * 10 + ["Strongly agree"] * 30 + ["Neither agree nor disagree"] * 10 + ["Disagree"] * 20 + ["Don't know"] * 10 + [""] * 7  # fmt: skip
    q = question(cells)
    assert q.kind is Kind.LIKERT
    assert q.options == ("Strongly agree", "Agree", "Neither agree nor disagree", "Disagree", "Strongly disagree", "Don't know")  # fmt: skip
    result = count_answers(q, threshold=5)
    assert (result.n_answered, result.n_asked) == (100, 107)
    assert [(n.n, n.share) for n in result.nets] == [(50, 0.5), (30, 0.3)]


@pytest.mark.parametrize(
    "order",
    [
        ("Very safe", "Fairly safe", "Neither safe nor unsafe", "Fairly unsafe", "Very unsafe"),
        ("Very satisfied", "Satisfied", "Dissatisfied", "Very dissatisfied"),
        ("Very likely", "Likely", "Not very likely", "Not at all likely"),
    ],
)
def test_usual_scales_are_known(order: tuple[str, ...]) -> None:
    q = question([*order[::-1]] * 5)
    assert q.kind is Kind.LIKERT
    assert q.options == order


def test_several_answers_in_a_cell_are_counted_apart() -> None:
    q = question(["CCTV; Patrols", "Patrols", "Patrols; Lights; CCTV", "", "Lights; Lights"] * 4)
    assert q.kind is Kind.MULTI
    result = count_answers(q, threshold=5)
    assert [(o.option, o.n) for o in result.options] == [("Patrols", 12), ("CCTV", 8), ("Lights", 8)]
    assert result.n_answered == 16


def test_bands_are_in_order_of_their_numbers_and_what_is_off_the_scale_comes_last() -> None:
    q = question(["65+", "16-24", "Prefer not to say", "25-34", "Under 16"] * 5, "Age band")
    assert q.kind is Kind.ORDERED
    assert q.options == ("Under 16", "16-24", "25-34", "65+", "Prefer not to say")


def test_a_scale_whose_side_would_give_away_a_hidden_answer_is_not_summed() -> None:
    q = question(["Strongly agree"] * 3 + ["Agree"] * 40 + ["Disagree"] * 40 + ["Strongly disagree"] * 20)
    result = count_answers(q, threshold=5)
    assert result.nets == ()
    assert [o.n for o in result.options] == [None, 40, 40, None]


def test_the_first_and_last_day_of_a_column_of_dates() -> None:
    assert first_and_last(read_days(["2025-11-05 12:41", "", None, "2025-10-30"])) == (
        date(2025, 10, 30),
        date(2025, 11, 5),
    )
    assert first_and_last(read_days(["05/11/2025", "1/12/2025 09:00"])) == (date(2025, 11, 5), date(2025, 12, 1))
    assert first_and_last(read_days(["2025-11-05", "yesterday"])) is None
    assert first_and_last(read_days(["", "2025-13-45"])) is None
