"""The lexical part: one logistic regression a theme over hashed word pieces and pairs, with scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.artefact import Float32, Int8
from models.lexical import N_BUCKETS, buckets, features
from models.tokens import Window

INVERSE_PENALTY = 5.0


@dataclass(frozen=True, slots=True)
class Lexical:
    """Weights (N_BUCKETS, K), bias (K,) and inverse document frequencies (N_BUCKETS,)."""

    weights: Float32
    bias: NDArray[np.float64]
    idf: Float32

    def scores(self, windows: Sequence[Window]) -> NDArray[np.float64]:
        """Return scores, shape (n, K)."""
        return np.stack([v @ self.weights[i] + self.bias for i, v in (features(w, self.idf) for w in windows)])


def in_eight_bits(weights: Float32) -> tuple[Int8, Float32]:
    """Return weights (N_BUCKETS, K), or without rows, as whole numbers, and what one is worth for each theme (K,)."""
    step = np.maximum(np.abs(weights).max(axis=0, initial=0.0) / 127, 1e-9).astype(np.float32)
    return np.rint(weights / step).astype(np.int8), step


def fit_lexical(windows: Sequence[Window], truth: NDArray[np.bool_]) -> Lexical:
    """Return the lexical part fitted to windows; a theme without a positive gets a constant low score."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 -- heavy, for training only
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    frequency = np.zeros(N_BUCKETS)
    for window in windows:
        frequency[np.unique(np.concatenate(buckets(window)))] += 1
    idf = (np.log((1 + len(windows)) / (1 + frequency)) + 1).astype(np.float32)
    pairs = [features(w, idf) for w in windows]
    lengths = np.cumsum([0, *(len(i) for i, _ in pairs)])
    matrix = csr_matrix(
        (np.concatenate([v for _, v in pairs]), np.concatenate([i for i, _ in pairs]), lengths),
        shape=(len(windows), N_BUCKETS),
    )
    n_themes = truth.shape[1]
    weights, bias = np.zeros((N_BUCKETS, n_themes), np.float32), np.full(n_themes, -6.0)
    for k in range(n_themes):
        if 0 < truth[:, k].sum() < len(windows):
            model = LogisticRegression(C=INVERSE_PENALTY, solver="liblinear", random_state=0).fit(matrix, truth[:, k])
            weights[:, k], bias[k] = model.coef_[0], model.intercept_[0]
    return Lexical(weights, bias, idf)
