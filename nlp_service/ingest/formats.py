"""Files by their content: bytes in, a table or a transcript's words out."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from nlp_service.ingest.csv_table import decode, read_csv
from nlp_service.ingest.jsonl_table import read_jsonl
from nlp_service.ingest.table import MAX_FILE_BYTES, InputNotFoundError, InputRefusedError, Table
from nlp_service.ingest.transcript import EXTENSIONS as TRANSCRIPTS
from nlp_service.ingest.transcript import looks_like_transcript
from nlp_service.ingest.xlsx_table import read_xlsx

_EXTENSIONS: Final = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".xlsx", *TRANSCRIPTS)


def find_transcript(name: str, extension: str, data: bytes) -> str | None:
    """Return the text of a file that is a transcript, or None."""
    if extension not in (*TRANSCRIPTS, ".txt") and not data.startswith((b"WEBVTT", b"\xef\xbb\xbfWEBVTT")):
        return None
    words, _ = decode(name, data)
    return words if looks_like_transcript(extension, words) else None


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


def read_table(name: str, extension: str, data: bytes, sheet: str | None = None) -> Table:
    """Return the table in a file, by its content where that is plain, else by its extension.

    Raises
    ------
    InputRefusedError
        If it is of no kind that can be read, or its reader refuses it.
    """
    return _reader(name, extension, data, sheet)()


def _reader(name: str, extension: str, data: bytes, sheet: str | None) -> Callable[[], Table]:
    """Return the reader for a file: by its content where that is plain, else by its extension."""
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06", b"\xd0\xcf\x11\xe0")):
        return lambda: read_xlsx(name, data, sheet)
    if extension not in _EXTENSIONS:
        raise InputRefusedError(
            "unknown_format",
            f"{name} is not of a kind that can be read.",
            allowed=", ".join(_EXTENSIONS) + ".",
            next_step="export the survey as CSV or XLSX.",
        )
    if extension == ".xlsx":
        raise InputRefusedError(
            "not_a_workbook",
            f"{name} is no workbook, whatever its name says.",
            allowed=".xlsx workbooks, or text named .csv, .tsv, .txt or .jsonl.",
            next_step="save it as .xlsx, or give it the extension of what it is.",
        )
    if extension in (".jsonl", ".ndjson"):
        return lambda: read_jsonl(name, data)
    return lambda: read_csv(name, data)
