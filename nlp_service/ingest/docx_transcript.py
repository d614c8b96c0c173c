"""Word documents (.docx): audited as a zip, then the text of `word/document.xml` is taken: paragraphs as lines, tables as rows of cells.

Layout: ECMA-376 part 1, sections 17.3 (paragraphs, runs, breaks) and 17.4 (tables). Words that tracked changes delete, field codes and comments are
not what the document says, and are left out. Teams writes "Name   0:03", a line break, and what was said; people type "Name: words", or a table.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from models.vocabulary import Problem
from nlp_service.ingest.line_transcript import read_lines
from nlp_service.ingest.speaker_labels import CLOCK, MAX_LABEL_CHARS, is_time, known_labels, to_ms
from nlp_service.ingest.speech import UNKNOWN, Said
from nlp_service.ingest.table import InputRefusedError
from nlp_service.ingest.zip_audit import audit_zip, damaged, suspicious

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_DOCUMENT_BYTES: Final = 30_000_000
"""`document.xml` unpacked; three hours of speech take under 4 MB."""
_W: Final = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_LEFT_OUT: Final = tuple(
    f"{_W}{t}" for t in ("del", "moveFrom", "instrText", "delText", "rPr", "pPr", "tblPr", "tcPr", "trPr")
)
_HEADINGS: Final = frozenset(
    ("speaker", "name", "who", "participant", "time", "timestamp", "start", "text", "words", "said", "comment", "comments", "transcript", "what was said", "notes", "contribution")
)  # fmt: skip
_MIN_ROWS: Final = 2
_MIN_TIMES: Final = 0.8
Item = str | tuple[str, ...]


def read_docx(name: str, data: bytes) -> list[Item]:
    """Return a document's lines, and the rows of its tables as tuples of cells, in order.

    Raises
    ------
    InputRefusedError
        If it is damaged, encrypted, suspicious or over a limit.
    """
    parts = audit_zip(name, data, "document")
    if "word/document.xml" not in parts:
        raise damaged(name, "document")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.getinfo("word/document.xml").file_size > MAX_DOCUMENT_BYTES:
                raise suspicious(name, f"over {MAX_DOCUMENT_BYTES // 1_000_000} MB of text and marks", "document")
            root = fromstring(archive.read("word/document.xml"), forbid_dtd=True)
        body = root.find(f"{_W}body")
        return list(_items(body)) if body is not None else []
    except DefusedXmlException as error:
        raise suspicious(name, "a document type", "document") from error
    except (LookupError, ValueError, ParseError, zipfile.BadZipFile, zlib.error, EOFError, RecursionError) as error:
        raise damaged(name, "document") from error


def read_said(name: str, items: Sequence[Item], problems: list[Problem]) -> list[Said]:
    """Return who said what: from tables that give speakers a column, else from lines.

    Raises
    ------
    InputRefusedError
        If nobody speaks in it.
    """
    rows = [item for item in items if isinstance(item, tuple)]
    if sum(len(row) > 1 for row in rows) >= _MIN_ROWS:
        said = list(_from_tables(name, items, rows, problems))
    else:
        lines = [item if isinstance(item, str) else "\n".join(item) for item in items]
        lines = [line for text in lines for line in text.split("\n")]
        said = list(read_lines(name, lines, problems, known_labels(lines)))
    if not said:
        raise InputRefusedError(
            "no_turns",
            f"{name} names nobody who speaks.",
            allowed='"Name: what was said", a name and a time above it, or a table with a column of speakers.',
            next_step="write the speaker's name and a colon before what each person said.",
        )
    return said


def _items(parent: "Element") -> Iterator[Item]:
    for child in parent:
        if child.tag == f"{_W}p":
            yield from _text(child).split("\n")
        elif child.tag == f"{_W}tbl":
            for row in child.iter(f"{_W}tr"):
                yield tuple("\n".join(_text(p) for p in cell.iter(f"{_W}p")) for cell in row.iter(f"{_W}tc"))
        elif child.tag not in _LEFT_OUT:
            yield from _items(child)


def _text(element: "Element") -> str:
    words: list[str] = []
    for child in element:
        if child.tag == f"{_W}t":
            words.append(child.text or "")
        elif child.tag in (f"{_W}br", f"{_W}cr"):
            words.append("\n")
        elif child.tag == f"{_W}tab":
            words.append("\t")
        elif child.tag == f"{_W}noBreakHyphen":
            words.append("\u2011")
        elif child.tag not in _LEFT_OUT:
            words.append(_text(child))
    return "".join(words)


def _from_tables(
    name: str, items: Sequence[Item], rows: Sequence[tuple[str, ...]], problems: list[Problem]
) -> Iterator[Said]:
    """Yield the words of each row of the tables: the longest column speaks, the first short one without times says who."""
    width = max(len(row) for row in rows)
    columns = [[row[i].strip() for row in rows if len(row) > i] for i in range(width)]
    times = {i for i, cells in enumerate(columns) if _are_times(cells)}
    said = max((i for i in range(width) if i not in times), key=lambda i: sum(map(len, columns[i])), default=0)
    who = next((i for i in range(width) if i != said and i not in times and _are_names(columns[i])), None)
    speaker = UNKNOWN
    for number, item in enumerate(items, 1):
        cells = item if isinstance(item, tuple) else ()
        filled = [c.strip() for c in cells if c.strip()]
        if filled and not all(c.casefold().rstrip(":") in _HEADINGS for c in filled):
            if who is not None and len(cells) > who and cells[who].strip():
                speaker = " ".join(cells[who].strip().rstrip(":").split())
            at = next((to_ms(m[0]) for i in sorted(times) if len(cells) > i and (m := CLOCK.search(cells[i]))), None)
            yield Said(speaker, cells[said] if len(cells) > said else "", at)
            extra = [c for i, c in enumerate(cells) if i not in (said, who) and i not in times and c.strip()]
            if extra:
                problems.append(_problem("outside_table", "a cell beside speaker and words", number, name))
        elif filled or (isinstance(item, str) and item.strip()):
            problems.append(_problem("outside_table", "words outside the table of turns, or its heading", number, name))


def _are_times(cells: Sequence[str]) -> bool:
    filled = [c for c in cells if c and c.casefold() not in _HEADINGS]
    return bool(filled) and sum(is_time(c) for c in filled) >= _MIN_TIMES * len(filled)


def _are_names(cells: Sequence[str]) -> bool:
    filled = [c for c in cells if c]
    return bool(filled) and all(len(c) <= MAX_LABEL_CHARS and "\n" not in c for c in filled)


def _problem(code: str, found: str, number: int, name: str) -> Problem:
    return Problem(code, found, "put it into the table, if it was said", number, None, name)
