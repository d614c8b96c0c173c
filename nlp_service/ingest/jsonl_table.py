"""JSON lines: one object a line. A line that is no object is a problem of its own; the others are read."""

import json
from collections.abc import Sequence
from typing import Any

from models.vocabulary import Problem
from nlp_service.ingest.encoding import decode
from nlp_service.ingest.table import MAX_COLUMNS, MAX_ROWS, InputRefusedError, Row, Table, check_cells, too_many


def read_jsonl(name: str, data: bytes) -> Table:
    """Return the table in JSON lines; columns are the keys in order of first sight, rows are line numbers.

    Raises
    ------
    InputRefusedError
        If the bytes are no text, no line holds an object, or a limit is passed.
    """
    text, note = decode(name, data)
    values: list[tuple[int, Any]] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append((number, json.loads(line)))
        except (ValueError, RecursionError):
            problems.append(_problem(name, number, "not_json", "the line is not JSON"))
    return make_json_table(name, values, note, problems)


def make_json_table(
    name: str, values: Sequence[tuple[int, Any]], note: str = "", problems: Sequence[Problem] = ()
) -> Table:
    """Return the table of numbered JSON values; one that is no object is a problem.

    Raises
    ------
    InputRefusedError
        If no value is an object, or a limit is passed.
    """
    columns: dict[str, int] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    found = list(problems)
    for number, value in values:
        if not isinstance(value, dict):
            found.append(_problem(name, number, "not_an_object", "the line is JSON but no {…} object"))
            continue
        objects.append((number, value))
        for key in value:
            columns.setdefault(key, len(columns))
        if len(columns) > MAX_COLUMNS:
            raise too_many("columns", len(columns), MAX_COLUMNS, name)
    if len(objects) > MAX_ROWS:
        raise too_many("rows", len(objects), MAX_ROWS, name)
    if not objects:
        raise InputRefusedError(
            "no_objects",
            f"{name} has no line with a JSON object.",
            allowed='lines such as {"id": "1", "text": "…"}.',
            next_step="check that the file is JSON lines, one object a line.",
        )
    check_cells(name, len(objects), len(columns))
    rows = tuple(Row(number, tuple(_cell(value.get(key, "")) for key in columns)) for number, value in objects)
    found.sort(key=lambda p: p.row or 0)
    return Table(name, tuple(columns), rows, tuple(found), (note,) if note else ())


def _cell(value: object) -> str | None:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int | float) else None


def _problem(name: str, number: int, code: str, found: str) -> Problem:
    return Problem(code, found, 'write one {"id": …, "text": …} object a line', row=number, file=name)
