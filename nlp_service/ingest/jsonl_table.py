"""JSON lines: one object a line. A line that is no object is a problem of its own; the others are read."""

import json
from typing import Any

from models.vocabulary import Problem
from nlp_service.ingest.csv_table import decode
from nlp_service.ingest.table import MAX_COLUMNS, MAX_ROWS, InputRefusedError, Row, Table, too_many


def read_jsonl(name: str, data: bytes) -> Table:
    """Return the table in JSON lines; columns are the keys in order of first sight, rows are line numbers.

    Raises
    ------
    InputRefusedError
        If the bytes are no text, no line holds an object, or a limit is passed.
    """
    text, note = decode(name, data)
    columns: dict[str, int] = {}
    objects: list[tuple[int, dict[str, Any]]] = []
    problems: list[Problem] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        if number > MAX_ROWS:
            raise too_many("rows", number, MAX_ROWS, name)
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            problems.append(_problem(name, number, "not_json", "the line is not JSON"))
            continue
        if not isinstance(value, dict):
            problems.append(_problem(name, number, "not_an_object", "the line is JSON but no {…} object"))
            continue
        objects.append((number, value))
        for key in value:
            columns.setdefault(key, len(columns))
        if len(columns) > MAX_COLUMNS:
            raise too_many("columns", len(columns), MAX_COLUMNS, name)
    if not objects:
        raise InputRefusedError(
            "no_objects",
            f"{name} has no line with a JSON object.",
            allowed='lines such as {"id": "1", "text": "…"}.',
            next_step="check that the file is JSON lines, one object a line.",
        )
    rows = tuple(Row(number, tuple(_cell(value.get(key, "")) for key in columns)) for number, value in objects)
    return Table(name, tuple(columns), rows, tuple(problems), (note,) if note else ())


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
