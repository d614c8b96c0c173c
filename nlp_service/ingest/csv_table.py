"""Delimited text: comma, semicolon, tab or bar; UTF-8, UTF-16 with its mark, or Windows-1252. Strict about quotes."""

import csv
import io
from collections import Counter
from typing import Final

from models.counts import counted
from models.vocabulary import Problem
from nlp_service.ingest.encoding import decode
from nlp_service.ingest.table import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    InputRefusedError,
    Row,
    Table,
    check_cells,
    make_columns,
    too_many,
)

_DELIMITERS: Final = (",", ";", "\t", "|")
_SNIFF_CHARS: Final = 100_000
_SNIFF_RECORDS: Final = 50
_CHECK_EVERY: Final = 1_000


def read_csv(name: str, data: bytes) -> Table:
    """Return the table in delimited text.

    Raises
    ------
    InputRefusedError
        If the bytes are no text, a quote is never closed or stands where none may, or a limit is passed.
    """
    text, note = decode(name, data)
    delimiter, text, first = _delimiter(text)
    csv.field_size_limit(MAX_CELL_CHARS + 1)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    problems: list[Problem] = []
    try:
        header = next(reader, [])
        while not any(cell.strip() for cell in header):
            header = next(reader)
        columns = make_columns(header)
        if len(columns) > MAX_COLUMNS:
            raise too_many("columns", len(columns), MAX_COLUMNS, name)
        for number, cells in enumerate(reader, 2 + first):
            if number - 1 - first > MAX_ROWS:
                raise too_many("rows", number - 1, MAX_ROWS, name)
            if number % _CHECK_EVERY == 0:
                check_cells(name, number, len(columns))
            if not cells and len(columns) > 1:
                continue
            extra = len(cells) - len(columns)
            if extra > 0 and any(cell.strip() for cell in cells[len(columns) :]):
                problems.append(
                    Problem(
                        "too_many_cells",
                        f"{counted(len(cells), 'cell')} under {counted(len(columns), 'column')}",
                        "put the answer in quotes, then code the file again",
                        row=number,
                        file=name,
                    )
                )
                continue
            padded = [*cells[: len(columns)], *[""] * -min(extra, 0)]
            rows.append(Row(number, tuple(padded)))
    except StopIteration:
        raise InputRefusedError(
            "empty_file",
            f"{name} holds no header.",
            allowed="a header row and rows under it.",
            next_step="export again.",
        ) from None
    except csv.Error as error:
        raise _refused(name, reader.line_num, str(error)) from error
    return Table(name, columns, tuple(rows), tuple(problems), (note,) if note else ())


def _refused(name: str, line: int, reason: str) -> InputRefusedError:
    if "field larger" in reason:
        return InputRefusedError(
            "cell_too_long",
            f"{name} has a cell of over {MAX_CELL_CHARS} characters that ends near line {line}.",
            allowed=f"cells of at most {MAX_CELL_CHARS} characters.",
            next_step="look for a quote that is never closed above that line.",
        )
    code = "unclosed_quote" if "end of data" in reason else "bad_quote"
    found = "a quoted cell is never closed" if code == "unclosed_quote" else "a quote stands inside a cell"
    return InputRefusedError(
        code,
        f"{name}: {found} (noticed at line {line}).",
        allowed='cells in "…" with every quote inside doubled.',
        next_step="export the survey again, or save it as XLSX; nothing of the file was used.",
    )


def _delimiter(text: str) -> tuple[str, str, int]:
    """Return the delimiter, the text without a line that names it ("sep=;", as Excel reads it), and how many lines that took.

    Without such a line it is the delimiter that splits the first records most evenly; a comma if there is nothing to split.
    """
    head, _, rest = text[:100].partition("\n")
    if head[:4].casefold() == "sep=" and head[4:].rstrip("\r") in _DELIMITERS and rest:
        return head[4:].rstrip("\r"), text[len(head) + 1 :], 1
    best = max((_evenness(text, d, strict=True), d) for d in _DELIMITERS[::-1])
    if best[0] <= 0:  # quotes that do not pair up: the reader says so, with the delimiter that fits best otherwise
        best = max((_evenness(text, d, strict=False), d) for d in _DELIMITERS[::-1])
    return (best[1] if best[0] > 0 else ","), text, 0


def _evenness(text: str, delimiter: str, *, strict: bool) -> float:
    """Return how evenly a delimiter splits the first records: 0 if it does not split them, else the share with the most common width."""
    sample = text[:_SNIFF_CHARS]
    widths: Counter[int] = Counter()
    try:
        for i, cells in enumerate(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter, strict=strict)):
            if i == 0 and len(cells) == 1:
                return 0.0
            if cells:
                widths[len(cells)] += 1
            if i >= _SNIFF_RECORDS:
                break
    except csv.Error as error:
        if not (len(sample) < len(text) and "end of data" in str(error)):
            return 0.0
    width, n = widths.most_common(1)[0] if widths else (1, 0)
    return n / sum(widths.values()) + min(width, 20) / 1000 if width > 1 else 0.0
