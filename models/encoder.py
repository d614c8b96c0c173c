"""What an encoder is: word-piece ids in, one vector per token out. Adaptors live beside this module."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.tokens import IntArray

FloatArray = NDArray[np.float32]


class Encoder(Protocol):
    """Turns windows of word-piece ids into token vectors.

    Two promises bind every adaptor: a window's vectors do not depend, to the last bit, on what else is in the
    call; and a lone window costs no more than it must (no padding to a batch size).
    """

    name: str
    dim: int

    def encode(self, windows: Sequence[IntArray]) -> list[FloatArray]:
        """Return, for each window of n ids, its token vectors: float32, shape (n, dim), in the same order."""
        ...


def by_length(windows: Sequence[IntArray], max_tokens: int) -> list[list[int]]:
    """Return groups of positions whose windows have one length, shortest first, each at most `max_tokens` in all.

    Equal lengths need no padding, and padding is what makes a vector depend on its neighbours.
    """
    order = sorted(range(len(windows)), key=lambda i: len(windows[i]))
    groups: list[list[int]] = []
    for i in order:
        last = groups[-1] if groups else None
        size = len(windows[i])
        if last is not None and len(windows[last[0]]) == size and (len(last) + 1) * size <= max_tokens:
            last.append(i)
        else:
            groups.append([i])
    return groups
