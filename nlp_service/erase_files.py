"""Erases a respondent from files: rounds, decisions and codings as JSON lines, gold sets, and what a round put into Label Studio.

Everything is read before anything is written, and written beside its place before anything is replaced: what cannot be done is
found out while all is still there.
"""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from models.counts import counted
from models.registry import Registry, read_registry, shrink_gold
from models.vocabulary import ThemesError
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

SUFFIXES: Final = frozenset({".jsonl", ".ndjson"})
_OTHERS_S: Final = 60.0
"""How long one erasure waits for another."""
_WHO: Final = ("group", "respondent")
"""Where a line names its respondent; without one it is of whoever the comment's id names."""


class EraseError(ThemesError):
    """A place to erase from cannot be used."""

    code = "erase_refused"


class EraseBusyError(ThemesError):
    """Somebody else is being erased."""

    code = "erase_busy"


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
        if isinstance(text, str) and (str(line.get("comment_id")), text) in self.written:
            return True
        return self.respondent in who(line) and (self.everywhere or any(text == t for _, t in self.written))

    def name_of(self, place: Path, kind: str = "file") -> str:
        """Return what a place is called to whoever asks: somebody of one consultation is not told the names of others' files."""
        return place.name if self.everywhere else f"a {kind}"

    def may_be_theirs(self, line: Mapping[str, Any]) -> bool:
        """Return whether a line without words may be about the respondent, where ids alone do not tell."""
        return not self.everywhere and not isinstance(line.get("text"), str) and self.respondent in who(line)


def who(line: Mapping[str, Any]) -> frozenset[str]:
    """Return what the respondent of a line may be called: its own word for them, else the comment's id without its question."""
    for key in _WHO:
        if isinstance(line.get(key), str | int) and line[key] != "":
            return frozenset({str(line[key])})
    comment = str(line.get("comment_id", line.get("id", "")))
    person, _, question = comment.rpartition("/")
    return frozenset({comment, person} if question.isdigit() else {comment}) - {""}


@dataclass(frozen=True, slots=True)
class FilesErased:
    """What was erased, and what could not be."""

    n_lines: int
    n_tasks: int
    """In Label Studio."""
    left: tuple[str, ...]
    """What is still to be done."""
    n_files: int
    """That were looked through."""


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was read: the lines that stay, and those that go."""

    path: Path
    kept: tuple[str, ...]
    gone: tuple[dict[str, Any], ...]
    n_odd: int
    n_maybe: int


class FileErasure:
    """All files that were looked through for a respondent, held against other erasures and rounds until it is over.

    `written` says who wrote what in the lines that are to go: ids of the respondent or the comment, and texts.
    """

    def __init__(
        self, wish: Wish, places: Places, registry: Registry, rounds: Sequence[Path], loose: Sequence[Path]
    ) -> None:
        self._wish, self._places, self._registry = wish, places, registry
        self._rounds = {folder: [_look(f, wish) for f in _lines_files(folder)] for folder in rounds}
        self._loose = [_look(f, wish) for f in loose]
        self.written = frozenset(pair for file in self._files for line in file.gone for pair in _written(line))

    @property
    def _files(self) -> list[_File]:
        return [*(f for files in self._rounds.values() for f in files), *self._loose]

    def finish(self) -> FilesErased:
        """Erase, and return what was erased; given again, it finishes what was left.

        Raises
        ------
        EraseError
            If a file cannot be written. All files are as they were then.
        """
        left, n_tasks = self._doubts(), 0
        changed = [f for f in self._files if f.gone]
        asides: list[Path] = []
        try:
            asides.extend(
                _write_beside(f, self._wish.name_of(f.path)) for f in changed
            )  # those before one that fails are in it
            for folder, files in self._rounds.items():
                n_tasks += self._tell_round(folder, files, left)
            for aside, file in zip(asides, changed, strict=True):
                aside.replace(file.path)
                self._tell_registry(file)
        finally:
            for aside in asides:
                aside.unlink(missing_ok=True)
        return FilesErased(sum(len(f.gone) for f in changed), n_tasks, tuple(left), len(self._files))

    def _doubts(self) -> list[str]:
        left = [
            f"{self._wish.name_of(f.path)}: {counted(f.n_odd, 'line that is no JSON object was', 'lines that are no JSON objects were')} not looked through"
            for f in self._files
            if f.n_odd
        ]
        left += [
            f"{self._wish.name_of(f.path)}: {counted(f.n_maybe, 'line without words has', 'lines without words have')} the id, and may be somebody else's"
            for f in self._files
            if f.n_maybe
        ]
        missing = [Path(g.file) for g in self._registry.gold.values() if not Path(g.file).is_file()]
        return left + [
            f"{self._wish.name_of(p, 'gold set')}: a gold set of the registry that is not where it was" for p in missing
        ]

    def _tell_round(self, folder: Path, files: Sequence[_File], left: list[str]) -> int:
        """Write down which tasks go, delete them from Label Studio, and return how many those were.

        Keys come first: whatever fails afterwards, the tasks are deleted in the end.
        """
        tasks = [line for f in files if f.path.name in (TASKS, ADJUDICATION) for line in f.gone]
        keys, before = {str(line.get("key")) for line in tasks}, read_erased(folder)
        erased = ErasedTasks(before.keys | keys, before.left | keys)
        if keys:
            write_erased(folder, erased)
        if not erased.left:
            return 0
        where = f"{self._wish.name_of(folder, 'round')}: {counted(len(erased.left), 'task')} in Label Studio"
        if self._places.label_studio is None:
            left.append(f"{where}, which no settings name")
            return 0
        try:
            return delete_erased(folder, self._places.label_studio)
        except ThemesError as error:
            left.append(f"{where} ({error.code})")
            return 0

    def _tell_registry(self, file: _File) -> None:
        for codebook_id, fixed in self._registry.gold.items():
            if Path(fixed.file).resolve() == file.path:
                digest = hashlib.sha256(file.path.read_bytes()).hexdigest()
                now = datetime.now(UTC)
                shrink_gold(self._places.registry, codebook_id, sha256=digest, n_comments=len(file.kept), at=now)


@contextmanager
def look_through_files(wish: Wish, places: Places) -> Iterator[FileErasure]:
    """Yield what there is to erase in files; nothing is changed before `FileErasure.finish`.

    Raises
    ------
    EraseError, EraseBusyError, RoundBusyError
        If a place is not there or cannot be read, another erasure does not end, or another process works on a round.
    """
    with ExitStack() as stack:
        stack.enter_context(_one_at_a_time(places.registry))
        registry = read_registry(places.registry)
        loose, rounds = _find(places.paths, wish)
        for folder in rounds:
            stack.enter_context(locked(folder))
        gold = {p for g in registry.gold.values() if (p := Path(g.file).resolve()).is_file()}
        others = sorted((loose | gold) - {f for folder in rounds for f in _lines_files(folder)})
        yield FileErasure(wish, places, registry, rounds, others)


@contextmanager
def _one_at_a_time(registry: Path) -> Iterator[None]:
    registry.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(registry / ".erasing", timeout=_OTHERS_S):
            yield
    except Timeout as error:
        raise EraseBusyError(
            f"somebody else has been erased for {_OTHERS_S:.0f} s.",
            allowed="one erasure at a time.",
            next_step="ask again when it has ended.",
        ) from error


def _find(paths: Sequence[Path], wish: Wish) -> tuple[set[Path], list[Path]]:
    """Return files of JSON lines, and rounds' folders, under paths; links to files are followed, links to folders are not."""
    loose: set[Path] = set()
    rounds: set[Path] = set()
    for path in paths:
        if path.is_dir():
            rounds |= {p.parent.resolve() for p in path.rglob(ROUND)}
            loose |= {p.resolve() for p in path.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()}
        elif path.is_file():
            loose.add(path.resolve())
        else:
            raise EraseError(
                f"{wish.name_of(path)} to erase from is not there.",
                allowed="files of JSON lines, rounds' folders, and folders that hold either.",
                next_step="check --from and THEMES_ERASE_FROM; nothing was erased.",
            )
    return loose, sorted(rounds)


