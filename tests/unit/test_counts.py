"""Messages say "1 comment" and "2 comments": every count goes through the one helper."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.counts import counted

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "annotation", "training", "nlp_service")
NOUNS = (
    "answers|batches|callers|candidates|cells|codings|columns|comments|comparisons|copies|decisions|errors|examples|fields|figures|files|"
    "findings|groups|labels|lines|minutes|models|options|others|pairs|parts|people|problems|questions|respondents|rows|segments|sessions|"
    "sheets|speakers|tasks|tensors|texts|themes|threads|times|topics|turns|warnings|webhooks|words"
)
SEVERAL = re.compile(rf" (?:(?!(?:codes|has|is|of|that|whose)\b)[a-z-]+ ){{0,2}}(?:{NOUNS})\b")
LIMIT = re.compile(r"[A-Z_.]+|\w*max\w*")
"""By its name a limit, which is never one."""


def bare_counts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of f-strings in which a value stands before a word for several things, and what stands there."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.JoinedStr):
            continue
        for value, then in zip(node.values, node.values[1:], strict=False):
            if not isinstance(value, ast.FormattedValue) or isinstance(value.value, ast.Constant):
                continue
            said = then.value if isinstance(then, ast.Constant) else ""
            if SEVERAL.match(str(said)) and not LIMIT.fullmatch(ast.unparse(value.value)):
                yield value.lineno, f"{ast.unparse(value)}{said}"


@pytest.mark.parametrize(
    ("n", "words"), [(0, "0 comments"), (1, "1 comment"), (2, "2 comments"), (1_234, "1234 comments")]
)
def test_one_thing_is_named_as_one_and_any_other_number_as_several(n: int, words: str) -> None:
    assert counted(n, "comment") == words


def test_verbs_and_words_without_an_s_are_given_and_the_number_is_written_as_asked() -> None:
    assert [counted(n, "person is", "people are", spec=",") for n in (1, 4_000)] == ["1 person is", "4,000 people are"]


def test_a_count_that_is_set_before_a_word_for_several_is_found() -> None:
    assert [line for line, _ in bare_counts('x = 1\nf"{x} comments"\nf"{MAX_X} rows, {x} more\ttasks, {x:>3} new rows"')] == [2, 3]  # fmt: skip


def test_no_message_sets_a_count_before_a_word_for_several_by_itself() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: {said}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for line, said in bare_counts(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_no_message_leaves_it_open_whether_there_is_one() -> None:
    files = [p for package in PACKAGES for kind in ("*.py", "*.jinja") for p in (ROOT / package).rglob(kind)]
    assert [p.name for p in files if re.search(r"\} [a-z]+\(s\)", p.read_text(encoding="utf-8"))] == []
