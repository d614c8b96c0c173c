"""Six hundred files made by code, each with its verdict: how many comments it holds, or the code that it is refused with."""

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests import broken_files, made_files, transcript_styles
from tests.attacks import ATTACKS
from tests.made_exports import VENDORS, make_export, sentence

N_EACH = 300
_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252")


@dataclass(frozen=True)
class Filed:
    """A file and its verdict: `n_comments` if it is accepted, else `code`."""

    name: str
    data: bytes
    n_comments: int | None = None
    code: str = ""


def table_rows(seed: int) -> list[list[object]]:
    rng = random.Random(seed)
    rows: list[list[object]] = [["id", "text", "Ward"]]
    rows += [
        [f"r{i}", "" if rng.random() < 0.1 else f"{sentence(rng)} £5 café", rng.choice(("North", "South"))]
        for i in range(rng.randint(3, 40))
    ]
    return rows


def delimited(rows: list[list[object]], seed: int) -> bytes:
    mark, end = ",;\t|"[seed % 4], ("\n", "\r\n", "\r")[seed % 3]
    lines = [mark.join('"' + str(c).replace('"', '""') + '"' for c in row) for row in rows]
    return (end.join(lines) + end).encode(_ENCODINGS[seed % 5])


def sav(rows: list[list[object]]) -> bytes:
    return made_files.sav([("id", "", 8), ("text", "Text", 240), ("ward", "", 8)], rows[1:])


def json_file(rows: list[list[object]], *, lines: bool) -> bytes:
    objects = [dict(zip(map(str, rows[0]), row, strict=True)) for row in rows[1:]]
    return "\n".join(map(json.dumps, objects)).encode() if lines else json.dumps({"responses": objects}).encode()


TABLES: dict[str, Callable[[list[list[object]], int], bytes]] = {
    "csv": delimited, "txt": delimited, "xlsx": lambda r, _: made_files.xlsx(r), "xls": lambda r, _: made_files.xls(r), "ods": lambda r, _: made_files.ods(r),
    "parquet": lambda r, _: made_files.parquet(r), "jsonl": lambda r, _: json_file(r, lines=True), "json": lambda r, _: json_file(r, lines=False), "sav": lambda r, _: sav(r),
}  # fmt: skip


def accepted() -> Iterator[Filed]:
    """Yield 300 files that are read, with how many comments they hold."""
    made = [*_exports(), *_workshops(), *_tables()]
    yield from made[:N_EACH]


def _exports() -> Iterator[Filed]:
    for vendor in VENDORS:
        for seed in range(18):
            export = make_export(vendor, seed)
            n = sum(bool(str(cell).strip()) for c in export.columns if c.role == "open" for cell in c.cells)
            yield Filed(export.name, export.data, n)


def _workshops() -> Iterator[Filed]:
    for write, extension, _ in transcript_styles.STYLES:
        for seed in range(6):
            said = transcript_styles.workshop(random.Random(seed))
            made = write(said)
            data = made.encode() if isinstance(made, str) else made
            yield Filed(f"{write.__name__}{seed}{extension}", data, len(transcript_styles.joined(said)))


def _tables() -> Iterator[Filed]:
    for seed in range(13):
        for extension, make in TABLES.items():
            rows = table_rows(seed)
            yield Filed(f"table{seed}.{extension}", make(rows, seed), sum(bool(row[1]) for row in rows[1:]))


def rejected() -> Iterator[Filed]:
    """Yield 300 files that are refused, with the code."""
    made = [
        *(Filed(c.name, c.make(), code=c.code) for c in broken_files.BROKEN if not c.arguments),
        *(Filed(a.name, a.make(), code=a.code) for a in ATTACKS),
    ]
    yield from [*made, *_spoilt()][:N_EACH]


def _spoilt() -> Iterator[Filed]:
    rng = random.Random(7)
    for seed in range(16):
        rows = table_rows(100 + seed)
        docx = made_files.docx([f"{s}: {w}" for s, w in transcript_styles.workshop(rng)])
        zips = {"xlsx": made_files.xlsx(rows), "ods": made_files.ods(rows), "docx": docx}
        for extension, data in zips.items():
            kind = "document" if extension == "docx" else "workbook"
            at = rng.uniform(0.3, 0.95)
            yield Filed(f"cut{seed}.{extension}", data[: int(len(data) * at)], code=f"damaged_{kind}")
            yield Filed(f"typed{seed}.{extension}", _with_doctype(data, rng), code=f"suspicious_{kind}")
            yield Filed(f"locked{seed}.{extension}", _locked(data), code=f"encrypted_{kind}")
            yield Filed(f"sums{seed}.{extension}", _bad_sums(data), code=f"damaged_{kind}")
        yield Filed(f"cut{seed}.parquet", made_files.parquet(rows)[: -rng.randint(1, 300)], code="damaged_table")
        yield Filed(f"cut{seed}.sav", sav(rows)[: -rng.randint(1, 300)], code="damaged_table")
        text = delimited(rows, 0).decode()
        yield Filed(f"open{seed}.csv", (text + '"r99","never closed').encode(), code="unclosed_quote")
        yield Filed(f"stray{seed}.csv", (text + '"r99","a "stray" quote","North"\n').encode(), code="bad_quote")
        yield Filed(f"nul{seed}.csv", text.replace("r1", "r\x001", 1).encode(), code="not_text")
        yield Filed(f"noise{seed}.csv", rng.randbytes(2_000), code="not_text")
        yield Filed(
            f"page{seed}.xls",
            b"<html><body><table><tr><td>" + text.encode() + b"</td></tr></table></body></html>",
            code="unknown_format",
        )


def _rezip(data: bytes, change: Callable[[str, bytes], bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, change(entry.filename, old.read(entry)), entry.compress_type)
    return out.getvalue()


def _with_doctype(data: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        chosen = rng.choice([n for n in archive.namelist() if n.endswith(".xml")])
    dtd = rng.choice(
        (
            b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/">',
            b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hosts">]>',
            b"<!doctype html>",
        )
    )
    return _rezip(
        data,
        lambda name, part: (
            part.replace(b"?>", b"?>" + dtd, 1)
            if name == chosen and b"?>" in part
            else dtd + part
            if name == chosen
            else part
        ),
    )


def _locked(data: bytes) -> bytes:
    changed = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(mark)
        while at >= 0:
            changed[at + place] |= 1
            at = changed.find(mark, at + 4)
    return bytes(changed)


def _bad_sums(data: bytes) -> bytes:
    changed = bytearray(data)
    at = changed.find(b"PK\x01\x02")
    while at >= 0:
        changed[at + 16] ^= 0xFF
        at = changed.find(b"PK\x01\x02", at + 4)
    return bytes(changed)
