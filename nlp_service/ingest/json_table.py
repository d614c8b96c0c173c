"""JSON with all records in one list, or under one key of an object: the same table as JSON lines."""

import json
from typing import Any, Final

from nlp_service.ingest.jsonl_table import make_json_table
from nlp_service.ingest.table import InputRefusedError, Table

MAX_JSON_CHARS: Final = 100_000_000
"""JSON is in memory many times over while it is parsed."""


def find_json(name: str, text: str) -> Any:
    """Return what a text holds if all of it is one JSON list or object, else None.

    Raises
    ------
    InputRefusedError
        If it is over the limit.
    """
    if len(text) > MAX_JSON_CHARS:
        raise InputRefusedError(
            "file_too_large",
            f"{name} has {len(text)} characters of JSON.",
            allowed=f"at most {MAX_JSON_CHARS}.",
            next_step="write JSON lines, one object a line.",
        )
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list | dict) else None


def read_json(name: str, value: Any, note: str = "") -> Table:
    """Return the table in a list of objects (or in the one list that an object holds); the first object is row 1.

    Raises
    ------
    InputRefusedError
        If there is no such list, or a limit is passed.
    """
    if isinstance(value, dict):
        lists = [v for v in value.values() if isinstance(v, list) and v and all(isinstance(o, dict) for o in v)]
        value = lists[0] if len(lists) == 1 else [value]
    return make_json_table(name, list(enumerate(value, 1)), note)
