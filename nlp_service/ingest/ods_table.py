"""OpenDocument workbooks (.ods): audited as a zip, then `content.xml` is streamed; one sheet is read.

Layout: OASIS OpenDocument 1.3 part 3, sections 9.1 (tables, rows, repeated cells) and 19.385 (value types).
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

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
from nlp_service.ingest.zip_audit import audit_zip, damaged, suspicious

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MIMETYPE: Final = b"application/vnd.oasis.opendocument.spreadsheet"
MAX_BLANK_ROWS: Final = 1_000
MAX_REPEATS: Final = 10_000
"""A filled row or cell repeated more often than this is no person's answer."""
MAX_SPACES: Final = 10_000_000
"""Spaces that a few bytes of `<text:s text:c="…"/>` stand for, over the whole file."""
_TABLE: Final = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT: Final = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_OFFICE: Final = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_CELLS: Final = (f"{_TABLE}table-cell", f"{_TABLE}covered-table-cell")
_EXACT_BELOW: Final = 1e15
_Rows = list[tuple[int, tuple[str, ...]]]


def read_ods(name: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table on one sheet: the one named, or the first that has a row.

    Raises
    ------
    InputRefusedError
        If the file is encrypted, damaged, suspicious or over a limit, or has no such sheet.
    """
    audit_zip(name, data, "workbook")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if b"encryption-data" in archive.read("META-INF/manifest.xml"):
                raise InputRefusedError(
                    "encrypted_workbook",
                    f"{name} is protected by a password.",
                    allowed="workbooks without a password.",
                    next_step="save it without a password.",
                )
            with archive.open("content.xml") as content:
                return _read_content(name, content, sheet)
    except DefusedXmlException as error:
        raise suspicious(name, "a document type", "workbook") from error
    except (LookupError, ValueError, ParseError, zipfile.BadZipFile, zlib.error, EOFError, RecursionError) as error:
        raise damaged(name, "workbook") from error


def _read_content(name: str, content: object, wanted: str | None) -> Table:
    titles: list[str] = []
    found: tuple[str, _Rows] | None = None
    for title, rows in _sheets(name, content, wanted):
        titles.append(title)
        if found is None and rows and wanted in (None, title):
            found = title, rows
    if wanted is not None and wanted not in titles:
        raise InputRefusedError(
            "missing_sheet",
            f"{name} has no sheet of that name.",
            allowed=f"one of {counted(len(titles), 'sheet')}: {', '.join(titles[:10])}.",
            next_step="name one of them with --sheet.",
        )
    if found is None:
        raise InputRefusedError(
            "empty_file",
            f"{name} has no filled sheet.",
            allowed="a header row and rows under it.",
            next_step="export it again.",
        )
    others = len(titles) - 1
    note = f"{name}: the sheet {found[0]!r} was read; {counted(others, 'other was', 'others were')} not (use --sheet)."
    return make_table(name, found[1], (note,) if others else ())


def _sheets(name: str, content: object, wanted: str | None) -> Iterator[tuple[str, _Rows]]:
    """Yield the title and the filled rows of each sheet; elements are dropped as soon as they are read."""
    title, number, blank, spaces = "", 0, 0, 0
    rows: _Rows = []
    for event, element in iterparse(content, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            if element.tag == f"{_TABLE}table":
                title, rows, number, blank = element.get(f"{_TABLE}name", ""), [], 0, 0
            continue
        if element.tag == f"{_TABLE}table-row":
            repeats = _repeats(element, "rows")
            spaces += sum(_n_spaces(s) for s in element.iter(f"{_TEXT}s"))
            if spaces > MAX_SPACES:
                raise suspicious(name, f"over {MAX_SPACES} spaces written as a few bytes", "workbook")
            cells = _row_cells(name, element) if wanted in (None, title) else ()
            if not cells:
                number, blank = number + repeats, blank + repeats
            else:
                if repeats > MAX_REPEATS:
                    raise too_many("rows", repeats, MAX_REPEATS, name)
                if rows and blank <= MAX_BLANK_ROWS:
                    rows.extend((number - blank + i, ()) for i in range(1, blank + 1))
                rows.extend((number + i, cells) for i in range(1, repeats + 1))
                number, blank = number + repeats, 0
                if len(rows) > MAX_ROWS + 1:
                    raise too_many("rows", len(rows), MAX_ROWS, name)
            element.clear()
        elif element.tag == f"{_TABLE}table":
            yield title, rows
            element.clear()


def _repeats(element: "Element", what: str) -> int:
    return max(1, int(element.get(f"{_TABLE}number-{what}-repeated", "1")[:9]))


def _n_spaces(element: "Element") -> int:
    return int(element.get(f"{_TEXT}c", "1"))


def _row_cells(name: str, row: "Element") -> tuple[str, ...]:
    """Return a row's cells up to the last filled one."""
    cells: list[str] = []
    gap = 0
    for cell in row:
        if cell.tag not in _CELLS:
            continue
        repeats = _repeats(cell, "columns")
        text = _cell_text(cell)
        if not text:
            gap += repeats
            continue
        if len(cells) + gap + repeats > MAX_COLUMNS:
            raise too_many("columns", len(cells) + gap + repeats, MAX_COLUMNS, name)
        if len(text) > MAX_CELL_CHARS:
            raise too_many("characters in a cell", len(text), MAX_CELL_CHARS, name)
        cells.extend([""] * gap)
        cells.extend([text] * repeats)
        gap = 0
    return tuple(cells)


def _cell_text(cell: "Element") -> str:
    kind = cell.get(f"{_OFFICE}value-type")
    if kind in ("float", "percentage", "currency"):
        value = float(cell.get(f"{_OFFICE}value", "0"))
        return str(int(value)) if value.is_integer() and abs(value) < _EXACT_BELOW else str(value)
    if kind == "boolean":
        return cell.get(f"{_OFFICE}boolean-value", "").upper()
    if kind == "date":
        date = cell.get(f"{_OFFICE}date-value", "")
        return date.removesuffix("T00:00:00").replace("T", " ")
    return "\n".join(_paragraph(p) for p in cell if p.tag == f"{_TEXT}p")


def _paragraph(element: "Element") -> str:
    """Return a paragraph's words; white space that XML would swallow is written as elements."""
    words = [element.text or ""]
    for child in element:
        if child.tag == f"{_TEXT}s":
            words.append(" " * _n_spaces(child))
        elif child.tag == f"{_TEXT}tab":
            words.append("\t")
        elif child.tag == f"{_TEXT}line-break":
            words.append("\n")
        elif child.tag != f"{_OFFICE}annotation":
            words.append(_paragraph(child))
        words.append(child.tail or "")
    return "".join(words)
