"""A model folder made into a classifier: the one place that joins artefact, base encoder and adaptor."""

from enum import StrEnum
from pathlib import Path
from typing import Final

from models.artefact import STARTER, Artefact, read_artefact
from models.classifier import Classifier
from models.encoder import Encoder
from models.tokens import WordPieces
from models.vocabulary import ThemesError
from models.weight_changes import merge_updates
from models.weights import read_base

STARTER_ID: Final = "starter"


class ModelNotFoundError(ThemesError):
    """No model folder has that id or path."""

    code = "model_not_found"


class Backend(StrEnum):
    """Which adaptor encodes. All give the same decisions."""

    FAST = "fast"
    """OpenVINO: eight-bit first reading, exact second reading near thresholds."""
    EXACT = "exact"
    """OpenVINO in single precision throughout."""
    REFERENCE = "reference"
    """sentence-transformers on torch."""


def find_model_folder(id_or_folder: str) -> Path:
    """Return the folder of a model: `starter`, or a path.

    Raises
    ------
    ModelNotFoundError
        If there is none.
    """
    if id_or_folder == STARTER_ID:
        return STARTER
    folder = Path(id_or_folder)
    if folder.is_dir():
        return folder
    raise ModelNotFoundError(
        f"there is no model {id_or_folder!r}.",
        allowed=f"{STARTER_ID!r} or the path of a model folder.",
        next_step="check the path given with --model.",
    )


def load_model(
    id_or_folder: str = STARTER_ID, *, backend: Backend = Backend.FAST, encoder: str | None = None
) -> Classifier:
    """Return a classifier, every byte of it checked before use.

    Parameters
    ----------
    id_or_folder
        `starter` or the path of a model folder.
    backend
        The adaptor that encodes.
    encoder
        Where the base encoder lies, if it is not where the artefact says; its digests must be the artefact's.

    Raises
    ------
    ModelNotFoundError, ArtefactError, EncoderWeightsError
        If something is missing or not as it was written.
    """
    artefact = read_artefact(find_model_folder(id_or_folder))
    return build_classifier(artefact, backend=backend, encoder=encoder)


def build_classifier(artefact: Artefact, *, backend: Backend = Backend.FAST, encoder: str | None = None) -> Classifier:
    """Return a classifier for an artefact that is already in memory."""
    base = read_base(encoder or artefact.encoder, artefact.encoder_digests)
    tensors = merge_updates(base, artefact.tagger.adapters, artefact.tagger.changes)
    second: Encoder | None = None
    first: Encoder
    if backend is Backend.REFERENCE:
        from models.encoder_reference import ReferenceEncoder  # noqa: PLC0415 -- imports torch

        first = ReferenceEncoder(base, tensors)
    else:
        from models.encoder_openvino import OpenVinoEncoder  # noqa: PLC0415 -- imports openvino

        if backend is Backend.EXACT:
            first = OpenVinoEncoder(base, tensors)
        else:
            first = OpenVinoEncoder(base, tensors, precision="int8", smoothing=artefact.tagger.smoothing)
            second = OpenVinoEncoder(base, tensors)
    return Classifier(artefact, WordPieces(base.tokenizer_json), first, second)
