"""Workshop transcripts: WebVTT, SRT, and text with "Name: what was said" or "Name  0:03" above it, as turns of speakers.

Consecutive cues of one speaker are one turn. Times, tags and marks such as [inaudible] never become words; everything else that was said
is in exactly one turn, or in a listed problem.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.vocabulary import Problem

EXTENSIONS: Final = (".vtt", ".srt")
UNKNOWN: Final = "unknown speaker"
MAX_LABEL_CHARS: Final = 60
_MAX_LABEL_WORDS: Final = 7
_MAX_NAME_WORDS: Final = 3
_MIN_LABELLED: Final = 0.25
"""Least share of a text file's lines that name a speaker."""
_MIN_TURNS: Final = 3
_ROLES: Final = ("facilitator", "moderator", "interviewer", "chair", "host", "convenor", "council")
_MARKS: Final = (
    "inaudible",
    "crosstalk",
    "laughter",
    "laughs",
    "pause",
    "silence",
    "music",
    "applause",
    "unclear",
    "overlapping",
)
_SAID: Final = frozenset(
    [
        "I",
        "I'm",
        "I've",
        "We",
        "They",
        "He",
        "She",
        "It",
        "You",
        "So",
        "And",
        "But",
        "Because",
        "If",
        "When",
        "Then",
        "There",
        "This",
        "That",
        "My",
        "Our",
    ]
)
"""Words that begin a sentence with a colon in it far more often than a speaker's name."""
_BRACKETS: Final = re.compile(r"[\[(]([^\[\]()\n]{1,40})[\])]")
_CLOCK: Final = re.compile(r"(?:\d{1,2}:)?\d{1,2}:\d{2}(?:[.,]\d{1,3})?")
_TAG: Final = re.compile(r"<[^<>\n]{0,200}>")
_VOICE: Final = re.compile(r"<v(?:\.[^\s<>]{0,60})?\s([^<>\n]{1,120})>")
_SPACES: Final = re.compile(r"[ \t\u00a0]{2,}")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said until another spoke."""

    number: int
    """From 1, in the order of the transcript."""
    speaker: str
    text: str
    is_facilitator: bool = False


@dataclass(frozen=True, slots=True)
class Transcript:
    """A workshop's turns, what could not be read, and what the reader should know."""

    turns: tuple[Turn, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def looks_like_transcript(extension: str, text: str) -> bool:
    """Return whether a file is a transcript: by its extension or first line, or a `.txt` in which speakers take turns."""
    if extension in EXTENSIONS or text.startswith("WEBVTT"):
        return True
    if extension != ".txt":
        return False
    blocks = [b for b in text.splitlines() if b.strip()]
    labels = Counter(label for b in blocks if (label := _label(b)) is not None)
    again = sum(n for n in labels.values() if n > 1)
    return len(labels) > 1 and again >= _MIN_TURNS and sum(labels.values()) >= _MIN_LABELLED * len(blocks)


def read_transcript(name: str, extension: str, text: str, *, facilitators: Sequence[str] = ()) -> Transcript:
    """Return a transcript's turns.

    Parameters
    ----------
    name
        The file's name, for problems.
    extension
        `.vtt` and `.srt` hold timed cues; anything else is read as lines.
    text
        All of the file.
    facilitators
        Speakers who lead the workshop, as the transcript names them. None given: those whose label names a role, else the one
        who speaks first and mostly asks.
    """
    problems: list[Problem] = []
    timed = extension in EXTENSIONS or text.startswith("WEBVTT")
    known = _known_labels(text)
    said = list(_cues(name, text, problems, known) if timed else _lines(name, text, problems, known))
    turns: list[Turn] = []
    for speaker, words in said:
        clean = _without_marks(words)
        if not clean:
            continue
        last = turns[-1] if turns else None
        if last is not None and last.speaker == speaker:
            turns[-1] = replace(last, text=f"{last.text} {clean}")
        else:
            turns.append(Turn(len(turns) + 1, speaker, clean))
    leaders, why = _facilitators(turns, facilitators)
    turns = [replace(t, is_facilitator=t.speaker in leaders) for t in turns]
    n_speakers = len({t.speaker for t in turns})
    note = f"{name}: a transcript of {len(turns)} turns by {n_speakers} speakers; facilitators ({why}): {', '.join(sorted(leaders)) or 'none'}."
    missing = sorted(set(facilitators) - {t.speaker for t in turns})
    extra = (f"{name}: nobody is called {', '.join(missing)} in it.",) if missing else ()
    return Transcript(tuple(turns), tuple(problems), (note, *extra))


def _cues(name: str, text: str, problems: list[Problem], known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield speaker and words of each timed cue; what stands outside cues and is no header, note or number is a problem."""
    block: list[tuple[int, str]] = []
    speaker = UNKNOWN
    for number, line in [*enumerate(text.splitlines(), 1), (0, "")]:
        if line.strip():
            block.append((number, line))
            continue
        if block:
            at = next((i for i, (_, row) in enumerate(block) if "-->" in row), None)
            first = block[0][1].lstrip("\ufeff")
            if at is None and not first.startswith(("WEBVTT", "NOTE", "STYLE", "REGION")):
                problems.append(
                    Problem(
                        "text_outside_cues",
                        "words without a time above them",
                        "give them a cue",
                        block[0][0],
                        None,
                        name,
                    )
                )
            elif at is not None:
                voices = list(_voices("\n".join(row for _, row in block[at + 1 :]), speaker, known))
                speaker = voices[-1][0] if voices else speaker
                yield from voices
        block = []


def _voices(payload: str, speaker: str, known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield speaker and words of a cue: from voice tags, from "Name: words", else the speaker before."""
    pieces = _VOICE.split(payload)
    if len(pieces) > 1:
        if _TAG.sub("", pieces[0]).strip():
            yield speaker, _plain(pieces[0])
        for label, words in zip(pieces[1::2], pieces[2::2], strict=True):
            yield " ".join(html.unescape(label).split()), _plain(words)
        return
    for line in payload.splitlines():
        words = _plain(line)
        label = _label(words)
        if label in known and ":" in words:
            speaker, words = str(label), words.partition(":")[2]
        yield speaker, words


def _plain(words: str) -> str:
    return html.unescape(_TAG.sub("", words))


def _lines(name: str, text: str, problems: list[Problem], known: set[str]) -> Iterator[tuple[str, str]]:
    """Yield speaker and words of each line; a line that starts with a label begins a turn, others go on with the last.

    What stands above the first speaker (a title, a date) is a problem.
    """
    speaker: str | None = None
    clocks = sum(_is_clock_label(line) for line in text.splitlines()) > 1
    for number, line in enumerate(text.splitlines(), 1):
        label = _label(line)
        words = line
        if label in known and (_is_clock_label(line) or not clocks):
            speaker = label
            words = "" if _is_clock_label(line) else line.partition(":")[2]
        if speaker is not None:
            yield speaker, words
        elif words.strip():
            problems.append(
                Problem(
                    "before_first_speaker",
                    "words above the first speaker",
                    "name a speaker, if it was said",
                    number,
                    None,
                    name,
                )
            )


def _known_labels(text: str) -> set[str]:
    """Return the labels that name speakers: those that come again, and names written in capitals throughout a label of few words.

    "I told them: no" at the start of a line is speech.
    """
    lines = [_plain(line) for line in text.splitlines()]
    timed = {label for line in lines if _is_clock_label(line) and (label := _label(line)) is not None}
    if len(timed) > 1:
        return timed
    times = Counter(label for line in lines if (label := _label(line)) is not None)
    return {label for label, n in times.items() if _is_name(label) or (n > 1 and label.split()[0] not in _SAID)}


def _is_name(label: str) -> bool:
    words = label.partition("(")[0].split()
    return 0 < len(words) <= _MAX_NAME_WORDS and all(w[0].isupper() or w[0].isdigit() for w in words)


def _is_clock_label(line: str) -> bool:
    """Return whether a line is a name with a time behind it and nothing more ("Speaker 1  0:03")."""
    parts = line.strip().rsplit(None, 1)
    if len(parts) != 2 or _CLOCK.fullmatch(parts[1].strip("()[]")) is None:  # noqa: PLR2004
        return False
    return _is_label(parts[0].rstrip(" -")) and ":" not in parts[0]


def _is_label(label: str) -> bool:
    """Return whether words can name a speaker: few, the first with a capital, no end of a sentence among them."""
    fits = 0 < len(label) <= MAX_LABEL_CHARS and len(label.split()) <= _MAX_LABEL_WORDS
    return fits and label[0].isalpha() and label[0] == label[0].upper() and not any(c in label for c in '.?!;"')


def _label(line: str) -> str | None:
    """Return the speaker that a line names at its start, or None: some words that begin like a name, before a colon or a time."""
    line = line.strip()
    if _is_clock_label(line):
        label = line.rsplit(None, 1)[0].rstrip(" :-")
    else:
        label, colon, _ = line[: MAX_LABEL_CHARS + 1].partition(":")
        if not colon:
            return None
    label = " ".join(_CLOCK.sub("", _BRACKETS.sub(_keep_role, label)).split())
    return label if _is_label(label) else None


def _keep_role(found: re.Match[str]) -> str:
    return "" if _CLOCK.fullmatch(found[1].strip()) else found[0]


def _without_marks(words: str) -> str:
    """Return words without times and marks in brackets, white space single."""

    def drop(found: re.Match[str]) -> str:
        inside = found[1].strip().casefold()
        is_mark = _CLOCK.fullmatch(inside) is not None or any(inside.startswith(mark) for mark in _MARKS)
        return " " if is_mark else found[0]

    return _SPACES.sub(" ", _BRACKETS.sub(drop, words)).strip()


def _facilitators(turns: Sequence[Turn], given: Sequence[str]) -> tuple[set[str], str]:
    """Return who leads, and how that is known."""
    speakers = {t.speaker for t in turns}
    if given:
        return speakers & set(given), "as told"
    by_role = {s for s in speakers if any(role in s.casefold() for role in _ROLES)}
    if by_role:
        return by_role, "by their labels"
    if len(speakers) > 2 and turns:  # noqa: PLR2004 -- with two, it is as well an interview of equals
        first = turns[0].speaker
        own = [t for t in turns if t.speaker == first]
        asks = sum(t.text.rstrip().endswith("?") for t in own)
        if len(own) >= _MIN_TURNS and asks >= len(own) / 2:
            return {first}, "speaks first and mostly asks"
    return set(), "none found"
