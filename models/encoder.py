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
