"""The use cases: going back to the model before, and pinning a model to a consultation, each written down in the audit log."""

from datetime import datetime
from pathlib import Path

from models.artefact import STARTER
from models.model import STARTER_ID, ModelNotFoundError
from models.registry import Registry, RegistryError, pin, read_registry, roll_back
from models.vocabulary import ModelId
from nlp_service.find_model import starter
from nlp_service.publish_model import GateRefusedError
from nlp_service.store.audit import add_entry
from nlp_service.store.database import Database


def go_back(database: Database, registry: Path, codebook: str, *, reason: str, actor: str, now: datetime) -> Registry:
    """Let the model that coded with a codebook before code again; raises RegistryError if none was published."""
    after = roll_back(registry, codebook, at=now, reason=reason)
    with database.write() as connection:
        add_entry(connection, actor, "model.rollback", codebook)
    return after


def pin_model(registry: Path, consultation: str, model: str, *, refused_too: bool, now: datetime) -> ModelId:
    """Let one model of the registry, or the one that ships, code a consultation whatever is published later; return its id.

    The one that ships (`starter`) is copied into the registry: a later version of the program ships another.

    Parameters
    ----------
    refused_too
        Whoever asks may pin a model that the gate refused: a pin would be a way round the gate otherwise.

    Raises
    ------
    ModelNotFoundError
        If the registry has no such model.
    GateRefusedError
        If the gate refused it when it was put forward last.
    """
    ours = ModelId(str(starter().model_id))
    if model in (STARTER_ID, ours):
        pin(registry, consultation, ours, at=now, source=STARTER)
        return ours
    found = read_registry(registry)
    entry = found.find_entry(model)
    if entry is None:
        raise ModelNotFoundError(
            "the registry has no model of that id.",
            allowed=", ".join([STARTER_ID, *sorted({e.model for e in found.entries})]) + ".",
            next_step="list what there is: `themes model list`, or GET /v1/models; `themes model publish DIR` puts one there.",
        )
    if entry.status == "refused" and not refused_too:
        raise GateRefusedError(entry, None)
    pin(registry, consultation, entry.model, at=now)
    return entry.model


def pin_consultation(
    database: Database,
    registry: Path,
    consultation: str,
    model: str,
    *,
    refused_too: bool,
    actor: str,
    now: datetime,
) -> ModelId:
    """Pin a model as `pin_model` does, and write it down."""
    pinned = pin_model(registry, consultation, model, refused_too=refused_too, now=now)
    entry = read_registry(registry).find_entry(pinned)
    details = {"gate": "refused"} if entry is not None and entry.status == "refused" else {}
    with database.write() as connection:
        add_entry(connection, actor, "model.pin", pinned, consultation=consultation, **details)
    return pinned


def unpin_consultation(database: Database, registry: Path, consultation: str, *, actor: str, now: datetime) -> None:
    """Let the model in service code a consultation again; raises RegistryError if it has no pin."""
    pinned = read_registry(registry).pins.get(consultation)
    if pinned is None:  # said here: the registry's own message names the consultations of others
        raise RegistryError(
            "the consultation has no pin.",
            allowed="a consultation that a model is pinned to.",
            next_step="list the pins: GET /v1/models.",
        )
    pin(registry, consultation, None, at=now)
    with database.write() as connection:
        add_entry(connection, actor, "model.unpin", pinned, consultation=consultation)
