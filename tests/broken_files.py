"""Broken files, made here, with the verdict that each must get. Shared by tests and `make bench-bad-input`."""

import contextlib
import io
import json
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openpyxl

from nlp_service.cli.main import run
from tests import made_files

ROWS = "id,text\n1,Dealers by the lifts\n2,More police please\n"


@dataclass(frozen=True)
class Case:
    name: str
    make: Callable[[], bytes]
    code: str
    """The error's or the problem's code."""
    arguments: tuple[str, ...] = ()
    n_coded: int | None = None
    """Comments coded all the same; None where the whole file is refused."""


def run_case(case: Case, folder: Path, model: str = "starter") -> str:
    """Return what is wrong with the command's answer to a case; nothing if all is right."""
    source, out = folder / case.name, folder / "out.jsonl"
    source.write_bytes(case.make())
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        exit_code = run(
            ["code", str(source), "--out", str(out), "--quiet", "--jobs", "1", "--model", model, *case.arguments]
        )
    left = sorted(p.name for p in folder.iterdir() if p != source)
    text = said.getvalue()
    wrong = []
    if "Traceback" in text:
        wrong.append("a traceback")
    if case.n_coded is None:
        if exit_code != 3 or f"error {case.code}:" not in text or "allowed:" not in text or "next:" not in text:
            wrong.append(f"exit {exit_code}, said {text[:200]!r}")
        if left:
            wrong.append(f"left {left}")
    else:
        problems = out.with_name("out.jsonl.problems.jsonl")
        listed = [json.loads(line)["code"] for line in problems.read_text().splitlines()] if problems.exists() else []
        n = len(out.read_text(encoding="utf-8").splitlines()) if out.exists() else -1
        if exit_code != 0 or n != case.n_coded or case.code not in listed:
            wrong.append(f"exit {exit_code}, {n} coded, problems {listed}, said {text[:200]!r}")
    for path in folder.iterdir():
        path.unlink()
    return "; ".join(wrong)


