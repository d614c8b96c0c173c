"""The registry: published model folders, which of them codes, and why.

A folder with `models/ID/`, one folder a model that never changes once it is there, and `registry.json`, one document
replaced whole. A reader sees the document before a change or after it, never between; a writer holds a lock, puts the
model folder in place first and the document last. So a writer killed at any moment leaves the registry as it was.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from models.artefact import audit, read_artefact
from models.vocabulary import ModelId, ThemesError

FORMAT: Final = 1
DOCUMENT: Final = "registry.json"
_LOCK_SECONDS: Final = 10
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,120}")


class RegistryError(ThemesError):
    """The registry cannot be read, or cannot do what was asked."""

    code = "registry_refused"


class RegistryBusyError(ThemesError):
    """Another process is changing the registry."""

    code = "registry_busy"


@dataclass(frozen=True, slots=True)
class Entry:
    """A model that was put forward: published once, or refused with a reason."""

    model: ModelId
    codebook_id: str
    codebook_version: str
    status: str
    """`accepted` or `refused`; which accepted model codes now is in `Registry.published`."""
    at: str
    reason: str
    override: str | None = None
    gate: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gold:
    """The fixed gold set of a codebook: where it lay and its digest. No comment is kept."""

    file: str
    sha256: str
    n_comments: int
    earlier: tuple[str, ...] = ()
    """Digests that it had before respondents were erased from it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One change of the registry."""

    at: str
    did: str
    subject: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Registry:
    """The registry's document: one frozen value, as it was when it was read."""

    entries: tuple[Entry, ...] = ()
    published: Mapping[str, tuple[ModelId, ...]] = field(default_factory=dict)
    """By codebook id: models in the order in which they were published; the last one codes."""
    pins: Mapping[str, ModelId] = field(default_factory=dict)
    """By consultation: the model that codes it, whatever is published later."""
    gold: Mapping[str, Gold] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def find_published(self, codebook_id: str) -> ModelId | None:
        """Return the model that codes with a codebook, or None."""
        stack = self.published.get(codebook_id, ())
        return stack[-1] if stack else None

    def find_entry(self, model: str) -> Entry | None:
        """Return the latest entry of a model, or None."""
        return next((e for e in reversed(self.entries) if e.model == model), None)


def read_registry(folder: Path) -> Registry:
    """Return the registry in a folder; an empty one if there is none yet.

    Raises
    ------
    RegistryError
        If what lies there is no registry.
    """
    try:
        return _registry(json.loads((folder / DOCUMENT).read_bytes()))
    except FileNotFoundError:
        return Registry()
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RegistryError(
            f"{DOCUMENT} cannot be read ({type(error).__name__}).",
            allowed=f"a registry of format {FORMAT}, as `themes model publish` writes it.",
            next_step="restore it from a copy, or set THEMES_REGISTRY to another folder.",
        ) from error


def _registry(document: Mapping[str, Any]) -> Registry:
    if document["format"] != FORMAT:
        raise ValueError(f"format {FORMAT} is expected")
    return Registry(
        entries=tuple(Entry(**e) for e in document["entries"]),
        published={k: tuple(ModelId(m) for m in v) for k, v in document["published"].items()},
        pins={k: ModelId(v) for k, v in document["pins"].items()},
        gold={k: _gold(v) for k, v in document["gold"].items()},
        events=tuple(Event(**e) for e in document["events"]),
    )


def _gold(document: Mapping[str, Any]) -> Gold:
    return Gold(**{**document, "earlier": tuple(document.get("earlier", ()))})


def folder_of(registry: Path, model: ModelId) -> Path:
    """Return where a model's folder lies in a registry."""
    return registry / "models" / model


def publish(registry: Path, source: Path, entry: Entry, *, gold: Gold | None = None) -> Registry:
    """Put a model folder into the registry and make it the one that codes with its codebook.

    Parameters
    ----------
    registry
        The registry's folder; made if it is not there.
    source
        The model folder, checked while it is copied.
    entry
        What to write down: status `accepted`, the gate's report, the reason.
    gold
        The gold set to fix for this codebook, if none is fixed yet or a new one is.
    """

    def change(before: Registry) -> Registry:
        _take_in(registry, source, entry.model)
        stack = tuple(m for m in before.published.get(entry.codebook_id, ()) if m != entry.model)
        return replace(
            before,
            entries=(*before.entries, entry),
            published={**before.published, entry.codebook_id: (*stack, entry.model)},
            gold=before.gold if gold is None else {**before.gold, entry.codebook_id: gold},
            events=(*before.events, Event(entry.at, "publish", entry.model, entry.override or entry.reason)),
        )

    return _changed(registry, change)


def refuse(registry: Path, source: Path, entry: Entry, *, gold: Gold | None = None) -> Registry:
    """Put a model folder into the registry as refused: it is listed with its reason and codes nothing by default."""

    def change(before: Registry) -> Registry:
        _take_in(registry, source, entry.model)
        return replace(
            before,
            entries=(*before.entries, entry),
            gold=before.gold if gold is None else {**before.gold, entry.codebook_id: gold},
            events=(*before.events, Event(entry.at, "refuse", entry.model, entry.reason)),
        )

    return _changed(registry, change)


