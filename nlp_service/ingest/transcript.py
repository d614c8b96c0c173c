"""Workshop transcripts: WebVTT, SRT, text, Word documents and JSON, as turns of speakers.

Consecutive cues of one speaker are one turn. Times, tags and marks such as [inaudible] never become words; everything else that was said
is in exactly one turn, or in a listed problem.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from models.counts import counted
from models.vocabulary import Problem
from nlp_service.ingest.cue_transcript import read_cues
from nlp_service.ingest.line_transcript import read_lines
from nlp_service.ingest.speaker_labels import find_label, known_labels, without_marks
from nlp_service.ingest.speech import UNKNOWN, Said

EXTENSIONS: Final = (".vtt", ".srt")
_MIN_LABELLED: Final = 0.25
"""Least share of a text file's lines that name a speaker."""
_MIN_TURNS: Final = 3
_ROLES: Final = ("facilitator", "moderator", "interviewer", "chair", "host", "convenor", "council")

__all__ = ["EXTENSIONS", "UNKNOWN", "Transcript", "Turn", "looks_like_transcript", "make_transcript", "read_transcript"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker said until another spoke."""

    number: int
    """From 1, in the order of the transcript."""
    speaker: str
    text: str
    is_facilitator: bool = False
    start_ms: int | None = None
    """When it began, from the beginning of the recording; None where the transcript does not say."""


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
    labels = Counter(label for b in blocks if (label := find_label(b)) is not None)
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
    if extension in EXTENSIONS or text.startswith("WEBVTT"):
        said = list(read_cues(name, text, problems))
    else:
        lines = text.splitlines()
        said = list(read_lines(name, lines, problems, known_labels(lines)))
    return make_transcript(name, said, problems, facilitators)


def make_transcript(
    name: str, said: Iterable[Said], problems: Sequence[Problem], facilitators: Sequence[str]
) -> Transcript:
    """Return turns joined from what was said, piece by piece, with those of facilitators marked."""
    turns: list[Turn] = []
    for piece in said:
        clean = without_marks(piece.words)
        if not clean:
            continue
        last = turns[-1] if turns else None
        if last is not None and last.speaker == piece.speaker:
            turns[-1] = replace(last, text=f"{last.text} {clean}")
        else:
            turns.append(Turn(len(turns) + 1, piece.speaker, clean, start_ms=piece.start_ms))
    leaders, why = _facilitators(turns, facilitators)
    turns = [replace(t, is_facilitator=t.speaker in leaders) for t in turns]
    n_speakers = len({t.speaker for t in turns})
    note = f"{name}: a transcript of {counted(len(turns), 'turn')} by {counted(n_speakers, 'speaker')}; facilitators ({why}): {', '.join(sorted(leaders)) or 'none'}."
    missing = sorted(set(facilitators) - {t.speaker for t in turns})
    extra = (f"{name}: nobody is called {', '.join(missing)} in it.",) if missing else ()
    return Transcript(tuple(turns), tuple(problems), (note, *extra))


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
