"""Workbooks (.xlsx): the zip is looked through before anything in it is parsed; one sheet is read, by streaming."""

import datetime as dt
import io
import warnings
import zipfile
import zlib
from typing import Final

import openpyxl

from models.counts import counted
from nlp_service.ingest.table import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    InputRefusedError,
    Table,
    make_table,
    too_many,
)
from nlp_service.ingest.zip_audit import audit_zip, damaged

MAX_BLANK_ROWS: Final = 1_000
"""A longer run of blank rows is a gap before a stray cell, not that many people without an answer."""
_EXACT_BELOW: Final = 1e15


def read_xlsx(name: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table on one sheet: the one named, or the first that is visible and has a row.

    Raises
    ------
    InputRefusedError
        If the file is encrypted, damaged, suspicious or over a limit, or has no such sheet.
    """
    parts = audit_zip(name, data, "workbook")
    if "xl/workbook.xml" not in parts or "[Content_Types].xml" not in parts:
        raise InputRefusedError(
            "not_a_workbook",
            f"{name} is a zip archive but no .xlsx workbook.",
            allowed=".xlsx and .ods workbooks, .docx transcripts.",
            next_step="unpack it and code the file inside; save other workbooks as .xlsx.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of styles and extensions that carry no answers
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            try:
                return _read_book(name, book, sheet)
            finally:
                book.close()
    except InputRefusedError:
        raise
    except (
        LookupError,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        SyntaxError,  # of XML: the standard library's and lxml's errors, whichever openpyxl finds
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
    ) as error:
        raise damaged(name, "workbook") from error


def _read_book(name: str, book: openpyxl.Workbook, wanted: str | None) -> Table:
    sheets = [s for s in book.worksheets if wanted in (None, s.title)]
    if not book.worksheets:
        raise damaged(name, "workbook")
    if not sheets:
        raise InputRefusedError(
            "missing_sheet",
            f"{name} has no sheet of that name.",
            allowed=f"one of {counted(len(book.sheetnames), 'sheet')}: {', '.join(book.sheetnames[:10])}.",
            next_step="name one of them with --sheet.",
        )
    visible = [s for s in sheets if s.sheet_state == "visible"] or sheets
    for candidate in visible:
        rows = _rows(name, candidate)
        if rows:
            others = [s.title for s in book.worksheets if s is not candidate]
            note = f"{name}: the sheet {candidate.title!r} was read; {counted(len(others), 'other was', 'others were')} not (use --sheet)."
            return make_table(name, rows, (note,) if others else ())
    raise InputRefusedError(
        "empty_file",
        f"{name} has no filled sheet.",
        allowed="a header row and rows under it.",
        next_step="export it again.",
    )


def _rows(name: str, sheet: object) -> list[tuple[int, tuple[str, ...]]]:
    rows: list[tuple[int, tuple[str, ...]]] = []
    sheet.reset_dimensions()  # type: ignore[attr-defined] # the declared size may be a lie: read what is there
    blank = 0
    for number, values in enumerate(sheet.iter_rows(values_only=True), 1):  # type: ignore[attr-defined]
        if len(values) > MAX_COLUMNS:
            raise too_many("columns", len(values), MAX_COLUMNS, name)
        cells = [_cell(v) for v in values]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            continue
        if any(len(c) > MAX_CELL_CHARS for c in cells):
            raise too_many("characters in a cell", MAX_CELL_CHARS + 1, MAX_CELL_CHARS, name)
        if rows and blank <= MAX_BLANK_ROWS:
            rows.extend((number - blank + i, ()) for i in range(blank))
        blank = 0
        rows.append((number, tuple(cells)))
        if len(rows) > MAX_ROWS + 1:
            raise too_many("rows", len(rows), MAX_ROWS, name)
    return rows


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, dt.date | dt.time) else str(value)
