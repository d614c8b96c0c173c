"""Training on the NHS comments beside two peers fitted in the same run: `make bench-nhs` (about an hour).

Splits and themes are those of `../shared/data/nhs_v6/README.md`. What a model is scored on never reaches `train`, which
chooses its thresholds on held-out parts of what it is given.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.nhs_data import NhsData, Rows, grouped_split, random_split, read_nhs, trust_split
from benchmarks.report import publish
from models.model import Backend, load_model
from training.evaluation import metrics
from training.finetune import FitSettings
from training.train import train

Bool = NDArray[np.bool_]
BARS: Final = {
    "random_micro_f1": (">=", 0.78),
    "random_macro_f1": (">=", 0.60),
    "random_exact_match": (">=", 0.645),
    "random_minutes": ("<=", 12.0),
    "grouped_micro_f1": (">=", 0.765),
    "grouped_macro_f1": (">=", 0.585),
    "grouped_ece": ("<=", 0.02),
    "nhft_to_neas_micro_f1": (">=", 0.53),
    "neas_to_nhft_micro_f1": (">=", 0.57),
}


def truth_of(data: NhsData, rows: Rows) -> Bool:
    """Return decisions, shape (n_rows, n_themes)."""
    themes = [t.id for t in data.codebook.codable]
    return np.array([[t in data.decided[int(i)].themes for t in themes] for i in rows])


def fit_product(data: NhsData, rows: Rows, seed: int = 0) -> tuple[Callable[[list[str]], tuple[Bool, Any]], float]:
    """Return a function from texts to verdicts and probabilities, and the minutes that training took."""
    folder = Path(tempfile.mkdtemp()) / "model"
    began = time.perf_counter()
    train(
        [data.decided[int(i)] for i in rows],
        data.codebook,
        folder,
        settings=FitSettings(seed=seed, n_threads=int(os.environ["OMP_NUM_THREADS"])),
    )
    minutes = (time.perf_counter() - began) / 60
    classifier = load_model(str(folder), backend=Backend.FAST)

    def code(texts: list[str]) -> tuple[Bool, Any]:
        codings = list(classifier.code_texts(texts))
        verdicts = np.zeros((len(texts), len(data.codebook.codable)), np.bool_)
        for row, coding in enumerate(codings):
            verdicts[row, list(coding.coded)] = True
        return verdicts, np.stack([c.probabilities for c in codings])

    return code, minutes


def peer_logistic(texts: list[str], truth: Bool, tested: list[str]) -> Bool:
    """Return verdicts of TF-IDF of words and pairs into one balanced logistic regression a theme, C = 10."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415

    model = OneVsRestClassifier(LogisticRegression(C=10, class_weight="balanced", solver="liblinear"))
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), model)
    return np.asarray(pipeline.fit(texts, truth.astype(int)).predict(tested), bool)


def peer_svc(texts: list[str], truth: Bool, tested: list[str]) -> Bool:
    """Return verdicts of TF-IDF into a balanced support vector machine a theme, C = 15, as pxtextmining has it."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # noqa: PLC0415
    from sklearn.multiclass import OneVsRestClassifier  # noqa: PLC0415
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415
    from sklearn.svm import SVC  # noqa: PLC0415

    model = OneVsRestClassifier(SVC(C=15, class_weight="balanced", cache_size=500))
    pipeline = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2), model)
    return np.asarray(pipeline.fit(texts, truth.astype(int)).predict(tested), bool)


def main() -> None:
    """Fit and score every split named on the command line; all if none is."""
    data = read_nhs()
    splits: dict[str, tuple[Rows, Rows]] = {
        "random": random_split(len(data.decided)),
        "grouped": grouped_split(data),
        "nhft_to_neas": trust_split(data, "NHFT"),
        "neas_to_nhft": trust_split(data, "NEAS"),
    }
    chosen = [a for a in sys.argv[1:] if not a.startswith("-")] or list(splits)
    themes = [t.label for t in data.codebook.codable]
    figures: dict[str, float | str] = {}
    for name in chosen:
        inside, outside = splits[name]
        texts, tested = ([data.decided[int(i)].comment.text for i in rows] for rows in (inside, outside))
        truth, wanted = truth_of(data, inside), truth_of(data, outside)
        code, minutes = fit_product(data, inside)
        verdicts, probabilities = code(tested)
        scored = metrics(themes, verdicts, wanted, probabilities=probabilities)
        figures |= {f"{name}_{k}": scored[k] for k in ("micro_f1", "macro_f1", "exact_match", "ece")}
        figures[f"{name}_minutes"] = round(minutes, 1)
        for peer, fit in (("tfidf_lr", peer_logistic), ("tfidf_svc", peer_svc)):
            if "--no-peers" in sys.argv:
                continue
            of_peer = metrics(themes, fit(texts, truth, tested), wanted)
            figures |= {f"{name}_{peer}_{k}": of_peer[k] for k in ("micro_f1", "macro_f1", "exact_match")}
        print(name, {k: v for k, v in figures.items() if k.startswith(name)}, flush=True)
    publish("nhs", figures, {k: v for k, v in BARS.items() if k in figures})


if __name__ == "__main__":
    main()
