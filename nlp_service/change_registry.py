"""The use cases: going back to the model before, and pinning a model to a consultation, each written down in the audit log."""

from datetime import datetime
from pathlib import Path

from models.model import ModelNotFoundError
from models.registry import Registry, RegistryError, pin, read_registry, roll_back
from models.vocabulary import ModelId
from nlp_service.publish_model import GateRefusedError
from nlp_service.store.audit import add_entry
from nlp_service.store.database import Database


def go_back(database: Database, registry: Path, codebook: str, *, reason: str, actor: str, now: datetime) -> Registry:
    """Let the model that coded with a codebook before code again; raises RegistryError if none was published."""
    after = roll_back(registry, codebook, at=now, reason=reason)
    with database.write() as connection:
        add_entry(connection, actor, "model.rollback", codebook)
    return after


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
    """Let one model of the registry code a consultation whatever is published later.

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
    entry = read_registry(registry).find_entry(model)
    if entry is None:
        raise ModelNotFoundError(
            "the registry has no model of that id.",
            allowed="the id of a model that was published.",
            next_step="list what there is: GET /v1/models.",
        )
    is_refused = entry.status == "refused"
    if is_refused and not refused_too:
        raise GateRefusedError(entry, None)
    pin(registry, consultation, entry.model, at=now)
    details = {"gate": "refused"} if is_refused else {}
    with database.write() as connection:
        add_entry(connection, actor, "model.pin", entry.model, consultation=consultation, **details)
    return entry.model


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
