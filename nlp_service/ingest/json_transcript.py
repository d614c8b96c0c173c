"""Turns in JSON: a list of objects with a speaker and words, alone or under `turns`, `utterances`, `segments` or `transcript`.

The names of fields are those of common speech-to-text services and of people's own scripts; the first that is there counts.
"""

from collections import Counter
from typing import Any, Final

from models.vocabulary import Problem
from nlp_service.ingest.speech import UNKNOWN, Said

_LISTS: Final = ("turns", "utterances", "segments", "transcript", "monologues", "entries")
_SPEAKERS: Final = (
    "speaker",
    "speaker_name",
    "speakerName",
    "speaker_label",
    "participant",
    "participantName",
    "displayName",
    "who",
)
_WORDS: Final = ("text", "words", "utterance", "content", "transcript", "sentence", "spokenText", "said")
_STARTS_S: Final = ("start", "start_s", "start_time", "startTime", "begin")
_STARTS_MS: Final = ("start_ms", "startMs", "offset_ms")
_MIN_TOLD: Final = 0.5
_MAX_S: Final = 1e6


def find_turns(value: Any) -> list[Any] | None:
    """Return the list of turns in a JSON value, or None if it holds none.

    A list alone is one of turns if most objects have a speaker and words, and speakers come again; under a key that says so, words are enough.
    """
    if isinstance(value, dict):
        named = [value[key] for key in _LISTS if isinstance(value.get(key), list)]
        found = next((v for v in named if v and _share(v, _WORDS) >= _MIN_TOLD), None)
        return found if found is not None and _share(found, _SPEAKERS) > 0 else None
    if not isinstance(value, list) or not value or min(_share(value, _WORDS), _share(value, _SPEAKERS)) < _MIN_TOLD:
        return None
    speakers = Counter(
        str(s) for turn in value if isinstance(turn, dict) and (s := _first(turn, _SPEAKERS)) is not None
    )
    return value if any(n > 1 for n in speakers.values()) else None


def read_turns(name: str, turns: list[Any], problems: list[Problem]) -> list[Said]:
    """Return who said what; an entry that is no object, or whose words are no text, is added to the problems."""
    said = []
    for number, turn in enumerate(turns, 1):
        words = _first(turn, _WORDS) if isinstance(turn, dict) else None
        if not isinstance(words, str):
            step = 'write one {"speaker": …, "text": …} a turn'
            problems.append(Problem("not_text", "the turn has no words that are text", step, number, None, name))
            continue
        speaker = _first(turn, _SPEAKERS)
        who = " ".join(str(speaker).split()) if isinstance(speaker, str | int) else ""
        said.append(Said(who or UNKNOWN, words, _start_ms(turn)))
    return said


def _first(turn: dict[str, Any], keys: tuple[str, ...]) -> Any:
    return next((turn[key] for key in keys if turn.get(key) is not None), None)


def _share(turns: list[Any], keys: tuple[str, ...]) -> float:
    return sum(isinstance(t, dict) and isinstance(_first(t, keys), str | int) for t in turns) / len(turns)


def _start_ms(turn: dict[str, Any]) -> int | None:
    ms = _first(turn, _STARTS_MS)
    if isinstance(ms, int | float) and 0 <= ms < _MAX_S * 1_000:
        return int(ms)
    seconds = _first(turn, _STARTS_S)
    return int(seconds * 1_000) if isinstance(seconds, int | float) and 0 <= seconds < _MAX_S else None
