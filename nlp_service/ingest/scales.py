"""The order of answers on a scale: agreement, safety, frequency, bands of ages or years, numbered points.

Orders run from least to most, worst to best, never to always. "Don't know" and the like stand outside a scale and come last.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

MAX_POINTS: Final = 24
"""More different answers than this are no scale."""
_SCALE_TOP: Final = 10
_MIN_POINTS: Final = 2
_MIN_NUMBERS: Final = 3
_OUTSIDE: Final = re.compile(
    r"(?:i )?(?:do not|don't|dont) know|(?:i )?(?:am |'m )?(?:not sure|unsure)|(?:i )?(?:would )?(?:prefer|rather) not(?: to)?(?: say| answer)?"
    r"|not applicable|n/?a|no (?:opinion|answer|response|view)|(?:do not|don't) (?:wish|want) to (?:say|answer)"
    r"|can(?:not|'t) say|unknown|(?:this )?(?:does not|doesn't) apply(?: to me)?|other"
)
_INTENSITY: Final[Mapping[str, float]] = {
    "not at all": 0.5, "not": 0.6, "not very": 1.0, "not particularly": 1.0, "not so": 1.0, "not really": 1.0,
    "slightly": 1.5, "a little": 1.5, "a little bit": 1.5, "a bit": 1.5, "tend to": 2.0, "mostly": 3.2,
    "somewhat": 2.0, "moderately": 2.2, "fairly": 2.4, "quite": 2.4, "rather": 2.4, "reasonably": 2.4, "generally": 2.4, "partly": 2.0,
    "": 3.0, "much": 4.0, "a lot": 4.0, "very": 4.0, "strongly": 4.0, "highly": 4.0, "really": 4.0,
    "completely": 5.0, "totally": 5.0, "extremely": 5.0, "definitely": 5.0, "entirely": 5.0,
}  # fmt: skip
_STEMS: Final[Mapping[str, tuple[str, int]]] = {
    "agree": ("agree", 1), "disagree": ("agree", -1),
    "satisfied": ("satisfied", 1), "dissatisfied": ("satisfied", -1), "unsatisfied": ("satisfied", -1),
    "safe": ("safe", 1), "unsafe": ("safe", -1),
    "likely": ("likely", 1), "unlikely": ("likely", -1),
    "support": ("support", 1), "oppose": ("support", -1), "supportive": ("support", 1), "opposed": ("support", -1),
    "important": ("important", 1), "unimportant": ("important", -1),
    "easy": ("easy", 1), "difficult": ("easy", -1), "hard": ("easy", -1),
    "good": ("good", 1), "poor": ("good", -1), "bad": ("good", -1),
    "better": ("better", 1), "worse": ("better", -1), "improved": ("better", 1), "worsened": ("better", -1),
    "more": ("more", 1), "less": ("more", -1), "increased": ("more", 1), "decreased": ("more", -1),
    "higher": ("more", 1), "lower": ("more", -1),
    "positive": ("positive", 1), "negative": ("positive", -1),
    "comfortable": ("comfortable", 1), "uncomfortable": ("comfortable", -1),
    "happy": ("happy", 1), "unhappy": ("happy", -1),
    "helpful": ("helpful", 1), "unhelpful": ("helpful", -1),
    "concerned": ("concerned", 1), "worried": ("concerned", 1), "confident": ("confident", 1), "effective": ("effective", 1),
    "ineffective": ("effective", -1), "serious": ("serious", 1), "useful": ("useful", 1), "aware": ("aware", 1),
    "clear": ("clear", 1), "unclear": ("clear", -1), "well": ("well", 1), "badly": ("well", -1), "poorly": ("well", -1),
    "familiar": ("familiar", 1), "informed": ("informed", 1), "interested": ("interested", 1), "affected": ("affected", 1),
    "big problem": ("problem", 1), "problem": ("problem", 1), "big a problem": ("problem", 1), "satisfactory": ("satisfactory", 1),
}  # fmt: skip
_LISTS: Final[tuple[tuple[tuple[str, ...], ...], ...]] = (
    (
        ("never", "not at all"), ("almost never", "hardly ever", "very rarely"), ("rarely", "seldom", "not often"),
        ("occasionally", "once in a while"), ("sometimes", "from time to time"), ("regularly",),
        ("often", "frequently", "usually"), ("very often", "most of the time", "almost always", "mostly"), ("always", "all the time"),
    ),
    (
        ("never",), ("less than once a year", "less often", "rarely"), ("once a year", "yearly", "about once a year"),
        ("a few times a year", "several times a year", "less than once a month", "less than monthly", "a couple of times a year"),
        ("once a month", "monthly", "about once a month", "every month"), ("a few times a month", "2-3 times a month", "two or three times a month", "fortnightly", "once a fortnight"),
        ("once a week", "weekly", "about once a week", "every week", "at least once a week"),
        ("a few times a week", "several times a week", "2-3 times a week", "two or three times a week", "most days"),
        ("daily", "every day", "once a day", "almost every day", "at least once a day", "every day or nearly every day"),
        ("several times a day", "more than once a day"),
    ),
    (
        ("terrible", "awful"), ("very poor", "very bad"), ("poor", "bad"), ("below average",),
        ("fair", "average", "ok", "okay", "acceptable", "neither good nor poor", "neither good nor bad", "adequate"),
        ("above average",), ("good",), ("very good",), ("excellent", "outstanding"),
    ),
    (
        ("not at all", "none", "none at all", "nothing"), ("very little", "not much", "hardly at all", "not very much"),
        ("a little", "a little bit", "a bit", "slightly", "to a small extent"), ("some", "somewhat", "a moderate amount", "moderately", "to some extent", "a fair amount"),
        ("quite a lot", "quite a bit"), ("a lot", "very much", "to a large extent", "to a great extent"), ("a great deal", "completely", "extremely"),
    ),
    (("no", "no, not at all"), ("partly", "to some extent", "yes, to some extent", "maybe", "possibly"), ("mostly",), ("yes, definitely", "definitely", "yes", "fully", "completely")),
    (("very low",), ("low",), ("medium", "moderate"), ("high",), ("very high",)),
    (("much too little", "far too little"), ("too little", "not enough"), ("about right", "just right", "the right amount", "enough"), ("too much",), ("much too much", "far too much")),
    (("primary",), ("gcse", "gcses", "gcse or equivalent"), ("a level", "a levels", "a-level", "a-levels", "a level or equivalent"), ("degree", "undergraduate degree", "degree or above"), ("postgraduate", "postgraduate degree")),
)  # fmt: skip
_LIST_NAMES: Final = (
    "how often",
    "how often",
    "how good",
    "how much",
    "how far",
    "how high",
    "how near enough",
    "qualification",
)
_NEUTRAL: Final = re.compile(
    r"neutral|neither|neither [a-z ]{2,30} n?or [a-z ]{2,30}|no change|(?:about |stayed |much )?the same|undecided|mixed|no difference"
)
_CHANGE: Final = re.compile(r"(increased|decreased|improved|worsened) (a lot|a little|a bit|slightly|somewhat)")
_OPENERS: Final = ("i ", "it ", "it's ", "they ", "has ", "have ", "is ", "am ", "feel ", "got ", "become ")
_NUMBERED: Final = re.compile(r"([0-9]{1,2})(?:\s*[-.:)=\u2013\u2014]\s*|\s+\(?)(?=[^\s0-9])[^\n]{1,80}")
_BELOW: Final = re.compile(
    r"(?:under|less than|below|up to|fewer than|younger than) \D{0,2}([0-9][0-9,]{0,9})\b[^0-9\n]{0,30}"
)
_BAND: Final = re.compile(
    r"\D{0,2}([0-9][0-9,]{0,9})(?: ?(?:years|yrs|k))? ?(?:-|\u2013|\u2014|to|and|but less than|up to) ?\D{0,2}([0-9][0-9,]{0,9})\b[^0-9\n]{0,30}"
)
_ABOVE: Final = re.compile(
    r"(?:(?:over|more than|above|older than|at least) \D{0,2}([0-9][0-9,]{0,9})\b[^0-9\n]{0,30}|\D{0,2}([0-9][0-9,]{0,9}) ?(?:years |yrs )?(?:\+|(?:and|or) (?:over|above|older|more)|plus)[^0-9\n]{0,30})"
)
_SPACES: Final = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Scale:
    """Answers in order, and in words which scale they are on."""

    order: tuple[str, ...]
    """As written in the file, least or worst first; answers outside the scale ("don't know") last."""
    name: str


def find_scale(values: Iterable[str]) -> Scale | None:
    """Return the scale that different answers are on, or None if they are on none.

    All answers must be on one scale, save those outside every scale; a scale has at least two points (numbers: three).
    """
    written = sorted({" ".join(v.split()) for v in values if v.strip()})
    if not written or len(written) > MAX_POINTS:
        return None
    plain = {v: _plain(v) for v in written}
    for ranked, name in (
        (_numbers(plain), "points"),
        (_bands(plain), "bands of numbers"),
        (_numbered(plain), "numbered points"),
        *_listed(plain),
        (_poles(plain), "agreement, safety or the like"),
    ):
        if ranked is None:
            continue
        least = _MIN_NUMBERS if name == "how far" else _MIN_POINTS  # yes and no alone are two answers, not a scale
        inside = sorted((v for v in written if v in ranked), key=lambda v: (ranked[v], v))
        outside = [v for v in written if v not in ranked]
        if len({ranked[v] for v in inside}) >= least and all(_is_outside(plain[v]) for v in outside):
            return Scale((*inside, *outside), name)
    return None


def is_outside(value: str) -> bool:
    """Return whether an answer stands outside any scale: don't know, prefer not to say, not applicable."""
    return _is_outside(_plain(value))


