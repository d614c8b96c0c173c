"""A transcript's turns come back as they were said, whatever tool wrote it."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from nlp_service.cli.main import run
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.formats import find_workshop
from nlp_service.ingest.table import InputRefusedError
from nlp_service.ingest.transcript import UNKNOWN, looks_like_transcript, read_transcript
from tests import made_files
from tests.transcript_styles import (
    STYLES,
    Said,
    joined,
    json_turns,
    otter,
    srt,
    times_first,
    typed,
    vtt_voices,
    word_table_times,
    word_teams,
    workshop,
)

SAMPLES = Path(__file__).parents[2] / "nlp_service" / "samples"


@pytest.mark.parametrize(("write", "extension", "n_problems"), STYLES, ids=lambda v: getattr(v, "__name__", None))
def test_speakers_words_and_order_come_back(
    write: Callable[[Said], str | bytes], extension: str, n_problems: int
) -> None:
    for seed in range(20):  # 280 workshops in 14 styles
        said = workshop(random.Random(seed))
        made = write(said)
        found = find_workshop(f"w{extension}", extension, made.encode() if isinstance(made, str) else made)
        assert found is not None
        assert [(t.speaker, " ".join(t.text.split())) for t in found.turns] == joined(said)
        assert [t.number for t in found.turns] == list(range(1, len(found.turns) + 1))
        assert len(found.problems) == n_problems


@pytest.mark.parametrize(
    "write", [vtt_voices, srt, otter, times_first, word_teams, word_table_times, json_turns], ids=lambda w: w.__name__
)
def test_turns_begin_when_they_began(write: Callable[[Said], str | bytes]) -> None:
    made = write([("Ann", "Hello there."), ("Ben", "Hello."), ("Ann", "Shall we start?"), ("Ben", "Yes.")])
    extension = next(e for w, e, _ in STYLES if w is write)
    found = find_workshop("w", extension, made.encode() if isinstance(made, str) else made)
    assert found is not None
    starts = [t.start_ms for t in found.turns]
    assert None not in starts
    assert starts == sorted(set(starts))  # type: ignore[type-var]


def test_only_marks_are_dropped_and_words_in_brackets_stay() -> None:
    text = "Ann: Too dark (inaudible) there [laughter and crosstalk] yes [00:12] (pause the cameras) [unclear words]\nBen: (music to my ears)\nAnn: [long pause]\n"
    found = read_transcript("w", ".txt", text)
    assert [t.text for t in found.turns] == ["Too dark there yes (pause the cameras)", "(music to my ears)"]


def test_a_word_document_in_which_nobody_speaks_is_refused() -> None:
    with pytest.raises(InputRefusedError, match="no_turns"):
        find_workshop("w.docx", ".docx", made_files.docx(["Minutes of the meeting.", "It was noted that it is dark."]))


def test_json_records_are_no_transcript() -> None:
    rows = json.dumps([{"id": i, "speaker": f"s{i}", "text": "noise"} for i in range(9)])
    assert find_workshop("w.json", ".json", rows.encode()) is None
    assert find_workshop("w.json", ".json", b'[{"text": "a"}, 1]') is None
    assert find_workshop("w.json", ".json", b"[[[") is None


def test_the_sample_workshops_are_read() -> None:
    spoken = read_transcript("w", ".vtt", (SAMPLES / "workshop-1.vtt").read_text())
    assert {t.speaker for t in spoken.turns if t.is_facilitator} == {"Ruth Calloway (Council)"}
    assert all(a.speaker != b.speaker for a, b in pairwise(spoken.turns))
    written = read_transcript("w", ".txt", (SAMPLES / "workshop-2.txt").read_text())
    assert {t.speaker for t in written.turns if t.is_facilitator} == {"Facilitator (Joel, council)"}
    assert [p.code for p in written.problems] == ["before_first_speaker"]
    assert not any("00:" in t.text for t in written.turns)


def test_who_leads_is_known_by_label_by_behaviour_or_as_told() -> None:
    asks = [("Anna", "What worries you?"), ("Ben", "Dealers."), ("Anna", "Where?"), ("Cem", "By the lifts."), ("Anna", "And what would help?"), ("Ben", "Lights.")]  # fmt: skip

    def leaders(**more: object) -> set[str]:
        found = read_transcript("w", ".txt", typed(asks), **more)  # type: ignore[arg-type]
        return {t.speaker for t in found.turns if t.is_facilitator}

    assert leaders() == {"Anna"}
    assert leaders(facilitators=("Ben",)) == {"Ben"}
    assert leaders(facilitators=("Nobody",)) == set()
    by_label = typed([(s if s != "Cem" else "Cem (moderator)", w) for s, w in asks])
    assert {t.speaker for t in read_transcript("w", ".txt", by_label).turns if t.is_facilitator} == {"Cem (moderator)"}


def test_words_outside_cues_are_listed_and_marks_are_no_words() -> None:
    text = "WEBVTT\n\nstray words\n\n00:01.000 --> 00:02.000\n[inaudible]\n\n00:02.000 --> 00:03.000\n<i>Too dark</i> [crosstalk] here\n"
    found = read_transcript("w", ".vtt", text)
    assert [(p.code, p.row) for p in found.problems] == [("text_outside_cues", 3)]
    assert [(t.speaker, t.text) for t in found.turns] == [(UNKNOWN, "Too dark here")]


def test_a_text_file_of_answers_is_no_transcript() -> None:
    assert not looks_like_transcript(".txt", "id\ttext\n1\tToo dark: lamps are out\n2\tNoise\n3\tNote: nothing\n")
    assert not looks_like_transcript(".csv", typed(workshop(random.Random(1))))


@pytest.mark.slow
def test_turns_are_comments_and_facilitators_are_listed(tmp_path: Path) -> None:
    reading = read_comments([SAMPLES / "workshop-1.vtt", SAMPLES / "workshop-2.txt"])
    assert reading.n_rows == len(reading.comments) + len(reading.problems)
    assert {p.code for p in reading.problems} == {"facilitator_turn", "before_first_speaker"}
    assert len({c.id for c in reading.comments}) == len(reading.comments)
    assert all(c.respondent is not None and c.respondent.startswith(("workshop-1:", "workshop-2:")) for c in reading.comments)  # fmt: skip
    every = read_comments([SAMPLES / "workshop-1.vtt"], ReadingOptions(with_facilitators=True))
    assert [p.code for p in every.problems] == []
    out = tmp_path / "w.jsonl"
    assert run(["code", str(SAMPLES / "workshop-1.vtt"), "--out", str(out), "--quiet", "--jobs", "1"]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["respondent"] for line in lines} == {"Desmond", "Kwabena", "Tomasz", "Maureen", "Participant 3", "Anjali", "Elspeth"}  # fmt: skip
