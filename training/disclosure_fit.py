"""Fits the model that finds disclosures: `make safeguarding-model` (about a minute).

Written comments that disclose harm and near misses that do not (training/safeguarding), and ordinary comments of the starter
corpus whose themes hold nothing violent. Figures are out of sample: ten folds, in which texts alike stay together.
"""

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.disclosure import (
    ENCODER,
    FOLDER,
    N_BUCKETS,
    Float64,
    input_vector,
    lexical_row,
    make_encoder,
    read_input_table,
    unit_vectors,
)
from models.tokens import Window, WordPieces
from models.weights import read_base

_CORPUS: Final = Path(__file__).parent / "safeguarding"
_STARTER: Final = Path(__file__).parent / "starter" / "corpus.jsonl"
_N_ORDINARY: Final = 1_500
_ORDINARY_WEIGHT: Final = 0.3
_ALIKE: Final = 0.6
"""Cosine of the encoder's vectors from which on two texts stay in one fold."""
_FOLDS: Final = 10
_RECALL: Final = 0.95
"""Share of written disclosures, out of sample, that the threshold keeps."""
_SCREEN_RECALL: Final = 0.98
_C: Final = 3.0
_C_SCREEN: Final = 3.0
_SEED: Final = 0


def read_corpus(folder: Path = _CORPUS) -> tuple[list[str], NDArray[np.int64]]:
    """Return texts and 1 for those that disclose harm."""
    rows = [
        json.loads(line)
        for name in ("disclosures", "near_misses")
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return [r["text"] for r in rows], np.array([int(r["discloses"]) for r in rows])


def read_ordinary(n: int, *, skip: int = 0) -> list[str]:
    """Return n comments of the starter corpus with no theme of violence, in an order fixed by the seed."""
    rows = [json.loads(line) for line in _STARTER.read_text(encoding="utf-8").splitlines()]
    calm = [r["text"] for r in rows if not any(t.startswith("VIO") for t in r["themes"])]
    order = np.random.default_rng(_SEED).permutation(len(calm))
    return [calm[i] for i in order[skip : skip + n]]


def groups_alike(vectors: Float64, cosine: float = _ALIKE) -> NDArray[np.int64]:
    """Return a group for each text; texts whose vectors, of unit length, are closer than `cosine` share one, handed on."""
    leader = list(range(len(vectors)))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for a, b in zip(*np.nonzero(np.triu(vectors @ vectors.T, 1) > cosine), strict=True):
        leader[find(int(a))] = find(int(b))
    return np.array([find(i) for i in range(len(vectors))])


def _matrix(windows: Sequence[Window], idf: Float64) -> Any:
    from scipy.sparse import csr_array  # noqa: PLC0415

    rows = [lexical_row(w, idf) for w in windows]
    places = np.cumsum([0, *(len(i) for i, _ in rows)]).astype(np.int32)
    return csr_array(
        (np.concatenate([v for _, v in rows]), np.concatenate([i for i, _ in rows]).astype(np.int32), places),
        (len(rows), N_BUCKETS),
    )


def _side_by_side(lexical: Any, *dense: Float64) -> Any:
    from scipy.sparse import csr_array, hstack  # noqa: PLC0415

    joined = csr_array(hstack([lexical, *(csr_array(d) for d in dense)]))
    joined.indices, joined.indptr = (
        joined.indices.astype(np.int32),
        joined.indptr.astype(np.int32),
    )  # what liblinear reads
    return joined


def _idf(windows: Sequence[Window]) -> Float64:
    times = np.zeros(N_BUCKETS)
    for w in windows:
        times[lexical_row(w, np.ones(N_BUCKETS))[0]] += 1
    return np.asarray(np.log((1 + len(windows)) / (1 + times)) + 1)


def _fit(x: Any, y: NDArray[np.int64], weight: Float64, c: float) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(C=c, solver="liblinear", random_state=_SEED).fit(x, y, sample_weight=weight)


def _threshold(scores: Float64, y: NDArray[np.int64], recall: float) -> float:
    ranked = np.sort(scores[y == 1])
    return float(ranked[int((1 - recall) * len(ranked))])


def fit(out: Path = FOLDER) -> dict[str, Any]:
    """Fit, measure out of sample, write weights.npz and card.json; return the card."""
    from sklearn.metrics import roc_auc_score  # noqa: PLC0415
    from sklearn.model_selection import StratifiedGroupKFold  # noqa: PLC0415

    texts, y_own = read_corpus()
    ordinary = read_ordinary(2 * _N_ORDINARY)
    base = read_base(ENCODER)
    windows = [w[0] for w in WordPieces(base.tokenizer_json).windows([*texts, *ordinary])]
    vectors = unit_vectors(windows, make_encoder(base))
    n, n_fit = len(texts), len(texts) + _N_ORDINARY
    idf = _idf(windows[:n_fit])
    table = read_input_table(base)
    means = [table[w.ids[1:-1]].mean(axis=0, dtype=np.float64) for w in windows[:n_fit]]
    centre: Float64 = np.asarray(np.stack(means).mean(axis=0))
    inputs = np.stack([input_vector(w, table, centre) for w in windows])
    lexical = _matrix(windows, idf)
    quick = _side_by_side(lexical, inputs)
    both = _side_by_side(lexical, inputs, vectors)
    y = np.concatenate((y_own, np.zeros(2 * _N_ORDINARY, np.int64)))
    weight = np.where(y == 1, (y_own == 0).sum() / (y_own == 1).sum(), 1.0)
    weight[n:] = _ORDINARY_WEIGHT
    screen_scores, scores = np.zeros(n), np.zeros(n)
    screen_unseen, unseen = np.zeros(_N_ORDINARY), np.zeros(_N_ORDINARY)
    split = StratifiedGroupKFold(_FOLDS, shuffle=True, random_state=_SEED)
    for train, test in split.split(np.zeros(n), y_own, groups_alike(vectors[:n])):
        rows = np.concatenate((train, np.arange(n, n_fit)))
        screen = _fit(quick[rows], y[rows], weight[rows], _C_SCREEN)
        full = _fit(both[rows], y[rows], weight[rows], _C)
        screen_scores[test], scores[test] = screen.decision_function(quick[test]), full.decision_function(both[test])
        screen_unseen += screen.decision_function(quick[n_fit:]) / _FOLDS
        unseen += full.decision_function(both[n_fit:]) / _FOLDS
    at_screen = _threshold(screen_scores, y_own, _SCREEN_RECALL)
    at = _threshold(scores, y_own, _RECALL)
    flagged = (screen_scores >= at_screen) & (scores >= at)
    rows = np.arange(n_fit)
    screen, full = _fit(quick[rows], y[rows], weight[rows], _C_SCREEN), _fit(both[rows], y[rows], weight[rows], _C)
    arrays = {
        "idf": idf,
        "centre": centre,
        "screen_lexical": screen.coef_[0][:N_BUCKETS],
        "screen_input": screen.coef_[0][N_BUCKETS:],
        "lexical": full.coef_[0][:N_BUCKETS],
        "input": full.coef_[0][N_BUCKETS : N_BUCKETS + len(centre)],
        "vector": full.coef_[0][N_BUCKETS + len(centre) :],
        "biases": np.concatenate((screen.intercept_, full.intercept_)),
    }
    data = _npz(arrays)
    card = {
        "what": "logistic regression on hashed word pieces, their mean input vector and the base encoder's mean vector; a quick screen before it",
        "for": "a list for a person to read first; it misses some disclosures and names comments that disclose nothing",
        "encoder": ENCODER,
        "n_disclosures": int(y_own.sum()),
        "n_near_misses": int((y_own == 0).sum()),
        "n_ordinary": _N_ORDINARY,
        "out_of_sample": {
            "how": f"{_FOLDS} folds, texts with cosine > {_ALIKE} kept together; ordinary comments: {_N_ORDINARY} never fitted on",
            "auc_against_near_misses": round(float(roc_auc_score(y_own, scores)), 3),
            "recall": round(float(flagged[y_own == 1].mean()), 3),
            "near_misses_flagged": round(float(flagged[y_own == 0].mean()), 3),
            "ordinary_flagged": round(float(((screen_unseen >= at_screen) & (unseen >= at)).mean()), 3),
            "ordinary_past_the_screen": round(float((screen_unseen >= at_screen).mean()), 3),
        },
        "screen_threshold": round(at_screen, 4),
        "threshold": round(at, 4),
        "weights_sha256": hashlib.sha256(data).hexdigest(),
    }
    out.mkdir(exist_ok=True)
    (out / "weights.npz").write_bytes(data)
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return card


def _npz(arrays: dict[str, Float64]) -> bytes:
    """Return the arrays in single precision as an npz whose bytes depend on nothing else."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            one = io.BytesIO()
            np.save(one, array.astype(np.float32), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), one.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


if __name__ == "__main__":
    sys.stdout.write(json.dumps(fit()["out_of_sample"], indent=1) + "\n")
