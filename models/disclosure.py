"""Comments that may disclose harm to somebody: abuse, exploitation, self-harm, immediate danger.

Two logistic regressions: a quick one on hashed word pieces and the mean of their input vectors sends most comments home; what it lets
through is read by the base encoder, and the second one decides on its vector and all of that together. Both are tuned for recall: the list is for a
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
MAX_WHOLE_SEGMENTS: Final = 4
PART_SEGMENTS: Final = 3
_STEP_SEGMENTS: Final = 2
"""A longer comment is read in parts of so many segments, each beginning so many after the last; its likeliest part decides."""
_MAX_FILE_BYTES: Final = 1_000_000
_DIM: Final = 384
_ARRAYS: Final = {
    "idf": (N_BUCKETS,),
    "centre": (_DIM,),
    "screen_lexical": (N_BUCKETS,),
    "screen_input": (_DIM,),
    "lexical": (N_BUCKETS,),
    "input": (_DIM,),
    "vector": (_DIM,),
    "biases": (2,),
}

Float64 = NDArray[np.float64]


class SafeguardingModelError(ThemesError):
    """The model that finds disclosures is missing or not as it was written."""

    code = "safeguarding_model"


@dataclass(frozen=True, slots=True)
class DisclosureModel:
    """Weights and thresholds; scores are log-odds."""

    idf: Float64
    centre: Float64
    """Mean of the texts' mean input vectors, taken off before they are scaled to unit length."""
    screen_lexical: Float64
    screen_input: Float64
    lexical: Float64
    input: Float64
    vector: Float64
    biases: Float64
    """Of the quick model and of the second one."""
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
    return DisclosureModel(**wide, screen_threshold=thresholds[0], threshold=thresholds[1])


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
    starts = range(0, len(segments) - PART_SEGMENTS + _STEP_SEGMENTS, _STEP_SEGMENTS)
    runs = [segments[i : i + PART_SEGMENTS] for i in starts]
    return [text[run[0].start : run[-1].end] for run in runs if run]


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


def input_vector(window: Window, table: NDArray[np.float32], centre: Float64) -> Float64:
    """Return the mean of the word pieces' input vectors, less `centre`, of unit length, shape (dim,)."""
    if len(window.ids) <= 2:  # noqa: PLR2004 -- the two boundary tokens
        return np.zeros(table.shape[1])
    mean = table[window.ids[1:-1]].mean(axis=0, dtype=np.float64) - centre
    return np.asarray(mean / (np.linalg.norm(mean) or 1.0))


def read_input_table(base: Base) -> NDArray[np.float32]:
    """Return the encoder's input vectors, each of unit length, shape (n_pieces, dim)."""
    table = base.tensors["embeddings.word_embeddings.weight"]
    return np.asarray(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9), dtype=np.float32)


def make_encoder(base: Base) -> Encoder:
    """Return the encoder that the model is fitted and used with."""
    from models.encoder_openvino import OpenVinoEncoder  # noqa: PLC0415 -- imports openvino

    return OpenVinoEncoder(base, base.tensors, precision="int8")


@cache
def _shipped() -> DisclosureModel:
    return read_disclosure_model()


@cache
def _reader() -> tuple[WordPieces, NDArray[np.float32], Encoder]:
    """Return what reads a text; the base encoder's own weights, 90 MB, are not kept beside it."""
    base = read_base(ENCODER)
    return WordPieces(base.tokenizer_json), read_input_table(base), make_encoder(base)


def find_disclosures(texts: Sequence[str]) -> dict[int, float]:
    """Return place and probability of each text that may disclose harm, in order.

    A text's probability does not depend on its company. Not safe to share between threads.

    Raises
    ------
    SafeguardingModelError
        If the model is missing or changed.
    """
    model, (word_pieces, table, encoder) = _shipped(), _reader()
    read = [(text, part) for text in dict.fromkeys(texts) for part in parts(text)]
    through: list[tuple[str, Window, float]] = []
    for (text, _), windows in zip(read, word_pieces.windows([part for _, part in read]), strict=True):
        for window in windows:
            index, values = lexical_row(window, model.idf)
            inside = input_vector(window, table, model.centre)
            quick = values @ model.screen_lexical[index] + inside @ model.screen_input + model.biases[0]
            if quick >= model.screen_threshold:
                rest = values @ model.lexical[index] + inside @ model.input + model.biases[1]
                through.append((text, window, float(rest)))
    if not through:
        return {}
    vectors = unit_vectors([w for _, w, _ in through], encoder)
    best: dict[str, float] = {}
    for (text, _, score), part in zip(through, vectors @ model.vector, strict=True):
        best[text] = max(best.get(text, -np.inf), score + float(part))
    flagged = {t: round(1 / (1 + float(np.exp(-s))), 3) for t, s in best.items() if s >= model.threshold}
    return {i: flagged[text] for i, text in enumerate(texts) if text in flagged}
