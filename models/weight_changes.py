"""What training adds to the base encoder's weights: low-rank updates, or changes of its matrices in four bits a number."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.weights import Base, EncoderWeightsError, Float32

CHANGE_GROUP: Final = 64
"""Columns that share a step where a change is stored in four bits."""
_MAX_CODE: Final = 7

Float16 = NDArray[np.float16]
FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Change:
    """What training added to some rows of a weight matrix, in four bits a number.

    `rows` (n,) int32, ascending; `codes` (n, columns / 2) uint8, two numbers a byte, the even column in the low half;
    `steps` (n, columns / `CHANGE_GROUP`) float16: what one unit of a code is worth.
    """

    rows: NDArray[np.int32]
    codes: NDArray[np.uint8]
    steps: Float16

    @property
    def values(self) -> Float32:
        """Return the change itself, shape (n, columns)."""
        n, half = self.codes.shape
        codes = np.empty((n, 2 * half), np.int8)
        codes[:, 0::2], codes[:, 1::2] = self.codes & 15, self.codes >> 4
        wide = (codes.astype(np.float32) - 8).reshape(n, 2 * half // CHANGE_GROUP, CHANGE_GROUP)
        return np.asarray((wide * self.steps.astype(np.float32)[..., None]).reshape(n, 2 * half))


def pack_change(change: Float32, rows: NDArray[np.int32]) -> Change:
    """Return rows of a matrix's change in four bits; its columns must be a multiple of `CHANGE_GROUP`."""
    n, columns = change.shape
    groups = change.reshape(n, columns // CHANGE_GROUP, CHANGE_GROUP)
    steps = (np.abs(groups).max(axis=2) / _MAX_CODE).astype(np.float16)
    unit = np.where(steps > 0, steps, 1).astype(np.float32)[..., None]
    codes = (np.clip(np.rint(groups / unit), -_MAX_CODE, _MAX_CODE) + 8).astype(np.uint8).reshape(n, columns)
    return Change(rows, codes[:, 0::2] | (codes[:, 1::2] << 4), steps)


def merge_updates(
    base: Base, adapters: Mapping[str, tuple[FloatArray, FloatArray]], changes: Mapping[str, Change]
) -> dict[str, Float32]:
    """Return the base's tensors with each low-rank update added, W + B A (Hu et al. 2021, LoRA; scale within B), and each change.

    Parameters
    ----------
    adapters
        By module path (`encoder.layer.0.attention.self.query`): A of shape (rank, in) and B of shape (out, rank).
    changes
        By the tensor's name.
    """
    merged = dict(base.tensors)
    for module, (a, b) in adapters.items():
        key = f"{module}.weight"
        if key not in merged or merged[key].shape != (b.shape[0], a.shape[1]):
            raise _unfit(module, base)
        merged[key] = merged[key] + b.astype(np.float32) @ a.astype(np.float32)
    for key, change in changes.items():
        values = change.values
        fits = key in merged and merged[key].ndim == 2 and merged[key].shape[1] == values.shape[1]  # noqa: PLR2004
        if not fits or (len(change.rows) and not 0 <= change.rows.min() <= change.rows.max() < len(merged[key])):
            raise _unfit(key, base)
        merged[key] = merged[key].copy()
        merged[key][change.rows] += values
    return merged


def _unfit(part: str, base: Base) -> EncoderWeightsError:
    return EncoderWeightsError(
        f"what the model adds to {part} does not fit the encoder {base.name}.",
        allowed="an artefact trained on this encoder.",
        next_step="name the encoder it was trained on in THEMES_ENCODER.",
    )
