"""The language that a comment is written in, offline and careful: what is short or mixed counts as English."""

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

ENGLISH: Final = "en"
MIN_WORDS: Final = 4
MIN_LETTERS: Final = 12
"""Shorter texts in Latin letters are never called foreign."""
MIN_OTHER_LETTERS: Final = 6
"""The same for other scripts, which English is not written in."""
_SURE: Final = 0.98
"""What English and its creoles must not have: a text is foreign if everything else together has this probability."""
_LEADING: Final = 0.5
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_WORD: Final = re.compile(r"[^\W\d_]+")
_ENGLISH_WORDS: Final = frozenset(
    "the and of to is are was were it its it's they them their there this that with for from have has had not but you your we our us my at be been "
    "by can could should would will when where what which who how all any some more most very just about because after before please".split()
)
"""Words that other languages of the United Kingdom hardly have."""
_ENGLISH_SHARE: Final = 0.12
_NEAR_ENGLISH: Final = frozenset({"en", "pcm", "la", "eo", "zxx", "vo"})
"""English, its creole, and codes that stand for no living language here."""


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 -- unpacks its model: nearly two seconds

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def find_language(text: str) -> str:
    """Return the text's language as an ISO 639 code; `en` unless it is clearly something else.

    py3langid (naive Bayes over byte n-grams, 97+ languages, its model inside its wheel) is asked only where common English
    words are rare.
    """
    words = _WORD.findall(text)
    n_letters = sum(map(len, words))
    latin = sum(1 for _ in _LATIN.finditer(text))
    foreign_script = n_letters >= MIN_OTHER_LETTERS and latin * 2 < n_letters
    if n_letters < MIN_LETTERS and not foreign_script:
        return ENGLISH
    if not foreign_script:
        n_english = sum(w.lower() in _ENGLISH_WORDS for w in words)
        if len(words) < MIN_WORDS or n_english >= _ENGLISH_SHARE * len(words):
            return ENGLISH
    ranked = [(code, p) for code, p in _identifier().rank(text) if code not in _NEAR_ENGLISH]
    code, leading = ranked[0]
    if foreign_script or (sum(p for _, p in ranked) >= _SURE and leading >= _LEADING):
        return str(code)
    return ENGLISH
