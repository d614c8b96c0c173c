"""Files in the formats that survey tools write, made here: rows in, bytes out."""

import io
import struct
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import xlwt

Rows = Sequence[Sequence[object]]
_ODF = "urn:oasis:names:tc:opendocument:xmlns"


def xlsx(rows: Rows, title: str = "Answers") -> bytes:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title)
    for row in rows:
        cells = [openpyxl.cell.WriteOnlyCell(sheet, value=v) for v in row]
        for cell, value in zip(cells, row, strict=True):
            if isinstance(value, str):
                cell.data_type = "s"
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def xls(rows: Rows, title: str = "Answers") -> bytes:
    book = xlwt.Workbook(encoding="utf-8")
    sheet = book.add_sheet(title)
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if value != "":
                sheet.write(i, j, value)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def ods_cell(value: object) -> str:
    if value == "":
        return "<table:table-cell/>"
    if isinstance(value, int | float):
        return f'<table:table-cell office:value-type="float" office:value="{value}"><text:p>{value}</text:p></table:table-cell>'
    paragraphs = "".join(f"<text:p>{_ods_text(line)}</text:p>" for line in str(value).split("\n"))
    return f'<table:table-cell office:value-type="string">{paragraphs}</table:table-cell>'


def _ods_text(line: str) -> str:
    """White space as elements, since XML readers may drop it."""
    return escape(line).replace("\t", "<text:tab/>").replace(" ", '<text:s text:c="1"/>')


def ods(rows: Rows, title: str = "Answers", sheet_xml: str | None = None, prolog: str = "") -> bytes:
    body = sheet_xml or "".join(
        f"<table:table-row>{''.join(map(ods_cell, row))}<table:table-cell table:number-columns-repeated='1000'/></table:table-row>"
        for row in rows
    )
    names = " ".join(f'xmlns:{n}="{_ODF}:{n}:1.0"' for n in ("office", "table", "text"))
    tail = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="1024"/></table:table-row>'
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<office:document-content {names}><office:body><office:spreadsheet>'
        f'<table:table table:name="{escape(title)}">{body}{tail}</table:table></office:spreadsheet></office:body></office:document-content>'
    )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        archive.writestr("META-INF/manifest.xml", "<manifest/>")
        archive.writestr("content.xml", content)
    return out.getvalue()


def parquet(rows: Rows) -> bytes:
    header, *body = rows
    columns = [pa.array([row[i] for row in body]) for i in range(len(header))]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(columns, names=[str(h) for h in header]), out)
    return out.getvalue()


def sav(
    variables: Sequence[tuple[str, str, int]],
    rows: Rows,
    labels: dict[str, dict[float, str]] | None = None,
    ordinal: Sequence[str] = (),
) -> bytes:
    """Return an uncompressed SPSS system file; a variable is its name (8 characters), its label, and its width (0: a number).

    Layout: GNU PSPP developers' guide, appendix B.
    """
    labels = labels or {}
    places, place = {}, 0
    records, measures = b"", []
    for name, label, width in variables:
        units = max(1, -(-width // 8))
        places[name] = place + 1
        place += units
        text = label.encode()
        form = (1 << 16 | width << 8) if width else (5 << 16 | 8 << 8 | 2)
        records += struct.pack("<6i", 2, width, int(bool(text)), 0, form, form) + name.upper().encode().ljust(8)
        if text:
            records += struct.pack("<i", len(text)) + text + b" " * (-len(text) % 4)
        for _ in range(units - 1):
            records += struct.pack("<6i", 2, -1, 0, 0, 0, 0) + b" " * 8
        measures.append(2 if name in ordinal else 1)
    for name, values in labels.items():
        records += struct.pack("<2i", 3, len(values))
        for code, label in values.items():
            text = label.encode()
            records += struct.pack("<dB", code, len(text)) + text + b" " * (-(len(text) + 1) % 8)
        records += struct.pack("<3i", 4, 1, places[name])
    records += struct.pack("<4i", 7, 11, 4, 3 * len(variables)) + b"".join(
        struct.pack("<3i", m, 8, 0) for m in measures
    )
    records += struct.pack("<4i", 7, 20, 1, 5) + b"UTF-8"
    records += struct.pack("<2i", 999, 0)
    data = b""
    for row in rows:
        for (_, _, width), value in zip(variables, row, strict=True):
            if width:
                data += str(value).encode().ljust(-(-width // 8) * 8)
            else:
                data += struct.pack("<d", -1.7976931348623157e308 if value == "" else float(str(value)))
    head = (
        b"$FL2"
        + b"@(#) SPSS DATA FILE".ljust(60)
        + struct.pack("<5i", 2, place, 0, 0, len(rows))
        + struct.pack("<d", 100.0)
    )
    head += b"25 Nov 26" + b"10:00:00" + b" " * 64 + b"\0\0\0"
    return head + records + data


def docx(items: Sequence[str | Sequence[str]], prolog: str = "", parts: dict[str, bytes] | None = None) -> bytes:
    """Return a Word document; a text is a paragraph, a sequence of texts is a row of a table (rows in a row are one table)."""
    body, rows = [], ""
    for item in [*items, ""]:
        if not isinstance(item, str):
            rows += "<w:tr>" + "".join(f"<w:tc><w:tcPr/>{_paragraphs(cell)}</w:tc>" for cell in item) + "</w:tr>"
            continue
        if rows:
            body.append(f"<w:tbl><w:tblPr/>{rows}</w:tbl>")
            rows = ""
        body.append(_paragraph(item))
    main = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    document = f'<?xml version="1.0" encoding="UTF-8"?>{prolog}<w:document xmlns:w="{main}"><w:body>{"".join(body)}<w:sectPr/></w:body></w:document>'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", document)
        for name, data in (parts or {}).items():
            archive.writestr(name, data)
    return out.getvalue()


def _paragraphs(cell: str) -> str:
    return "".join(_paragraph(line) for line in cell.split("\n"))


def _paragraph(text: str) -> str:
    """Runs as Word writes them: cut anywhere, breaks and tabs as elements, a deleted word that tracked changes keep."""
    runs = []
    for i, line in enumerate(text.split("\n")):
        half = len(line) // 2
        runs += ["<w:r><w:br/></w:r>"] * bool(i)
        runs += [
            f'<w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">{escape(part)}</w:t></w:r>'
            for part in (line[:half], line[half:])
        ]
    return f"<w:p><w:pPr/>{''.join(runs)}<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
