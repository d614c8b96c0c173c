"""A small consultation with codings made by hand, for tests of the report that need no model."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HOSTILE = '<script>alert(1)</script> & "quotes" <img src=http://evil.example/x onerror=1> {{ 7*7 }} =1+1'
BOOK = """id: flat
version: '1'
themes:
  - {id: public, label: 'Public place <b>&</b>', definition: Outside.}
  - {id: noise, label: Noise, definition: Loud sounds., parent: public}
  - {id: light, label: Light, definition: Lamps., parent: public}
  - {id: theft, label: Theft, definition: Things taken., parent: home}
  - {id: home, label: Home, definition: Indoors.}
"""
TEXTS = {
    "noise": "The music next door never stops before four.",
    "light": "It is pitch dark by the canal and nobody mends the lamps.",
    "theft": "My bike was taken from the hall, and it is the third one.",
}


@dataclass(frozen=True)
class Files:
    """Paths of a consultation on disk."""

    survey: Path
    workshop: Path
    codings: Path
    decisions: Path
    book: Path

    def arguments(self, out: Path, *more: str) -> list[str]:
        """Return the command's arguments for a report of it."""
        inputs = [str(self.survey), str(self.workshop)]
        return ["report", *inputs, "--codings", str(self.codings), "--codebook", str(self.book), "--out", str(out), "--quiet", *more]  # fmt: skip


def write_consultation(folder: Path, *, n: int = 160, seed: int = 0, hostile: str = HOSTILE) -> Files:
    """Write survey, workshop, codings, decisions and codebook."""
    rng = np.random.default_rng(seed)
    files = Files(*(folder / f for f in ("survey.csv", "talk.vtt", "codings.jsonl", "decisions.jsonl", "book.yaml")))
    files.book.write_text(BOOK)
    codings: list[str] = []
    decisions: list[str] = []
    with files.survey.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file)
        out.writerow(["ID", "Submitted", "Comment", "I feel safe at night", "What would work <best>?", "Ward"])
        for i in range(n):
            unsafe = rng.random() < 0.5
            themes = [
                t for t, p in (("noise", 0.4), ("light", 0.6 if unsafe else 0.1), ("theft", 0.2)) if rng.random() < p
            ]
            text = " ".join(TEXTS[t] for t in themes) or f"All is well with us at number {i}."
            text = f"{hostile} {text}" if i % 5 == 0 else text
            out.writerow(
                [
                    f"R{i}", f"2025-11-{1 + i % 28:02}", text, "Disagree" if unsafe else "Agree",
                    "; ".join(o for o in ("Patrols", "CCTV <3", "Lamps") if rng.random() < 0.5), ["North", "South", "East"][i % 3],
                ]
            )  # fmt: skip
            codings.append(_coding(f"survey:R{i}", f"survey:R{i}", text, themes))
            if i % 2 == 0:
                flip = rng.random() < 0.05
                decided = [t for t in themes if not flip]
                decisions.append(
                    json.dumps({"comment_id": f"survey:R{i}", "text": text, "themes": decided, "blind": True})
                )
    turns = [("Anna", "noise"), ("Ben", "light"), ("Anna", "light"), ("Cleo", "theft")]
    cues = ["WEBVTT", ""]
    for i, (who, theme) in enumerate(turns):
        cues += [f"00:00:{i:02}.000 --> 00:00:{i:02}.900", f"<v {who}>{TEXTS[theme]}</v>", ""]
        codings.append(_coding(f"talk:turn-{i + 1}", f"talk:{who}", TEXTS[theme], [theme], session="talk"))
    files.workshop.write_text("\n".join(cues))
    files.codings.write_text("\n".join(codings) + "\n")
    files.decisions.write_text("\n".join(decisions) + "\n")
    return files


def _coding(comment_id: str, respondent: str, text: str, themes: list[str], **more: str) -> str:
    coded = []
    for t in themes:
        start = text.index(TEXTS[t])
        coded.append({"theme": t, "probability": 0.9, "evidence": [[start, start + len(TEXTS[t])]]})
    probabilities = {t: 0.9 if t in themes else 0.1 for t in TEXTS}
    return json.dumps(
        {
            "comment_id": comment_id, "themes": coded, "unsure": [], "probabilities": probabilities, "model": "m-1",
            "codebook": "flat@1", "respondent": respondent, **more,
        }
    )  # fmt: skip
