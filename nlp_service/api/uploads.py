"""A file that comes with a request, written to a folder of its own as it comes."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from tempfile import TemporaryDirectory
from typing import Final

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from nlp_service.api.problems import BadUploadError

MAX_NAME_CHARS: Final = 150
MAX_FIELD_BYTES: Final = 1_000_000
"""Of each field of a form beside the file."""
_PIECE_BYTES: Final = 1_000_000
_RAW: Final = {
    "application/x-ndjson": "batch.jsonl",
    "application/jsonl": "batch.jsonl",
    "text/csv": "batch.csv",
    "text/tab-separated-values": "batch.tsv",
    "text/vtt": "batch.vtt",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "batch.xlsx",
}
MEDIA_TYPES: Final = ("multipart/form-data", *_RAW)


@asynccontextmanager
async def received_file(
    request: Request, name: str | None, *, optional: Sequence[str]
) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """Yield the file that a request holds, and the form's other fields: the part `file`, or the body itself; it is gone afterwards.

    Raises
    ------
    BadUploadError
        If there is no such part, the form has other fields than the optional ones, or the media type is none that is read.
    """
    with TemporaryDirectory(prefix="themes-upload-") as folder:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            yield await _form(request, Path(folder), name, optional)
        elif kind in _RAW:
            path = Path(folder) / safe_name(name or _RAW[kind], _RAW[kind])
            with path.open("wb") as file:
                async for piece in request.stream():
                    await run_in_threadpool(file.write, piece)
            yield path, {}
        else:
            raise BadUploadError(
                "the body is of no media type that can be read.",
                allowed=", ".join(MEDIA_TYPES) + ".",
                next_step="send the file as the part `file` of a form.",
            )


@asynccontextmanager
async def received_form(
    request: Request, name: str, *, optional: Sequence[str]
) -> AsyncIterator[tuple[Path, dict[str, str]]]:
    """Yield the part `file` of a form, written under a name, and its other fields; the file is gone afterwards.

    Raises
    ------
    BadUploadError
        If the body is no form, has no such part, or has other fields than the optional ones.
    """
    with TemporaryDirectory(prefix="themes-upload-") as folder:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "multipart/form-data":
            raise BadUploadError(
                "the body is no form.",
                allowed="multipart/form-data.",
                next_step="send the file as the part `file` of a form.",
            )
        yield await _form(request, Path(folder), name, optional)


async def _form(
    request: Request, folder: Path, name: str | None, optional: Sequence[str]
) -> tuple[Path, dict[str, str]]:
    texts = "".join(f", `{field}` as text of at most {MAX_FIELD_BYTES} bytes" for field in optional)
    allowed = f"one part `file`{texts}, and nothing else."
    try:
        async with request.form(max_files=1, max_fields=len(optional), max_part_size=MAX_FIELD_BYTES) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise BadUploadError(
                    "the form has no part `file` with a file name.",
                    allowed="one part `file`.",
                    next_step="send the file as that part.",
                )
            fields = {key: value for key, value in form.multi_items() if isinstance(value, str)}
            if not fields.keys() <= set(optional):
                raise BadUploadError(
                    "the form has a field that is not known.", allowed=allowed, next_step="leave it out."
                )
            path = folder / safe_name(name or upload.filename or "", "batch.csv")
            with path.open("wb") as file:
                while piece := await upload.read(_PIECE_BYTES):
                    await run_in_threadpool(file.write, piece)
            return path, fields
    except HTTPException as error:
        raise BadUploadError(
            "the form cannot be read.",
            allowed=allowed,
            next_step="shorten the other fields, or say in the query what they say.",
        ) from error


def safe_name(name: str, default: str) -> str:
    """Return the last part of a name, without what a file system or a log could trip over."""
    last = PurePosixPath(PureWindowsPath(name).name).name
    last = re.sub(r"[\x00-\x1f\x7f/\\:]|[\ud800-\udfff]", "_", last).strip()
    while len(last.encode()) > MAX_NAME_CHARS:
        stem, dot, extension = last.rpartition(".")
        last = (stem[: len(stem) // 2] + dot + extension[:10]) if stem else last[: len(last) // 2]
    return default if last in ("", ".", "..") else last