def _plain(value: str) -> str:
    return _SPACES.sub(" ", value.replace("\u2019", "'").casefold()).strip(" .!")


def _is_outside(plain: str) -> bool:
    head = plain.partition(" / ")[0].partition(" (")[0]
    return _OUTSIDE.fullmatch(plain) is not None or _OUTSIDE.fullmatch(head) is not None


def _numbers(plain: Mapping[str, str]) -> dict[str, float] | None:
    """Return whole numbers from 0 to 10, at least three of them."""
    found = {v: float(p) for v, p in plain.items() if p.isascii() and p.isdigit() and int(p[:6]) <= _SCALE_TOP}
    return found if len(found) >= _MIN_NUMBERS else None


def _numbered(plain: Mapping[str, str]) -> dict[str, float] | None:
    """Return "1 - not at all" to "5 - very"; plain numbers between are points too."""
    found = {v: float(m[1]) for v, p in plain.items() if (m := _NUMBERED.fullmatch(p)) is not None}
    if not found or len(set(found.values())) != len(found):
        return None
    between = {v: float(p) for v, p in plain.items() if p.isascii() and p.isdigit() and int(p[:6]) <= _SCALE_TOP}
    both = found | between
    top = max(both.values())
    return both if top <= _SCALE_TOP and len(set(both.values())) == len(both) else None