def workbook(fill: Callable[[openpyxl.Workbook], None] | None = None) -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    if fill is None:
        for row in (("id", "text"), ("1", "Dealers by the lifts"), ("2", "More police please")):
            sheet.append(row)
    else:
        fill(book)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def rezipped(change: Callable[[dict[str, bytes]], None], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a good workbook after a change to its parts."""
    with zipfile.ZipFile(io.BytesIO(workbook())) as archive:
        parts = {n: archive.read(n) for n in archive.namelist()}
    change(parts)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return out.getvalue()


SHEET = "xl/worksheets/sheet1.xml"


def wide_sheet(parts: dict[str, bytes]) -> None:
    row = '<row r="1"><c r="XFD1" t="inlineStr"><is><t>text</t></is></c></row>'
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    sheet = f'<worksheet xmlns="{main}"><dimension ref="A1:XFD1048576"/><sheetData>{row}</sheetData></worksheet>'
    parts[SHEET] = sheet.encode()


def bomb(parts: dict[str, bytes]) -> None:
    parts["xl/media/blank.bin"] = bytes(60_000_000)


def xml_bomb(parts: dict[str, bytes]) -> None:
    entities = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha"}">' for i in range(9))
    parts[SHEET] = f'<?xml version="1.0"?><!DOCTYPE x [{entities}]><worksheet>&a8;</worksheet>'.encode()


def external_entity(parts: dict[str, bytes]) -> None:
    head = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    parts["xl/workbook.xml"] = head + parts["xl/workbook.xml"].split(b"?>")[-1]


def cut_sheet(parts: dict[str, bytes]) -> None:
    parts[SHEET] = parts[SHEET][: len(parts[SHEET]) // 2]


def no_sheet(parts: dict[str, bytes]) -> None:
    del parts[SHEET]


def many_parts(parts: dict[str, bytes]) -> None:
    for i in range(2_100):
        parts[f"xl/extra/{i}.bin"] = b"x"


def wide_characters(parts: dict[str, bytes]) -> None:
    parts[SHEET] = parts[SHEET].decode().encode("utf-16")


def encrypted() -> bytes:
    name = "EncryptedPackage".encode("utf-16-le")
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + name + bytes(4096)


def encrypted_part() -> bytes:
    data = bytearray(workbook())
    at = data.find(b"PK\x03\x04")
    while at >= 0:
        data[at + 6] |= 1
        at = data.find(b"PK\x03\x04", at + 4)
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


def half_zip() -> bytes:
    data = workbook()
    return data[: len(data) // 2]


def bad_sums() -> bytes:
    data = bytearray(workbook())
    at = data.find(b"PK\x03\x04")
    data[at + 40 : at + 60] = bytes(20)
    return bytes(data)


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + bytes(400)


def text(content: str, encoding: str = "utf-8") -> Callable[[], bytes]:
    return lambda: content.encode(encoding)


def no_rows(book: openpyxl.Workbook) -> None:
    assert book.active is not None


def header_only(book: openpyxl.Workbook) -> None:
    assert book.active is not None
    book.active.append(["id", "text"])


def other_columns(book: openpyxl.Workbook) -> None:
    assert book.active is not None
    for row in (["n", "m"], [1, 2], [3, 4]):
        book.active.append(row)


BROKEN = (
    Case("empty.csv", text(""), "empty_file"),
    Case("blank.csv", text("  \n\n  \n"), "empty_file"),
    Case("mark.csv", lambda: b"\xef\xbb\xbf", "empty_file"),
    Case("commas.csv", text(",,,\n,,,\n"), "empty_file"),
    Case("header.csv", text("id,text\n"), "no_comments"),
    Case("blanks.csv", text('id,text\n1,""\n2,"  "\n'), "no_comments"),
    Case("picture.csv", png, "not_text"),
    Case("noise.csv", lambda: bytes(range(256)) * 40, "not_text"),
    Case("nul.csv", text("id,text\n1,Dea\x00lers\n"), "not_text"),
    Case("shiftjis.csv", lambda: "id,text\n1,夜は怖い\n".encode("shift_jis"), "not_text"),
    Case("open.csv", text('id,text\n1,"Dealers by the lifts\n2,More police\n'), "unclosed_quote"),
    Case("stray.csv", text('id,text\n1,"Dealers" by the lifts\n'), "bad_quote"),
    Case("long.csv", text("id,text\n1," + "a" * 1_000_100 + "\n"), "cell_too_long"),
    Case("wide.csv", text(",".join(f"c{i}" for i in range(2_001)) + "\n1\n"), "too_many_columns"),
    Case("missing.csv", text(ROWS), "missing_column", ("--text", "comment")),
    Case("missingid.csv", text(ROWS), "missing_column", ("--id", "ref")),
    Case("twice.csv", text("id,text,text\n1,a b,c d\n"), "ambiguous_column", ("--text", "text")),
    Case("numbers.csv", text("a,b\n1,2\n3,4\n"), "missing_column"),
    Case("program.exe", text(ROWS), "unknown_format"),
    Case("report.pdf", lambda: b"%PDF-1.7\n" + bytes(100), "unknown_format"),
    Case("noextension", text(ROWS), "unknown_format"),
    Case("empty.jsonl", text(""), "empty_file"),
    Case("notjson.jsonl", text("hello\nworld\n"), "no_objects"),
    Case("lists.jsonl", text("[1]\n[2]\n"), "no_objects"),
    Case("nokey.jsonl", text('{"a": 1}\n{"b": 2}\n'), "missing_column"),
    Case("deep.jsonl", text("[" * 50_000 + "\n"), "no_objects"),
    Case("binary.jsonl", lambda: b"\x00\x01\x02\x81" * 50, "not_text"),
    Case("empty.xlsx", text(""), "empty_file"),
    Case("half.xlsx", half_zip, "damaged_workbook"),
    Case("sums.xlsx", bad_sums, "damaged_workbook"),
    Case("cut.xlsx", lambda: rezipped(cut_sheet), "damaged_workbook"),
    Case("nosheet.xlsx", lambda: rezipped(no_sheet), "damaged_workbook"),
    Case("zip.xlsx", lambda: rezipped(lambda parts: parts.clear() or parts.update(a=b"1")), "not_a_workbook"),
    Case("norows.xlsx", lambda: workbook(no_rows), "empty_file"),
    Case("header.xlsx", lambda: workbook(header_only), "no_comments"),
    Case("numbers.xlsx", lambda: workbook(other_columns), "missing_column"),
    Case("sheet.xlsx", workbook, "missing_sheet", ("--sheet", "Answers")),
    Case("cells.xlsx", lambda: rezipped(wide_sheet), "too_many_columns"),
    Case("bomb.xlsx", lambda: rezipped(bomb), "suspicious_workbook"),
    Case("laughs.xlsx", lambda: rezipped(xml_bomb), "suspicious_workbook"),
    Case("entity.xlsx", lambda: rezipped(external_entity), "suspicious_workbook"),
    Case("parts.xlsx", lambda: rezipped(many_parts), "suspicious_workbook"),
    Case("wide16.xlsx", lambda: rezipped(wide_characters), "suspicious_workbook"),
    Case("locked.xlsx", encrypted, "encrypted_workbook"),
    Case("lockedpart.xlsx", encrypted_part, "encrypted_workbook"),
    Case("old.xls", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096), "not_a_workbook"),
    Case("picture.xls", png, "not_a_workbook"),
    Case("page.xls", text("<html><table><tr><td>id</td></tr></table>"), "unknown_format"),
    Case("broken.parquet", lambda: b"PAR1" + bytes(400) + b"PAR1", "damaged_table"),
    Case("broken.sav", lambda: b"$FL2" + bytes(400), "damaged_table"),
    Case("cut.ods", lambda: made_files.ods([["text"], ["a b"]])[:-300], "damaged_workbook"),
    Case(
        "cut.xls",
        lambda: made_files.xls([["text"], ["a b"]]).replace(b"\x09\x08\x10\x00", bytes(4)),
        "damaged_workbook",
    ),
    Case("sheet.ods", lambda: made_files.ods([["text"], ["a b"]]), "missing_sheet", ("--sheet", "Other")),
    Case("sheet.xls", lambda: made_files.xls([["text"], ["a b"]]), "missing_sheet", ("--sheet", "Other")),
    Case("numbers.json", text("[1, 2]"), "no_objects"),
    Case("broken.json", text('[{"text": '), "no_objects"),
)
"""Files that are refused as a whole: exit 3, a clear error, nothing left behind."""

ROW_BY_ROW = (
    Case("duplicate.csv", text(ROWS + "1,Lights out\n"), "duplicate_id", ("--id", "id"), n_coded=2),
    Case("blankid.csv", text(ROWS + ",Lights out\n"), "blank_id", ("--id", "id"), n_coded=2),
    Case("cells.csv", text(ROWS + "3,Lights out, again, and again\n"), "too_many_cells", n_coded=2),
    Case("blank.csv", text(ROWS + '3,"\u200b"\n'), "blank_text", n_coded=2),
    Case("mixed.jsonl", text('{"id": 1, "text": "Lights out"}\nnot json\n'), "not_json", n_coded=1),
    Case("listtext.jsonl", text('{"id": 1, "text": "Lights out"}\n{"id": 2, "text": ["a"]}\n'), "not_text", n_coded=1),
    Case(
        "half.jsonl", text('{"id": 1, "text": "Lights out"}\n{"id": 2, "text": "\\ud800"}\n'), "not_unicode", n_coded=1
    ),
)
"""Files of which the good rows are coded and the others listed: exit 0."""
