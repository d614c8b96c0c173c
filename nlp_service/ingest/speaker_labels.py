"""Names of speakers and times in transcripts: what begins a turn, and what is a mark and no word."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

MAX_LABEL_CHARS: Final = 60
_MAX_LABEL_WORDS: Final = 7
_MAX_NAME_WORDS: Final = 3
_MARKS: Final = frozenset(
    (
        "inaudible", "unintelligible", "indistinct", "crosstalk", "cross-talk", "laughter", "laughs", "laughing", "pause", "pauses", "silence",
        "music", "applause", "unclear", "overlapping", "coughs", "coughing", "sighs", "noise",
    )
)  # fmt: skip
_MARK_COMPANY: Final = frozenset(
    (
        "and",
        "speech",
        "speaking",
        "talk",
        "talking",
        "voices",
        "background",
        "conversation",
        "long",
        "short",
        "at",
        "word",
        "words",
        "all",
        "group",
    )
)
_SAID: Final = frozenset(
    ("I", "I'm", "I've", "We", "They", "He", "She", "It", "You", "So", "And", "But", "Because", "If", "When", "Then", "There", "This", "That", "My", "Our")
)  # fmt: skip
"""Words that begin a sentence with a colon in it far more often than a speaker's name."""
_TIME: Final = r"(?:[0-9]{1,2}:)?[0-9]{1,2}:[0-9]{1,2}(?:[.,][0-9]{1,3})?"
CLOCK: Final = re.compile(_TIME)
RANGE: Final = re.compile(rf"({_TIME})\s{{0,9}}-->\s{{0,9}}({_TIME})(?:\s[^\n]{{0,200}})?")
_BRACKETS: Final = re.compile(r"[\[(]([^\[\]()\n]{1,40})[\])]")
_SPACES: Final = re.compile(r"[ \t\u00a0]{2,}")
_TIME_FIRST: Final = re.compile(rf"[\[(]?({_TIME})[\])]?[ \t]{{0,9}}[-\u2013\u2014|]?[ \t]{{0,9}}(?=\S)")
_TIME_BEHIND: Final = re.compile(
    rf"([^\s:\[\]()][^:\[\]()\n]{{0,{MAX_LABEL_CHARS}}}(?:\([^()\n:]{{1,40}}\))?)[ \t]{{0,9}}[\[(]({_TIME})[\])][ \t]{{0,9}}:?[ \t]?"
)


def split_label(line: str) -> tuple[str, str, int | None] | None:
    """Return the speaker that a line names at its start, the words behind, and the time in milliseconds; None if it names no one.

    "Ann: words", "Ann (00:03): words", "[00:03] Ann: words", "Ann  0:03" and the like.
    """
    line = line.strip()
    if is_clock_label(line):
        name, time = line.rsplit(None, 1)
        return " ".join(name.rstrip(" :-").split()), "", to_ms(time.strip("()[]"))
    first = _TIME_FIRST.match(line)
    at = to_ms(first[1]) if first is not None else None
    rest = line[first.end() :] if first is not None else line
    behind = _TIME_BEHIND.match(rest)
    if behind is not None:
        label, words, at = behind[1], rest[behind.end() :], to_ms(behind[2])
    else:
        label, colon, _ = rest[: MAX_LABEL_CHARS + 1].partition(":")
        words = rest[len(label) + 1 :]
        if not colon:
            return None
    label = " ".join(label.split())
    return (label, words, at) if _is_label(label) else None


def find_label(line: str) -> str | None:
    """Return the speaker that a line names at its start, or None."""
    found = split_label(line)
    return found[0] if found is not None else None


def known_labels(lines: Sequence[str]) -> set[str]:
    """Return the labels that name speakers: those that come again, and names written in capitals throughout a label of few words.

    "I told them: no" at the start of a line is speech.
    """
    timed = {label for line in lines if is_clock_label(line) and (label := find_label(line)) is not None}
    if len(timed) > 1:
        return timed
    times = Counter(label for line in lines if (label := find_label(line)) is not None)
    return {label for label, n in times.items() if _is_name(label) or (n > 1 and label.split()[0] not in _SAID)}


def is_clock_label(line: str) -> bool:
    """Return whether a line is a name with a time behind it and nothing more ("Speaker 1  0:03")."""
    parts = line.strip().rsplit(None, 1)
    if len(parts) != 2 or CLOCK.fullmatch(parts[1].strip("()[]")) is None:  # noqa: PLR2004
        return False
    return _is_label(parts[0].rstrip(" -")) and ":" not in parts[0]


def is_time(line: str) -> bool:
    """Return whether a line holds a time, or from when to when, and nothing more."""
    bare = line.strip().strip("()[]")
    return CLOCK.fullmatch(bare) is not None or RANGE.fullmatch(bare) is not None


def to_ms(clock: str) -> int:
    """Return a time such as 1:02:03.4 in milliseconds."""
    whole, _, part = clock.replace(",", ".").partition(".")
    seconds = 0
    for number in whole.split(":"):
        seconds = seconds * 60 + int(number)
    return seconds * 1_000 + int(part.ljust(3, "0") or 0)


def without_marks(words: str) -> str:
    """Return words without times and marks in brackets, white space single."""
    return _SPACES.sub(" ", _BRACKETS.sub(_drop_mark, words)).strip()


def _drop_mark(found: re.Match[str]) -> str:
    inside = found[1].strip().casefold()
    if CLOCK.fullmatch(inside) is not None:
        return " "
    parts = [p for p in re.split(r"[\s,/&.]+", inside) if p]
    marks = sum(p in _MARKS for p in parts)
    rest = [p for p in parts if p not in _MARKS and p not in _MARK_COMPANY and CLOCK.fullmatch(p) is None]
    return " " if marks and not rest else found[0]


def _is_label(label: str) -> bool:
    """Return whether words can name a speaker: few, the first with a capital, no end of a sentence among them."""
    fits = 0 < len(label) <= MAX_LABEL_CHARS and len(label.split()) <= _MAX_LABEL_WORDS
    return fits and label[0].isalpha() and label[0] == label[0].upper() and not any(c in label for c in '.?!;"')


def _is_name(label: str) -> bool:
    words = label.partition("(")[0].split()
    return 0 < len(words) <= _MAX_NAME_WORDS and all(w[0].isupper() or w[0].isdigit() for w in words)
