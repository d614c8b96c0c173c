"""Text before it is read by a model: normalised, with the way back to the original; cut into segments.

Offsets count code points, as Python and JSON consumers do, and always refer to the comment as it came in.
"""

import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from models.vocabulary import Segment

if TYPE_CHECKING:
    from spacy.language import Language

_PUNCTUATION: Final = {
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u02bc": "'", "\u2032": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2015": "-", "\u2212": "-",
}  # fmt: skip
_MAX_SEGMENT_CHARS: Final = 400
"""A "sentence" longer than this (nobody's full stop came) is cut at the next white space."""


@dataclass(frozen=True, slots=True)
class NormalText:
    """A normalised text and, for each of its characters, the slice of the original that it came from."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def to_original(self, start: int, end: int) -> Segment:
        """Return the original's slice behind `text[start:end]`; the slice must not be empty."""
        return Segment(self.starts[start], self.ends[end - 1])


def normalise(text: str) -> NormalText:
    """Return the text in NFKC with plain quotes and dashes, controls and zero-width marks gone, white space single.

    A base character and the marks after it are normalised as one, so every output character points to a whole
    original cluster and no offset can fall between a letter and its accent.
    """
    if text.isascii() and text.isprintable() and "  " not in text:
        stripped = text.strip(" ")
        first = len(text) - len(text.lstrip(" "))
        span = range(first, first + len(stripped))
        return NormalText(stripped, tuple(span), tuple(i + 1 for i in span))
    chars: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    i, n = 0, len(text)
    while i < n:
        j = i + 1
        while j < n and unicodedata.combining(text[j]):
            j += 1
        for char in _normal_cluster(text[i:j]):
            if char == " " and (not chars or chars[-1] == " "):
                continue
            chars.append(char)
            starts.append(i)
            ends.append(j)
        i = j
    if chars and chars[-1] == " ":
        chars.pop()
        starts.pop()
        ends.pop()
    return NormalText("".join(chars), tuple(starts), tuple(ends))


@cache
def _normal_char(char: str) -> str:
    if char.isspace():
        return " "
    if char in _PUNCTUATION:
        return _PUNCTUATION[char]
    if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return ""
    composed = unicodedata.normalize("NFKC", char)
    return composed if len(composed) == 1 else "".join(" " if c.isspace() else c for c in composed)


def _normal_cluster(cluster: str) -> str:
    if len(cluster) == 1:
        return _normal_char(cluster)
    return "".join(_normal_char(c) for c in unicodedata.normalize("NFKC", cluster))


@contextmanager
def without_torch() -> Iterator[None]:
    """Keep spaCy from loading torch, which rules for sentences have no use for: a second and 200 MB a process."""
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment] # how Python marks a module that must not load
    try:
        yield
    finally:
        if absent:
            del sys.modules["torch"]


@cache
def _sentencizer() -> "Language":
    with without_torch():
        import spacy  # noqa: PLC0415 -- half a second of start-up that only coding needs
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    return nlp


def make_segments(text: str) -> tuple[Segment, ...]:
    """Return the comment's segments, in order, without overlap, none blank.

    A line break always ends a segment (people write lists); within a line spaCy's rule-based sentencizer decides,
    which finds as many sentences as the statistical one at twenty times the speed.
    """
    nlp = _sentencizer()
    found: list[Segment] = []
    offset = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            doc = nlp.make_doc(line) if len(line) < nlp.max_length else None
            spans = (
                [(0, len(line))]
                if doc is None
                else [(s.start_char, s.end_char) for s in nlp.get_pipe("sentencizer")(doc).sents]
            )
            for start, end in spans:
                found.extend(_cut(text, offset + start, offset + end))
        offset += len(line)
    return tuple(found)


def _cut(text: str, start: int, end: int) -> list[Segment]:
    """Return the slice without white space around it, cut where it is too long to be a sentence."""
    pieces: list[Segment] = []
    while start < end:
        while start < end and text[start].isspace():
            start += 1
        stop = end
        if end - start > _MAX_SEGMENT_CHARS:
            stop = start + _MAX_SEGMENT_CHARS
            while stop < end and not text[stop].isspace():
                stop += 1
        last = stop
        while last > start and text[last - 1].isspace():
            last -= 1
        if last > start:
            pieces.append(Segment(start, last))
        start = stop
    return pieces
