"""Windows hold every token once, and know where it came from."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text import make_segments
from models.tokens import MAX_WINDOW_TOKENS, WordPieces, tokens_of_segments
from models.weights import DEFAULT_BASE, read_base

PIECES = WordPieces(read_base(DEFAULT_BASE).tokenizer_json)


def test_offsets_are_those_of_the_original_text() -> None:
    text = "“Dealers” — 👮🏽‍♀️ by  the\u00a0café\u0301s"
    (window,) = PIECES.windows([text])[0]
    words = [text[a:b] for a, b in zip(window.starts, window.ends, strict=True)]
    assert words[1] == "Dealers"
    assert "the" in words
    assert len(window.ids) == len(window.starts) + 2


def test_a_text_without_anything_visible_is_one_empty_window() -> None:
    (window,) = PIECES.windows(["\u200b \n"])[0]
    assert len(window.ids) == 2
    assert len(window.starts) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 900), st.booleans())
def test_long_comments_are_cut_into_windows_that_lose_nothing(n_words: int, ends: bool) -> None:
    text = " ".join(f"word{'.' if ends and i % 17 == 0 else ''}" for i in range(n_words))
    windows = PIECES.windows([text])[0]
    assert all(len(w.ids) <= MAX_WINDOW_TOKENS for w in windows)
    starts = np.concatenate([w.starts for w in windows])
    assert len(starts) >= n_words
    assert (np.diff(starts) > 0).all()


def test_windows_begin_where_segments_begin_if_they_can() -> None:
    text = "We walked home along the canal again. " * 60
    begins = {s.start for s in make_segments(text)}
    assert all(int(w.starts[0]) in begins for w in PIECES.windows([text])[0])


def test_each_token_belongs_to_the_segment_that_holds_it() -> None:
    text = "Noise. Dealers by the lifts."
    (window,) = PIECES.windows([text])[0]
    assert tokens_of_segments(window, make_segments(text)).tolist() == [0, 0, *[1] * (len(window.starts) - 2)]


def test_company_does_not_change_a_window() -> None:
    alone = PIECES.windows(["Lights out again"])[0][0]
    among = PIECES.windows(["x" * 500, "Lights out again", ""])[1][0]
    assert (alone.ids == among.ids).all()
