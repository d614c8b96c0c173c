"""What the next answers are expected to bring, and when a round may stop."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from annotation.display import make_display
from annotation.round import Answer, Kind, Round, Suggested, make_round
from annotation.stopping import NEXT, look_ahead
from models.vocabulary import ThemeId
from tests.conftest import THREE
from tests.unit.test_round import comment

NOISE, THEFT, LIGHT = (ThemeId(t) for t in ("noise", "theft", "light"))


def plan(n: int) -> Round:
    suggested = Suggested(((NOISE, 0.9, ()), (THEFT, 0.8, ()), (LIGHT, 0.7, ())))
    comments = [comment(i) for i in range(n)]
    return make_round(
        blind=[], assisted=[(c, make_display(c.text), suggested) for c in comments], codebook=THREE, model="m", coders=1,
        overlap=0, seed=0,
    )  # fmt: skip


def answers(n: int, n_first_wrong: int) -> list[Answer]:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    all_three = frozenset((NOISE, THEFT, LIGHT))
    return [
        Answer(
            t, "ann", frozenset({NOISE}) if i < n_first_wrong else all_three, (), "", 5.0, begin + timedelta(minutes=i)
        )
        for i, t in enumerate(plan(n).of(Kind.ASSISTED))
    ]


def test_nothing_is_said_of_no_answers_and_little_of_few() -> None:
    assert look_ahead([], THREE).expected is None
    few = look_ahead(answers(10, 5), THREE)
    assert (few.n_seen, few.n_corrected, few.expected, few.stop) == (10, 5, 25.0, False)
    assert few.low is not None
    assert few.high is not None
    assert few.low < 25 < few.high
    assert "too few" in few.reason


def test_many_corrections_say_go_on() -> None:
    outlook = look_ahead(answers(NEXT, NEXT // 2), THREE)
    assert not outlook.stop
    assert "corrected 25 of the latest 50" in outlook.reason


def test_the_latest_answers_count_and_few_corrections_say_stop() -> None:
    outlook = look_ahead(answers(2 * NEXT, NEXT), THREE)
    assert (outlook.n_corrected, outlook.stop, outlook.few) == (0, True, ())


def test_themes_with_few_examples_say_go_on() -> None:
    given = [replace(a, themes=frozenset({NOISE, THEFT, LIGHT})) if i < 5 else a for i, a in enumerate(answers(60, 60))]
    outlook = look_ahead(
        given[:5] + [replace(a, task=replace(a.task, suggested=Suggested(((NOISE, 0.9, ()),)))) for a in given[5:]],
        THREE,
    )
    assert outlook.few == (THEFT, LIGHT)
    assert outlook.n_corrected == 0
    assert not outlook.stop
    assert "fewer than 20 examples" in outlook.reason
