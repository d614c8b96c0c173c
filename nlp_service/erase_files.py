"""Erases a respondent from files: rounds, decisions and codings as JSON lines, gold sets, and what a round put into Label Studio."""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from models.registry import read_registry, shrink_gold
from models.vocabulary import ThemesError
from nlp_service.report.codings_file import written_aside
from nlp_service.round_folder import (
    ADJUDICATION,
    MAX_FILE_BYTES,
    ROUND,
    TASKS,
    ErasedTasks,
    read_erased,
    write_erased,
)
from nlp_service.run_round import Server, delete_erased, locked
from nlp_service.settings import Settings

_WHO: Final = ("group", "respondent", "comment_id", "id")
"""Who a line is about: the first of these that it has."""


class EraseError(ThemesError):
    """A place to erase from cannot be used."""

    code = "erase_refused"


@dataclass(frozen=True, slots=True)
class Places:
    """Where residents' words lie beside the store."""

    registry: Path
    """Its gold sets are decisions files."""
    paths: tuple[Path, ...] = ()
    """Files of JSON lines, rounds' folders, and folders that hold either."""
    label_studio: Server | None = None


def make_places(settings: Settings, more: Sequence[Path] = ()) -> Places:
    """Return the places that the settings name, and more."""
    url, token = settings.label_studio_url, settings.label_studio_token
    studio = Server(url, token, settings.label_studio_timeout_s) if url is not None and token is not None else None
    return Places(settings.registry, (*settings.erase_from, *more), studio)


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is to be forgotten, and what of theirs is known already."""

    respondent: str = field(repr=False)
    written: frozenset[tuple[str, str]] = field(repr=False)
    """Ids of comments, with their texts, that the store holds."""
    everywhere: bool
    """False: only lines with one of these texts, since elsewhere the id may be another person's."""

    def is_theirs(self, line: Mapping[str, Any]) -> bool:
        """Return whether a line of a file is about the respondent."""
        text = line.get("text")
        if (str(line.get("comment_id")), text) in self.written:
            return True
        return who(line) == self.respondent and (self.everywhere or any(text == t for _, t in self.written))


@dataclass(slots=True)
class FilesErased:
    """What was erased, and what could not be."""

    n_lines: int = 0
    n_tasks: int = 0
    """In Label Studio."""
    written: set[tuple[str, str]] = field(default_factory=set, repr=False)
    """Who and what of the lines that held a text."""
    files: set[Path] = field(default_factory=set)
    left: list[str] = field(default_factory=list)
    """What is still to be done."""


def who(line: Mapping[str, Any]) -> str | None:
    """Return the id of whoever wrote what a line is about, or None."""
    found = next((line[k] for k in _WHO if line.get(k) is not None), None)
    return str(found) if isinstance(found, str | int) else None


def erase_from_files(wish: Wish, places: Places) -> FilesErased:
    """Erase every line about a respondent; given again, it finishes what was left.

    Raises
    ------
    ThemesError
        If a place is not there or cannot be written, or another process works on a round.
    """
    done = FilesErased()
    registry = read_registry(places.registry)
    gold = [Path(g.file).resolve() for g in registry.gold.values()]
    loose, rounds = _find(places.paths)
    for folder in rounds:
        with locked(folder):
            _erase_from_round(folder, wish, places.label_studio, done)
    for file in sorted({*loose, *(g for g in gold if g.is_file())}):
        _erase_from_file(file, wish, done)
    for codebook_id, fixed in registry.gold.items():
        file = Path(fixed.file)
        if file.resolve() in done.files:
            digest, n = hashlib.sha256(file.read_bytes()).hexdigest(), len(_lines(file))
            shrink_gold(places.registry, codebook_id, sha256=digest, n_comments=n, at=datetime.now(UTC))
    return done


def _find(paths: Sequence[Path]) -> tuple[set[Path], list[Path]]:
    loose: set[Path] = set()
    rounds: set[Path] = set()
    for path in paths:
        if path.is_dir():
            rounds |= {p.parent.resolve() for p in path.rglob(ROUND)}
            loose |= {p.resolve() for p in path.rglob("*.jsonl") if not p.is_symlink()}
        elif path.is_file():
            loose.add(path.resolve())
        else:
            raise EraseError(
                f"there is no {path.name} to erase from.",
                allowed="files of JSON lines, rounds' folders, and folders that hold either.",
                next_step="check --from and THEMES_ERASE_FROM; nothing was erased.",
            )
    return {p for p in loose if p.parent not in rounds}, sorted(rounds)


def _erase_from_round(folder: Path, wish: Wish, server: Server | None, done: FilesErased) -> None:
    """Keys are written down first: whatever fails afterwards, they are deleted from Label Studio in the end."""
    tasks = [e for name in (TASKS, ADJUDICATION) if (folder / name).exists() for e in _objects(folder / name)]
    keys = {str(e.get("key")) for e in tasks if wish.is_theirs(e)}
    before = read_erased(folder)
    erased = ErasedTasks(before.keys | keys, before.left | keys)
    if keys:
        write_erased(folder, erased)
    if erased.left:
        done.n_tasks += _delete_tasks(folder, len(erased.left), server, done.left)
    for file in sorted(folder.glob("*.jsonl")):
        _erase_from_file(file, wish, done)


def _delete_tasks(folder: Path, n_left: int, server: Server | None, left: list[str]) -> int:
    if server is None:
        left.append(f"round {folder.name}: {n_left} tasks in Label Studio, which no settings name")
        return 0
    try:
        return delete_erased(folder, server)
    except ThemesError as error:
        left.append(f"round {folder.name}: {n_left} tasks in Label Studio ({error.code})")
        return 0


def _erase_from_file(path: Path, wish: Wish, done: FilesErased) -> None:
    kept: list[str] = []
    n_odd = n_gone = 0
    for line in _lines(path):
        entry = _object(line)
        n_odd += entry is None
        if entry is None or not wish.is_theirs(entry):
            kept.append(line)
            continue
        n_gone += 1
        if isinstance(text := entry.get("text"), str):
            done.written |= {(str(entry[k]), text) for k in _WHO if entry.get(k) is not None}
    if n_odd:
        done.left.append(f"{path.name}: {n_odd} lines that are no JSON objects were not looked through")
    if n_gone:
        mode = path.stat().st_mode & 0o777
        with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(line + "\n" for line in kept)
        path.chmod(mode)
        done.n_lines += n_gone
        done.files.add(path.resolve())


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    return (entry for line in _lines(path) if (entry := _object(line)) is not None)


def _object(line: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(line)
        return entry if isinstance(entry, dict) else None
    return None


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise EraseError(
                f"{path.name} is too large to look through.", allowed=f"{MAX_FILE_BYTES} bytes.", next_step="split it."
            )
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise EraseError(
            f"{path.name} cannot be read ({type(error).__name__}).",
            allowed="UTF-8 JSON lines.",
            next_step="check its rights, or take it out of --from and THEMES_ERASE_FROM.",
        ) from error
