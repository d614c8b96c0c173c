"""Whose words a model learnt from, kept so that only somebody who has the words can ask.

A mark is a keyed hash of who wrote a comment and of the whole text. Marks answer "was it trained on this?" when a resident asks
to be forgotten; they name nobody, and a text cannot be read from one, only tried.
"""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.uint64]
_MARK_BYTES = 8


def make_marks(written: Iterable[tuple[str, str]], *, key: str) -> Marks:
    """Return the marks of comments, shape (n,), uint64, sorted, each once.

    Parameters
    ----------
    written
        Who wrote it (the respondent's id, or the comment's where there is none) and the text as it came in.
    key
        Another one for each set of decisions, in hexadecimal: marks of two models cannot be compared.
    """
    secret = bytes.fromhex(key)
    found = {int.from_bytes(_hash(secret, who, text), "big") for who, text in written}
    return np.array(sorted(found), dtype=np.uint64)


def count_marked(marks: Marks, written: Iterable[tuple[str, str]], *, key: str) -> int:
    """Return how many distinct comments are among the marks. It errs once in some 10^15 comments."""
    return int(np.isin(make_marks(written, key=key), marks).sum())


def holds_any(marks: Marks, written: Iterable[tuple[str, str]], *, key: str) -> bool:
    """Return whether one of the comments is among the marks."""
    return count_marked(marks, written, key=key) > 0


def _hash(secret: bytes, who: str, text: str) -> bytes:
    words = f"{len(who)}:{who}{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(words, key=secret, digest_size=_MARK_BYTES).digest()
