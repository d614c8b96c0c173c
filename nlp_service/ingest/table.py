"""What every reader returns: a table of text cells with row numbers, and what could not be taken."""

from dataclasses import dataclass, field
from typing import Final

from models.vocabulary import Problem, ThemesError

MAX_FILE_BYTES: Final = 300_000_000
MAX_ROWS: Final = 1_000_000
MAX_COLUMNS: Final = 2_000
MAX_CELL_CHARS: Final = 1_000_000


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


def too_many(what: str, n: int, limit: int, name: str) -> InputRefusedError:
    """Return the error for a file over a limit."""
    return InputRefusedError(
        f"too_many_{what}",
        f"{name} has at least {n} {what}.",
        allowed=f"at most {limit} {what} in a file.",
        next_step="split the file and code the parts in one command: `themes code PART1 PART2 --out FILE`.",
    )
