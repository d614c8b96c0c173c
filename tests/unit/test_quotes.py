"""Quotes: verbatim, short, of different people, and as the analyst pins and bans them."""

import random

import pytest

from models.vocabulary import (
    CodebookRef,
    CodedComment,
    Coding,
    Comment,
    CommentId,
    ModelId,
    RespondentId,
    Segment,
    ThemeId,
)
from nlp_service.report.quotes import Pin, PinError, check_ban, choose_quotes

WORDS = [
    "the",
    "lights",
    "on",
    "our",
    "street",
    "are",
    "broken",
    "and",
    "nobody",
    "comes",
    "when",
    "we",
    "ring",
    "about",
    "noise",
    "at",
    "night",
]


def pair(n: int, text: str, spans: list[tuple[str, int, int]], who: str | None = None) -> tuple[Comment, CodedComment]:
    cid = CommentId(f"c{n}")
    codings: dict[str, list[Segment]] = {}
    for theme, start, end in spans:
        codings.setdefault(theme, []).append(Segment(start, end))
    coded = tuple(Coding(ThemeId(t), 0.9 - n / 1000, tuple(s)) for t, s in codings.items())
    comment = Comment(cid, text, None, RespondentId(who or f"p{n}"))
    return comment, CodedComment(cid, coded, (), (), ModelId("m"), CodebookRef("b@1"))


def test_a_thousand_generated_reports_quote_only_slices_of_their_comments() -> None:
    rng = random.Random(0)
    for _ in range(1000):
        pairs = []
        for n in range(rng.randint(1, 8)):
            text = " ".join(rng.choices([*WORDS, "café", "👩‍👩‍👧", "<b>", "&"], k=rng.randint(3, 60)))
            start = rng.randrange(len(text))
            end = rng.randint(start + 1, len(text))
            pairs.append(pair(n, text, [(rng.choice("ab"), start, end)], f"p{rng.randint(0, 4)}"))
        texts = {str(c.id): c.text for c, _ in pairs}
        quotes = [q for of in choose_quotes(pairs, ["a", "b"], max_chars=120).values() for q in of]
        for q in quotes:
            assert texts[q.comment_id][q.start : q.end] == q.text
            assert len(q.text) <= 120
        people = [str(c.respondent) for q in quotes for c, _ in pairs if c.id == q.comment_id]
        assert len(people) == len(set(people))


def test_a_quote_unlike_the_first_is_preferred_to_its_copy() -> None:
    texts = ["The lights on Mill Lane have been broken all year.", "The lights on Mill Lane have been broken all year!", "I cross the road because the path by the canal is dark."]  # fmt: skip
    pairs = [pair(n, t, [("a", 0, len(t))]) for n, t in enumerate(texts)]
    assert [q.comment_id for q in choose_quotes(pairs, ["a"], per_theme=2)["a"]] == ["c0", "c2"]


def test_pinned_quotes_come_first_and_banned_ones_never() -> None:
    texts = [f"Number {n} says that the lights are broken on our street." for n in range(4)]
    pairs = [pair(n, t, [("a", 0, len(t))]) for n, t in enumerate(texts)]
    quotes = choose_quotes(pairs, ["a"], per_theme=2, pinned=[Pin("c3", 9, 39)], banned=["c0"])["a"]
    assert quotes[0].text == texts[3][9:39]
    assert [q.comment_id for q in quotes] == ["c3", "c1"]


def test_a_ban_of_no_comment_is_refused() -> None:
    check_ban("row-2", {"row-2"})
    with pytest.raises(PinError, match="banned comment 'row-3'"):
        check_ban("row-3", {"row-2"})


@pytest.mark.parametrize("pin", [Pin("c9"), Pin("c0", 5, 900), Pin("c0", 9, 9), Pin("c1"), Pin("c2")])
def test_a_pin_that_cannot_be_had_is_refused(pin: Pin) -> None:
    pairs = [pair(0, "Short words about the lights here.", [("a", 0, 34)]), pair(1, "Nothing", []), pair(2, "Banned words about lights here.", [("a", 0, 31)])]  # fmt: skip
    with pytest.raises(PinError):
        choose_quotes(pairs, ["a"], pinned=[pin], banned=["c2"])
