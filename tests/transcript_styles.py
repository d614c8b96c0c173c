"""Workshops made by code, written in the styles of transcription tools and of people."""

import json
import random

from tests import made_files

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


def times_first(said: Said) -> str:
    return "\n".join(f"[0:{i // 60:02}:{i % 60:02}] {s}: {w}" for i, (s, w) in enumerate(said)) + "\n"


def times_behind(said: Said) -> str:
    return "\n\n".join(f"{s} (00:{i:02}): {w}" for i, (s, w) in enumerate(said)) + "\n"


def word_teams(said: Said) -> bytes:
    title = ["Meeting about the estate", "1 March 2026, 10:00AM", "Ruth started transcription"]
    return made_files.docx(
        [*title, *(f"{s}   {i // 60}:{i % 60:02}\n{w}" for i, (s, w) in enumerate(said)), "Ruth stopped transcription"]
    )


def word_teams_ranges(said: Said) -> bytes:
    return made_files.docx([f"0:0:{i}.0 --> 0:0:{i + 1}.480\n{s}\n{w}" for i, (s, w) in enumerate(said)])


def word_typed(said: Said) -> bytes:
    return made_files.docx([f"{s}: {w}" for s, w in said])


def word_table(said: Said) -> bytes:
    return made_files.docx(["Notes of the workshop", ("Speaker", "What was said"), *said])


def word_table_times(said: Said) -> bytes:
    rows = [(f"00:{i:02}:00", s, w.replace(". ", ".\n", 1)) for i, (s, w) in enumerate(said)]
    return made_files.docx([("Time", "Name", "Comment"), *rows])


def json_turns(said: Said) -> str:
    return json.dumps(
        {"session": "w", "turns": [{"speaker": s, "start": i * 1.5, "text": w} for i, (s, w) in enumerate(said)]}
    )


def json_list(said: Said) -> str:
    return json.dumps(
        [{"start_ms": i, "participant": s, "utterance": w} for i, (s, w) in enumerate(said)], ensure_ascii=False
    )


STYLES = (
    (vtt_voices, ".vtt", 0), (vtt_colons, ".vtt", 0), (srt, ".srt", 0), (typed, ".txt", 0), (otter, ".txt", 0), (times_first, ".txt", 0), (times_behind, ".txt", 0),
    (word_teams, ".docx", 4), (word_teams_ranges, ".docx", 0), (word_typed, ".docx", 0), (word_table, ".docx", 2), (word_table_times, ".docx", 1), (json_turns, ".json", 0), (json_list, ".json", 0),
)  # fmt: skip
