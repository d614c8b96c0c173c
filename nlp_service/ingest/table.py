"""What every reader returns: a table of text cells with row numbers, and what could not be taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.counts import counted
from models.vocabulary import Problem, ThemesError

MAX_FILE_BYTES: Final = 300_000_000
MAX_ROWS: Final = 1_000_000
MAX_COLUMNS: Final = 2_000
MAX_CELL_CHARS: Final = 1_000_000
MAX_CELLS: Final = 30_000_000
"""Rows times columns: one stray cell far to the right makes every row as wide."""


class InputRefusedError(ThemesError):
    """A file cannot be read as a whole. `code` says why; nothing was taken from it."""

    def __init__(self, code: str, found: str, *, allowed: str, next_step: str) -> None:
        self.code = code
        super().__init__(found, allowed=allowed, next_step=next_step)


class InputNotFoundError(ThemesError):
    """A file that was named is not there."""

    code = "file_not_found"


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What a file itself says of a column, beyond its name: nothing, as a rule."""

    question: str | None = None
    """The question that this column shares with others."""
    option: str | None = None
    """The option or statement that it stands for under that question."""
    alias: str | None = None
    """A short name that also finds it ("Q3")."""
    labels: tuple[str, ...] = ()
    """Its possible answers, in the order of their codes."""
    is_ordered: bool = False
    """Whether the file says that the order of `labels` means something."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a file: its number as a person would count (the header is row 1) and its cells as text."""

    number: int
    cells: tuple[str | None, ...]
    """One cell a column; None where the file holds something that is no text (a list, a lone surrogate ...)."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's columns and rows. `problems` hold the rows that are in the file but not in `rows`."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = field(default=())
    facts: tuple[ColumnFacts, ...] = field(default=())
    """One a column, or none at all."""


def make_columns(header: list[str]) -> tuple[str, ...]:
    """Return the names of columns, white space single, blank ones named after their position."""
    return tuple(" ".join(name.split()) or f"column {i}" for i, name in enumerate(header, 1))


def make_table(name: str, rows: Sequence[tuple[int, tuple[str, ...]]], notes: tuple[str, ...] = ()) -> Table:
    """Return the table in numbered rows of cells, the first of them the header; short rows are filled up with blank cells.

    Raises
    ------
    InputRefusedError
        If it has more columns, or more cells once it is filled up, than are allowed.
    """
    (_, header), *body = rows
    width = max(len(cells) for _, cells in rows)
    if width > MAX_COLUMNS:
        raise too_many("columns", width, MAX_COLUMNS, name)
    check_cells(name, len(body), width)
    columns = make_columns([*header, *[""] * (width - len(header))])
    return Table(name, columns, tuple(Row(n, (*cells, *[""] * (width - len(cells)))) for n, cells in body), (), notes)


def check_cells(name: str, n_rows: int, n_columns: int) -> None:
    """Raise InputRefusedError if a table has more cells than are allowed."""
    if n_rows * n_columns > MAX_CELLS:
        raise InputRefusedError(
            "table_too_large",
            f"{name} has {counted(n_rows, 'row')} of {counted(n_columns, 'column')}.",
            allowed=f"at most {MAX_CELLS} cells, blank ones among them.",
            next_step="delete the columns without answers, or split the file.",
        )


def too_many(what: str, n: int, limit: int, name: str) -> InputRefusedError:
    """Return the error for a file over a limit."""
    return InputRefusedError(
        f"too_many_{what.split()[0]}",
        f"{name} has at least {n} {what}.",
        allowed=f"at most {limit} {what} in a file.",
        next_step="split the file and code the parts in one command: `themes code PART1 PART2 --out FILE`.",
    )
