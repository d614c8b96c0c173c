"""The use case: a codebook is changed, with a map from old labels; decisions are seen through the map, and what a person must say again is listed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from models.codebook import codebook_to_document, read_codebook
from models.codebook_changes import (
    CodebookChange,
    CodebookChangeError,
    change_from_document,
    change_to_document,
    changes_fit,
    promote,
    view_themes,
)
from models.vocabulary import Codebook, Theme, ThemeId
from nlp_service.exchange.qdc_file import read_qdc, write_qdc
from nlp_service.report.codings_file import written_aside

_MAX_CHANGE_BYTES: Final = 50_000_000
_SUFFIX: Final = ".change.json"


@dataclass(frozen=True, slots=True)
class Viewed:
    """What became of a decisions file's lines: `n_lines` = `n_written` + `n_queued`."""

    n_lines: int
    n_written: int
    n_queued: int
    n_retired: int
    """Lines that lost a theme that is no more; they are written all the same."""
    queue_file: Path | None


def change_file(out: Path) -> Path:
    """Return where a change is written: beside the new codebook."""
    return out.with_name(f"{out.stem}{_SUFFIX}")


def write_change(change: CodebookChange, out: Path, *, queue: Sequence[str] = ()) -> None:
    """Write the new codebook as YAML, and the change beside it in `OUT.change.json`; `queue` names comments that a person should look at.

    Raises
    ------
    CodebookChangeError
        If they cannot be written there, or something is there already: a version that exists is never written over.
    """
    if out.suffix.lower() not in (".yaml", ".yml") or not out.parent.is_dir():
        raise _refused(f"{out.name} cannot be written there", "a .yaml file in an existing folder", "change --out")
    if out.exists() or change_file(out).exists():
        raise _refused(f"{out.name} exists", "a new file for each version", "change --out")
    document = change_to_document(change) | {"queue": list(queue)}
    with written_aside(out) as book, written_aside(change_file(out)) as beside:
        write_yaml(book, change.new)
        beside.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def promote_candidate(
    codebook: Codebook,
    candidates: Path,
    candidate_id: str,
    *,
    theme_id: str | None = None,
    label: str | None = None,
    definition: str | None = None,
    parent: str | None = None,
) -> tuple[CodebookChange, list[str]]:
    """Return the codebook with a candidate as a theme, and the ids of the comments that raise it, for a small round.

    Raises
    ------
    CodebookChangeError
        If the file is no candidates file or has no such candidate, or the theme does not fit the codebook.
    """
    try:
        entries: list[Mapping[str, Any]] = json.loads(candidates.read_text(encoding="utf-8"))["candidates"]
        entry = next((e for e in entries if e["id"] == candidate_id), None)
        if entry is None:
            listed = ", ".join(str(e["id"]) for e in entries[:10]) or "none"
            raise _refused(
                f"{candidates.name} has no candidate of that id", f"one of its own: {listed}", "check the id"
            )
        told = entry["suggested"]
        theme = Theme(
            ThemeId(theme_id or str(told["id"])),
            label or str(told["label"]),
            definition or str(told["definition"]),
            include=str(told["include"]),
            exclude=str(told["exclude"]),
            parent=ThemeId(parent) if parent else None,
            cues=tuple(map(str, told["cues"])),
        )
        queue = [str(c) for c in entry["comment_ids"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(
            f"{candidates.name} is no candidates file ({type(error).__name__})",
            "what `themes candidates` wrote",
            "check the path",
        ) from error
    return promote(codebook, theme), queue


def part_from_text(text: str) -> Theme:
    """Return a part of a split from `ID=Label: definition`; CodebookChangeError if it is none."""
    theme_id, equals, rest = text.partition("=")
    label, colon, definition = rest.partition(":")
    if not (equals and colon and theme_id.strip() and label.strip() and definition.strip()):
        raise _refused("a part is not complete", "ID=Label: definition", "give each --part so")
    return Theme(ThemeId(theme_id.strip()), " ".join(label.split()), " ".join(definition.split()))


def read_changes(paths: Sequence[Path]) -> list[CodebookChange]:
    """Return changes from files, in order, each following the one before; CodebookChangeError if they don't."""
    changes: list[CodebookChange] = []
    for path in paths:
        try:
            if path.stat().st_size > _MAX_CHANGE_BYTES:
                raise _refused(f"{path.name} is too large", f"at most {_MAX_CHANGE_BYTES} bytes", "check the path")
            changes.append(change_from_document(json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise _refused(
                f"{path.name} is no change of a codebook ({type(error).__name__})",
                "a .change.json file",
                "check the path",
            ) from error
    if not changes or not changes_fit(changes, changes[0].old.ref):
        raise _refused(
            "the changes do not follow one on another", "changes from version to version", "give them in order"
        )
    return changes


def find_changes(old: Codebook, new: Codebook, folder: Path) -> tuple[list[CodebookChange], list[str]]:
    """Return the changes that led from one version to another, in order, by the change files of a folder, and names of those that cannot be read.

    No changes if one lacks. A version that was edited by hand after its change is known by its number, if one change alone has it.
    """
    there: list[CodebookChange] = []
    unread: list[str] = []
    for file in sorted(folder.glob(f"*{_SUFFIX}")):
        try:
            there += read_changes([file])
        except CodebookChangeError:
            unread.append(file.name)
    way: list[CodebookChange] = []
    at = new
    while at.ref != old.ref:
        numbered = [c for c in there if c.new.ref == at.ref]
        leads = [c for c in numbered if c.new == at] or numbered
        if not leads or any(c.moves != leads[0].moves for c in leads):
            return [], unread
        there.remove(leads[0])
        way.insert(0, leads[0])
        at = leads[0].old
    return way, unread


def view_decisions(changes: Sequence[CodebookChange], decisions: Path, out: Path) -> Viewed:
    """Write decisions as the new version means them. The old file stays as it is.

    A line with a theme that was split is no complete decision any more: it goes to `OUT.queue.jsonl`, its old theme under `undecided`, and
    waits for a person. A line with a retired theme is written without it, with the theme under `retired`.

    Raises
    ------
    CodebookChangeError
        If a line cannot be read or names a theme that the old version does not have. Nothing is written then.
    """
    known = {t.id for t in changes[0].old.themes}
    kept: list[str] = []
    queued: list[str] = []
    n_retired = 0
    try:
        lines = [line for line in decisions.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
        for line in lines:
            entry = json.loads(line)
            themes = [ThemeId(t) for t in entry["themes"]]
            if not known.issuperset(themes):
                raise _refused(
                    f"line {len(kept) + len(queued) + 1} has themes of another codebook",
                    changes[0].old.ref,
                    "check the file",
                )
            seen = view_themes(changes, themes)
            order = {t.id: i for i, t in enumerate(changes[-1].new.themes)}
            entry["themes"] = sorted(seen.themes, key=order.__getitem__)
            if seen.retired:
                entry["retired"], n_retired = sorted(seen.retired), n_retired + 1
            if seen.undecided:
                queued.append(json.dumps(entry | {"undecided": sorted(seen.undecided)}, ensure_ascii=False))
            else:
                kept.append(json.dumps(entry, ensure_ascii=False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _refused(
            f"{decisions.name}: line {len(kept) + len(queued) + 1} is no decision ({type(error).__name__})",
            "lines with comment_id, text and themes",
            "check the file",
        ) from error
    queue_file = out.with_name(f"{out.stem}.queue.jsonl")
    with written_aside(out) as aside:
        aside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        queue_file.unlink(missing_ok=True)
        if queued:
            with written_aside(queue_file) as beside:
                beside.write_text("".join(f"{line}\n" for line in queued), encoding="utf-8")
    return Viewed(len(lines), len(kept), len(queued), n_retired, queue_file if queued else None)


def undo(change: Path, out: Path) -> Codebook:
    """Write the version before a change again, under its own number; return it."""
    (read,) = read_changes([change])
    with written_aside(out) as aside:
        write_yaml(aside, read.old)
    return read.old


def export_codebook(codebook: Path, out: Path) -> Codebook:
    """Write a codebook as REFI-QDA `.qdc`; return it."""
    if out.suffix.lower() != ".qdc" or not out.parent.is_dir():
        raise _refused(f"{out.name} cannot be written there", "a .qdc file in an existing folder", "change --out")
    book = read_codebook(codebook)
    with written_aside(out) as aside:
        write_qdc(aside, book)
    return book


def import_codebook(file: Path, out: Path) -> Codebook:
    """Write the codebook of a `.qdc` file as YAML; return it."""
    book = read_qdc(file)
    with written_aside(out) as aside:
        write_yaml(aside, book)
    return book


def write_yaml(path: Path, book: Codebook) -> None:
    """Write a codebook file that reads back as the same codebook."""
    text = yaml.safe_dump(codebook_to_document(book), sort_keys=False, allow_unicode=True, width=120)
    path.write_text(text, encoding="utf-8")


def _refused(found: str, allowed: str, next_step: str) -> CodebookChangeError:
    return CodebookChangeError(f"{found}.", allowed=f"{allowed}.", next_step=f"{next_step}.")
