"""How well a model does by the number of decisions it learnt from, on the NHS comments' grouped test set: `make bench-few-labels`.

`python -m benchmarks.few_labels 25 100 --seeds 3` runs chosen sizes; every size is trained by `train`, which also chooses the
thresholds from those decisions alone. The peer beside it: TF-IDF and the untuned encoder's vectors into balanced logistic regression.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import argparse
import time
from typing import Final

import numpy as np

from benchmarks.nhs import fit_product, truth_of
from benchmarks.nhs_data import grouped_split, read_nhs
from benchmarks.report import publish
from models.encoder_openvino import OpenVinoEncoder
from models.tokens import WordPieces
from models.weights import DEFAULT_BASE, read_base
from training.evaluation import metrics

BARS: Final = {"micro_f1_200": (">=", 0.63), "macro_f1_200": (">=", 0.28)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sizes", nargs="*", type=int, default=[25, 50, 100, 200, 400, 800])
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    data = read_nhs()
    inside, outside = grouped_split(data)
    tested = [data.decided[int(i)].comment.text for i in outside]
    wanted, themes = truth_of(data, outside), [t.id for t in data.codebook.codable]
    base = read_base(DEFAULT_BASE)
    windows = WordPieces(base.tokenizer_json).windows([d.comment.text for d in data.decided])
    encoder = OpenVinoEncoder(base, base.tensors, n_threads=int(os.environ["OMP_NUM_THREADS"]))
    vectors = np.stack([v.mean(axis=0) for v in encoder.encode([w[0].ids for w in windows])])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    figures: dict[str, float | str] = {"seeds": given.seeds}
    for n in given.sizes:
        ours, peers, began = [], [], time.perf_counter()
        for seed in range(given.seeds):
            rows = np.random.default_rng(seed).permutation(inside)[:n]
            code, _ = fit_product(data, rows, seed=seed)
            verdicts, probabilities = code(tested)
            scored = metrics(themes, verdicts, wanted, probabilities=probabilities)
            ours.append([scored["micro_f1"], scored["macro_f1"], scored["ece"]])
            texts = [data.decided[int(i)].comment.text for i in rows]
            peer = metrics(
                themes, peer_vectors(texts, vectors[rows], truth_of(data, rows), tested, vectors[outside]), wanted
            )
            peers.append([peer["micro_f1"], peer["macro_f1"]])
            print(f"n {n} seed {seed}: {ours[-1]} peer {peers[-1]}", flush=True)
        for name, values in (("", ours), ("peer_", peers)):
            mean, sd = np.mean(values, axis=0), np.std(values, axis=0)
            figures[f"{name}micro_f1_{n}"], figures[f"{name}macro_f1_{n}"] = (
                round(float(mean[0]), 4),
                round(float(mean[1]), 4),
            )
            figures[f"{name}micro_f1_sd_{n}"] = round(float(sd[0]), 4)
        figures[f"ece_{n}"] = round(float(np.mean(ours, axis=0)[2]), 4)
        figures[f"minutes_a_model_{n}"] = round((time.perf_counter() - began) / 60 / given.seeds, 1)
    publish("few_labels", figures, {k: v for k, v in BARS.items() if k in figures})


def peer_vectors(
    texts: list[str], vectors: np.ndarray, truth: np.ndarray, tested: list[str], tested_vectors: np.ndarray
) -> np.ndarray:
    """Return verdicts of TF-IDF and sentence vectors into one balanced logistic regression a theme, C = 10."""
    from scipy.sparse import csr_matrix, hstack  # noqa: PLC0415
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(texts)
    x = hstack((csr_matrix(vectors), words.transform(texts))).tocsr()
    y = hstack((csr_matrix(tested_vectors), words.transform(tested))).tocsr()
    verdicts = np.zeros((len(tested), truth.shape[1]), np.bool_)
    for k in range(truth.shape[1]):
        if 0 < truth[:, k].sum() < len(truth):
            model = LogisticRegression(C=10, class_weight="balanced", solver="liblinear").fit(x, truth[:, k])
            verdicts[:, k] = model.predict(y)
    return verdicts


if __name__ == "__main__":
    main()
