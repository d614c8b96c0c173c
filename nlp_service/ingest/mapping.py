"""Roles that an analyst has settled: given by flags, or saved from one wave of a consultation for the next."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import yaml

from models.counts import counted
from models.vocabulary import ThemesError
from nlp_service.ingest.roles import AnswerKind, ColumnRole, Role, find_column, guess_roles, with_roles
from nlp_service.ingest.table import Table

MAX_MAPPING_BYTES: Final = 2_000_000
_NO_ROLES: Final[Mapping[str, Role]] = MappingProxyType({})
_SENT: Final = "the mapping"
_KEYS: Final = ("column", "role", "kind", "question", "option", "order", "separator", "reason")
_CLOSED_KINDS: Final = {
    Role.SINGLE: AnswerKind.NOMINAL,
    Role.MULTI: AnswerKind.MULTI,
    Role.TICK: AnswerKind.MULTI,
    Role.SCALE: AnswerKind.ORDERED,
    Role.DEMOGRAPHIC: AnswerKind.NOMINAL,
}


class MappingInvalidError(ThemesError):
    """A saved mapping cannot be read, or is not one."""

    code = "mapping_invalid"


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Roles by column name, as saved from a file."""

    name: str
    """What notes call it: the mapping file's name."""
    roles: tuple[ColumnRole, ...]
    file: Path | None = None
    """Where it was read, which no output may take the place of; None if it came over HTTP."""


def choose_roles(
    table: Table,
    *,
    text: Sequence[str] = (),
    id_column: str | None = None,
    mapping: ColumnMapping | None = None,
    roles: Mapping[str, Role] = _NO_ROLES,
) -> tuple[tuple[ColumnRole, ...], tuple[str, ...]]:
    """Return each column's role, and notes on what a mapping did not fit.

    What is said last wins: guesses, then the mapping, then `roles`, then `text` and `id_column`.

    Raises
    ------
    InputRefusedError
        If a column that was named is missing or not the only one of that name.
    """
    settled = list(guess_roles(table))
    notes: list[str] = []
    if mapping is not None:
        settled, notes = _with_mapping(table, settled, mapping)
    settled = list(with_roles(table, settled, roles))
    if text:
        wanted = dict.fromkeys(find_column(table, name, "text") for name in text)
        for i, r in enumerate(settled):
            if i in wanted:
                settled[i] = ColumnRole(r.column, Role.OPEN, "as told with --text")
            elif r.role is Role.OPEN:
                settled[i] = ColumnRole(r.column, Role.IGNORE, "an open question that --text leaves out")
    if id_column is not None:
        key = find_column(table, id_column, "id")
        for i, r in enumerate(settled):
            if i == key:
                settled[i] = ColumnRole(r.column, Role.ID, "as told with --id")
            elif r.role is Role.ID:
                settled[i] = ColumnRole(r.column, Role.IGNORE, "another column is the id")
    return tuple(settled), tuple(notes)


def _with_mapping(
    table: Table, guessed: Sequence[ColumnRole], mapping: ColumnMapping
) -> tuple[list[ColumnRole], list[str]]:
    by_name = {r.column.casefold(): r for r in mapping.roles}
    settled = [
        replace(by_name[r.column.casefold()], column=r.column) if r.column.casefold() in by_name else r for r in guessed
    ]
    has_id = any(
        r.role is Role.ID for r in mapping.roles if r.column.casefold() in {c.casefold() for c in table.columns}
    )
    if has_id:
        settled = [
            ColumnRole(r.column, Role.IGNORE, "another column is the id")
            if r.role is Role.ID and r.column.casefold() not in by_name
            else r
            for r in settled
        ]
    here = {c.casefold() for c in table.columns}
    gone = [r.column for r in mapping.roles if r.column.casefold() not in here]
    new = [r.column for r in guessed if r.column.casefold() not in by_name]
    notes = []
    if gone:
        notes.append(
            f"{table.name}: {counted(len(gone), f'column of {mapping.name} is', f'columns of {mapping.name} are')} not in it: {', '.join(map(repr, gone[:5]))}."
        )
    if new:
        notes.append(
            f"{table.name}: {counted(len(new), f'column is not in {mapping.name} and was', f'columns are not in {mapping.name} and were')} guessed: {', '.join(map(repr, new[:5]))}."
        )
    return settled, notes


