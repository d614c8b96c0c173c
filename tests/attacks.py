"""Files made to exhaust a reader, to make it read other files, or to call out: each with the code that it must get."""

import io
import struct
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

from tests import broken_files, made_files
from tests.broken_files import SHEET, rezipped

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
LAUGHS = "".join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10 if i else "ha"}">' for i in range(9))


@dataclass(frozen=True)
class Attack:
    name: str
    make: Callable[[], bytes]
    code: str


def part(name: str, content: str | bytes) -> Callable[[], bytes]:
    """Return a workbook in which one part is another."""
    data = content.encode() if isinstance(content, str) else content
    return lambda: rezipped(lambda parts: parts.update({name: data}))


def sheet(rows: str) -> str:
    return f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'


def cell(place: str, text: str = "x") -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def wide_rows() -> bytes:
    """One cell far to the right, and many short rows: filled up they would be 40 million cells."""
    rows = [
        f'<row r="1">{cell("A1", "text")}{cell("BXX1", "z")}</row>',
        *(f'<row r="{i}">{cell(f"A{i}")}</row>' for i in range(2, 20_002)),
    ]
    return rezipped(lambda parts: parts.update({SHEET: sheet("".join(rows)).encode()}))


def changed_directory(change: Callable[[bytearray, int], None]) -> bytes:
    """Return a workbook after a change to each entry of its central directory."""
    data = bytearray(broken_files.workbook())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        change(data, at)
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


