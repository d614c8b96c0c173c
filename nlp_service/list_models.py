"""The use case: the models of the registry and the starter, each with what is known of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.artefact import Artefact, ArtefactError, read_artefact
from models.model import STARTER_ID, ModelNotFoundError
from models.registry import Entry, Registry, folder_of, read_registry
from nlp_service.find_model import broken_model, starter


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model that can be asked for."""

    model: str
    codebook: str
    status: str
    """`accepted`, `refused` or `starter`."""
    is_published: bool
    """It is the one that codes with its codebook."""
    at: str | None
    reason: str
    override: str | None
    gate: Mapping[str, Any]
    """The gate's report; empty where there was no other model to compare with."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """A model's card, as a document and in words."""

    card: Mapping[str, Any]
    text: str


def list_models(registry_folder: Path) -> list[ListedModel]:
    """Return the starter, then the models in the order in which they were put forward."""
    registry = read_registry(registry_folder)
    return [_starter(registry), *(listed_entry(registry, e) for e in registry.entries)]


def list_codebooks(registry: Registry) -> dict[str, str]:
    """Return each codebook with the model that codes with it now."""
    found = {starter().codebook.id: str(starter().model_id)}
    return found | {codebook: str(stack[-1]) for codebook, stack in registry.published.items() if stack}


def describe_model(registry_folder: Path, model: str) -> tuple[ListedModel, ModelCard]:
    """Return a model by its id, as it was put forward last, with its card.

    Raises
    ------
    ModelNotFoundError
        If the registry has no such model and it is not the starter.
    ModelBrokenError
        If its files are not as they were written.
    """
    registry = read_registry(registry_folder)
    if model in (STARTER_ID, starter().model_id):
        return _starter(registry), _card(starter())
    entry = registry.find_entry(model)
    if entry is None:
        raise ModelNotFoundError(
            "the registry has no model of that id.",
            allowed="the id of a model.",
            next_step="list what there is: GET /v1/models.",
        )
    try:
        artefact = read_artefact(folder_of(registry_folder, entry.model))
    except ArtefactError as error:
        raise broken_model(entry.model, error) from error
    return listed_entry(registry, entry), _card(artefact)


def listed_entry(registry: Registry, entry: Entry) -> ListedModel:
    """Return an entry of the registry as it is shown."""
    return ListedModel(
        model=str(entry.model),
        codebook=f"{entry.codebook_id}@{entry.codebook_version}",
        status=entry.status,
        is_published=registry.find_published(entry.codebook_id) == entry.model,
        at=entry.at,
        reason=entry.reason,
        override=entry.override,
        gate=finite(entry.gate),
    )


def _starter(registry: Registry) -> ListedModel:
    ours = starter()
    is_published = registry.find_published(ours.codebook.id) is None
    return ListedModel(
        str(ours.model_id), ours.codebook.ref, "starter", is_published, None, "ships with the program", None, {}
    )


def _card(artefact: Artefact) -> ModelCard:
    return ModelCard(finite(artefact.card), artefact.card_text)


def finite(value: Any) -> Any:
    """Return a document with null in the place of numbers that JSON does not have."""
    if isinstance(value, Mapping):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
