"""How many decisions the queue's order saves against random order, on the NHS comments' grouped split: `make bench-queue`.

From 50 random decisions, comments are picked by `order_queue` with the probabilities of the model learnt so far, labelled with their true
themes, and learnt from; random order does the same with random comments. Scored on the test rows, which choose nothing.

`quick` (default): ridge regression on frozen MiniLM vectors and TF-IDF, calibrated on its leave-one-out scores as `train` calibrates on
held-out ones; refitted every 50 decisions. `product`: `training.train` itself with two held-out parts, refitted at each size; slow.
`--validation` scores on a fifth of the training rows instead, for choosing settings.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from annotation.progress import expect_gain, measure_curve
from annotation.queue import order_queue
from benchmarks.nhs import truth_of
from benchmarks.nhs_data import NhsData, Rows, grouped_split, read_nhs
from benchmarks.report import publish
from models.calibration import fit_calibration
from models.encoder_openvino import OpenVinoEncoder
from models.model import Backend, load_model
from models.tokens import WordPieces
from models.vocabulary import CommentId
from models.weights import DEFAULT_BASE, read_base
from training.evaluation import metrics
from training.finetune import FitSettings
from training.train import train

Float = NDArray[np.float64]
SIZES: Final = (100, 200, 300, 400, 500)
START: Final = 50
RANDOM_TO_REACH: Final = 800
STEP: Final = 50
PRODUCT_POOL: Final = 2_500
"""The product's model reads so many of the remaining comments before each choice, drawn at random."""
BARS: Final = {"micro_f1_ahead": (">=", 0.0), "macro_f1_ahead": (">=", 0.0)}


class Learner(Protocol):
    """Learns from rows; returns probabilities of other rows, (n, n_themes), and thresholds, (n_themes,)."""

    def __call__(self, rows: Rows, *, seed: int) -> Callable[[Rows], tuple[Float, Float]]:
        """Return a model of the rows."""
        ...


class QuickLearner:
    """Ridge regression of all themes at once on MiniLM vectors, TF-IDF and a constant."""

    def __init__(self, data: NhsData, vectors: Float) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415

        texts = [d.comment.text for d in data.decided]
        self._truth = truth_of(data, np.arange(len(texts)))
        self._vectors = vectors
        self._words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit_transform(texts)

    def _kernel(self, a: Rows, b: Rows) -> Float:
        words = np.asarray((self._words[a] @ self._words[b].T).toarray())
        return np.asarray(self._vectors[a] @ self._vectors[b].T + words + 1.0)

    def __call__(self, rows: Rows, *, seed: int) -> Callable[[Rows], tuple[Float, Float]]:  # noqa: ARG002 -- no chance in it
        """Return a model of the rows."""
        signs = np.where(self._truth[rows], 1.0, -1.0)
        inverse = np.linalg.inv(self._kernel(rows, rows) + 0.3 * np.eye(len(rows)))
        weights = inverse @ signs
        left_out = signs - weights / np.diag(inverse)[:, None]
        calibration = fit_calibration(3 * left_out, self._truth[rows])
        return lambda at: (calibration.probabilities(3 * (self._kernel(at, rows) @ weights)), calibration.threshold)


class ProductLearner:
    """`training.train`."""

    def __init__(self, data: NhsData) -> None:
        self._data = data

    def __call__(self, rows: Rows, *, seed: int) -> Callable[[Rows], tuple[Float, Float]]:
        """Return a model of the rows."""
        folder = Path(tempfile.mkdtemp()) / "model"
        decided = [self._data.decided[int(i)] for i in rows]
        train(decided, self._data.codebook, folder, settings=FitSettings(seed=seed, n_folds=2))
        classifier = load_model(str(folder), backend=Backend.FAST)
        calibration = classifier.artefact.calibration

        def read(at: Rows) -> tuple[Float, Float]:
            scores = classifier.scores([self._data.decided[int(i)].comment.text for i in at])
            return calibration.probabilities(scores), calibration.threshold

        return read


