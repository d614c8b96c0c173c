"""What a codebook says of its themes, as short texts that a fit learns from beside the decisions."""

import re
from typing import Final

from models.vocabulary import Codebook, Theme

_ASIDE: Final = re.compile(r"\([^)]*\)")
_BREAK: Final = re.compile(r"[:;,.]")
_LINK: Final = re.compile(r"^(?:and|or|also|but)\s+")


def make_hints(codebook: Codebook) -> list[tuple[str, int]]:
    """Return each codable theme's label with its definition, and its examples, each with the theme's position."""
    return [(text, k) for k, t in enumerate(codebook.codable) for text in (f"{t.label}. {t.definition}", *t.examples)]


def make_phrases(codebook: Codebook) -> list[tuple[str, int]]:
    """Return the label, the phrases of the definition and the cues of each codable theme, each with the theme's position.

    A phrase is what stands between marks: residents write "kind staff", not whole definitions. What several themes say belongs to none.
    """
    found = [(phrase, k) for k, t in enumerate(codebook.codable) for phrase in _phrases(t)]
    themes: dict[str, set[int]] = {}
    for phrase, k in found:
        themes.setdefault(phrase.lower(), set()).add(k)
    return [(phrase, k) for phrase, k in found if len(themes[phrase.lower()]) == 1]


def _phrases(theme: Theme) -> list[str]:
    parts = (_LINK.sub("", part.strip()) for part in _BREAK.split(_ASIDE.sub(" ", theme.definition)))
    said: dict[str, str] = {}
    for phrase in (theme.label, *parts, *theme.cues):
        if any(map(str.isalpha, phrase)):
            said.setdefault(phrase.lower(), phrase)
    return list(said.values())
