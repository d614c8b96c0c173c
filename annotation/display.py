"""The text as an annotator sees it, and the way back to the comment as it came in.

What is shown differs from the comment where words are redacted, and where a browser would count otherwise than Python does: line
breaks of two characters, controls. Offsets count code points on both sides.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from models.vocabulary import Segment


@dataclass(frozen=True, slots=True)
class Swap:
    """A slice of the original that is shown as something else."""

    start: int
    end: int
    shown: str


@dataclass(frozen=True, slots=True)
class Display:
    """What is shown of a comment. Between swaps both texts are the same, character by character."""

    text: str
    swaps: tuple[Swap, ...]
    """In order, without overlap."""

    def to_display(self, segment: Segment) -> Segment | None:
        """Return where a slice of the original is shown; a swap it touches is taken whole. None if nothing of it is shown."""
        start, end = self._shown(segment.start, after=False), self._shown(segment.end, after=True)
        return Segment(start, end) if start < end else None

    def to_original(self, segment: Segment) -> Segment | None:
        """Return the slice of the original behind a shown one; a swap it touches is taken whole. None if it is out of bounds."""
        if segment.end > len(self.text):
            return None
        start, end = self._origin(segment.start, after=False), self._origin(segment.end, after=True)
        return Segment(start, end) if start < end else None

    def _shown(self, offset: int, *, after: bool) -> int:
        shift = 0
        for swap in self.swaps:
            if offset >= swap.end:
                shift += len(swap.shown) - (swap.end - swap.start)
            elif offset > swap.start:
                return swap.start + shift + (len(swap.shown) if after else 0)
            else:
                break
        return offset + shift

    def _origin(self, offset: int, *, after: bool) -> int:
        shift = 0
        for swap in self.swaps:
            start = swap.start + shift
            end = start + len(swap.shown)
            if offset >= end:
                shift += len(swap.shown) - (swap.end - swap.start)
            elif offset > start:
                return swap.end if after else swap.start
            else:
                break
        return offset - shift


def make_display(text: str, redactions: Sequence[Swap] = ()) -> Display:
    """Return what is shown of a text: redactions, plain line breaks, controls and halves of pairs as a space.

    Parameters
    ----------
    text
        The comment.
    redactions
        Slices of it that are shown as something else, in order, without overlap.
    """
    hidden = [False] * len(text)
    for swap in redactions:
        hidden[swap.start : swap.end] = [True] * (swap.end - swap.start)
    swaps = [*redactions]
    i = 0
    while i < len(text):
        width = 2 if text.startswith("\r\n", i) and not any(hidden[i : i + 2]) else 1
        char = text[i]
        if not hidden[i] and char in "\r\x0b\x0c\x85\u2028\u2029":
            swaps.append(Swap(i, i + width, "\n"))
        elif not hidden[i] and char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cs"):
            swaps.append(Swap(i, i + 1, " "))
        i += width
    swaps.sort(key=lambda s: s.start)
    parts: list[str] = []
    done = 0
    for swap in swaps:
        parts += [text[done : swap.start], swap.shown]
        done = swap.end
    return Display("".join((*parts, text[done:])), tuple(swaps))