def _lines_files(folder: Path) -> list[Path]:
    return sorted(p.resolve() for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


def _look(path: Path, wish: Wish) -> _File:
    kept: list[str] = []
    gone: list[dict[str, Any]] = []
    n_odd = n_maybe = 0
    for line in _lines(path, wish.name_of(path)):
        entry = _object(line)
        n_odd += entry is None
        if entry is not None and wish.is_theirs(entry):
            gone.append(entry)
            continue
        n_maybe += entry is not None and wish.may_be_theirs(entry)
        kept.append(line)
    return _File(path, tuple(kept), tuple(gone), n_odd, n_maybe)


def _written(line: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(text := line.get("text"), str):
        names = who(line) | {str(line[k]) for k in ("comment_id", "id") if line.get(k) is not None}
        yield from ((name, text) for name in names)


def _write_beside(file: _File, name: str) -> Path:
    """Write the lines that stay beside the file's place, with its owner and mode, and return where."""
    aside: Path | None = None
    try:
        was = file.path.stat()
        handle, made = tempfile.mkstemp(prefix=f".{file.path.name}-", dir=file.path.parent)
        aside = Path(made)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as out:
            out.writelines(line + "\n" for line in file.kept)
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(PermissionError):  # then it is ours, as whatever else we write
            os.chown(aside, was.st_uid, was.st_gid)
        aside.chmod(was.st_mode & 0o777)
    except OSError as error:
        if aside is not None:
            aside.unlink(missing_ok=True)
        raise EraseError(
            f"{name} cannot be written ({error.strerror}).",
            allowed="files that may be written, in folders that may be written to.",
            next_step="mend their rights or make room, then ask again; nothing was erased.",
        ) from error
    return aside


def _object(line: str) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        entry = json.loads(line)
        return entry if isinstance(entry, dict) else None
    return None


def _lines(path: Path, name: str) -> list[str]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise EraseError(
                f"{name} is too large to look through.", allowed=f"{MAX_FILE_BYTES} bytes.", next_step="split it."
            )
        return [line for line in path.read_text(encoding="utf-8-sig").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise EraseError(
            f"{name} cannot be read ({type(error).__name__}).",
            allowed="UTF-8 JSON lines.",
            next_step="check its rights, or take it out of --from and THEMES_ERASE_FROM; nothing was erased.",
        ) from error
