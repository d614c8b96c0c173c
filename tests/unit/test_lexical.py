"""Hashed features are exact sums, and hold no words."""

import numpy as np

from models.lexical import N_BUCKETS, buckets, features, token_shares
from models.tokens import WordPieces
from models.weights import DEFAULT_BASE, read_base

PIECES = WordPieces(read_base(DEFAULT_BASE).tokenizer_json)


def test_token_shares_add_up_to_the_score() -> None:
    rng = np.random.default_rng(0)
    idf, weights = rng.uniform(1, 5, N_BUCKETS).astype(np.float32), rng.normal(size=(N_BUCKETS, 4)).astype(np.float32)
    for text in ("noise", "the noise and the noise and the dogs", "a b a b a b", ""):
        (window,) = PIECES.windows([text])[0]
        index, values = features(window, idf)
        np.testing.assert_allclose(token_shares(window, idf, weights).sum(axis=0), values @ weights[index], atol=1e-5)


def test_values_have_unit_length_and_buckets_are_in_range() -> None:
    (window,) = PIECES.windows(["dealers by the lifts again and again"])[0]
    index, values = features(window, np.ones(N_BUCKETS, np.float32))
    assert abs(float(np.linalg.norm(values)) - 1) < 1e-6
    assert 0 <= index.min() <= index.max() < N_BUCKETS
    assert (np.diff(index) > 0).all()


def test_order_of_words_matters_to_pairs_alone() -> None:
    (a,), (b,) = PIECES.windows(["dog mess", "mess dog"])
    assert sorted(buckets(a)[0]) == sorted(buckets(b)[0])
    assert sorted(buckets(a)[1]) != sorted(buckets(b)[1])
