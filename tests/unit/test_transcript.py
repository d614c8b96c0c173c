"""A transcript's turns come back as they were said, whatever tool wrote it."""

import json
import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from nlp_service.cli.main import run
from nlp_service.ingest.comments import read_comments
from nlp_service.ingest.transcript import UNKNOWN, looks_like_transcript, read_transcript

SAMPLES = Path(__file__).parents[2] / "nlp_service" / "samples"
NAMES = ("Maureen", "Desmond Clarke", "Participant 3", "Zoë", "Shanice (youth worker)", "O'Brien", "Speaker 7")
SAID = (
    "It's the stairs, people on the stairs at night.",
    "I told them: no. They laughed.",
    "Half past ten, 22:30, every night (more or less).",
    "More police? Less talk!",
    "Café & bar <- that one, 5 > 4.",
    "😀 well…",
    "We've asked [the council] twice",
)
Said = list[tuple[str, str]]


def workshop(rng: random.Random) -> Said:
    names = rng.sample(NAMES, rng.randint(2, 5))
    said: Said = []
    for _ in range(rng.randint(8, 25)):
        speaker = rng.choice([n for n in names if not said or n != said[-1][0]])
        said.append((speaker, " ".join(rng.sample(SAID, rng.randint(1, 3)))))
    times = {n: sum(s == n for s, _ in said) for n, _ in said}
    return [(s if times[s] > 1 else names[0], t) for s, t in said]


def joined(said: Said) -> Said:
    out: Said = []
    for speaker, words in said:
        if out and out[-1][0] == speaker:
            out[-1] = (speaker, f"{out[-1][1]} {words}")
        else:
            out.append((speaker, words))
    return out


def clock(i: int, mark: str) -> str:
    return f"00:{i // 60:02}:{i % 60:02}{mark}000"


def escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def vtt_voices(said: Said) -> str:
    cues = [
        f"{i}/x-0\n{clock(i, '.')} --> {clock(i + 1, '.')}\n<v {s}>{escaped(w)}</v>\n" for i, (s, w) in enumerate(said)
    ]
    return "WEBVTT\n\nNOTE made by a test\n\n" + "\n".join(cues)


def vtt_colons(said: Said) -> str:
    cues = [f"{i}\n{clock(i, '.')} --> {clock(i + 1, '.')}\n{s}: {escaped(w)}\n" for i, (s, w) in enumerate(said)]
    return "WEBVTT\n\n" + "\n".join(cues)


def srt(said: Said) -> str:
    return "\n".join(
        f"{i}\n{clock(i, ',')} --> {clock(i + 1, ',')}\n{s}: {escaped(w)}\n" for i, (s, w) in enumerate(said, 1)
    )


def typed(said: Said) -> str:
    return "\n\n".join(f"{s}: {w} [00:0{i % 10}:12]" for i, (s, w) in enumerate(said)) + "\n"


def otter(said: Said) -> str:
    return "\n\n".join(f"{s}  {i // 60}:{i % 60:02}\n{w} [inaudible]" for i, (s, w) in enumerate(said)) + "\n"


@pytest.mark.parametrize(("write", "extension"), [(vtt_voices, ".vtt"), (vtt_colons, ".vtt"), (srt, ".srt"), (typed, ".txt"), (otter, ".txt")])  # fmt: skip
def test_speakers_words_and_order_come_back(write: Callable[[Said], str], extension: str) -> None:
    for seed in range(40):
        said = workshop(random.Random(seed))
        text = write(said)
        assert looks_like_transcript(extension, text)
        found = read_transcript("w", extension, text)
        assert [(t.speaker, t.text) for t in found.turns] == joined(said)
        assert [t.number for t in found.turns] == list(range(1, len(found.turns) + 1))
        assert found.problems == ()


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


def test_turns_are_comments_and_facilitators_are_listed(tmp_path: Path) -> None:
    reading = read_comments([SAMPLES / "workshop-1.vtt", SAMPLES / "workshop-2.txt"])
    assert reading.n_rows == len(reading.comments) + len(reading.problems)
    assert {p.code for p in reading.problems} == {"facilitator_turn", "before_first_speaker"}
    assert len({c.id for c in reading.comments}) == len(reading.comments)
    assert all(c.respondent is not None and c.respondent.startswith(("workshop-1:", "workshop-2:")) for c in reading.comments)  # fmt: skip
    every = read_comments([SAMPLES / "workshop-1.vtt"], with_facilitators=True)
    assert [p.code for p in every.problems] == []
    out = tmp_path / "w.jsonl"
    assert run(["code", str(SAMPLES / "workshop-1.vtt"), "--out", str(out), "--quiet", "--jobs", "1"]) == 0
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert {line["respondent"] for line in lines} == {"Desmond", "Kwabena", "Tomasz", "Maureen", "Participant 3", "Anjali", "Elspeth"}  # fmt: skip
