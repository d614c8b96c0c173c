"""Bytes to text: UTF-8 with or without its mark, UTF-16 with or without its mark, Windows-1252; mojibake mended where that is certain."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from models.counts import counted
from nlp_service.ingest.table import InputRefusedError, Row, Table

MAX_GUESSED_SHARE: Final = 0.1
"""Bytes that are neither ASCII nor UTF-8 pass for Windows-1252 only if they are few: English with accents and quotes."""
MIN_UTF16_ZEROS: Final = 0.6
"""Share of code units with an empty upper byte above which text without a mark is UTF-16: English has nearly all."""
_SAMPLE_BYTES: Final = 200_000
_LISTED_ROWS: Final = 5
_CONTROLS: Final = frozenset(chr(c) for c in range(32)) - set("\t\n\r\x0b\x0c\x1b\x1c\x1d\x1e\x1f")
_UNDEFINED: Final = {i: i for i in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
"""Bytes that Windows-1252 leaves undefined; programs pass them through as controls of the same number."""
_MISREAD: Final = re.compile(
    r"[\u00c2-\u00f4][\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac\u2122]{1,3}"
)
_NATURAL: Final = re.compile(
    r"[\u00a1-\u017f\u2010-\u2027\u2030-\u203a\u20ac\u2122\u2026\u00a0]|[\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d]"
)
"""What English misread most: accents, pound and euro signs, curly quotes and dashes, emoji."""


def decode(name: str, data: bytes) -> tuple[str, str]:
    """Return the text of a file's bytes, and a note where the encoding had to be guessed.

    Raises
    ------
    InputRefusedError
        If the bytes are not text in UTF-8, UTF-16 or Windows-1252, or hold nothing.
    """
    text, note = _decode(name, data)
    if not _CONTROLS.isdisjoint(text):
        raise _no_text(name)
    if not text.strip():
        raise InputRefusedError(
            "empty_file", f"{name} is empty.", allowed="a header row and rows under it.", next_step="export it again."
        )
    return text, note


def _decode(name: str, data: bytes) -> tuple[str, str]:
    try:
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            return data.decode("utf-16"), ""
        if (unmarked := _find_utf16(data)) is not None:
            return data.decode(unmarked), f"{name} was read as UTF-16: its zeros say so, it has no mark."
        return data.decode("utf-8-sig"), ""
    except UnicodeDecodeError:
        pass
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise _no_text(name) from None
    if sum(c >= "\x80" for c in text) > MAX_GUESSED_SHARE * len(text):
        raise _no_text(name) from None
    return text, f"{name} is not UTF-8 and was read as Windows-1252: check its accents and pound signs."


def _find_utf16(data: bytes) -> str | None:
    """Return the UTF-16 that bytes without a mark are in, or None: one half of nearly each pair of bytes is zero, the other is not."""
    sample = data[:_SAMPLE_BYTES]
    pairs = len(sample) // 2
    if not pairs or len(data) % 2:
        return None
    low, high = sample[0 : pairs * 2 : 2].count(0), sample[1 : pairs * 2 : 2].count(0)
    if high >= MIN_UTF16_ZEROS * pairs and not low:
        return "utf-16-le"
    return "utf-16-be" if low >= MIN_UTF16_ZEROS * pairs and not high else None


def mend_mojibake(table: Table) -> Table:
    """Return the table with cells mended that hold UTF-8 which some program had read as Windows-1252, and a note that lists their rows.

    A cell is mended only if that is certain: turned back into bytes it is UTF-8 throughout, every character beyond ASCII is
    part of a misread one, and what comes out is what English uses. All other cells stay as they are, code point by code point.
    """
    rows: list[Row] = []
    mended: list[int] = []
    n_cells = 0
    for row in table.rows:
        cells = tuple(_mend(c) if c is not None and not c.isascii() else c for c in row.cells)
        changed = sum(a is not b for a, b in zip(cells, row.cells, strict=True))
        n_cells += changed
        if changed:
            mended.append(row.number)
        rows.append(replace(row, cells=cells) if changed else row)
    columns = tuple(c if c.isascii() else _mend(c) for c in table.columns)
    if not mended and columns == table.columns:
        return table
    return replace(table, columns=columns, rows=tuple(rows), notes=(*table.notes, _mended_note(table, n_cells, mended)))


def _mended_note(table: Table, n_cells: int, rows: Sequence[int]) -> str:
    listed = ", ".join(f"row {n}" for n in rows[:_LISTED_ROWS]) + (" …" if len(rows) > _LISTED_ROWS else "")
    where = f"{counted(n_cells, 'cell')} ({listed})" if rows else "the headers"
    return f"{table.name}: UTF-8 that had been read as Windows-1252 was mended in {where}."


def _mend(text: str) -> str:
    """Return the text that was misread, or the text itself."""
    if _MISREAD.search(text) is None:
        return text
    raw = bytearray()
    for char in text:
        code = ord(char)
        if code in _UNDEFINED:
            raw.append(code)
            continue
        try:
            raw += char.encode("cp1252")
        except UnicodeEncodeError:
            return text
    try:
        mended = raw.decode("utf-8")
    except UnicodeDecodeError:
        return text
    beyond = [c for c in mended if not c.isascii()]
    return mended if beyond and all(_NATURAL.fullmatch(c) for c in beyond) else text


def _no_text(name: str) -> InputRefusedError:
    return InputRefusedError(
        "not_text",
        f"{name} holds bytes that are no text.",
        allowed="text in UTF-8, UTF-16 or Windows-1252.",
        next_step="save the survey export as CSV UTF-8 or XLSX and try again.",
    )
