"""Which model folder codes: by path, by id, by codebook, by a consultation's pin, or the one that is published."""

from pathlib import Path

from models.artefact import STARTER, read_artefact
from models.model import STARTER_ID, ModelNotFoundError
from models.registry import folder_of, read_registry


def find_model(
    registry_folder: Path, wanted: str | None, *, consultation: str | None = None, default: str | None = None
) -> Path:
    """Return a model's folder; it stays the same whatever is published afterwards.

    Parameters
    ----------
    registry_folder
        The registry; it need not exist.
    wanted
        `starter`, the path of a model folder, the id of a model in the registry, or the id of a codebook (the model
        published for it). None: the consultation's pin, else the default.
    consultation
        Whose pin to follow where no model is wanted by name.
    default
        What is wanted where nobody says otherwise. None: the model published for the shipped codebook, else `starter`.

    Raises
    ------
    ModelNotFoundError
        If there is no such model.
    """
    if wanted == STARTER_ID:
        return STARTER
    if wanted is not None and Path(wanted).is_dir():
        return Path(wanted)
    registry = read_registry(registry_folder)
    if wanted is None:
        if consultation is not None and consultation in registry.pins:
            return folder_of(registry_folder, registry.pins[consultation])
        return find_model(registry_folder, default) if default is not None else _published_or_starter(registry_folder)
    entry = registry.find_entry(wanted)
    if entry is not None:
        return folder_of(registry_folder, entry.model)
    published = registry.find_published(wanted)
    if published is not None:
        return folder_of(registry_folder, published)
    known = sorted({e.model for e in registry.entries} | {c for c, stack in registry.published.items() if stack})
    raise ModelNotFoundError(
        f"there is no model {wanted!r}.",
        allowed=f"{STARTER_ID!r}, the path of a model folder" + "".join(f", {k!r}" for k in known) + ".",
        next_step="check the path given with --model, or see `themes model list`.",
    )


def find_current(registry_folder: Path, codebook_id: str) -> Path | None:
    """Return the folder of the model that codes with a codebook now: the published one, else `starter` if it fits."""
    published = read_registry(registry_folder).find_published(codebook_id)
    if published is not None:
        return folder_of(registry_folder, published)
    return STARTER if read_artefact(STARTER).codebook.id == codebook_id else None


def _published_or_starter(folder: Path) -> Path:
    if not any(read_registry(folder).published.values()):
        return STARTER
    return find_current(folder, read_artefact(STARTER).codebook.id) or STARTER