def read_vectors(data: NhsData) -> Float:
    """Return the base encoder's mean token vector of each comment, of length 1."""
    base = read_base(DEFAULT_BASE)
    windows = WordPieces(base.tokenizer_json).windows([d.comment.text for d in data.decided])
    encoder = OpenVinoEncoder(base, base.tensors, n_threads=2)
    vectors = np.stack([v.mean(axis=0) for v in encoder.encode([w[0].ids for w in windows])]).astype(np.float64)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def run_queue(
    data: NhsData, learner: Learner, vectors: Float, order: Rows, *, seed: int, step: int | None
) -> dict[int, Callable[[Rows], tuple[Float, Float]]]:
    """Return the model at each size, every choice made by the queue with the model before it; `step` None goes from size to size."""
    rows, rest = order[:START], order[START:]
    themes = [t.id for t in data.codebook.codable]
    rng = np.random.default_rng(seed)
    models = {}
    model = learner(rows, seed=seed)
    while len(rows) < SIZES[-1]:
        goal = next(s for s in SIZES if s > len(rows))
        pool = rest if step is not None else rng.permutation(rest)[:PRODUCT_POOL]
        probabilities, thresholds = model(pool)
        picks = order_queue(
            [CommentId(f"{i:05}") for i in pool],
            probabilities.round(4),
            thresholds,
            vectors[pool],
            themes=themes,
            budget=goal - len(rows) if step is None else min(step, goal - len(rows)),
            seed=seed,
            n_positive=truth_of(data, rows).sum(axis=0),
            decided_vectors=vectors[rows],
        )
        rows = np.concatenate((rows, [int(p.comment_id) for p in picks]))
        rest = np.setdiff1d(rest, rows)
        model = learner(rows, seed=seed)
        if len(rows) == goal:
            models[goal] = model
    return models


def main() -> None:
    """Run both orders for each seed and print means."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--learner", choices=("quick", "product"), default="quick")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--validation", action="store_true")
    given = parser.parse_args()
    data = read_nhs()
    inside, outside = grouped_split(data)
    if given.validation:
        part = NhsData(
            [data.decided[int(i)] for i in inside], data.codebook, tuple(data.trusts[int(i)] for i in inside)
        )
        a, b = grouped_split(part, seed=7)
        inside, outside = inside[a], inside[b]
    vectors = read_vectors(data)
    product = given.learner == "product"
    learner: Learner = ProductLearner(data) if product else QuickLearner(data, vectors)
    themes, wanted = [t.id for t in data.codebook.codable], truth_of(data, outside)

    def score(model: Callable[[Rows], tuple[Float, Float]]) -> list[float]:
        probabilities, thresholds = model(outside)
        scored = metrics(themes, probabilities >= thresholds, wanted)
        return [scored["micro_f1"], scored["macro_f1"]]

    found: dict[str, list[list[float]]] = {}
    promised, brought = [], []
    for seed in range(given.seeds):
        order = np.random.default_rng(seed).permutation(inside)
        for n, model in run_queue(data, learner, vectors, order, seed=seed, step=None if product else STEP).items():
            found.setdefault(f"queue_{n}", []).append(score(model))
            print(f"seed {seed} queue {n}: {found[f'queue_{n}'][-1]}", flush=True)
        for n in (*SIZES, RANDOM_TO_REACH):
            found.setdefault(f"random_{n}", []).append(score(learner(order[:n], seed=seed)))
            print(f"seed {seed} random {n}: {found[f'random_{n}'][-1]}", flush=True)
        curve = measure_curve(vectors[order[:200]], truth_of(data, order[:200]), seed=seed)
        promised.append(expect_gain(curve, 200, n_more=100))
        brought.append(found["random_300"][-1][0] - found["random_200"][-1][0])
    figures: dict[str, Any] = {
        "learner": given.learner,
        "seeds": given.seeds,
        "rows": "validation" if given.validation else "test",
    }
    means = {name: np.mean(values, axis=0) for name, values in found.items()}
    for name, mean in means.items():
        figures |= {f"{name}_micro_f1": round(float(mean[0]), 4), f"{name}_macro_f1": round(float(mean[1]), 4)}
    for column, name in enumerate(("micro_f1", "macro_f1")):
        goal = means[f"random_{RANDOM_TO_REACH}"][column]
        figures[f"{name}_ahead"] = round(float(means[f"queue_{SIZES[-1]}"][column] - goal), 4)
        reached = [n for n in SIZES if means[f"queue_{n}"][column] >= goal]
        figures[f"{name}_reached_at"] = reached[0] if reached else None
    figures["gain_promised_200_to_300"] = [
        round(float(np.mean([getattr(g, k) for g in promised])), 4) for k in ("low", "gain", "high")
    ]
    figures["gain_brought_200_to_300"] = round(float(np.mean(brought)), 4)
    publish(f"queue_order_{given.learner}", figures, BARS)


if __name__ == "__main__":
    main()
