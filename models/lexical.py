"""Lexical features that store no words: word pieces and their pairs, hashed into a fixed number of buckets.

Which word fell into a bucket cannot be read back: a bucket holds a number per theme, shared by all pairs of pieces
that hash to it, and the pieces themselves are those of the encoder's public vocabulary.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.tokens import Window

N_BUCKETS: Final = 1 << 16
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_PAIR_SALT: Final = np.uint64(0xD1B54A32D192ED03)

FloatArray = NDArray[np.float32]


def buckets(window: Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the buckets of the window's single pieces, shape (n,), and of its neighbouring pairs, shape (n - 1,).

    Multiplicative (Fibonacci) hashing, after Knuth, The Art of Computer Programming 3, section 6.4; the high bits
    are kept. Both hash into the same `N_BUCKETS`.
    """
    ids = window.ids[1:-1].astype(np.uint64)
    shift = np.uint64(64 - N_BUCKETS.bit_length() + 1)
    with np.errstate(over="ignore"):
        one = ((ids + np.uint64(1)) * _MULTIPLIER) >> shift
        pair = (((ids[:-1] + np.uint64(1)) * _PAIR_SALT + ids[1:] + np.uint64(1)) * _MULTIPLIER) >> shift
    return one.astype(np.int64), pair.astype(np.int64)


def features(window: Window, idf: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the window's distinct buckets, ascending, and their values: idf weights scaled to unit length."""
    one, pair = buckets(window)
    index = np.unique(np.concatenate((one, pair)))
    values = idf[index]
    norm = np.sqrt(np.dot(values, values))
    return index, (values / norm if norm > 0 else values).astype(np.float32)


def token_shares(window: Window, idf: FloatArray, weights: FloatArray) -> FloatArray:
    """Return each real token's part of the lexical score, shape (n, n_themes); the parts add up to the score.

    A bucket's part is split evenly over the places where it occurs, a pair's part evenly over its two tokens.
    """
    one, pair = buckets(window)
    index, values = features(window, idf)
    places = np.concatenate((one, pair))
    where = np.searchsorted(index, places)
    times = np.bincount(where, minlength=len(index))
    part = (values / times.astype(np.float32))[where, None] * weights[places].astype(np.float32)
    out = part[: len(one)].copy()
    if len(pair):
        out[:-1] += part[len(one) :] / 2
        out[1:] += part[len(one) :] / 2
    return np.asarray(out, dtype=np.float32)
