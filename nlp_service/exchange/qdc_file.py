"""Codebooks as REFI-QDA `.qdc` files, which NVivo, ATLAS.ti, MAXQDA and QualCoder read: https://www.qdasoftware.org, version 1.5.

A code's description holds the theme's other fields, each under its name, so that our own reader gets the same codebook back and a
person can read it. Codes keep hierarchy and colour.
"""

import colorsys
import json
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from models.vocabulary import Codebook, Theme, ThemeId, ThemesError

NAMESPACE: Final = "urn:QDA-XML:codebook:1.0"
_OURS: Final = uuid.UUID("6f2a4c0e-8f0b-5d0c-9a57-3b7f4f0f6d11")
MAX_FILE_BYTES: Final = 20_000_000
_MAX_DEPTH: Final = 50
_ORIGIN: Final = "theme-coding"
_MARK: Final = "\n\n[theme-coding] "


class ExchangeError(ThemesError):
    """A REFI-QDA file cannot be used."""

    code = "exchange_refused"


def code_guid(codebook: Codebook, theme: Theme) -> str:
    """Return the theme's GUID: the same for the same theme in every version of the codebook and every file."""
    return str(uuid.uuid5(_OURS, f"{codebook.id}/{theme.id}"))


def colours(codebook: Codebook) -> dict[ThemeId, str]:
    """Return `#RRGGBB` for each theme: families spread around the colour circle, themes lighter and darker within theirs."""
    families = [t for t in codebook.themes if t.parent is None]
    out: dict[ThemeId, str] = {}
    for i, family in enumerate(families):
        own = [family, *(t for t in codebook.themes if t.parent == family.id)]
        for j, theme in enumerate(own):
            light = 0.35 + 0.3 * j / max(len(own) - 1, 1)
            rgb = colorsys.hls_to_rgb(i / len(families), light, 0.6)
            out[theme.id] = "#" + "".join(f"{round(255 * c):02X}" for c in rgb)
    return out


def write_qdc(path: Path, codebook: Codebook) -> None:
    """Write the codebook; the same codebook gives the same bytes."""
    root = ET.Element("CodeBook", {"xmlns": NAMESPACE, "origin": f"{_ORIGIN} {codebook.ref}"})
    add_codes(root, codebook)
    ET.indent(root, " ")
    path.write_bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n")


def add_codes(parent: ET.Element, codebook: Codebook) -> None:
    """Add the element `Codes`: themes of the upper level with those below them inside."""
    painted = colours(codebook)
    codes = ET.SubElement(parent, "Codes")
    for theme in codebook.themes:
        if theme.parent is None:
            outer = _add_code(codes, codebook, theme, painted)
            for below in codebook.themes:
                if below.parent == theme.id:
                    _add_code(outer, codebook, below, painted)


def _add_code(parent: ET.Element, codebook: Codebook, theme: Theme, painted: dict[ThemeId, str]) -> ET.Element:
    codable = theme in codebook.codable
    element = ET.SubElement(
        parent,
        "Code",
        {
            "guid": code_guid(codebook, theme),
            "name": theme.label,
            "isCodable": "true" if codable else "false",
            "color": painted[theme.id],
        },
    )
    said = [theme.definition]
    said += [f"Include: {theme.include}"] if theme.include else []
    said += [f"Exclude: {theme.exclude}"] if theme.exclude else []
    place = codebook.themes.index(theme)
    kept = {
        "id": theme.id, "place": place, "definition": theme.definition, "include": theme.include, "exclude": theme.exclude, "cues": list(theme.cues),
        "examples": list(theme.examples), "residual": theme.residual, "references": [[k, list(v)] for k, v in theme.references],
        "codebook": [codebook.id, codebook.version, codebook.title],
    }  # fmt: skip
    ET.SubElement(element, "Description").text = "\n".join(said) + _MARK + json.dumps(kept, ensure_ascii=False)
    return element