def write_mapping(path: Path, roles: Sequence[ColumnRole]) -> None:
    """Write roles as YAML that `read_mapping` reads and a person can edit; `path` is written as it is (write aside, then rename)."""
    text = yaml.safe_dump(_document(roles), allow_unicode=True, sort_keys=False, width=200)
    path.write_text(
        f"# Roles of columns, for `themes code --mapping` and `themes inspect --mapping`: edit `role` where it is wrong.\n{text}",
        encoding="utf-8",
    )


def mapping_to_json(mapping: ColumnMapping) -> str:
    """Return a mapping as JSON that `mapping_from_json` reads: all that it says of columns."""
    return json.dumps(_document(mapping.roles))


def _document(roles: Sequence[ColumnRole]) -> dict[str, Any]:
    columns = []
    for r in roles:
        line: dict[str, Any] = {"column": r.column, "role": r.role.value, "reason": r.reason}
        if r.kind is not None:
            line["kind"] = r.kind.value
        line |= {key: getattr(r, key) for key in ("question", "option", "separator") if getattr(r, key) is not None}
        if r.order:
            line["order"] = list(r.order)
        columns.append(line)
    return {"columns": columns}


def read_mapping(path: Path) -> ColumnMapping:
    """Return a saved mapping.

    Raises
    ------
    MappingInvalidError
        If the file is missing, is no YAML of that shape, or names an unknown role or a column twice.
    """
    try:
        if path.stat().st_size > MAX_MAPPING_BYTES:
            raise _invalid(path.name, f"it has more than {MAX_MAPPING_BYTES} bytes")
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise _invalid(path.name, "it cannot be read as YAML") from error
    return ColumnMapping(path.name, _roles(path.name, content), path)


def mapping_from_json(text: str) -> ColumnMapping:
    """Return a mapping that came over HTTP: JSON, since YAML from a stranger may say far more than it holds.

    Raises
    ------
    MappingInvalidError
        If it is no JSON of that shape, or names an unknown role or a column twice.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(_SENT, "it cannot be read as JSON") from error
    return ColumnMapping(_SENT, _roles(_SENT, content))


def _roles(name: str, content: Any) -> tuple[ColumnRole, ...]:
    lines = content.get("columns") if isinstance(content, dict) else None
    if not isinstance(lines, list) or not all(isinstance(line, dict) for line in lines):
        raise _invalid(name, "it has no list `columns`")
    roles = tuple(_role(name, n, line) for n, line in enumerate(lines, 1))
    columns = [r.column.casefold() for r in roles]
    if len(set(columns)) != len(columns):
        raise _invalid(name, "a column stands in it twice")
    return roles


def _role(of: str, number: int, line: dict[str, Any]) -> ColumnRole:
    name, role = line.get("column"), line.get("role")
    if unknown := [str(key) for key in line if key not in _KEYS]:
        raise _invalid(of, f"entry {number} has a key that is none of {', '.join(_KEYS)} ({len(unknown)} unknown)")
    if not isinstance(name, str) or role not in [r.value for r in Role]:
        raise _invalid(of, f"entry {number} has no column name, or a role that is none of {', '.join(Role)}")
    kind = line.get("kind")
    if kind is not None and kind not in [k.value for k in AnswerKind]:
        raise _invalid(of, f"entry {number} has a kind that is none of {', '.join(AnswerKind)}")
    order = line.get("order", [])
    texts = [line.get(key) for key in ("question", "option", "separator")]
    if not isinstance(order, list) or not all(v is None or isinstance(v, str) for v in texts):
        raise _invalid(
            of, f"entry {number} has an order that is no list, or a question, option or separator that is no text"
        )
    settled = Role(role)
    closed = AnswerKind(kind) if kind is not None and settled in _CLOSED_KINDS else _CLOSED_KINDS.get(settled)
    if settled is not Role.DEMOGRAPHIC:
        closed = _CLOSED_KINDS.get(settled)
    question, option, separator = texts
    if settled is Role.MULTI and separator is None:
        separator = ";"
    if settled not in (Role.MULTI, Role.DEMOGRAPHIC):
        separator = None
    if separator == "":
        raise _invalid(of, f"entry {number} has a separator without a character")
    if settled is Role.TICK and (question is None or option is None):
        raise _invalid(of, f"entry {number} is a tick without its question and option")
    return ColumnRole(name, settled, f"from {of}", closed, question, option, tuple(str(o) for o in order), separator)


def _invalid(name: str, found: str) -> MappingInvalidError:
    return MappingInvalidError(
        f"{name}: {found}.",
        allowed="a mapping as `themes inspect FILE --save-mapping MAPPING` writes it.",
        next_step="write it again, then edit the roles in it.",
    )
