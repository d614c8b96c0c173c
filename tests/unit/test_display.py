"""What annotators see, and the way back to the comment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.display import Swap, make_display
from models.vocabulary import Segment

PIECES = st.sampled_from(
    [
        "a",
        "word ",
        "\r\n",
        "\n",
        "\r",
        "\u2028",
        "😀",
        "👩‍👩‍👧",
        "é",
        "e\u0301",
        "שלום",
        "مرحبا",
        "\x00",
        "\t",
        "🏴‍☠️",
        "  ",
        "<b>",
        "\x85",
    ]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=30).map("".join)


def test_line_breaks_and_controls_are_shown_as_one_character() -> None:
    display = make_display("one\r\ntwo\x00three\rfour")
    assert display.text == "one\ntwo three\nfour"
    assert display.to_original(Segment(3, 4)) == Segment(3, 5)
    assert display.to_original(Segment(4, 7)) == Segment(5, 8)
    assert display.to_display(Segment(5, 8)) == Segment(4, 7)


def test_a_redaction_that_is_touched_is_taken_whole() -> None:
    text = "My neighbour Ann Smith shouts\r\nat night"
    display = make_display(text, (Swap(13, 22, "[NAME]"),))
    assert display.text == "My neighbour [NAME] shouts\nat night"
    assert display.to_original(Segment(15, 26)) == Segment(13, 29)
    assert display.to_display(Segment(17, 29)) == Segment(13, 26)
    shown = display.to_display(Segment(31, 39))
    assert shown is not None
    assert shown.of(display.text) == "at night"


def test_a_slice_outside_what_is_shown_leads_nowhere() -> None:
    assert make_display("abc").to_original(Segment(1, 4)) is None


def test_halves_of_pairs_and_hidden_breaks_are_no_trouble() -> None:
    assert make_display("a\ud800b").text == "a b"
    assert make_display("a\r\nb", (Swap(1, 2, "[X]"),)).text == "a[X]\nb"
    assert make_display("a\r\nb", (Swap(2, 4, "[X]"),)).text == "a\n[X]"


@given(TEXTS, st.data())
def test_a_slice_comes_back_as_it_went(text: str, data: st.DataObject) -> None:
    display = make_display(text)
    start = data.draw(st.integers(0, len(text) - 1))
    segment = Segment(start, data.draw(st.integers(start + 1, len(text))))
    shown = display.to_display(segment)
    assert shown is not None
    back = display.to_original(shown)
    assert back is not None
    assert back.start <= segment.start
    assert back.end >= segment.end
    grown = text[back.start : segment.start] + text[segment.end : back.end]
    assert set(grown) <= {"\r", "\n"}
    assert "\r" not in display.text


@pytest.mark.parametrize("text", ["", "plain text", "naïve café"])
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert make_display(text).text == text
