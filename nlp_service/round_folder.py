"""A round on disk: its plan, the comments in it, and what was pulled. Every file is written aside, then moved into place."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from annotation.round import Kind, Round, RoundError, Task, round_document, round_from_document, stored_task
from nlp_service.report.codings_file import written_aside

ROUND: Final = "round.json"
TASKS: Final = "tasks.jsonl"
ADJUDICATION: Final = "adjudication.jsonl"
DECISIONS: Final = "decisions.jsonl"
SETTLED: Final = "settled.jsonl"
AGREEMENT: Final = "agreement.json"
PROBLEMS: Final = "problems.jsonl"
ERASED: Final = "erased.json"
"""Keys of tasks whose respondents were erased: they are deleted from Label Studio and never put there again."""
MAX_FILE_BYTES: Final = 1_000_000_000


class RoundNotFoundError(RoundError):
    """No round lies in that folder."""

    code = "round_not_found"


def find_round(folder: Path) -> Round | None:
    """Return the round in a folder, or None if there is no such folder."""
    return read_round(folder) if folder.exists() else None


def read_round(folder: Path) -> Round:
    """Return the round in a folder, adjudication tasks included.

    Raises
    ------
    RoundError
        If there is none, or it cannot be read.
    """
    if not (folder / ROUND).is_file():
        raise RoundNotFoundError(
            f"there is no round in {folder.name}.",
            allowed="a folder that `themes round start --out DIR` made.",
            next_step="check the path, or start a round.",
        )
    document = _json(folder / ROUND)
    tasks = [*_lines(folder / TASKS), *(_lines(folder / ADJUDICATION) if (folder / ADJUDICATION).exists() else ())]
    return round_from_document(document, tasks)


def write_round(folder: Path, round_: Round) -> None:
    """Write a round's folder, whole or not at all; of one that is there, the projects and the adjudication tasks alone."""
    try:
        if folder.exists():
            write_lines(folder / ADJUDICATION, map(stored_task, round_.of(Kind.ADJUDICATION)))
            _write_plan(folder, round_)
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            planned = (t for t in round_.tasks if t.kind is not Kind.ADJUDICATION)
            write_lines(aside / TASKS, map(stored_task, planned))
            _write_plan(aside, round_)
            aside.chmod(0o700)
            aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        raise RoundError(
            f"{folder.name} cannot be written ({error.strerror}).",
            allowed="a new folder in one that exists.",
            next_step="change --out, or make room.",
        ) from error


@dataclass(frozen=True, slots=True)
class ErasedTasks:
    """Keys of the tasks that were erased from a round."""

    keys: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()
    """Those that Label Studio may still have."""


def read_erased(folder: Path) -> ErasedTasks:
    """Return what was erased from a round."""
    if not (folder / ERASED).exists():
        return ErasedTasks()
    document = _json(folder / ERASED)
    keys, left = document.get("keys"), document.get("left")
    if not isinstance(keys, list) or not isinstance(left, list):
        raise _broken(ERASED)
    return ErasedTasks(frozenset(map(str, keys)), frozenset(map(str, left)))


def write_erased(folder: Path, erased: ErasedTasks) -> None:
    """Write down what was erased from a round."""
    write_json(folder / ERASED, {"keys": sorted(erased.keys), "left": sorted(erased.left)})


def without_erased(round_: Round, folder: Path) -> Round:
    """Return the round without the tasks that were erased from it."""
    gone = read_erased(folder).keys
    return replace(round_, tasks=tuple(t for t in round_.tasks if t.key not in gone)) if gone else round_


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write JSON lines."""
    with written_aside(path) as aside, aside.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write one JSON object."""
    with written_aside(path) as aside:
        aside.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def with_adjudication(round_: Round, tasks: Iterable[Task]) -> Round:
    """Return the round with more adjudication tasks; those that it has stay as they are."""
    known = {t.key for t in round_.tasks}
    more = tuple(t for t in tasks if t.key not in known)
    return Round(
        round_.id, round_.codebook, round_.model, (*round_.tasks, *more), round_.coders, round_.overlap, round_.seed,
        round_.shows_question, round_.url, round_.projects,
    )  # fmt: skip


def _write_plan(folder: Path, round_: Round) -> None:
    write_json(folder / ROUND, round_document(round_))


def _json(path: Path) -> Mapping[str, Any]:
    read = _parse(path.name, _text(path))
    if not isinstance(read, dict):
        raise _broken(path.name)
    return read


def _lines(path: Path) -> list[Mapping[str, Any]]:
    read = [_parse(path.name, line) for line in _text(path).split("\n") if line]
    if not all(isinstance(entry, dict) for entry in read):
        raise _broken(path.name)
    return read


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _broken(path.name)
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path.name) from error


def _parse(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _broken(name) from error


def _broken(name: str) -> RoundError:
    return RoundError(
        f"{name} in the round's folder cannot be read.",
        allowed="what `themes round start` wrote.",
        next_step="put it back from a copy, or start the round again with the same files and options into another folder.",
    )