def read_qdc(path: Path) -> Codebook:
    """Return the codebook in a `.qdc` file: exactly what `write_qdc` wrote, or another program's codes as themes.

    Codes deeper than two levels come under their topmost one, with the way as label ("Traffic / Speeding").

    Raises
    ------
    ExchangeError
        If the file cannot be read or holds no codes. Entities and document types are refused.
    """
    from defusedxml.common import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import fromstring  # noqa: PLC0415 -- only for files from outside

    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path, f"it has {path.stat().st_size} bytes", f"at most {MAX_FILE_BYTES}")
        root = fromstring(path.read_bytes(), forbid_dtd=True)
    except OSError as error:
        raise _refused(path, f"it cannot be read ({error.strerror})", "a readable file") from error
    except (ET.ParseError, DefusedXmlException, ValueError, RecursionError) as error:
        raise _refused(
            path, f"it is not XML that can be read ({type(error).__name__})", "a .qdc file without a document type"
        ) from error
    codes = root.find(f"{{{NAMESPACE}}}Codes")
    if root.tag != f"{{{NAMESPACE}}}CodeBook" or codes is None or not len(codes):
        raise _refused(path, "it holds no codes", "a REFI-QDA codebook with a code")
    return codebook_from_codes(codes, NAMESPACE, path.stem)[0]


def codebook_from_codes(codes: ET.Element, namespace: str, name: str) -> tuple[Codebook, dict[str, str]]:
    """Return the codebook in an element `Codes`, and theme ids by GUID; `name` is the codebook's where the codes don't say.

    Raises
    ------
    ExchangeError
        If two codes have one id, or codes are nested too deeply.
    """
    found: list[tuple[int, Theme]] = []
    by_guid: dict[str, str] = {}
    head = [name, "1", ""]
    for element in codes:
        _read_code(element, None, (), found, head, by_guid, namespace)
    if len({t.id for _, t in found}) < len(found):
        raise ExchangeError(
            "two codes have one id.", allowed="codes that differ.", next_step="export the codebook again."
        )
    ordered = tuple(t for _, t in sorted(found, key=lambda pair: pair[0]))
    return Codebook(head[0], head[1], ordered, head[2]), by_guid


def _read_code(
    element: ET.Element,
    top: ThemeId | None,
    way: tuple[str, ...],
    found: list[tuple[int, Theme]],
    head: list[str],
    by_guid: dict[str, str],
    namespace: str,
) -> None:
    if len(way) > _MAX_DEPTH:
        raise ExchangeError(
            "codes are nested too deeply.", allowed=f"at most {_MAX_DEPTH} levels.", next_step="flatten the codebook."
        )
    name = " ".join(element.get("name", "").split()) or "unnamed"
    said = element.findtext(f"{{{namespace}}}Description") or ""
    text, mark, kept = said.rpartition(_MARK)
    below = element.findall(f"{{{namespace}}}Code")
    guid = element.get("guid", "").strip("{}").lower() or f"code-{len(found) + 1}"
    ours = _from_kept(kept, name, top) if mark else None
    if ours is None:
        label = " / ".join((*way[1:], name)) if top is not None else name
        plain = " ".join((text or said).split())
        theme = len(found), Theme(ThemeId(guid), label, plain or label, parent=top)
    else:
        head[:], theme = ours
    found.append(theme)
    by_guid[guid] = str(theme[1].id)
    for child in below:
        _read_code(child, top if top is not None else theme[1].id, (*way, name), found, head, by_guid, namespace)


def _from_kept(kept: str, label: str, top: ThemeId | None) -> tuple[list[str], tuple[int, Theme]] | None:
    """Return the codebook's id, version and title, and the theme with its place; None if that is not what was kept."""
    try:
        entry = json.loads(kept)
        codebook_id, version, title = map(str, entry["codebook"])
        theme = Theme(
            id=ThemeId(str(entry["id"])),
            label=label,
            definition=str(entry["definition"]),
            include=str(entry["include"]),
            exclude=str(entry["exclude"]),
            parent=top,
            cues=tuple(map(str, entry["cues"])),
            examples=tuple(map(str, entry["examples"])),
            residual=bool(entry["residual"]),
            references=tuple((str(k), tuple(map(str, v))) for k, v in entry["references"]),
        )
        return [codebook_id, version, title], (int(entry["place"]), theme)
    except (ValueError, KeyError, TypeError):
        return None


def _refused(path: Path, found: str, allowed: str) -> ExchangeError:
    return ExchangeError(f"{path.name}: {found}.", allowed=f"{allowed}.", next_step="export the codebook again.")
