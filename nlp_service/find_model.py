"""Which model folder codes: by path, by id, by codebook, by a consultation's pin, or the one that is published.

A path is taken from whoever sits at the machine alone (`find_model`). What a request names is looked up in the registry
(`find_named`, `find_for_codebook`) and never becomes a path.
"""

from functools import cache
from pathlib import Path

from models.artefact import STARTER, Artefact, read_artefact
from models.model import STARTER_ID, ModelNotFoundError
from models.registry import Registry, folder_of, read_registry
from models.vocabulary import ModelId, ThemesError


class ModelBrokenError(ThemesError):
    """The model that was asked for lies in the registry and cannot be loaded."""

    code = "model_broken"


def find_model(
    registry_folder: Path, wanted: str | None, *, consultation: str | None = None, default: str | None = None
) -> Path:
    """Return a model's folder; it stays the same whatever is published afterwards.

    Parameters
    ----------
    registry_folder
        The registry; it need not exist.
    wanted
        `starter`, the path of a model folder, the id of a model in the registry, or a codebook (the model published for
        it). None: the consultation's pin, else the default.
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
        return find_unnamed(registry_folder, registry, consultation=consultation, default=default)
    return _find_here(registry_folder, registry, wanted)


def find_unnamed(
    registry_folder: Path, registry: Registry, *, consultation: str | None = None, default: str | None = None
) -> Path:
    """Return the folder of the model that codes where none is wanted by name; arguments as for `find_model`."""
    if consultation is not None and consultation in registry.pins:
        pinned = registry.pins[consultation]
        return STARTER if pinned == starter().model_id else folder_of(registry_folder, pinned)
    if default is not None:
        return _find_here(registry_folder, registry, default)
    published = registry.find_published(starter().codebook.id)
    return STARTER if published is None else folder_of(registry_folder, published)


def find_named(registry_folder: Path, registry: Registry, name: str) -> Path:
    """Return the folder of a model by its id, or by its codebook; a name is never read as a path.

    Raises
    ------
    ModelNotFoundError
        If the registry has no such model, and it is not the starter.
    """
    if name in (STARTER_ID, starter().model_id):
        return STARTER
    known = {*(e.model for e in registry.entries), *registry.pins.values()}
    if name in known:
        return folder_of(registry_folder, ModelId(name))
    found = _find_for_codebook(registry_folder, registry, name)
    if found is None:
        models = [STARTER_ID, *sorted(known), *_codebooks(registry)]
        raise _not_found(f"there is no model {name!r}.", models)
    return found


def find_for_codebook(registry_folder: Path, registry: Registry, codebook: str) -> Path:
    """Return the folder of the model that is published for a codebook (`id` or `id@version`), else `starter` if it fits.

    Raises
    ------
    ModelNotFoundError
        If no model is published for it.
    """
    found = _find_for_codebook(registry_folder, registry, codebook)
    if found is None:
        raise _not_found(f"no model is published for the codebook {codebook!r}.", _codebooks(registry))
    return found


def find_current(registry_folder: Path, codebook_id: str) -> Path | None:
    """Return the folder of the model that codes with a codebook now: the published one, else `starter` if it fits."""
    published = read_registry(registry_folder).find_published(codebook_id)
    if published is not None:
        return folder_of(registry_folder, published)
    return STARTER if starter().codebook.id == codebook_id else None


def broken_model(model: str, error: Exception) -> ModelBrokenError:
    """Return the error that says why a model of the registry cannot be loaded."""
    found = error.found if isinstance(error, ThemesError) else f"{type(error).__name__}."
    return ModelBrokenError(
        f"the model {model} cannot be loaded: {found}",
        allowed="a model as it was published.",
        next_step="name another; `themes model verify` where the service runs says what is wrong with this one.",
    )


@cache
def starter() -> Artefact:
    """Return the starter as it ships; it does not change while the program runs."""
    return read_artefact(STARTER)


def _find_here(registry_folder: Path, registry: Registry, wanted: str) -> Path:
    """Return what whoever sits at the machine names: the path of a folder too."""
    if wanted != STARTER_ID and Path(wanted).is_dir():
        return Path(wanted)
    try:
        return find_named(registry_folder, registry, wanted)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            error.found,
            allowed=f"the path of a model folder, {error.allowed}",
            next_step="check the path given with --model, or see `themes model list`.",
        ) from None


def _find_for_codebook(registry_folder: Path, registry: Registry, codebook: str) -> Path | None:
    """Return the published model of a codebook, or, by `id@version`, the latest of that version that was not taken back."""
    published = registry.find_published(codebook) or _find_version(registry, codebook)
    if published is not None:
        return folder_of(registry_folder, published)
    return STARTER if codebook in (starter().codebook.id, starter().codebook.ref) else None


def _find_version(registry: Registry, ref: str) -> ModelId | None:
    codebook_id, _, version = ref.rpartition("@")
    versions = {e.model: e.codebook_version for e in registry.entries}
    stack = registry.published.get(codebook_id, ())
    return next((model for model in reversed(stack) if versions.get(model) == version), None)


def _codebooks(registry: Registry) -> list[str]:
    return sorted({c for c, stack in registry.published.items() if stack} | {starter().codebook.id})


def _not_found(found: str, known: list[str]) -> ModelNotFoundError:
    return ModelNotFoundError(
        found, allowed=", ".join(map(repr, known)) + ".", next_step="list what there is: GET /v1/models."
    )
