"""A codebook of three flat themes without cues, a few decisions, a model that codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.artefact import read_artefact
from models.trained_on import holds_any

THEMES = Path(sys.executable).with_name("themes")
pytestmark = pytest.mark.slow
BOOK = "id: flat\nversion: '1'\nthemes:\n" + "".join(
    f"  - id: {i}\n    label: {i}\n    definition: {d}\n"
    for i, d in (("noise", "Loud sounds."), ("theft", "Things taken."), ("light", "Lamps."))
)
TEXTS = {
    "noise": (
        "music at all hours",
        "banging through the wall",
        "barking dog next door",
        "parties every weekend",
        "drilling at six",
    ),
    "theft": (
        "bike gone again",
        "parcel taken from the step",
        "phone snatched",
        "car window smashed, bag gone",
        "shed emptied",
    ),
    "light": (
        "lamp out since May",
        "the path is pitch dark",
        "street lights flicker",
        "please fit a brighter bulb",
        "no lighting here",
    ),
}
CANARY = "xylophonic"


def themes(*arguments: object) -> str:
    done = subprocess.run([THEMES, *map(str, arguments)], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_small_model_is_trained_verified_evaluated_and_used(tmp_path: Path) -> None:
    (tmp_path / "book.yaml").write_text(BOOK)
    lines = [
        {"comment_id": f"{theme}{i}", "text": f"{text} {CANARY}" if i == 0 else text, "themes": [theme]}
        for theme, texts in TEXTS.items()
        for i, text in enumerate(texts)
    ]
    decisions = tmp_path / "d.jsonl"
    decisions.write_text("".join(json.dumps(line) + "\n" for line in lines))
    model = tmp_path / "model"
    gold = tmp_path / "gold.jsonl"
    lines_of_gold = [{"comment_id": f"g{i}", "text": f"gold {i}", "themes": []} for i in range(8)]
    gold.write_text("".join(json.dumps(line) + "\n" for line in [*lines_of_gold, {**lines[0], "comment_id": "g9"}]))
    suspects = tmp_path / "suspects.jsonl"
    said = themes(
        *("train", "--decisions", decisions, "--codebook", tmp_path / "book.yaml", "--out", model),
        *("--folds", 2, "--gold", gold, "--suspects", suspects),
    )
    assert "14 comments" in said
    assert f"{len(suspects.read_text().splitlines())} decisions in doubt" in said
    card = (model / "card.md").read_text()
    assert "1 decided comment left out" in card
    assert "low-rank adapters (rank 16, the mean of 3 fits)" in card
    assert "intact" in themes("model", "verify", model)
    metrics = tmp_path / "m.json"
    themes("evaluate", model, "--decisions", decisions, "--out", metrics)
    result = json.loads(metrics.read_text())
    assert set(result) >= {
        "n",
        "micro_f1",
        "macro_f1",
        "samples_f1",
        "exact_match",
        "hamming_loss",
        "ece",
        "per_theme",
        "model",
    }
    assert result["micro_f1"] > 0.6
    artefact = read_artefact(model)
    assert {a.shape[0] for a, _ in artefact.tagger.adapters.values()} == {3 * 16}
    assert artefact.trained_on is not None
    asked = {line["comment_id"]: [(line["comment_id"], line["text"])] for line in lines}
    learnt = {i: holds_any(artefact.trained_on, one, key=artefact.card["data_sha256"]) for i, one in asked.items()}
    assert [i for i, known in learnt.items() if not known] == ["noise0"]  # it is in the gold set
    out = tmp_path / "o.jsonl"
    themes("code", decisions, "--out", out, "--model", model, "--quiet")
    assert len(out.read_text().splitlines()) == 15
    assert all(CANARY.encode() not in p.read_bytes() for p in model.iterdir())
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
