"""The use case: one file in, what each of its columns is for out, and a mapping for the next wave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from models.vocabulary import Problem
from nlp_service.ingest.comments import read_comments
from nlp_service.ingest.formats import find_workshop, read_bytes, read_table
from nlp_service.ingest.mapping import choose_roles, read_mapping, write_mapping
from nlp_service.ingest.roles import ColumnRole, Role
from nlp_service.report.codings_file import written_aside

_NO_ROLES: Final[Mapping[str, Role]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is taken for. A transcript has no columns."""

    columns: tuple[ColumnRole, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    n_rows: int
    n_comments: int
    """Comments that `themes code` would code, with these roles; 0 where the file has no open question."""


def inspect_file(
    path: Path,
    *,
    text: Sequence[str] = (),
    id_column: str | None = None,
    sheet: str | None = None,
    roles: Mapping[str, Role] = _NO_ROLES,
    mapping: Path | None = None,
    save_mapping: Path | None = None,
) -> Inspection:
    """Return what a file's columns are taken for, and save it as a mapping if asked.

    Raises
    ------
    ThemesError
        If the file or the mapping cannot be read, or a column that was named is not there. Nothing is written then.
    """
    saved = read_mapping(mapping) if mapping is not None else None
    data, extension = read_bytes(path), path.suffix.lower()
    if find_workshop(path.name, extension, data) is not None:
        reading = read_comments([path])
        return Inspection((), reading.notes, reading.problems, reading.n_rows, len(reading.comments))
    table = read_table(path.name, extension, data, sheet)
    columns, notes = choose_roles(table, text=text, id_column=id_column, mapping=saved, roles=roles)
    notes, problems, n_comments = (*table.notes, *notes), table.problems, 0
    if any(c.role is Role.OPEN for c in columns):
        reading = read_comments([path], text=text, id_column=id_column, sheet=sheet, roles=roles, mapping=saved)
        notes, problems, n_comments = reading.notes, reading.problems, len(reading.comments)
    if save_mapping is not None:
        with written_aside(save_mapping) as aside:
            write_mapping(aside, columns)
    return Inspection(columns, notes, problems, len(table.rows) + len(table.problems), n_comments)
