"""A comment with its personal data replaced, and the way between the two texts."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from models.vocabulary import Segment
from nlp_service.privacy.names import find_names
from nlp_service.privacy.personal_data import Kind, PersonalData
from nlp_service.privacy.structured import find_structured


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text in which each finding is replaced by its kind in square brackets.

    Offsets are half-open, in code points. A slice that touches a replacement stands for the whole finding, both ways:
    nothing of a finding shows, and what is quoted can be checked.
    """

    original: str = field(repr=False)
    found: tuple[PersonalData, ...]
    """In order, without overlap; offsets into the original."""
    text: str = field(init=False)
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    """Where each replacement begins in `text`."""

    def __post_init__(self) -> None:
        parts: list[str] = []
        starts: list[int] = []
        at = length = 0
        for one in self.found:
            if one.start < at or one.end > len(self.original):
                raise ValueError("findings are in order, apart, and inside the text")
            parts += [self.original[at : one.start], one.replacement]
            starts.append(length + one.start - at)
            length = starts[-1] + len(one.replacement)
            at = one.end
        parts.append(self.original[at:])
        object.__setattr__(self, "text", "".join(parts))
        object.__setattr__(self, "_starts", tuple(starts))

    def to_original(self, start: int, end: int) -> Segment:
        """Return the original's slice behind `text[start:end]`, which must not be empty; IndexError if it is not in the text."""
        _check(start, end, len(self.text))
        return Segment(self._original(start, last=False), self._original(end - 1, last=True))

    def to_redacted(self, start: int, end: int) -> Segment:
        """Return the redacted text's slice that stands for `original[start:end]`, which must not be empty."""
        _check(start, end, len(self.original))
        return Segment(self._redacted(start, last=False), self._redacted(end - 1, last=True))

    def quote(self, segment: Segment) -> str:
        """Return the words of a slice of the original, as they may be shown."""
        return self.to_redacted(segment.start, segment.end).of(self.text)

    def _original(self, place: int, *, last: bool) -> int:
        i = bisect_right(self._starts, place) - 1
        if i < 0:
            return place + last
        one, begins = self.found[i], self._starts[i]
        beyond = place - begins - len(one.replacement)
        if beyond < 0:
            return one.end if last else one.start
        return one.end + beyond + last

    def _redacted(self, place: int, *, last: bool) -> int:
        i = bisect_right(self.found, place, key=lambda f: f.start) - 1
        if i < 0:
            return place + last
        one, begins = self.found[i], self._starts[i]
        after = begins + len(one.replacement)
        if place < one.end:
            return after if last else begins
        return after + place - one.end + last


def _check(start: int, end: int, length: int) -> None:
    if not 0 <= start < end <= length:
        raise IndexError(f"[{start}, {end}) is no slice of a text of {length} characters")


def find_personal_data(text: str) -> tuple[PersonalData, ...]:
    """Return all personal data of a text, in order, without overlap: what has a form first, then names."""
    structured = find_structured(text)
    return tuple(sorted((*structured, *find_names(text, structured))))


def redact(text: str) -> Redacted:
    """Return the text with personal data replaced; the same text always gives the same result.

    Raises
    ------
    NameModelError
        If the recogniser of names is missing or changed. There is no redaction without it.
    """
    return Redacted(text, find_personal_data(text))


def count_kinds(texts: Iterable[Redacted]) -> dict[Kind, int]:
    """Return how many findings of each kind were replaced, kinds in their own order, none with zero."""
    counts = Counter(one.kind for text in texts for one in text.found)
    return {kind: counts[kind] for kind in Kind if counts[kind]}
