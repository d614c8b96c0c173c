"""Residents' own words under a theme: verbatim, short, of different people, saying different things."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from models.vocabulary import CodedComment, Comment, Segment, ThemesError

MAX_CHARS: Final = 240
MIN_CHARS: Final = 30
PER_THEME: Final = 2
_CONSIDERED: Final = 25
"""Candidates of a theme that are compared with each other: those whose theme is surest."""
_REPLACED: Final = 0.25
_WORD: Final = re.compile(r"[a-z']{3,}")


class PinError(ThemesError):
    """A quote that the analyst asked for cannot be had."""

    code = "quote_refused"


class Shown(Protocol):
    """A comment as it may be quoted, and the way to it."""

    @property
    def text(self) -> str:
        """Return the whole comment, as it may be quoted."""

    def to_redacted(self, start: int, end: int) -> Segment:
        """Return the slice of `text` that stands for a slice of the original."""


Show = Callable[[str], Shown]


@dataclass(frozen=True, slots=True)
class Pin:
    """A quote that the analyst wants: of a comment, or of a slice of it, under a theme or under the first that fits."""

    comment_id: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """`text` is `shown[start:end]`, `shown` being the comment of that id as it may be quoted: with personal data replaced."""

    theme: str
    comment_id: str
    start: int
    end: int
    text: str
    question: str | None
    session: str | None


@dataclass(frozen=True, slots=True)
class _Candidate:
    quote: Quote
    respondent: str
    probability: float
    words: frozenset[str]


def choose_quotes(
    pairs: Sequence[tuple[Comment, CodedComment]],
    themes: Sequence[str],
    *,
    per_theme: int = PER_THEME,
    max_chars: int = MAX_CHARS,
    pinned: Sequence[Pin] = (),
    banned: Collection[str] = (),
    show: Show | None = None,
) -> dict[str, tuple[Quote, ...]]:
    """Return quotes for each theme, in the order of `themes`: those first are served first.

    Nobody is quoted twice unless pinned. Of what is left, each next quote is the one least like those chosen before. `show` replaces
    personal data; without it comments are quoted as they are.

    Raises
    ------
    PinError
        If a pinned quote is not in a comment, is too long, or its comment carries none of the themes.
    """
    by_theme: dict[str, list[_Candidate]] = {t: [] for t in themes}
    for comment, coded in pairs:
        if str(comment.id) in banned:
            continue
        for coding in coded.codings:
            if coding.theme not in by_theme:
                continue
            for segment in coding.evidence:
                text = segment.of(comment.text)
                if MIN_CHARS <= len(text) <= max_chars and text.isprintable():
                    by_theme[coding.theme].append(
                        _candidate(comment, coding.theme, segment.start, segment.end, coding.probability)
                    )
    texts = {str(c.id): c.text for c, _ in pairs}
    chosen: dict[str, list[Quote]] = {t: [] for t in themes}
    quoted: set[str] = set()
    taken: list[frozenset[str]] = []
    for pin in pinned:
        candidate = _as_shown(_pinned(pin, pairs, by_theme, max_chars, banned), texts, show)
        chosen[candidate.quote.theme].append(candidate.quote)
        quoted.add(candidate.respondent)
        taken.append(candidate.words)
    for theme in themes:
        pool = sorted(by_theme[theme], key=lambda c: (-c.probability, c.quote.comment_id, c.quote.start))
        pool = [c for c in pool if c.respondent not in quoted][:_CONSIDERED]
        pool = [c for c in (_as_shown(c, texts, show) for c in pool) if len(c.quote.text) <= max_chars]
        here: list[frozenset[str]] = []
        while pool and len(chosen[theme]) < per_theme:
            best = max(pool, key=lambda c: _worth(c, here, taken))
            chosen[theme].append(best.quote)
            quoted.add(best.respondent)
            here.append(best.words)
            taken.append(best.words)
            pool = [c for c in pool if c.respondent != best.respondent]
    return {t: tuple(q) for t, q in chosen.items()}


def check_pin(pin: Pin, comment_ids: Collection[str]) -> None:
    """Raise PinError unless the pinned comment is there."""
    if pin.comment_id not in comment_ids:
        raise _refused(pin, "is not among the comments that may be quoted", "a comment of the files")


def check_ban(comment_id: str, comment_ids: Collection[str]) -> None:
    """Raise PinError unless the banned comment is there: a slip of the pen would leave it quotable."""
    if comment_id not in comment_ids:
        raise PinError(
            f"the banned comment {comment_id!r} is not among the comments.",
            allowed="an id as the codings have it, such as row-2 or survey:HM-0001/1.",
            next_step="correct --ban.",
        )


def _candidate(comment: Comment, theme: str, start: int, end: int, probability: float) -> _Candidate:
    text = comment.text[start:end]
    quote = Quote(theme, str(comment.id), start, end, text, comment.question, comment.session)
    who = str(comment.respondent or comment.id)
    return _Candidate(quote, who, probability, frozenset(_WORD.findall(text.casefold())))


def _as_shown(candidate: _Candidate, texts: Mapping[str, str], show: Show | None) -> _Candidate:
    """Return the candidate with its quote as it may be shown; a quote in which something was replaced is worth less."""
    if show is None:
        return candidate
    q = candidate.quote
    shown = show(texts[q.comment_id])
    segment = shown.to_redacted(q.start, q.end)
    text = segment.of(shown.text)
    if text == q.text:
        return replace(candidate, quote=replace(q, start=segment.start, end=segment.end))
    quote = replace(q, start=segment.start, end=segment.end, text=text)
    return replace(candidate, quote=quote, probability=candidate.probability - _REPLACED)


def _worth(candidate: _Candidate, here: Sequence[frozenset[str]], taken: Sequence[frozenset[str]]) -> float:
    """Return how sure the theme is, less how much the words repeat what is quoted: under this theme, and anywhere."""

    def alike(others: Sequence[frozenset[str]]) -> float:
        return max((len(candidate.words & w) / max(1, len(candidate.words | w)) for w in others), default=0.0)

    return candidate.probability - 2 * alike(here) - alike(taken)


def _pinned(
    pin: Pin,
    pairs: Sequence[tuple[Comment, CodedComment]],
    by_theme: dict[str, list[_Candidate]],
    max_chars: int,
    banned: Collection[str],
) -> _Candidate:
    found = next(((c, coded) for c, coded in pairs if str(c.id) == pin.comment_id), None)
    if found is None or pin.comment_id in banned:
        raise _refused(pin, "is banned, or not among the comments that may be quoted", "a comment of the files")
    comment, coded = found
    if pin.start is None or pin.end is None:
        of = [c for t in coded.themes for c in by_theme.get(t, ()) if c.quote.comment_id == pin.comment_id]
        if not of:
            raise _refused(
                pin,
                f"has no sentence of at most {max_chars} characters that carries a theme",
                "a slice, as ID@START-END",
            )
        return max(of, key=lambda c: (c.probability, -c.quote.start))
    themes = [c for c in coded.codings if c.theme in by_theme]
    if not 0 <= pin.start < pin.end <= len(comment.text) or pin.end - pin.start > max_chars or not themes:
        raise _refused(
            pin, "has no such slice, or carries no theme of the report", f"a slice of at most {max_chars} characters"
        )
    sure = max(themes, key=lambda c: c.probability)
    return _candidate(comment, sure.theme, pin.start, pin.end, sure.probability)


def _refused(pin: Pin, found: str, allowed: str) -> PinError:
    return PinError(
        f"the pinned comment {pin.comment_id!r} {found}.", allowed=f"{allowed}.", next_step="change or drop --pin."
    )