def overlapping() -> bytes:
    """All entries of the directory point at one part that is packed a thousand to one: unpacked once for each of them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(3_900_000))
    data = out.getvalue()
    at, end = data.find(b"PK\x01\x02"), data.find(b"PK\x05\x06")
    entry = data[at:end]
    entries = b"".join(entry[:46] + bytes([65 + i]) + entry[47:] for i in range(50))
    return data[:at] + entries + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 50, 50, len(entries), at, 0)


def two_of_a_name() -> bytes:
    out = io.BytesIO(broken_files.workbook())
    with warnings.catch_warnings(), zipfile.ZipFile(out, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr(SHEET, "<worksheet/>")
    return out.getvalue()


def deep_docx() -> bytes:
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    nested = "<w:sdt>" * 100_000 + "<w:p/>" + "</w:sdt>" * 100_000
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{main}"><w:body>{nested}</w:body></w:document>')
    return out.getvalue()


def lies_small(data: bytearray, at: int) -> None:
    struct.pack_into("<L", data, at + 24, 10)


def lies_large(data: bytearray, at: int) -> None:
    struct.pack_into("<L", data, at + 24, 3_000_000_000)


def sav_header(units: int, compression: int, cases: int) -> bytes:
    return b"$FL2" + b"@(#) SPSS DATA FILE".ljust(60) + struct.pack("<5i", 2, units, compression, 0, cases) + bytes(92)


def ods(rows: str, prolog: str = "") -> Callable[[], bytes]:
    return lambda: made_files.ods([], sheet_xml=rows, prolog=prolog)


def far_chunk() -> str:
    """A document type that begins in one piece of 65,536 bytes and ends in the next."""
    return '<?xml version="1.0"?>' + " " * (65_536 - 27) + "<!DOCTYPE x [" + LAUGHS + "]><worksheet>&a8;</worksheet>"


DTD = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
ATTACKS = (
    Attack("bomb.xlsx", part("xl/media/blank.bin", bytes(60_000_000)), "suspicious_workbook"),
    Attack("bombsheet.xlsx", part(SHEET, sheet(" " * 50_000_000)), "suspicious_workbook"),
    Attack("bombstrings.xlsx", part("xl/sharedStrings.xml", b"<sst>" + bytes(40_000_000) + b"</sst>"), "suspicious_workbook"),
    Attack("laughs.xlsx", part(SHEET, f'<?xml version="1.0"?><!DOCTYPE x [{LAUGHS}]><worksheet>&a8;</worksheet>'), "suspicious_workbook"),
    Attack("quadratic.xlsx", part(SHEET, f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]><worksheet>{"&a;" * 5_000}</worksheet>'), "suspicious_workbook"),
    Attack("entity.xlsx", part("xl/workbook.xml", f"{DTD}<workbook>&e;</workbook>"), "suspicious_workbook"),
    Attack("remote.xlsx", part("xl/sharedStrings.xml", '<!DOCTYPE sst SYSTEM "http://127.0.0.1:9/x.dtd"><sst/>'), "suspicious_workbook"),
    Attack("parameter.xlsx", part("xl/styles.xml", '<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/hosts"> %p;]><x/>'), "suspicious_workbook"),
    Attack("spaced.xlsx", part(SHEET, "<!\n\n  doctype x><worksheet/>"), "suspicious_workbook"),
    Attack("chunks.xlsx", part(SHEET, far_chunk()), "suspicious_workbook"),
    Attack("wide16.xlsx", part(SHEET, DTD.encode("utf-16") + b"<worksheet/>"), "suspicious_workbook"),
    Attack("wide16plain.xlsx", part(SHEET, (DTD + "<worksheet/>").encode("utf-16-le")), "suspicious_workbook"),
    Attack("relations.xlsx", part("xl/_rels/workbook.xml.rels", f"{DTD}<Relationships>&e;</Relationships>"), "suspicious_workbook"),
    Attack("parts.xlsx", lambda: rezipped(broken_files.many_parts), "suspicious_workbook"),
    Attack("overlap.xlsx", overlapping, "suspicious_workbook"),
    Attack("twice.xlsx", two_of_a_name, "suspicious_workbook"),
    Attack("lieslarge.xlsx", lambda: changed_directory(lies_large), "suspicious_workbook"),
    Attack("liessmall.xlsx", lambda: changed_directory(lies_small), "damaged_workbook"),
    Attack("cells.xlsx", part(SHEET, sheet(f'<row r="1">{cell("XFD1", "text")}</row>')), "too_many_columns"),
    Attack("sparse.xlsx", wide_rows, "table_too_large"),
    Attack("columns.ods", ods('<table:table-row><table:table-cell table:number-columns-repeated="16384" office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>'), "too_many_columns"),
    Attack("rows.ods", ods('<table:table-row table:number-rows-repeated="999999999"><table:table-cell office:value-type="string"><text:p>x</text:p></table:table-cell></table:table-row>'), "too_many_rows"),
    Attack("spaces.ods", ods('<table:table-row><table:table-cell office:value-type="string"><text:p><text:s text:c="2000000000"/>x</text:p></table:table-cell></table:table-row>'), "suspicious_workbook"),
    Attack("manyspaces.ods", ods('<table:table-row><table:table-cell office:value-type="string"><text:p>' + '<text:s text:c="900000"/>' * 2_000 + "x</text:p></table:table-cell></table:table-row>"), "suspicious_workbook"),
    Attack("digits.ods", ods(f'<table:table-row><table:table-cell office:value-type="string"><text:p><text:s text:c="{"9" * 9_000}"/>x</text:p></table:table-cell></table:table-row>'), "damaged_workbook"),
    Attack("deep.ods", ods('<table:table-row><table:table-cell office:value-type="string"><text:p>' + "<text:span>" * 30_000 + "x" + "</text:span>" * 30_000 + "</text:p></table:table-cell></table:table-row>"), "damaged_workbook"),
    Attack("entity.ods", ods("<table:table-row/>", prolog=DTD), "suspicious_workbook"),
    Attack("entity.docx", lambda: made_files.docx(["Ann: &e;"], prolog=DTD), "suspicious_document"),
    Attack("laughs.docx", lambda: made_files.docx(["Ann: hello"], parts={"word/styles.xml": f"<!DOCTYPE x [{LAUGHS}]><x>&a8;</x>".encode()}), "suspicious_document"),
    Attack("bomb.docx", lambda: made_files.docx(["Ann: hello"], parts={"word/media/image1.png": bytes(50_000_000)}), "suspicious_document"),
    Attack("deep.docx", deep_docx, "damaged_document"),
    Attack("cases.sav", lambda: sav_header(200_000, 2, 2_000_000_000), "suspicious_table"),
    Attack("unsaid.sav", lambda: sav_header(20, 2, -1), "suspicious_table"),
)  # fmt: skip
