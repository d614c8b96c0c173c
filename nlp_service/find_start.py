"""Which trained model a training goes on from."""

from pathlib import Path

from models.artefact import Artefact, read_artefact
from models.vocabulary import Codebook
from nlp_service.find_model import find_model

NO_START = "none"


def find_start(named: str | None, codebook: Codebook, encoder: str, registry: Path) -> Artefact | None:
    """Return the model that was named, by id or folder, or the usual one if none was; None to begin at the base encoder.

    Raises
    ------
    ModelNotFoundError, ArtefactError
        If there is no such model, or it is not as it was written.
    """
    from training.start import usual_start  # noqa: PLC0415 -- training is heavy to import

    if named == NO_START:
        return None
    return usual_start(codebook, encoder) if named is None else read_artefact(find_model(registry, named))
