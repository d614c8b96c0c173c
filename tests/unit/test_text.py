"""Offsets lead back to the original, and segments hold every word once."""

import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from models.text import make_segments, normalise

HARD = st.text(
    st.one_of(
        st.characters(exclude_categories=("Cs",)),
        st.sampled_from("é ’“”–…👮🏽‍♀️ﬁ①　\u200b\u0301\r\n\t.!?aZ"),
    ),
    max_size=120,
)


@given(HARD)
def test_every_normal_character_points_into_the_original_and_forward(text: str) -> None:
    normal = normalise(text)
    assert len(normal.text) == len(normal.starts) == len(normal.ends)
    assert all(0 <= a < b <= len(text) for a, b in zip(normal.starts, normal.ends, strict=True))
    assert list(normal.starts) == sorted(normal.starts)


@given(HARD)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    once = normalise(text).text
    assert normalise(once).text == once


@given(HARD)
def test_no_base_letter_is_parted_from_its_marks(text: str) -> None:
    normal = normalise(text)
    for start, end in zip(normal.starts, normal.ends, strict=True):
        assert (
            start == 0 or not unicodedata.combining(text[start]) or unicodedata.combining(text[start - 1]) or start == 0
        )
        assert end == len(text) or not unicodedata.combining(text[end])


def test_plain_text_takes_the_short_way_to_the_same_result() -> None:
    assert normalise("  dealers by the lifts ").text == "dealers by the lifts"
    assert normalise("  dealers").starts[0] == 2
    assert normalise("a\u00a0 b").text == "a b"


def test_curly_marks_ligatures_and_zero_width_marks_become_plain() -> None:
    assert normalise("“don’t” – ﬁre\u200bworks").text == '"don\'t" - fireworks'


@settings(deadline=None)
@given(HARD)
def test_segments_hold_every_visible_character_once_and_in_order(text: str) -> None:
    segments = make_segments(text)
    last = 0
    for segment in segments:
        assert segment.start >= last
        assert not text[last : segment.start].strip()
        assert segment.of(text).strip() == segment.of(text) != ""
        last = segment.end
    assert not text[last:].strip()


def test_lines_and_sentences_end_segments() -> None:
    text = "Noise. Dealers!\n- dog mess\n\n- lights out"
    assert [s.of(text) for s in make_segments(text)] == ["Noise.", "Dealers!", "- dog mess", "- lights out"]


def test_a_sentence_without_an_end_is_cut_at_white_space() -> None:
    text = "and then " * 300
    pieces = make_segments(text)
    assert len(pieces) > 5
    assert max(s.end - s.start for s in pieces) < 420
