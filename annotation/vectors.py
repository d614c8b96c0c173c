"""Vectors of comments by their words, for telling look-alikes apart: cheap, without a model, no word can be read back."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

N_FEATURES: Final = 1024


def make_vectors(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return a vector of length 1 for each text, shape (n, N_FEATURES): words and pairs of words, hashed with a sign.

    A text without a word of two letters gets zeros. The cosine of two texts is about the share of words and pairs they have in common:
    enough for `order_queue` and `measure_curve`; an encoder's vectors also see that two texts mean the same. 10,000 comments take about
    a second and 40 MB. Weinberger et al. (2009), with scikit-learn's MurmurHash3, the same on every machine.
    """
    from sklearn.feature_extraction.text import HashingVectorizer  # noqa: PLC0415 -- heavy

    if not texts:
        return np.zeros((0, N_FEATURES), np.float32)
    hashing = HashingVectorizer(n_features=N_FEATURES, ngram_range=(1, 2), norm="l2", dtype=np.float32)
    return np.asarray(hashing.transform(texts).toarray(), np.float32)