def shrink_gold(registry: Path, codebook_id: str, *, sha256: str, n_comments: int, at: datetime) -> Registry:
    """Write down what the fixed gold set of a codebook is now that respondents were erased from it."""

    def change(before: Registry) -> Registry:
        was = before.gold[codebook_id]
        now = Gold(was.file, sha256, n_comments, (*was.earlier, was.sha256))
        event = Event(at.isoformat(timespec="seconds"), "shrink gold", codebook_id, "a respondent was erased")
        return replace(before, gold={**before.gold, codebook_id: now}, events=(*before.events, event))

    return _changed(registry, change)


def roll_back(registry: Path, codebook_id: str, *, at: datetime, reason: str = "") -> Registry:
    """Make the model published before the present one code again; without one, the model that ships.

    Raises
    ------
    RegistryError
        If nothing is published for the codebook.
    """

    def change(before: Registry) -> Registry:
        stack = before.published.get(codebook_id, ())
        if not stack:
            raise RegistryError(
                f"no model is published for the codebook {codebook_id!r}.",
                allowed=", ".join(k for k, v in sorted(before.published.items()) if v) or "nothing yet.",
                next_step="see `themes model list`.",
            )
        return replace(
            before,
            published={**before.published, codebook_id: stack[:-1]},
            events=(*before.events, Event(at.isoformat(timespec="seconds"), "roll back", stack[-1], reason)),
        )

    return _changed(registry, change)


def pin(
    registry: Path, consultation: str, model: ModelId | None, *, at: datetime, source: Path | None = None
) -> Registry:
    """Make one model code a consultation whatever is published later; None takes the pin out.

    Parameters
    ----------
    source
        The folder of a model that was never put forward, as the one that ships: it is copied in, so that the pin outlasts it.

    Raises
    ------
    RegistryError
        If the model is not in the registry, or there is no pin to take out.
    """

    def change(before: Registry) -> Registry:
        if model is not None and source is not None:
            _take_in(registry, source, model)
        elif model is not None and before.find_entry(model) is None:
            raise RegistryError(
                f"{model!r} is not in the registry.",
                allowed=", ".join(sorted({e.model for e in before.entries})) or "nothing yet.",
                next_step="publish it first: `themes model publish DIR`.",
            )
        if model is None and consultation not in before.pins:
            raise RegistryError(
                f"the consultation {consultation!r} has no pin.",
                allowed=", ".join(sorted(before.pins)) or "no consultation is pinned.",
                next_step="see `themes model list`.",
            )
        pins = {k: v for k, v in before.pins.items() if k != consultation}
        if model is not None:
            pins[consultation] = model
        did = "pin" if model is not None else "unpin"
        event = Event(at.isoformat(timespec="seconds"), did, model or before.pins[consultation], consultation)
        return replace(before, pins=pins, events=(*before.events, event))

    return _changed(registry, change)


def _changed(folder: Path, change: Callable[[Registry], Registry]) -> Registry:
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _sweep(folder)
        after = change(read_registry(folder))
        document = {"format": FORMAT, **asdict(after)}
        handle, name = tempfile.mkstemp(prefix=".aside-", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write((json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(folder / DOCUMENT)
        return after


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        with FileLock(folder / ".lock", timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        raise RegistryBusyError(
            f"another process has held the registry for {_LOCK_SECONDS} s.",
            allowed="one change at a time.",
            next_step="try again when it has ended.",
        ) from error


def _sweep(folder: Path) -> None:
    """Take away what a killed writer left beside its place; only called under the lock."""
    for left in (*folder.glob(".aside-*"), *(folder / "models").glob(".aside-*")):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def _take_in(registry: Path, source: Path, model: ModelId) -> None:
    """Copy a model folder's checked bytes into its place; the same model twice is one folder."""
    if not _NAME.fullmatch(model):
        raise RegistryError(
            f"the model id {model[:60]!r} cannot name a folder.",
            allowed="letters, digits, points, dashes and underscores in the model's name and version.",
            next_step="train it again with another name: `themes train --about FILE`.",
        )
    place = folder_of(registry, model)
    content = audit(source)
    if place.exists():
        if {n: hashlib.sha256(d).digest() for n, d in audit(place).items()} != {
            n: hashlib.sha256(d).digest() for n, d in content.items()
        }:
            raise RegistryError(
                f"another model of the id {model} is in the registry.",
                allowed="one model an id.",
                next_step="give the new one another name or version.",
            )
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".aside-", dir=place.parent))
    for name, data in content.items():
        (aside / name).write_bytes(data)
    aside.chmod(0o755)
    if read_artefact(aside).model_id != model:
        raise RegistryError(
            "the model folder changed while it was copied.",
            allowed="a folder that nobody writes to.",
            next_step="publish it again.",
        )
    aside.rename(place)
