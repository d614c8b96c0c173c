"""The labelling interface of Label Studio, as its XML, from any codebook."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from xml.etree import ElementTree as ET

from models.vocabulary import Codebook, Segment, Theme, ThemeId

THEMES: Final = "themes"
EVIDENCE: Final = "evidence"
MISSING: Final = "missing"
TEXT: Final = "text"
NONE: Final = "__none__"
"""The choice "none of these"; no theme's id can start with a line."""
UNSURE: Final = "__unsure__"
"""The choice "unsure: somebody else should decide"."""
_KEYS: Final = "123456789qwertyuiopasdfghjklzxcvbnm"
_MAX_HINT_CHARS: Final = 1_000
_COLOURS: Final = ("#1d70b8", "#00703c", "#d4351c", "#4c2c92", "#b58840", "#28a197", "#d53880", "#505a5f")
_DOLLAR: Final = "\uff04"
_WIDE: Final = "flex: 1 1 24em; min-width: 20em"


def make_interface(codebook: Codebook, *, suggestions: bool, question: bool = False, sides: bool = False) -> str:
    """Return the labelling configuration.

    Parameters
    ----------
    codebook
        Whose codable themes are the choices, grouped by parent; ids are what is stored, labels what is seen.
    suggestions
        Show what the model suggests, as a line of text.
    question
        Show the question that the comment answers.
    sides
        Show what each coder said, for adjudication.
    """
    view = ET.Element("View", style="display: flex; flex-wrap: wrap; gap: 2em; align-items: flex-start")
    left = ET.SubElement(view, "View", style=f"{_WIDE}; position: sticky; top: 0")
    right = ET.SubElement(view, "View", style=_WIDE)
    if question:
        ET.SubElement(left, "Header", value="Question", size="5")
        ET.SubElement(left, "Text", name="question", value="$question")
    ET.SubElement(left, "Header", value="Comment", size="5")
    ET.SubElement(left, "Text", name=TEXT, value=f"${TEXT}", granularity="word")
    if suggestions:
        ET.SubElement(
            left,
            "Header",
            value="The model suggests, likeliest first (it can be wrong, and it misses things)",
            size="5",
        )
        ET.SubElement(left, "Text", name="suggested", value="$suggested")
    if sides:
        ET.SubElement(left, "Header", value="What the coders said", size="5")
        ET.SubElement(left, "Text", name="sides", value="$sides")
    names = _names(codebook)
    marks = ET.SubElement(
        ET.SubElement(left, "Collapse"), "Panel", value="Mark the words that carry a theme (optional)"
    )
    labels = ET.SubElement(marks, "Labels", name=EVIDENCE, toName=TEXT, choice="single")
    choices = ET.SubElement(right, "Choices", name=THEMES, toName=TEXT, choice="multiple", showInline="false", required="true",
                            requiredMessage="Choose the themes, or 'None of these', or 'Unsure'.")  # fmt: skip
    keys = iter(_KEYS)
    for number, (parent, themes) in enumerate(_groups(codebook)):
        group = ET.SubElement(choices, "View", style="margin-bottom: 1em")
        if parent is not None:
            ET.SubElement(group, "Header", value=_shown(parent.label), size="5")
        for theme in themes:
            given = {"value": names[theme.id], "alias": theme.id, "hint": _hint(theme)}
            key = next(keys, None)
            ET.SubElement(group, "Choice", given | ({"hotkey": key} if key else {}))
            ET.SubElement(
                labels, "Label", value=names[theme.id], alias=theme.id, background=_COLOURS[number % len(_COLOURS)]
            )
    last = ET.SubElement(choices, "View")
    ET.SubElement(last, "Header", value="Otherwise", size="5")
    ET.SubElement(
        last, "Choice", value="None of these", alias=NONE, hotkey="0", hint="The comment raises no theme of the list."
    )
    ET.SubElement(
        last, "Choice", value="Unsure", alias=UNSURE, hotkey="-", hint="You cannot tell; somebody else will decide."
    )
    ET.SubElement(right, "Header", value="A theme that the list lacks (optional)", size="5")
    ET.SubElement(right, "TextArea", name=MISSING, toName=TEXT, rows="1", maxSubmissions="1", editable="true")
    return ET.tostring(view, encoding="unicode")


