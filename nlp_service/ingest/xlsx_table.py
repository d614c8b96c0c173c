"""Workbooks (.xlsx): the zip is looked through before anything in it is parsed; one sheet is read, by streaming."""

import datetime as dt
import io
import re
import warnings
import zipfile
import zlib
from typing import Final
from xml.etree.ElementTree import ParseError

import openpyxl

from nlp_service.ingest.table import (
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_ROWS,
    InputRefusedError,
    Row,
    Table,
    make_columns,
    too_many,
)

MAX_ENTRIES: Final = 2_000
MAX_UNPACKED_BYTES: Final = 400_000_000
MAX_RATIO: Final = 200
"""Unpacked to packed, over the whole file; real workbooks stay under 30."""
RATIO_FREE_BYTES: Final = 4_000_000
MAX_BLANK_ROWS: Final = 1_000
"""A longer run of blank rows is a gap before a stray cell, not that many people without an answer."""
_CHUNK: Final = 1 << 16
_EXACT_BELOW: Final = 1e15
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")


def read_xlsx(name: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table on one sheet: the one named, or the first that is visible and has a row.

    Raises
    ------
    InputRefusedError
        If the file is encrypted, an old .xls, damaged, suspicious or over a limit, or has no such sheet.
    """
    _audit(name, data)
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
        KeyError,
        ValueError,
        TypeError,
        AttributeError,
        IndexError,
        ParseError,
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
    ) as error:
        raise _damaged(name) from error


def _read_book(name: str, book: openpyxl.Workbook, wanted: str | None) -> Table:
    sheets = [s for s in book.worksheets if wanted in (None, s.title)]
    if not book.worksheets:
        raise _damaged(name)
    if not sheets:
        raise InputRefusedError(
            "missing_sheet",
            f"{name} has no sheet of that name.",
            allowed=f"one of {len(book.sheetnames)} sheets: {', '.join(book.sheetnames[:10])}.",
            next_step="name one of them with --sheet.",
        )
    visible = [s for s in sheets if s.sheet_state == "visible"] or sheets
    for candidate in visible:
        rows = _rows(name, candidate)
        if rows:
            others = [s.title for s in book.worksheets if s is not candidate]
            note = f"{name}: the sheet {candidate.title!r} was read; {len(others)} other(s) were not (use --sheet)."
            header, *body = rows
            width = max(len(cells) for _, cells in rows)
            columns = make_columns([*header[1], *[""] * (width - len(header[1]))])
            padded = (Row(n, (*cells, *[""] * (width - len(cells)))) for n, cells in body)
            return Table(name, columns, tuple(padded), (), (note,) if others else ())
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


def _audit(name: str, data: bytes) -> None:
    """Look at every entry, unpacking piece by piece and keeping nothing; raise at the first thing that is not right."""
    if data.startswith(_OLE):
        encrypted = _ENCRYPTED in data
        raise InputRefusedError(
            "encrypted_workbook" if encrypted else "old_workbook",
            f"{name} is {'protected by a password' if encrypted else 'an old .xls workbook'}.",
            allowed=".xlsx workbooks without a password.",
            next_step="open it in a spreadsheet program and save it as .xlsx without a password.",
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise _suspicious(name, f"{len(entries)} parts")
            names = {e.filename for e in entries}
            if len(names) != len(entries):
                raise _suspicious(name, "two parts of one name")
            if "xl/workbook.xml" not in names or "[Content_Types].xml" not in names:
                raise InputRefusedError(
                    "not_a_workbook",
                    f"{name} is a zip archive but no workbook.",
                    allowed=".xlsx workbooks.",
                    next_step="unpack it and code the file inside.",
                )
            total = 0
            for entry in entries:
                total = _audit_entry(name, archive, entry, total, len(data))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _damaged(name) from error


def _audit_entry(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, total: int, packed: int) -> int:
    if entry.flag_bits & 1:
        raise InputRefusedError(
            "encrypted_workbook",
            f"{name} has encrypted parts.",
            allowed=".xlsx workbooks without a password.",
            next_step="save it without a password.",
        )
    is_xml = entry.filename.endswith((".xml", ".rels", ".vml"))
    tail = b""
    with archive.open(entry) as part:
        while chunk := part.read(_CHUNK):
            total += len(chunk)
            if total > MAX_UNPACKED_BYTES or (total > RATIO_FREE_BYTES and total > MAX_RATIO * packed):
                raise _suspicious(name, f"over {total // 1_000_000} MB unpacked from {packed // 1_000} kB")
            if is_xml:
                window = tail + chunk
                if _DOCTYPE.search(window) or (not tail and chunk[:2] in (b"\xff\xfe", b"\xfe\xff")):
                    raise _suspicious(name, "a document type or an encoding that workbooks do not have")
                tail = chunk[-64:]
    return total


def _suspicious(name: str, what: str) -> InputRefusedError:
    return InputRefusedError(
        "suspicious_workbook",
        f"{name} holds {what}.",
        allowed=f"at most {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked, {MAX_RATIO} times the file's size, plain parts only.",
        next_step="save the answers alone in a new workbook, or as CSV.",
    )


def _damaged(name: str) -> InputRefusedError:
    return InputRefusedError(
        "damaged_workbook",
        f"{name} cannot be read as a workbook.",
        allowed="undamaged .xlsx workbooks.",
        next_step="open it in a spreadsheet program, save it anew and try again.",
    )
