"""The use case: one file in, what each of its columns is for out, and a mapping for the next wave."""

from dataclasses import dataclass
from pathlib import Path

from models.vocabulary import Problem
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.formats import find_workshop, read_bytes, read_table
from nlp_service.ingest.mapping import choose_roles, write_mapping
from nlp_service.ingest.roles import ColumnRole, Role
from nlp_service.output import keep_inputs
from nlp_service.report.codings_file import written_aside


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file is taken for. A transcript has no columns."""

    columns: tuple[ColumnRole, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    n_rows: int
    n_comments: int
    """Comments that `themes code` would code, with these roles; 0 where the file has no open question."""


def inspect_file(path: Path, reading_options: ReadingOptions, *, save_mapping: Path | None = None) -> Inspection:
    """Return what a file's columns are taken for, and save it as a mapping if asked.

    Raises
    ------
    ThemesError
        If the file cannot be read, a column that was named is not there, or the mapping would take the place of what is read.
        Nothing is written then.
    """
    o = reading_options
    if save_mapping is not None:
        keep_inputs([save_mapping], [path, o.mapping_file], option="--save-mapping")
    data, extension = read_bytes(path), path.suffix.lower()
    if find_workshop(path.name, extension, data) is not None:
        reading = read_comments([path])
        return Inspection((), reading.notes, reading.problems, reading.n_rows, len(reading.comments))
    table = read_table(path.name, extension, data, o.sheet)
    columns, notes = choose_roles(table, text=o.text, id_column=o.id_column, mapping=o.mapping, roles=o.roles)
    notes, problems, n_comments = (*table.notes, *notes), table.problems, 0
    if any(c.role is Role.OPEN for c in columns):
        reading = read_comments([path], o)
        notes, problems, n_comments = reading.notes, reading.problems, len(reading.comments)
    if save_mapping is not None:
        with written_aside(save_mapping) as aside:
            write_mapping(aside, columns)
    return Inspection(columns, notes, problems, len(table.rows) + len(table.problems), n_comments)
