"""Words follow figures: a claim is made only where its interval allows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_service.report import words

shares = st.floats(0, 1)


@given(shares, shares)
def test_most_is_said_only_where_the_whole_interval_lies_above_half(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert (words.share_word(low, high) == "most") == (low > 0.5)
    assert (words.share_word(low, high) == "fewer than half") == (high < 0.5)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_more_and_up_are_said_only_where_the_difference_clears_zero(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert (words.difference_word(low, high) == "more than") == (low > 0)
    assert (words.difference_word(low, high) == "fewer than") == (high < 0)
    assert (words.change_word(low, high) == "up") == (low > 0)
    assert (words.change_word(low, high) == "down") == (high < 0)


def test_nothing_is_claimed_without_an_interval() -> None:
    assert words.share_word(None, None) == ""
    assert words.difference_word(None, None) == "cannot be compared with"
    assert words.change_word(None, None) == "cannot be compared"
    assert words.interval(None, None) == ""
    assert words.rank_range(None, None) == ""


@pytest.mark.parametrize(
    ("share", "said"), [(0.0, "0%"), (0.004, "under 1%"), (0.316, "32%"), (0.998, "over 99%"), (1.0, "100%"), (None, "hidden")]
)  # fmt: skip
def test_rounding_never_says_none_or_all_of_what_is_neither(share: float | None, said: str) -> None:
    assert words.percent(share) == said


def test_ranks_read_as_people_say_them() -> None:
    assert [words.ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th",
    ]  # fmt: skip
    assert words.rank_range(1, 3) == "1st to 3rd"
    assert words.rank_range(2, 2) == "2nd"
    assert words.points(-0.031) == "\N{MINUS SIGN}3"
    assert words.points(0.12) == "+12"
