"""Word lists that tell names from other words: read once, in lower case.

`common_words.txt` holds the lower-case words of at least `COMMON_TIMES` comments of the starter corpus, and is written
by `python -m nlp_service.privacy.words`; the others were written for this project.
"""

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Final

from nlp_service.privacy.personal_data import PLAIN_MARKS

COMMON_TIMES: Final = 2
_HERE: Final = Path(__file__).parent
_WORD: Final = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+){0,3}")


@cache
def word_list(name: str) -> frozenset[str]:
    """Return the words of a list in lower case; lines that start with # are comments."""
    lines = (_HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(w for line in lines if not line.startswith("#") for w in line.lower().split())


@cache
def phrase_list(name: str) -> frozenset[tuple[str, ...]]:
    """Return the phrases of a list, one a line, each as its lower-case words with straight apostrophes."""
    lines = (_HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(tuple(line.lower().split()) for line in lines if line.strip() and not line.startswith("#"))


def common_words(corpus: Path) -> list[str]:
    """Return the words that the corpus writes in lower case in enough of its comments, sorted; no unmistakable given name."""
    seen: Counter[str] = Counter()
    for line in corpus.read_text(encoding="utf-8").splitlines():
        text = json.loads(line)["text"].translate(PLAIN_MARKS)
        seen.update({w for w in _WORD.findall(text) if w.islower()})
    names = word_list("first_names") - word_list("ambiguous_names")
    return sorted(w for w, n in seen.items() if n >= COMMON_TIMES and w not in names)
