"""Comments that may disclose harm to somebody: abuse, exploitation, self-harm, immediate danger.

Two logistic regressions: a quick one on hashed word pieces sends most comments home; what it lets through is read by the base
encoder, and the second one decides on its vector and the word pieces together. Both are tuned for recall: the list is for a
person to read, not a finding.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.encoder import Encoder
from models.lexical import buckets
from models.text import make_segments
from models.tokens import Window, WordPieces
from models.vocabulary import ThemesError
from models.weights import Base, read_base

FOLDER: Final = Path(__file__).parent / "safeguarding"
ENCODER: Final = "all-MiniLM-L6-v2"
N_BUCKETS: Final = 4096
VECTOR_WEIGHT: Final = 1.0
"""How much the encoder's vector, of unit length, counts beside the word pieces, of unit length too."""
MAX_WHOLE_SEGMENTS: Final = 3
PART_SEGMENTS: Final = 2
"""A longer comment is read in overlapping parts of this many segments, and its likeliest part decides."""
_MAX_FILE_BYTES: Final = 1_000_000
_ARRAYS: Final = {
    "idf": (N_BUCKETS,),
    "screen": (N_BUCKETS + 1,),
    "lexical": (N_BUCKETS,),
    "vector": (384,),
    "bias": (1,),
}

Float64 = NDArray[np.float64]


class SafeguardingModelError(ThemesError):
    """The model that finds disclosures is missing or not as it was written."""

    code = "safeguarding_model"


@dataclass(frozen=True, slots=True)
class DisclosureModel:
    """Weights and thresholds; scores are log-odds."""

    idf: Float64
    screen: Float64
    """Weights of the word pieces in the quick model, its bias last."""
    lexical: Float64
    vector: Float64
    bias: float
    screen_threshold: float
    threshold: float


def read_disclosure_model(folder: Path = FOLDER) -> DisclosureModel:
    """Return the model after checking size, digest, names, shapes and types; SafeguardingModelError if something is off."""
    try:
        card: dict[str, Any] = json.loads(_read(folder / "card.json"))
        data = _read(folder / "weights.npz")
        if hashlib.sha256(data).hexdigest() != card["weights_sha256"]:
            raise _refused("weights.npz has another digest")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            if set(file.files) != set(_ARRAYS):
                raise _refused("weights.npz holds other arrays")
            arrays = {name: file[name] for name in _ARRAYS}
        thresholds = float(card["screen_threshold"]), float(card["threshold"])
    except (ValueError, KeyError, TypeError) as error:
        raise _refused("card.json or weights.npz cannot be parsed") from error
    for name, shape in _ARRAYS.items():
        if arrays[name].shape != shape or arrays[name].dtype != np.float32 or not np.isfinite(arrays[name]).all():
            raise _refused(f"{name} has another shape or type, or numbers that are none")
    wide = {name: a.astype(np.float64) for name, a in arrays.items()}
    return DisclosureModel(
        wide["idf"], wide["screen"], wide["lexical"], wide["vector"], float(wide["bias"][0]), *thresholds
    )


def _read(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > _MAX_FILE_BYTES:
        raise _refused(f"{path.name} is missing or larger than {_MAX_FILE_BYTES:,} bytes")
    return path.read_bytes()


def _refused(found: str) -> SafeguardingModelError:
    return SafeguardingModelError(
        f"the model that finds disclosures cannot be used: {found}.",
        allowed="the files in models/safeguarding as they were written.",
        next_step="reinstall, or run make safeguarding-model.",
    )


def parts(text: str) -> list[str]:
    """Return what is read of a text: the whole, or overlapping parts of a longer one."""
    segments = make_segments(text)
    if len(segments) <= MAX_WHOLE_SEGMENTS:
        return [text]
    pairs = zip(segments, segments[PART_SEGMENTS - 1 :], strict=False)
    return [text[first.start : last.end] for first, last in pairs]


def lexical_row(window: Window, idf: Float64) -> tuple[NDArray[np.int64], Float64]:
    """Return the window's distinct buckets and their idf weights, of unit length together."""
    one, pair = buckets(window)
    index = np.unique(np.concatenate((one, pair)) % N_BUCKETS)
    values = idf[index]
    norm = float(np.sqrt(values @ values))
    return index, values / norm if norm else values


def unit_vectors(windows: Sequence[Window], encoder: Encoder) -> Float64:
    """Return the mean token vector of each window, of unit length, shape (n, dim)."""
    means = np.stack([v.mean(axis=0, dtype=np.float64) for v in encoder.encode([w.ids for w in windows])])
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True))


@cache
def _shipped() -> DisclosureModel:
    return read_disclosure_model()


@cache
def _base() -> Base:
    return read_base(ENCODER)


@cache
def _word_pieces() -> WordPieces:
    return WordPieces(_base().tokenizer_json)


@cache
def _encoder() -> Encoder:
    from models.encoder_openvino import OpenVinoEncoder  # noqa: PLC0415 -- imports openvino

    return OpenVinoEncoder(_base(), _base().tensors)


def find_disclosures(texts: Sequence[str]) -> dict[int, float]:
    """Return place and probability of each text that may disclose harm, in order.

    A text's probability does not depend on its company. Not safe to share between threads.

    Raises
    ------
    SafeguardingModelError
        If the model is missing or changed.
    """
    model, word_pieces = _shipped(), _word_pieces()
    through: list[tuple[str, Window, float]] = []
    for text in dict.fromkeys(texts):
        for windows in word_pieces.windows(parts(text)):
            for window in windows:
                index, values = lexical_row(window, model.idf)
                if values @ model.screen[index] + model.screen[-1] >= model.screen_threshold:
                    through.append((text, window, float(values @ model.lexical[index]) + model.bias))
    if not through:
        return {}
    vectors = unit_vectors([w for _, w, _ in through], _encoder())
    best: dict[str, float] = {}
    for (text, _, score), part in zip(through, vectors @ model.vector, strict=True):
        best[text] = max(best.get(text, -np.inf), score + VECTOR_WEIGHT * float(part))
    flagged = {t: round(1 / (1 + float(np.exp(-s))), 3) for t, s in best.items() if s >= model.threshold}
    return {i: flagged[text] for i, text in enumerate(texts) if text in flagged}