def _bands(plain: Mapping[str, str]) -> dict[str, float] | None:
    """Return "under 18", "18 to 24", "75 and over": at least one of them with two ends, or both open ones."""
    found: dict[str, float] = {}
    for v, p in plain.items():
        if (m := _BELOW.fullmatch(p)) is not None:
            found[v] = _number(m[1]) - 0.5
        elif (m := _BAND.fullmatch(p)) is not None:
            found[v] = _number(m[1])
        elif (m := _ABOVE.fullmatch(p)) is not None:
            found[v] = _number(m[1] or m[2]) + 0.25
    return found or None


def _number(digits: str) -> float:
    return float(digits.replace(",", "") or 0)


def _listed(plain: Mapping[str, str]) -> list[tuple[dict[str, float] | None, str]]:
    """Return the answers found in each list of points (how often, how good, how much)."""
    found: list[tuple[dict[str, float] | None, str]] = []
    for scale, name in zip(_LISTS, _LIST_NAMES, strict=True):
        points = {point: float(i) for i, group in enumerate(scale) for point in group}
        found.append(({v: points[p] for v, p in plain.items() if p in points} or None, name))
    return found


def _poles(plain: Mapping[str, str]) -> dict[str, float] | None:
    """Return answers built of how much and of what: "fairly unsafe", "strongly agree", "neither safe nor unsafe"."""
    ranks: dict[str, float] = {}
    stems: set[str] = set()
    for v, p in plain.items():
        if _NEUTRAL.fullmatch(p) is not None:
            ranks[v] = 0.0
            continue
        parsed = _parse_pole(p)
        if parsed is not None:
            stem, ranks[v] = parsed
            stems.add(stem)
    return ranks if len(stems) == 1 else None


def _parse_pole(plain: str) -> tuple[str, float] | None:
    change = _CHANGE.fullmatch(plain)
    if change is not None:
        stem, sign = _STEMS[change[1]]
        return stem, sign * _INTENSITY[change[2]]
    for opener in _OPENERS:
        plain = plain.removeprefix(opener)
    plain = (
        plain.removeprefix("a ")
        if plain.startswith(("a very", "a fairly", "a big", "a problem", "a slight"))
        else plain
    )
    plain = plain.removesuffix(" at all") if plain.startswith("not ") and not plain.startswith("not at all") else plain
    if plain.startswith(("not a ", "not an ")):
        plain = "not " + plain.partition(" ")[2].partition(" ")[2]
    words = plain.split(" ")
    for n_words in (1, 2, 3):
        head, found = " ".join(words[:-n_words]), _STEMS.get(" ".join(words[-n_words:]))
        if found is None or head not in _INTENSITY or n_words > len(words):
            continue
        stem, sign = found
        if head.startswith("not") and sign > 0:  # "not very safe" is the low end of a scale that has no "unsafe"
            return stem, _INTENSITY[head] - _INTENSITY[""]
        return stem, sign * _INTENSITY[head]
    return None
