"""Timed cues: WebVTT (Teams, Zoom, Stream) and SRT.

Layouts: W3C WebVTT (blocks between blank lines, `<v Name>` voice spans, NOTE, STYLE and REGION blocks); SRT as players read it (a number, a time, words).
"""

import html
import re
from collections.abc import Iterator, Sequence
from typing import Final

from models.vocabulary import Problem
from nlp_service.ingest.speaker_labels import RANGE, known_labels, split_label, to_ms
from nlp_service.ingest.speech import UNKNOWN, Said

_TAG: Final = re.compile(r"<[^<>\n]{0,200}>")
_VOICE: Final = re.compile(r"<v(?:\.[^\s<>]{0,60})?\s([^<>\n]{1,120})>")
_NOT_CUES: Final = ("WEBVTT", "NOTE", "STYLE", "REGION")


def read_cues(name: str, text: str, problems: list[Problem]) -> Iterator[Said]:
    """Yield the words of each cue; what stands outside cues and is no header, note or number is added to the problems."""
    known = known_labels([_plain(line) for line in text.splitlines()])
    block: list[tuple[int, str]] = []
    speaker = UNKNOWN
    for number, line in [*enumerate(text.splitlines(), 1), (0, "")]:
        if line.strip():
            block.append((number, line))
            continue
        if block:
            at = next((i for i, (_, row) in enumerate(block) if "-->" in row), None)
            first = block[0][1].lstrip("\ufeff")
            if at is None and not first.startswith(_NOT_CUES):
                where = (block[0][0], None, name)
                problems.append(
                    Problem("text_outside_cues", "words without a time above them", "give them a cue", *where)
                )
            elif at is not None:
                time = RANGE.match(block[at][1].strip())
                start_ms = to_ms(time[1]) if time is not None else None
                voices = list(_voices([row for _, row in block[at + 1 :]], speaker, known, start_ms))
                speaker = voices[-1].speaker if voices else speaker
                yield from voices
        block = []


def _voices(rows: Sequence[str], speaker: str, known: set[str], start_ms: int | None) -> Iterator[Said]:
    """Yield speaker and words of a cue: from voice tags, from "Name: words", else the speaker before."""
    payload = "\n".join(rows)
    pieces = _VOICE.split(payload)
    if len(pieces) > 1:
        if _TAG.sub("", pieces[0]).strip():
            yield Said(speaker, _flat(pieces[0]), start_ms)
        for label, words in zip(pieces[1::2], pieces[2::2], strict=True):
            yield Said(" ".join(html.unescape(label).split()), _flat(words), start_ms)
        return
    for line in rows:
        words = _plain(line)
        found = split_label(words)
        if found is not None and found[0] in known and found[1].strip():
            speaker, words = found[0], found[1]
        yield Said(speaker, words, start_ms)


def _flat(words: str) -> str:
    """Return a voice's words on one line: players break lines where the picture ends."""
    return _plain(" ".join(words.splitlines()))


def _plain(words: str) -> str:
    return html.unescape(_TAG.sub("", words))
