"""What some of a council's own decisions add to the starter model: `make bench-own-decisions` (about an hour).

Registers of the starter corpus stand in for consultations: a starter model is trained without them, then goes on from 50, 200 and 500 comments
of one, and is scored on others of the same. Beside it: that starter model as it is, and a model from the same decisions alone. Written comments
are easier than real ones, so what counts is the difference.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import tempfile
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.report import OUT, publish
from models.artefact import read_artefact
from models.codebook import read_codebook
from models.model import load_model
from models.vocabulary import Codebook, DecidedComment
from training.decisions import read_decisions
from training.finetune import FitSettings
from training.score import score_model
from training.train import read_about, train

ROOT: Final = Path(__file__).parents[1]
CORPUS: Final = ROOT / "training" / "starter"
STANDING_IN: Final = {"survey": ("survey-concerns", "survey-proposals"), "workshop": ("workshop-turns",)}
SIZES: Final = {"survey": (50, 200, 500), "workshop": (200,)}
N_TESTED: Final = {"survey": 1_000, "workshop": 500}
ALONE: Final = ("survey", 200)
"""Where a model from the decisions alone is trained too: once shows the distance."""
KEPT: Final = ("micro_f1", "macro_f1", "exact_match", "ece")
THREADS: Final = int(os.environ["OMP_NUM_THREADS"])


def starter_without(book: Codebook, decided: list[DecidedComment]) -> Path:
    """Return the folder of a starter model trained on these comments as `make starter-model` does; kept for the next run."""
    folder = OUT / "starter-without-registers"
    if not folder.exists():
        settings = FitSettings(n_folds=2, joined=0.3, n_threads=THREADS)
        train(decided, book, folder, settings=settings, about=read_about(CORPUS / "about.yaml"), fallback=False)
    return folder


def score(folder: Path, tested: list[DecidedComment]) -> dict[str, Any]:
    """Return the measures of a model folder on decisions."""
    found = score_model(load_model(str(folder)), tested)
    return {k: round(float(found[k]), 4) for k in KEPT}


def main() -> None:
    book = read_codebook(ROOT / "models" / "codebooks" / "community_safety.yaml")
    corpus, _ = read_decisions(CORPUS / "corpus.jsonl", book)
    held = {source for sources in STANDING_IN.values() for source in sources}
    begun = starter_without(book, [d for d in corpus if d.source not in held])
    figures: dict[str, float | str] = {}
    for name, sources in STANDING_IN.items():
        mine = [d for d in corpus if d.source in sources]
        mine = [mine[i] for i in np.random.default_rng(0).permutation(len(mine))]
        tested = mine[-N_TESTED[name] :]
        figures |= {f"{name}_starter_{k}": v for k, v in score(begun, tested).items()}
        for n in SIZES[name]:
            for way, start in (("going_on", read_artefact(begun)), ("alone", None)):
                if start is None and (name, n) != ALONE:
                    continue
                with tempfile.TemporaryDirectory() as place:
                    folder = Path(place) / "model"
                    train(mine[:n], book, folder, settings=FitSettings(n_threads=THREADS), start=start)
                    figures |= {f"{name}_{way}_{k}_{n}": v for k, v in score(folder, tested).items()}
                print(
                    {k: v for k, v in figures.items() if k.startswith(f"{name}_{way}") and k.endswith(f"_{n}")},
                    flush=True,
                )
    publish("own_decisions", figures, {})


if __name__ == "__main__":
    main()