def make_result(codings: Sequence[tuple[ThemeId, float, Sequence[Segment]]], text: str) -> list[dict[str, Any]]:
    """Return suggestions as the result of a prediction: themes, likeliest first, and their evidence in the shown text.

    A mark's id becomes part of a style sheet's selector in the browser: letters and digits alone, or the mark is not coloured.
    """
    ordered = sorted(codings, key=lambda c: (-c[1], c[0]))
    result: list[dict[str, Any]] = []
    if ordered:
        chosen = {"choices": [theme for theme, _, _ in ordered]}
        result.append({"id": "themes", "from_name": THEMES, "to_name": TEXT, "type": "choices", "value": chosen})
    for theme, probability, evidence in ordered:
        for segment in evidence:
            value = {"start": segment.start, "end": segment.end, "text": segment.of(text), "labels": [theme]}
            result.append(
                {
                    "id": f"mark{len(result)}",
                    "from_name": EVIDENCE,
                    "to_name": TEXT,
                    "type": "labels",
                    "value": value,
                    "score": probability,
                }
            )
    return result


def suggestion_line(
    codebook: Codebook, codings: Sequence[tuple[ThemeId, float]], unsure: Sequence[tuple[ThemeId, float]]
) -> str:
    """Return suggestions as a line to read: labels with percentages, likeliest first, then what is unsure and not coded."""
    names, coded, doubtful = _names(codebook), {t for t, _ in codings}, {t for t, _ in unsure}
    sure = [
        f"{names[t]} {100 * p:.0f} %{' (unsure)' if t in doubtful else ''}"
        for t, p in sorted(codings, key=lambda c: (-c[1], c[0]))
    ]
    more = [f"{names[t]} {100 * p:.0f} %" for t, p in sorted(unsure, key=lambda c: (-c[1], c[0])) if t not in coded]
    return f"{'; '.join(sure) or 'no theme'}." + (f" Not ticked, but possible: {'; '.join(more)}." if more else "")


def sides_line(codebook: Codebook, sides: Mapping[str, Sequence[ThemeId]]) -> str:
    """Return what each coder said as lines to read: what all agree on first, then each coder's own."""
    names = _names(codebook)
    counts = Counter(t for themes in sides.values() for t in set(themes))
    agreed = [t.id for t in codebook.codable if counts[t.id] == len(sides)]
    lines = [f"All: {'; '.join(names[t] for t in agreed)}"] if agreed else []
    for who, themes in sides.items():
        own = [names[t.id] for t in codebook.codable if t.id in set(themes) - set(agreed)]
        lines.append(f"{who}: {'; '.join(own) or ('nothing more' if agreed else 'none of these')}")
    return "\n".join(lines)


def _groups(codebook: Codebook) -> list[tuple[Theme | None, list[Theme]]]:
    """Return codable themes under their parents, in the order of the codebook; themes without one stand by themselves."""
    groups: dict[ThemeId | None, list[Theme]] = {}
    for theme in codebook.codable:
        groups.setdefault(theme.parent, []).append(theme)
    return [(codebook.find_theme(p) if p is not None else None, themes) for p, themes in groups.items()]


def _names(codebook: Codebook) -> dict[ThemeId, str]:
    """Return what is seen of each codable theme: its label, with the id where two labels are the same."""
    counts = Counter(_shown(t.label).casefold() for t in codebook.codable)
    return {
        t.id: f"{_shown(t.label)} ({t.id})" if counts[_shown(t.label).casefold()] > 1 else _shown(t.label)
        for t in codebook.codable
    }


def _hint(theme: Theme) -> str:
    parts = (
        theme.definition,
        theme.include and f"Include: {theme.include}",
        theme.exclude and f"Leave out: {theme.exclude}",
    )
    hint = _shown(" ".join(p for p in parts if p))
    return hint if len(hint) <= _MAX_HINT_CHARS else f"{hint[: _MAX_HINT_CHARS - 1]}…"


def _shown(text: str) -> str:
    """Return a text that XML can hold and that Label Studio does not read as a variable (`$name`)."""
    plain = "".join(" " if unicodedata.category(c) in ("Cc", "Cs") or c in "\ufffe\uffff" else c for c in text)
    return plain.replace("$", _DOLLAR)
