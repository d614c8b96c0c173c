"""Old Excel workbooks (.xls, Excel 97 to 2003) through xlrd: pure Python, rows as long as they are, so a stray cell costs nothing."""

import io
import struct
from contextlib import redirect_stdout
from typing import Final

import xlrd

from models.counts import counted
from nlp_service.ingest.table import MAX_CELL_CHARS, MAX_COLUMNS, InputRefusedError, Table, make_table, too_many
from nlp_service.ingest.zip_audit import damaged

OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAX_XLS_BYTES: Final = 50_000_000
"""A .xls sheet holds 65,536 rows of 256 columns; larger files are pictures and the like."""
MAX_BLANK_ROWS: Final = 1_000
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
_BOOKS: Final = ("Workbook".encode("utf-16-le"), "Book".encode("utf-16-le"))
_EXACT_BELOW: Final = 1e15
_FAILURES: Final = (
    xlrd.XLRDError, xlrd.compdoc.CompDocError, struct.error, AssertionError, ArithmeticError,
    AttributeError, EOFError, LookupError, MemoryError, NotImplementedError, OSError, RecursionError, TypeError, ValueError,
)  # fmt: skip
"""What xlrd raises on broken files: it checks little and trusts record lengths."""


def read_xls(name: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table on one sheet: the one named, or the first that is visible and has a row.

    Raises
    ------
    InputRefusedError
        If the file is encrypted, no workbook, damaged or over a limit, or has no such sheet.
    """
    if _ENCRYPTED in data:
        raise _encrypted(name)
    if not any(book in data for book in _BOOKS):
        raise InputRefusedError(
            "not_a_workbook",
            f"{name} is an old Office file but no workbook.",
            allowed=".xls and .xlsx workbooks, .docx transcripts.",
            next_step="open it and save it as .xlsx or .docx.",
        )
    if len(data) > MAX_XLS_BYTES:
        raise InputRefusedError(
            "file_too_large",
            f"{name} has {len(data)} bytes.",
            allowed=f".xls files of at most {MAX_XLS_BYTES} bytes.",
            next_step="save it as .xlsx or CSV.",
        )
    try:
        with redirect_stdout(io.StringIO()):  # xlrd prints warnings about broken files
            book = xlrd.open_workbook(file_contents=data, on_demand=True, ragged_rows=True, logfile=io.StringIO())
            return _read_book(name, book, sheet)
    except InputRefusedError:
        raise
    except _FAILURES as error:
        if "encrypt" in str(error).casefold():
            raise _encrypted(name) from error
        raise damaged(name, "workbook") from error


def _read_book(name: str, book: xlrd.Book, wanted: str | None) -> Table:
    titles = book.sheet_names()
    if wanted is not None and wanted not in titles:
        raise InputRefusedError(
            "missing_sheet",
            f"{name} has no sheet of that name.",
            allowed=f"one of {counted(len(titles), 'sheet')}: {', '.join(titles[:10])}.",
            next_step="name one of them with --sheet.",
        )
    found = [book.sheet_by_name(t) for t in titles if wanted in (None, t)]
    for candidate in [s for s in found if not s.visibility] or found:
        rows = _rows(name, book, candidate)
        if rows:
            note = f"{name}: the sheet {candidate.name!r} was read; {counted(len(titles) - 1, 'other was', 'others were')} not (use --sheet)."
            return make_table(name, rows, (note,) if len(titles) > 1 else ())
    raise InputRefusedError(
        "empty_file",
        f"{name} has no filled sheet.",
        allowed="a header row and rows under it.",
        next_step="export it again.",
    )


def _rows(name: str, book: xlrd.Book, sheet: xlrd.sheet.Sheet) -> list[tuple[int, tuple[str, ...]]]:
    rows: list[tuple[int, tuple[str, ...]]] = []
    blank = 0
    for number in range(1, sheet.nrows + 1):
        cells = [_cell(book, c) for c in sheet.row(number - 1)]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            blank += 1
            continue
        if len(cells) > MAX_COLUMNS:
            raise too_many("columns", len(cells), MAX_COLUMNS, name)
        if any(len(c) > MAX_CELL_CHARS for c in cells):
            raise too_many("characters in a cell", MAX_CELL_CHARS + 1, MAX_CELL_CHARS, name)
        if rows and blank <= MAX_BLANK_ROWS:
            rows.extend((number - blank + i, ()) for i in range(blank))
        blank = 0
        rows.append((number, tuple(cells)))
    return rows


def _cell(book: xlrd.Book, cell: xlrd.sheet.Cell) -> str:
    if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
        return ""
    if cell.ctype == xlrd.XL_CELL_BOOLEAN:
        return "TRUE" if cell.value else "FALSE"
    if cell.ctype == xlrd.XL_CELL_ERROR:
        return str(xlrd.error_text_from_code.get(cell.value, "#ERROR"))
    if cell.ctype == xlrd.XL_CELL_DATE:
        return _date(book, float(cell.value))
    if isinstance(cell.value, float):
        return str(int(cell.value)) if cell.value.is_integer() and abs(cell.value) < _EXACT_BELOW else str(cell.value)
    return str(cell.value)


def _date(book: xlrd.Book, days: float) -> str:
    try:
        when = xlrd.xldate.xldate_as_datetime(days, book.datemode)
    except (xlrd.XLDateError, OverflowError, ValueError):
        return str(days)
    if days < 1:
        return str(when.time().isoformat())
    return str(when.date().isoformat() if when.time().isoformat() == "00:00:00" else when.isoformat(sep=" "))


def _encrypted(name: str) -> InputRefusedError:
    return InputRefusedError(
        "encrypted_workbook",
        f"{name} is protected by a password.",
        allowed="workbooks without a password.",
        next_step="open it in a spreadsheet program and save it without a password.",
    )
