"""Real residents' comments that no model of ours was trained or tuned on: `make bench-real`.

shared/data/residents_dev, 150 comments; cells that its coders disputed are masked; RES themes count as none.
"""

import json
import os
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.report import SHARED, publish
from models.model import load_model
from training.evaluation import metrics


def main() -> None:
    rows: list[dict[str, Any]] = [
        json.loads(line)
        for line in (SHARED / "residents_dev" / "residents_dev.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    classifier = load_model()
    themes = [t.id for t in classifier.codebook.codable if not t.residual]
    every = [t.id for t in classifier.codebook.codable]
    truth = np.array([[t in r["themes"] for t in themes] for r in rows])
    counted = np.array([[t not in r["disputed"] for t in themes] for r in rows])
    predicted = np.zeros_like(truth)
    probabilities = np.zeros(truth.shape)
    columns = [every.index(t) for t in themes]
    for i, coded in enumerate(classifier.code_texts([r["text"] for r in rows])):
        predicted[i] = np.isin(columns, coded.coded)
        probabilities[i] = coded.probabilities[columns]
    result = metrics(themes, predicted, truth, counted=counted, probabilities=probabilities, min_support=5)
    figures = {k: result[k] for k in ("n", "micro_f1", "samples_f1", "macro_f1", "exact_match", "ece")}
    for source in sorted({r["source"] for r in rows}):
        own = np.array([r["source"] == source for r in rows])
        part = metrics(themes, predicted[own], truth[own], counted=counted[own])
        figures[f"micro_f1 {source} (n {int(own.sum())})"] = part["micro_f1"]
    figures["model"] = str(classifier.artefact.model_id)
    publish("real_comments", figures, {"micro_f1": (">=", 0.70), "samples_f1": (">=", 0.75), "macro_f1": (">=", 0.65)})


if __name__ == "__main__":
    main()
