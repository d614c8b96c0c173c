"""Coded comments as a REFI-QDA `.qdpx` project: a zip of `project.qde` and a text file for each comment, version 1.5.

Positions count code points from 0 and are half-open, as in the standard's example. Texts are files of their own, so that line breaks
stay as they were: an XML reader would change them. Entries carry one fixed date: the same comments give the same bytes.
"""

import re
import uuid
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.vocabulary import Codebook, CodedComment, Comment, Segment
from nlp_service.exchange.qdc_file import ExchangeError, add_codes, code_guid, codebook_from_codes

NAMESPACE: Final = "urn:QDA-XML:project:1.0"
MAX_ENTRIES: Final = 500_000
MAX_UNPACKED_BYTES: Final = 2_000_000_000
_OURS: Final = uuid.UUID("0b7f1d52-52a4-5f0a-8c77-7b1f5f8b9f35")
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_INSIDE: Final = "internal://"
_NOT_XML: Final = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class CodedSource:
    """A text of a project with the slices that codes stand on; a code on the whole text has no slice."""

    name: str
    text: str
    codings: tuple[tuple[str, Segment | None], ...]
    """Theme id and slice, in the file's order."""


def write_qdpx(path: Path, pairs: Sequence[tuple[Comment, CodedComment]], codebook: Codebook) -> None:
    """Write comments with the themes coded on them; evidence becomes selections, a theme without evidence lies on the whole text."""
    model = str(pairs[0][1].model) if pairs else "no model"
    root = ET.Element("Project", {"xmlns": NAMESPACE, "name": str(codebook.ref), "origin": "theme-coding"})
    user = _guid("user", model)
    ET.SubElement(ET.SubElement(root, "Users"), "User", {"guid": user, "name": f"theme-coding {model}"})
    add_codes(ET.SubElement(root, "CodeBook"), codebook)
    sources = ET.SubElement(root, "Sources") if pairs else None
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for comment, coded in pairs:
            assert sources is not None  # noqa: S101 -- for the type checker: there is a pair
            guid = _guid("source", str(comment.id))
            where = {
                "guid": guid,
                "name": _NOT_XML.sub("?", str(comment.id)),
                "plainTextPath": f"{_INSIDE}{guid}.txt",
                "creatingUser": user,
            }
            source = ET.SubElement(sources, "TextSource", where)
            whole: list[str] = []
            for coding in coded.codings:
                target = code_guid(codebook, codebook.get_theme(coding.theme))
                for s in coding.evidence:
                    place = {"startPosition": str(s.start), "endPosition": str(s.end), "creatingUser": user}
                    own = _guid(guid, target, f"{s.start}-{s.end}")
                    _add_coding(ET.SubElement(source, "PlainTextSelection", {"guid": own, **place}), own, target, user)
                if not coding.evidence:
                    whole.append(target)
            for target in whole:
                _add_coding(source, _guid(guid, target), target, user)
            _add_file(archive, f"sources/{guid}.txt", comment.text.encode())
        ET.indent(root, " ")
        _add_file(archive, "project.qde", ET.tostring(root, encoding="utf-8", xml_declaration=True))


def read_qdpx(path: Path) -> tuple[Codebook, list[CodedSource]]:
    """Return a project's codebook and its plain texts with their codes, in order.

    Raises
    ------
    ExchangeError
        If the file is no project, unpacks to too much, or a text or code that it names is not there.
    """
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415 -- only for files from outside
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415

    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES or sum(e.file_size for e in entries) > MAX_UNPACKED_BYTES:
                raise _refused(
                    path, "it unpacks to too much", f"{MAX_ENTRIES} entries and {MAX_UNPACKED_BYTES} bytes at most"
                )
            root = fromstring(archive.read("project.qde"), forbid_dtd=True)
            codes = root.find(f"{{{NAMESPACE}}}CodeBook/{{{NAMESPACE}}}Codes")
            if codes is None or not len(codes):
                raise _refused(path, "it holds no codes", "a project with a codebook")
            book, by_guid = codebook_from_codes(codes, NAMESPACE, path.stem)
            found = root.findall(f"{{{NAMESPACE}}}Sources/{{{NAMESPACE}}}TextSource")
            return book, [_read_source(archive, element, by_guid) for element in found]
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})", "a readable file") from error
    except (zipfile.BadZipFile, ET.ParseError, DefusedXmlException, ValueError, KeyError, RecursionError) as error:
        raise _refused(path, f"it is no project that can be read ({type(error).__name__})", "a .qdpx file") from error


def _read_source(archive: zipfile.ZipFile, element: ET.Element, by_guid: dict[str, str]) -> CodedSource:
    inline = element.findtext(f"{{{NAMESPACE}}}PlainTextContent")
    where = element.get("plainTextPath", "").removeprefix(_INSIDE)
    text = inline if inline is not None else archive.read(f"sources/{where}").decode("utf-8-sig")
    codings: list[tuple[str, Segment | None]] = []
    for selection in element.findall(f"{{{NAMESPACE}}}PlainTextSelection"):
        slice_ = Segment(int(selection.attrib["startPosition"]), int(selection.attrib["endPosition"]))
        if slice_.end > len(text):
            raise ValueError("a selection lies beyond its text")
        codings += [(theme, slice_) for theme in _targets(selection, by_guid)]
    codings += [(theme, None) for theme in _targets(element, by_guid)]
    return CodedSource(element.get("name", ""), text, tuple(codings))


def _targets(element: ET.Element, by_guid: dict[str, str]) -> list[str]:
    references = element.findall(f"{{{NAMESPACE}}}Coding/{{{NAMESPACE}}}CodeRef")
    return [by_guid[r.attrib["targetGUID"].strip("{}").lower()] for r in references]


def _add_coding(parent: ET.Element, place: str, target: str, user: str) -> None:
    coding = ET.SubElement(parent, "Coding", {"guid": _guid("coding", place, target), "creatingUser": user})
    ET.SubElement(coding, "CodeRef", {"targetGUID": target})


def _add_file(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _DATE)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def _guid(*parts: str) -> str:
    return str(uuid.uuid5(_OURS, "/".join(parts)))


def _refused(path: Path, found: str, allowed: str) -> ExchangeError:
    return ExchangeError(f"{path.name}: {found}.", allowed=f"{allowed}.", next_step="export the project again.")
