"""The report as a Word document, made from the page: the same words, with real headings, tables, alternative texts and contents."""

import io
import re
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

_CREATED: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Of every report: the same report gives the same bytes."""
_ZIP_DAY: Final = (1980, 1, 1, 0, 0, 0)
_PICTURE_CM: Final = 16.0
_SPACES: Final = re.compile(r"[ \t\r\n]+")
_BAD_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_MAX_LEVEL: Final = 5
_FULL_SIZE_COLUMNS: Final = 5
_SMALL_COLUMNS: Final = 7


def write_document(path: Path, page: str, pictures: Mapping[str, bytes]) -> None:
    """Write a page of the report's template as .docx.

    Parameters
    ----------
    page
        HTML with a `header h1` and a `main` of headings, paragraphs, lists, tables with captions, figures and quotations.
    pictures
        PNG for each `img` by its `data-picture`.
    """
    import docx  # noqa: PLC0415 -- the document library, in this module only
    import lxml.html  # noqa: PLC0415

    tree = lxml.html.document_fromstring(page)
    document = docx.Document()
    writer = _Writer(document, pictures)
    writer.prepare(str(tree.get("lang") or "en-GB"))
    for element in tree.xpath("//header/h1 | //header/p"):
        writer.block(element)
    writer.contents()
    for element in tree.xpath("//main/*"):
        writer.block(element)
    properties = document.core_properties
    properties.title = _text(tree.xpath("//header/h1")[0])
    properties.author, properties.comments = "", ""
    properties.created = properties.modified = _CREATED.replace(tzinfo=None)
    held = io.BytesIO()
    document.save(held)
    path.write_bytes(_undated(held.getvalue()))


class _Writer:
    """Walks blocks of the page and adds what each stands for."""

    def __init__(self, document: Any, pictures: Mapping[str, bytes]) -> None:
        self._document, self._pictures, self._n_pictures = document, pictures, 0

    def prepare(self, language: str) -> None:
        from docx.oxml.ns import qn  # noqa: PLC0415
        from docx.shared import Cm, Pt, RGBColor  # noqa: PLC0415

        styles = self._document.styles
        normal = styles["Normal"]
        normal.font.name, normal.font.size = "Arial", Pt(11)
        for style in styles:
            if style.name == "Title" or style.name.startswith("Heading"):
                style.font.name, style.font.color.rgb = "Arial", RGBColor(0x0B, 0x0C, 0x0C)
                fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
                for theme in ("asciiTheme", "hAnsiTheme", "eastAsiaTheme", "cstheme"):
                    fonts.attrib.pop(qn(f"w:{theme}"), None)
        styles["Quote"].font.color.rgb = RGBColor(0x0B, 0x0C, 0x0C)
        styles["Caption"].font.color.rgb = RGBColor(0x38, 0x3F, 0x43)
        for lang in styles.element.iter(qn("w:lang")):
            lang.set(qn("w:val"), language)
        section = self._document.sections[0]
        section.page_width, section.page_height = Cm(21.0), Cm(29.7)
        section.left_margin = section.right_margin = Cm(2.2)

    def contents(self) -> None:
        """Add a table of contents, which Word fills from the headings when it opens the document."""
        from docx.oxml import OxmlElement  # noqa: PLC0415
        from docx.oxml.ns import qn  # noqa: PLC0415

        paragraph = self._document.add_paragraph()
        for kind, words in (("begin", ""), ("", 'TOC \\o "1-3" \\h \\z \\u'), ("separate", ""), ("text", "Contents: update this field to fill it."), ("end", "")):  # fmt: skip
            run = paragraph.add_run()
            if kind == "text":
                run.text = words
            elif words:
                instruction = OxmlElement("w:instrText")
                instruction.set(qn("xml:space"), "preserve")
                instruction.text = words
                run._r.append(instruction)
            else:
                mark = OxmlElement("w:fldChar")
                mark.set(qn("w:fldCharType"), kind)
                if kind == "begin":
                    mark.set(qn("w:dirty"), "true")
                run._r.append(mark)

    def block(self, element: Any) -> None:
        tag = element.tag if isinstance(element.tag, str) else ""
        if tag == "h1":
            self._document.add_heading(_text(element), 0)
        elif re.fullmatch("h[2-6]", tag):
            self._document.add_heading(_text(element), min(int(tag[1]) - 1, _MAX_LEVEL))
        elif tag == "p":
            self._document.add_paragraph(_text(element))
        elif tag in ("ul", "ol"):
            for item in element.iterchildren("li"):
                self._document.add_paragraph(_text(item), "List Bullet" if tag == "ul" else "List Number")
        elif tag == "table":
            self._table(element)
        elif tag == "figure":
            self._figure(element)
        elif tag == "blockquote":
            for part in element.iterchildren("p"):
                self._document.add_paragraph(_text(part), "Quote")
            for part in element.iterchildren("footer"):
                from docx.shared import Pt  # noqa: PLC0415

                self._document.add_paragraph().add_run(_text(part)).font.size = Pt(9)
        elif tag not in ("nav", "style", "script"):
            for child in element.iterchildren():
                self.block(child)

    def _table(self, element: Any) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH  # noqa: PLC0415
        from docx.oxml import OxmlElement  # noqa: PLC0415
        from docx.oxml.ns import qn  # noqa: PLC0415
        from docx.shared import Cm, Pt  # noqa: PLC0415

        caption = " ".join(_text(c) for c in element.iterchildren("caption"))
        if caption:
            paragraph = self._document.add_paragraph(caption, "Caption")
            paragraph.paragraph_format.keep_with_next = True
        rows = list(element.iter("tr"))
        cells = [list(row.iterchildren("th", "td")) for row in rows]
        table = self._document.add_table(len(rows), max(map(len, cells)), "Table Grid")
        description = OxmlElement("w:tblCaption")
        description.set(qn("w:val"), caption)
        table._tbl.tblPr.append(description)
        table._tbl.tblPr.append(_thin_lines())
        width = max(map(len, cells))
        size_pt = 10 if width <= _FULL_SIZE_COLUMNS else 8 if width <= _SMALL_COLUMNS else 7
        first_cm = _PICTURE_CM * (0.45 if width <= _FULL_SIZE_COLUMNS else 0.22)
        table.autofit = False
        widths = [first_cm, *[(_PICTURE_CM - first_cm) / max(1, width - 1)] * (width - 1)]
        for column, cm in zip(table.columns, widths, strict=True):
            column.width = Cm(cm)
        grid = table._cells
        for r, (row, of) in enumerate(zip(rows, cells, strict=True)):
            is_head = row.getparent().tag == "thead"
            if is_head:
                repeated = OxmlElement("w:tblHeader")
                repeated.set(qn("w:val"), "true")
                table.rows[r]._tr.get_or_add_trPr().append(repeated)
            for c, cell in enumerate(of):
                grid[r * width + c].width = Cm(widths[c])
                paragraph = grid[r * width + c].paragraphs[0]
                paragraph.paragraph_format.space_before = paragraph.paragraph_format.space_after = Pt(2)
                if "n" in (cell.get("class") or "").split():
                    paragraph.alignment = WD_ALIGN_PARAGRAPH.RIGHT
                run = paragraph.add_run(_text(cell))
                run.bold = is_head or None
                run.font.size = Pt(size_pt)
        self._document.add_paragraph().paragraph_format.space_after = Pt(2)

    def _figure(self, element: Any) -> None:
        from docx.shared import Cm  # noqa: PLC0415

        for image in element.iter("img"):
            picture = self._pictures.get(image.get("data-picture", ""))
            if picture is None:
                continue
            shape = self._document.add_picture(io.BytesIO(picture), width=Cm(_PICTURE_CM))
            self._n_pictures += 1
            shape._inline.docPr.set("descr", _BAD_XML.sub("\ufffd", image.get("alt", "")))
            shape._inline.docPr.set("name", f"Chart {self._n_pictures}")
            self._document.paragraphs[-1].paragraph_format.keep_with_next = True
        for caption in element.iterchildren("figcaption"):
            self._document.add_paragraph(_text(caption), "Caption")


def _thin_lines() -> Any:
    """Return borders of a table: a grey line under each row."""
    from docx.oxml import OxmlElement  # noqa: PLC0415
    from docx.oxml.ns import qn  # noqa: PLC0415

    borders = OxmlElement("w:tblBorders")
    for side in ("top", "left", "bottom", "right", "insideH", "insideV"):
        line = OxmlElement(f"w:{side}")
        is_drawn = side in ("bottom", "insideH")
        line.set(qn("w:val"), "single" if is_drawn else "nil")
        if is_drawn:
            line.set(qn("w:sz"), "4")
            line.set(qn("w:color"), "B1B4B6")
        borders.append(line)
    return borders


def _text(element: Any) -> str:
    """Return an element's words, white space single, without characters that XML has no place for."""
    return _BAD_XML.sub("\ufffd", _SPACES.sub(" ", str(element.text_content())).strip())


def _undated(data: bytes) -> bytes:
    """Return the package with every part's time of writing set to one day."""
    held = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as out:
        for item in package.infolist():
            out.writestr(zipfile.ZipInfo(item.filename, _ZIP_DAY), package.read(item.filename), zipfile.ZIP_DEFLATED)
    return held.getvalue()
