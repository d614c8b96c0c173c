"""Zip files (workbooks, documents) before anything in them is parsed: declared sizes first, then each part, piece by piece, keeping nothing.

What is refused: more parts, more bytes unpacked or a steeper ratio than real files have (before a byte is unpacked, from the sizes that the
archive itself declares, which Python's zipfile holds it to); parts that overlap; two parts of one name; encrypted parts; document types and
entities in XML; XML in UTF-16 or UTF-32, which could hide them.
"""

import io
import re
import zipfile
import zlib
from typing import Final

from models.counts import counted
from nlp_service.ingest.table import InputRefusedError

MAX_ENTRIES: Final = 2_000
MAX_UNPACKED_BYTES: Final = 400_000_000
MAX_RATIO: Final = 200
"""Unpacked to packed, over the whole file and in each part; real workbooks stay under 30."""
RATIO_FREE_BYTES: Final = 4_000_000
_CHUNK: Final = 1 << 16
_DOCTYPE: Final = re.compile(rb"<!\s{0,99}(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff", b"\x00<", b"<\x00", b"\x00\x00", b"+/v")
_TAIL: Final = 128


def audit_zip(name: str, data: bytes, kind: str) -> frozenset[str]:
    """Return the names of a zip file's parts once all of it has been looked through.

    Parameters
    ----------
    name
        The file's name, for messages.
    data
        All of it.
    kind
        "workbook" or "document": what it should be, for codes and messages.

    Raises
    ------
    InputRefusedError
        `suspicious_…`, `encrypted_…` or `damaged_…` with the kind behind it.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            _check_declared(name, entries, len(data), kind)
            for entry in entries:
                _check_part(name, archive, entry, kind)
            return frozenset(e.filename for e in entries)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as error:
        raise damaged(name, kind) from error


def _check_declared(name: str, entries: list[zipfile.ZipInfo], n_bytes: int, kind: str) -> None:
    if len(entries) > MAX_ENTRIES:
        raise suspicious(name, counted(len(entries), "part"), kind)
    if len({e.filename for e in entries}) != len(entries):
        raise suspicious(name, "two parts of one name", kind)
    if sum(e.compress_size for e in entries) > n_bytes:
        raise suspicious(name, "parts that overlap", kind)
    total = sum(e.file_size for e in entries)
    steep = any(e.file_size > max(RATIO_FREE_BYTES, MAX_RATIO * e.compress_size) for e in entries)
    if total > MAX_UNPACKED_BYTES or total > max(RATIO_FREE_BYTES, MAX_RATIO * n_bytes) or steep:
        raise suspicious(name, f"{total // 1_000_000} MB packed into {n_bytes // 1_000} kB", kind)
    if any(e.flag_bits & 1 for e in entries):
        raise InputRefusedError(
            f"encrypted_{kind}",
            f"{name} has encrypted parts.",
            allowed=f"{kind}s without a password.",
            next_step="save it without a password.",
        )


def _check_part(name: str, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, kind: str) -> None:
    is_xml = entry.filename.endswith((".xml", ".rels", ".vml", ".rdf"))
    tail = b""
    is_first = True
    with archive.open(entry) as part:
        while chunk := part.read(_CHUNK):
            if not is_xml:
                continue
            if _DOCTYPE.search(tail + chunk) or (is_first and chunk.startswith(_WIDE)):
                raise suspicious(name, f"a document type or an encoding that {kind}s do not have", kind)
            tail, is_first = chunk[-_TAIL:], False


def suspicious(name: str, what: str, kind: str) -> InputRefusedError:
    """Return the error for a zip file that is not what such files are."""
    return InputRefusedError(
        f"suspicious_{kind}",
        f"{name} holds {what}.",
        allowed=f"at most {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked, {MAX_RATIO} times the file's size, plain parts only.",
        next_step=f"save the words alone in a new {kind}, or as text.",
    )


def damaged(name: str, kind: str) -> InputRefusedError:
    """Return the error for a zip file that cannot be read to its end."""
    return InputRefusedError(
        f"damaged_{kind}",
        f"{name} cannot be read as a {kind}.",
        allowed=f"undamaged {kind}s.",
        next_step="open it in its own program, save it anew and try again.",
    )
