"""Every code of an error or a problem, with what it means and what to do: one table for the service's pages and the reference."""

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Final

TABLE: Final = Path(__file__).with_name("error_codes.toml")
_EXIT: Final = 3
_INTRODUCTION: Final = """\
# Errors and problems

An **error** stops the command: exit code 3 (input refused), 4 (not found), 5 (busy) or 2 (usage); no output file is left. A **problem** is one row or cell that
could not be coded; the others are, and the problem is listed with file, row, column and code. The service answers with problem documents (`application/problem+json`):
`code` is the code, `type` the address of its page, `/errors/CODE`, which says what this page says.

This page is written from `nlp_service/error_codes.toml` by `make errors-reference`.
"""


class Place(StrEnum):
    """Where a code comes up."""

    COMMAND = "command"
    SERVICE = "service"
    ROW = "row"
    WARNING = "warning"
    RUN = "run"

    @property
    def heading(self) -> str:
        """Return what such a code is."""
        return _HEADINGS[self]


_HEADINGS: Final = {
    Place.COMMAND: "Error of a command or a request",
    Place.SERVICE: "Answer of the service",
    Place.ROW: "Problem of a row, a turn or an answer",
    Place.WARNING: "Warning of `themes train`",
    Place.RUN: "Error of a batch's run",
}


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A code in one place."""

    code: str
    place: Place
    meaning: str
    next_step: str
    exit_code: int | None
    """Of the command that it stops."""
    statuses: tuple[int, ...]
    """With which the service answers."""


@cache
def read_error_codes() -> tuple[ErrorCode, ...]:
    """Return all codes, by place, in the order of the table."""
    tables = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(
        ErrorCode(
            code,
            Place(place),
            said["meaning"],
            said["next"],
            said.get("exit", _EXIT) if place == Place.COMMAND else None,
            tuple(said.get("status", ())),
        )
        for place, codes in tables.items()
        for code, said in codes.items()
    )


def find_error_codes(code: str) -> tuple[ErrorCode, ...]:
    """Return what a code means in each place where it comes up; nothing for one that is not known."""
    return tuple(c for c in read_error_codes() if c.code == code)


def reference_page() -> str:
    """Return all codes as a page in Markdown."""
    return "\n".join([_INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for place in Place:
        yield f"## {place.heading}"
        names = ["code", *_columns(place), "meaning", "what to do"]
        yield f"| {' | '.join(names)} |\n|{'---|' * len(names)}"
        for c in (c for c in read_error_codes() if c.place is place):
            cells = {"exit": str(c.exit_code), "status": ", ".join(map(str, c.statuses))}
            yield f"| {' | '.join([f'`{c.code}`', *(cells[k] for k in _columns(place)), c.meaning, c.next_step])} |"
        yield ""


def _columns(place: Place) -> tuple[str, ...]:
    return {Place.COMMAND: ("exit", "status"), Place.SERVICE: ("status",)}.get(place, ())


if __name__ == "__main__":
    sys.stdout.write(reference_page())
