"""Transcripts in lines: "Name: what was said", "Name  0:03" above it (Otter, Teams documents), or a time, a name and the words under each other."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from models.vocabulary import Problem
from nlp_service.ingest.speaker_labels import RANGE, is_clock_label, is_time, split_label, to_ms
from nlp_service.ingest.speech import Said

_MIN_RANGES: Final = 2
_RECORDING: Final = re.compile(
    r"[^\n]{1,80} (?:started|stopped) (?:the )?(?:transcription|recording)\.?", re.IGNORECASE
)


def read_lines(name: str, lines: Sequence[str], problems: list[Problem], known: set[str]) -> Iterator[Said]:
    """Yield speaker and words of each line; a line that starts with a label begins a turn, others go on with the last.

    What stands above the first speaker (a title, a date) is added to the problems, as is "… started transcription".
    """
    if sum(RANGE.fullmatch(line.strip()) is not None for line in lines) >= _MIN_RANGES:
        yield from _under_times(name, lines, problems)
        return
    speaker: str | None = None
    start_ms: int | None = None
    clocks = sum(is_clock_label(line) for line in lines) > 1
    for number, line in enumerate(lines, 1):
        if is_time(line) or not line.strip():
            continue
        if _RECORDING.fullmatch(line.strip()):
            problems.append(_problem("not_speech", "the tool says that it records", "nothing to do", number, name))
            continue
        found = split_label(line)
        words = line
        if found is not None and found[0] in known and (is_clock_label(line) or not clocks):
            speaker, words, start_ms = found
        if speaker is not None:
            yield Said(speaker, words, start_ms)
        else:
            problems.append(_above(number, name))


def _under_times(name: str, lines: Sequence[str], problems: list[Problem]) -> Iterator[Said]:
    """Yield what stands under "0:0:0.0 --> 0:0:5.4": a line with the speaker, then the words."""
    speaker: str | None = None
    start_ms: int | None = None
    expects_name = False
    for number, line in enumerate(lines, 1):
        words = line.strip()
        time = RANGE.fullmatch(words)
        if time is not None:
            start_ms, expects_name = to_ms(time[1]), True
        elif expects_name and words:
            speaker, expects_name = " ".join(words.split()), False
        elif speaker is not None:
            yield Said(speaker, words, start_ms)
        elif words:
            problems.append(_above(number, name))


def _above(number: int, name: str) -> Problem:
    return _problem(
        "before_first_speaker", "words above the first speaker", "name a speaker, if it was said", number, name
    )


def _problem(code: str, found: str, step: str, row: int, name: str) -> Problem:
    return Problem(code, found, step, row, None, name)
