"""Files by their content: bytes in, a table or a transcript out. A name only settles what the bytes leave open.

Told by their first bytes: Parquet, SPSS, zip (.xlsx, .ods, .docx), old Office files (.xls), WebVTT. JSON goes by its name, and all else that is text is delimited
text, whatever its name. Heavy readers are imported when a file needs them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from models.vocabulary import Problem
from nlp_service.ingest.csv_table import read_csv
from nlp_service.ingest.encoding import decode, mend_mojibake
from nlp_service.ingest.json_table import find_json, read_json
from nlp_service.ingest.json_transcript import find_turns, read_turns
from nlp_service.ingest.jsonl_table import read_jsonl
from nlp_service.ingest.layouts import merge_headings
from nlp_service.ingest.table import MAX_FILE_BYTES, InputNotFoundError, InputRefusedError, Table
from nlp_service.ingest.transcript import EXTENSIONS as TIMED
from nlp_service.ingest.transcript import Transcript, looks_like_transcript, make_transcript, read_transcript
from nlp_service.ingest.xlsx_table import read_xlsx

_TEXT: Final = (".csv", ".tsv", ".tab", ".psv", ".txt")
_WORKBOOKS: Final = (".xlsx", ".xlsm", ".xls", ".ods")
_LINES: Final = (".jsonl", ".ndjson")
EXTENSIONS: Final = (*_TEXT, *_LINES, ".json", *_WORKBOOKS, ".parquet", ".sav", ".zsav", *TIMED, ".docx")
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
_OLE: Final = b"\xd0\xcf\x11\xe0"
_DOCX: Final = b"word/document.xml"
_PARQUET: Final = b"PAR1"
_SPSS: Final = (b"$FL2", b"$FL3")
_PAGE: Final = (b"<!doctype", b"<html", b"<table", b"<?xml", b"<meta", b"<head")
_ODS: Final = b"mimetypeapplication/vnd.oasis.opendocument.spreadsheet"


def read_table(name: str, extension: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table in a file: one name a column, mojibake mended where that is certain.

    Raises
    ------
    InputRefusedError
        If it is of no kind that can be read, or its reader refuses it.
    """
    return mend_mojibake(merge_headings(_reader(name, extension, data, sheet)()))


def _reader(name: str, extension: str, data: bytes, sheet: str | None) -> Callable[[], Table]:
    if data.startswith((*_ZIP, _OLE)):
        return _workbook_reader(name, data, sheet)
    if data.startswith(_PARQUET):
        from nlp_service.ingest.parquet_table import read_parquet  # noqa: PLC0415 -- heavy, and rarely needed

        return lambda: read_parquet(name, data)
    if data.startswith(_SPSS):
        from nlp_service.ingest.spss_table import read_sav  # noqa: PLC0415 -- heavy, and rarely needed

        return lambda: read_sav(name, data)
    is_page = data[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE)
    if extension not in EXTENSIONS or is_page:
        raise InputRefusedError(
            "unknown_format",
            f"{name} is {'a web page or XML, whatever its name' if is_page else 'not of a kind that can be read'}.",
            allowed=", ".join(EXTENSIONS) + ".",
            next_step="export the survey as CSV or XLSX.",
        )
    if extension in (".parquet", ".sav", ".zsav", ".docx", *_WORKBOOKS) and not _is_text(data):
        raise InputRefusedError(
            "not_a_workbook",
            f"{name} is not what its name says.",
            allowed="files of the kind that their extension says, or text.",
            next_step="open it in its own program and save it anew, or give it the extension of what it is.",
        )
    if extension == ".json":
        return _json_reader(name, data)
    return (lambda: read_jsonl(name, data)) if extension in _LINES else (lambda: read_csv(name, data))


def _workbook_reader(name: str, data: bytes, sheet: str | None) -> Callable[[], Table]:
    if data.startswith(_OLE):
        from nlp_service.ingest.xls_table import read_xls  # noqa: PLC0415 -- rarely needed

        return lambda: read_xls(name, data, sheet)
    if data[30:120].startswith(_ODS):  # the first part of an OpenDocument file is its type, stored as it is
        from nlp_service.ingest.ods_table import read_ods  # noqa: PLC0415 -- rarely needed

        return lambda: read_ods(name, data, sheet)
    return lambda: read_xlsx(name, data, sheet)


def _json_reader(name: str, data: bytes) -> Callable[[], Table]:
    words, note = decode(name, data)
    value = find_json(name, words)
    return (lambda: read_jsonl(name, data)) if value is None else (lambda: read_json(name, value, note))


def _is_text(data: bytes) -> bool:
    try:
        decode("", data)
    except InputRefusedError:
        return False
    return True


def find_workshop(name: str, extension: str, data: bytes, facilitators: Sequence[str] = ()) -> Transcript | None:
    """Return the turns in a file that is a transcript, or None.

    Raises
    ------
    InputRefusedError
        If it is a Word document that cannot be read, or in which nobody speaks.
    """
    problems: list[Problem] = []
    if data.startswith(_ZIP) and _DOCX in data:
        from nlp_service.ingest.docx_transcript import read_docx, read_said  # noqa: PLC0415 -- rarely needed

        said = read_said(name, read_docx(name, data), problems)
        return make_transcript(name, said, problems, facilitators)
    if data.startswith((*_ZIP, _OLE)):
        return None
    if extension == ".json":
        words, _ = decode(name, data)
        turns = find_turns(find_json(name, words))
        return (
            None if turns is None else make_transcript(name, read_turns(name, turns, problems), problems, facilitators)
        )
    if extension in (*TIMED, ".txt") or data.removeprefix(b"\xef\xbb\xbf").startswith(b"WEBVTT"):
        words, _ = decode(name, data)
        if looks_like_transcript(extension, words):
            return read_transcript(name, extension, words, facilitators=facilitators)
    return None


def read_bytes(path: Path) -> bytes:
    """Return all of a file.

    Raises
    ------
    InputNotFoundError, InputRefusedError
        If there is none, or it cannot be read, is empty or over the limit.
    """
    name = path.name
    try:
        if path.is_dir():
            raise InputRefusedError(
                "is_a_folder", f"{name} is a folder.", allowed="a file.", next_step="name the files in it one by one."
            )
        size_bytes = path.stat().st_size
        if size_bytes > MAX_FILE_BYTES:
            raise InputRefusedError(
                "file_too_large",
                f"{name} has {size_bytes} bytes.",
                allowed=f"at most {MAX_FILE_BYTES}.",
                next_step="split the file and code the parts in one command.",
            )
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"there is no file {name} at that path.", allowed="an existing file.", next_step="check the path."
        ) from error
    except OSError as error:
        raise InputRefusedError(
            "unreadable",
            f"{name} cannot be read ({error.strerror}).",
            allowed="a readable file.",
            next_step="check its rights.",
        ) from error
    if not data:
        raise InputRefusedError(
            "empty_file", f"{name} is empty.", allowed="a header row and rows under it.", next_step="export it again."
        )
    return data
