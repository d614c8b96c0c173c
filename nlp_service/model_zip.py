"""A model folder that comes as a zip file: looked through before anything in it is unpacked, then unpacked flat.

What is refused, from the archive's own list of files: more files or more bytes than a model folder has, names with a path, two files of one
name, links and anything else that is no plain file, encryption, and ways of packing other than the two that every program knows.
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from struct import error as StructError  # noqa: N812 -- it is a class
from typing import Final

from models.artefact import MAX_FILE_BYTES, MAX_FILES
from models.counts import counted
from models.vocabulary import ThemesError

MAX_ZIP_BYTES: Final = 100_000_000
MAX_UNPACKED_BYTES: Final = 200_000_000
MAX_ENTRIES: Final = MAX_FILES + 1
"""The files that a manifest may list, and the manifest."""
MAX_LIST_BYTES: Final = 65_536
"""The archive's list of its files, which Python reads whole."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,60}(\.[A-Za-z0-9]{1,20}){0,3}")
_END: Final = b"PK\x05\x06"
_END_BYTES: Final = 22
_END_OF_LARGE: Final = b"PK\x06\x07"
_END_OF_LARGE_BYTES: Final = 20
_PACKED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x2041
"""Flags: encrypted, strongly encrypted, names hidden."""
_DOS_FOLDER: Final = 0x10
_PIECE_BYTES: Final = 1 << 20
_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError, StructError,
)  # fmt: skip


class ModelZipError(ThemesError):
    """The upload is no zip file of a model folder."""

    code = "model_zip_invalid"


def unpack_model(zip_file: Path, folder: Path) -> None:
    """Write the files of a zipped model folder into a folder that is there and empty; what they hold is not looked at.

    Raises
    ------
    ModelZipError
        If the archive holds anything but plain files with plain names, or too much; nothing is unpacked then. Or if a file in
        it is damaged.
    """
    _check_end(zip_file)
    try:
        archive = zipfile.ZipFile(zip_file)
    except _UNREADABLE as error:
        raise _refused("it cannot be read as a zip file.") from error
    with archive:
        entries = archive.infolist()
        _check_list(entries, zip_file.stat().st_size)
        for entry in entries:
            with (folder / entry.filename).open("xb") as file:
                for piece in _pieces(archive, entry):
                    file.write(piece)


def _check_end(zip_file: Path) -> None:
    """Bound the list of files before Python reads it."""
    with zip_file.open("rb") as file:
        n_bytes = file.seek(0, 2)
        file.seek(max(0, n_bytes - _END_BYTES - _END_OF_LARGE_BYTES))
        tail = file.read()
    end = tail[-_END_BYTES:]
    if len(end) < _END_BYTES or not end.startswith(_END) or any(end[20:]):
        raise _refused("it does not end as a zip file without a comment does.")
    if tail[:-_END_BYTES].startswith(_END_OF_LARGE) or int.from_bytes(end[12:16], "little") > MAX_LIST_BYTES:
        raise _refused("its list of files is longer than that of a model folder.")


def _check_list(entries: list[zipfile.ZipInfo], n_bytes: int) -> None:
    if len(entries) > MAX_ENTRIES:
        raise _refused(f"it holds {counted(len(entries), 'file')}.")
    if len({e.filename.casefold() for e in entries}) != len(entries):
        raise _refused("two files in it have one name.")
    for place, entry in enumerate(entries, 1):
        mode = entry.external_attr >> 16
        if not _NAME.fullmatch(entry.filename) or entry.filename != entry.orig_filename:
            raise _refused(f"the name of file {place} in it has a path, or letters that such names do not have.")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG) or entry.external_attr & _DOS_FOLDER:
            raise _refused(f"file {place} in it is a link or no plain file.")
        if entry.flag_bits & _ENCRYPTED:
            raise _refused(f"file {place} in it is encrypted.")
        if entry.compress_type not in _PACKED:
            raise _refused(f"file {place} in it is packed in a way that is not read.")
        if entry.file_size > MAX_FILE_BYTES:
            raise _refused(f"file {place} in it has {entry.file_size} bytes unpacked.")
    total = sum(e.file_size for e in entries)
    if total > MAX_UNPACKED_BYTES:
        raise _refused(f"it holds {total} bytes unpacked.")
    if sum(e.compress_size for e in entries) > n_bytes:
        raise _refused("files in it overlap.")


def _pieces(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield a file's bytes: as many as the list says, no more of which Python's zipfile gives."""
    n_bytes = 0
    try:
        with archive.open(entry) as part:
            while piece := part.read(_PIECE_BYTES):
                n_bytes += len(piece)
                yield piece
    except _UNREADABLE as error:
        raise _refused(f"{entry.filename} in it is damaged.") from error
    if n_bytes != entry.file_size:
        raise _refused(f"{entry.filename} in it is damaged.")


def _refused(found: str) -> ModelZipError:
    return ModelZipError(
        found,
        allowed=f"the files of a model folder, without the folder: at most {MAX_ENTRIES}, {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked.",
        next_step="zip them anew: `python3 -m zipfile -c my-model.zip my-model/*`.",
    )
