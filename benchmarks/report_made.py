"""How long the report of 20,000 respondents takes, and whether its quotes and hidden cells hold: `make bench-report`.

Comments come from the sample's survey, respondents and closed answers are drawn; the codings are drawn too, so no model is at work. Read back: every
quote must be a slice of its redacted comment; no small count may stand in the document.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.report import publish
from models.artefact import STARTER, read_artefact
from models.text import make_segments
from nlp_service.demo import SAMPLE
from nlp_service.ingest.comments import read_comments
from nlp_service.privacy.redaction import redact

N: Final = 20_000
LABELLED: Final = 400
THEMES: Final = Path(sys.executable).with_name("themes")


def write_made(folder: Path, n: int) -> None:
    """Write survey, codings and decisions."""
    rng = np.random.default_rng(0)
    sample = read_comments([SAMPLE])
    texts = [c.text for c in sample.comments]
    segments = [[[s.start, s.end] for s in make_segments(t)] for t in texts]
    rows = [sample.answers.of(r) for r in sample.answers.by_respondent]
    names = [q.name for q in sample.answers.questions]
    themes = [str(t.id) for t in read_artefact(STARTER).codebook.codable]
    rates = rng.uniform(0.005, 0.2, len(themes))
    with (
        (folder / "survey.csv").open("w", encoding="utf-8", newline="") as survey,
        (folder / "codings.jsonl").open("w", encoding="utf-8") as codings,
        (folder / "decisions.jsonl").open("w", encoding="utf-8") as decisions,
    ):
        out = csv.writer(survey)
        out.writerow(["Response ID", "Comment", *names])
        for i in range(n):
            which = int(rng.integers(len(texts)))
            answers = rows[int(rng.integers(len(rows)))]
            out.writerow([f"R{i}", texts[which], *("; ".join(answers.get(q, ())) for q in names)])
            truth = rng.random(len(themes)) < rates
            p = np.where(truth, rng.uniform(0.3, 1, len(themes)), rng.uniform(0, 0.4, len(themes))).round(4)
            coded = [t for t, q in zip(themes, p, strict=True) if q >= 0.35]  # noqa: PLR2004 -- a made threshold
            spans = segments[which][:1]
            line: dict[str, Any] = {
                "comment_id": f"R{i}", "themes": [{"theme": t, "probability": float(p[themes.index(t)]), "evidence": spans} for t in coded],
                "unsure": [], "probabilities": dict(zip(themes, map(float, p), strict=True)), "model": "made", "codebook": "community-safety@1.0.0",
            }  # fmt: skip
            codings.write(json.dumps(line) + "\n")
            if i < LABELLED:
                said = [t for t, yes in zip(themes, truth, strict=True) if yes]
                decisions.write(
                    json.dumps({"comment_id": f"R{i}", "text": texts[which], "themes": said, "blind": True}) + "\n"
                )


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_made(folder, N)
        files = ["survey.csv", "--codings", "codings.jsonl", "--decisions", "decisions.jsonl"]
        began = time.monotonic()
        outs = ["--out", "report.html", "--out", "report.docx", "--out", "report.xlsx", "--out", "report.json"]
        subprocess.run([THEMES, "report", *files, *outs, "--quiet"], cwd=folder, check=True, capture_output=True)
        seconds = time.monotonic() - began
        document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        texts = {str(c.id): c.text for c in read_comments([folder / "survey.csv"]).comments}
        quotes = [q for top in document["priorities"] for part in top["parts"] for q in part["quotes"]]
        wrong = sum(redact(texts[q["comment_id"]]).text[q["start"] : q["end"]] != q["text"] for q in quotes)
        counts = [o["n"] for r in document["closed"] for o in r["options"]]
        counts += [c["n"] for t in document["crosstabs"] for row in t["rows"] for c in row["cells"]]
        figures = {
            "respondents": N,
            "seconds_for_all_four_forms": round(seconds, 1),
            "html_bytes": (folder / "report.html").stat().st_size,
            "quotes": len(quotes),
            "quotes_that_are_no_slice": wrong,
            "small_counts_shown": sum(0 < n < document["method"]["threshold"] for n in counts if n is not None),
        }
    bars = {
        "seconds_for_all_four_forms": ("<=", 60),
        "quotes_that_are_no_slice": ("<=", 0),
        "small_counts_shown": ("<=", 0),
    }
    publish("report", figures, bars)


if __name__ == "__main__":
    main()
