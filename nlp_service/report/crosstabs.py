"""Themes by ward, age and closed answers: shares with Wilson intervals, tests with a bound on false discoveries, small cells hidden."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.prevalence import wilson
from nlp_service.report.closed import ClosedQuestion, Kind, hidden_options, nets_are_safe
from nlp_service.report.suppression import hide_cells, hide_option, small_cells

FALSE_DISCOVERIES: Final = 0.05
"""Of the differences that are named, at most this share is expected to be chance (Benjamini and Hochberg, 1995)."""
MIN_EXPECTED: Final = 5
"""With fewer expected in a cell, the distribution of chi-squared is drawn, not approximated."""
DRAWS: Final = 19_999
NO_ANSWER: Final = "No answer"

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of a group raised a theme. All are None where the cell is hidden."""

    n: int | None
    share: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """A column of a crosstab and its base; None where the base itself is hidden."""

    name: str
    n: int | None


@dataclass(frozen=True, slots=True)
class CrosstabRow:
    """One theme over all groups, and over all respondents who wrote a comment."""

    theme: str
    label: str
    cells: tuple[Cell, ...]
    total: Cell
    chance: float | None
    """Adjusted p-value of "no group differs"; None where there is nothing to test. For options of a multi-select: the least."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference that holds: a group against all others, with the interval of the difference clear of zero."""

    theme: str
    label: str
    question: str
    group: str
    share: float
    low: float
    high: float
    others: float
    difference_low: float
    difference_high: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Crosstab:
    """All themes by one closed question. Groups of a multi-select overlap; others add up."""

    question: str
    kind: Kind
    groups: tuple[Group, ...]
    n_all: int
    rows: tuple[CrosstabRow, ...]
    n_hidden: int
    skipped: str = ""
    """Why there are no rows, if there are none."""


@dataclass(frozen=True, slots=True)
class _Grouping:
    question: ClosedQuestion
    names: tuple[str, ...]
    members: Bools
    """Shape (n_respondents, n_groups)."""
    hidden: frozenset[int]
    has_no_answer: bool


@dataclass(slots=True)
class _Draft:
    theme: int
    grouping: _Grouping
    counts: NDArray[np.int64]
    bases: NDArray[np.int64]
    hidden: frozenset[int]
    chances: list[float | None]


def make_crosstabs(
    questions: Sequence[ClosedQuestion],
    respondents: Sequence[str],
    raised: Bools,
    themes: Sequence[tuple[str, str]],
    *,
    threshold: int,
    seed: int = 0,
) -> tuple[list[Crosstab], list[Finding]]:
    """Return a crosstab for each question, and the differences that hold.

    Parameters
    ----------
    questions
        Closed questions; their own respondents may include people who wrote no comment.
    respondents, raised
        Who wrote a comment, and which themes each raised: shape (n_respondents, n_themes). Themes of one level, so that no theme
        is the union of others.
    themes
        Id and label of each column of `raised`.
    threshold
        Of small cells.
    """
    rng = np.random.default_rng(seed)
    totals = raised.sum(axis=0)
    n = len(respondents)
    shown = [k for k in np.argsort(-totals, kind="stable") if threshold <= totals[k] <= n - threshold]
    drafts: dict[str, list[_Draft]] = {}
    groupings: dict[str, _Grouping | str] = {}
    for q in questions:
        grouping = _group(q, respondents, threshold)
        groupings[q.name] = grouping
        if isinstance(grouping, _Grouping):
            drafts[q.name] = [_draft(grouping, raised[:, k], int(k), n, threshold, rng) for k in shown]
    _adjust([d for of in drafts.values() for d in of])
    tables: list[Crosstab] = []
    findings: list[Finding] = []
    for q in questions:
        made = groupings[q.name]
        if isinstance(made, str):
            tables.append(Crosstab(q.name, q.kind, (), n, (), 0, made))
            continue
        bases = made.members.sum(axis=0)
        groups = tuple(Group(name, None if i in made.hidden else int(bases[i])) for i, name in enumerate(made.names))
        rows = tuple(_row(d, themes[d.theme], int(totals[d.theme]), n) for d in drafts[q.name])
        n_hidden = sum(len(d.hidden) for d in drafts[q.name])
        tables.append(Crosstab(q.name, q.kind, groups, n, rows, n_hidden))
        findings += [f for d in drafts[q.name] for f in _findings(d, themes[d.theme], int(totals[d.theme]), n)]
    findings.sort(key=lambda f: (-max(f.difference_low, -f.difference_high), f.theme, f.question, f.group))
    return tables, findings


def hidden_everywhere(question: ClosedQuestion, respondents: Sequence[str], threshold: int) -> frozenset[int]:
    """Return the options to hide both in the question's own table and as groups of its crosstab.

    Were different options hidden in the two, each would give away the other's where (nearly) everybody wrote a comment.
    """
    full = [int(m) for m in question.chosen.sum(axis=0)]
    wrote = [int(m) for m in _members(question, respondents).sum(axis=0)]
    hidden = hidden_options(question, threshold=threshold)
    while question.kind is not Kind.LIKERT:
        small = small_cells(wrote, [None] * len(wrote), threshold=threshold) | hidden
        if question.kind is not Kind.MULTI:
            most = [None if i in hidden else m for i, m in enumerate(full)]
            small = hide_cells(wrote, small, threshold=threshold, most=most)
        if (more := hidden_options(question, threshold=threshold, also=small)) == hidden:
            break
        hidden = more
    return hidden


def share_of(count: int, base: int) -> tuple[float, float, float]:
    """Return a share with its Wilson interval."""
    low, high = wilson(count / base, base)
    return count / base, float(low), float(high)


def difference_interval(first: tuple[float, float, float], second: tuple[float, float, float]) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two independent shares, each (share, low, high).

    The square-and-add method of Newcombe (1998), which takes any interval of each share (Zou and Donner, 2008).
    """
    (p, low, high), (q, other_low, other_high) = first, second
    down = np.hypot(p - low, other_high - q)
    up = np.hypot(high - p, q - other_low)
    return float(p - q - down), float(p - q + up)


def _members(question: ClosedQuestion, respondents: Sequence[str]) -> Bools:
    place = {r: i for i, r in enumerate(question.respondents)}
    rows = [place.get(r) for r in respondents]
    out = np.zeros((len(rows), len(question.options)), np.bool_)
    for i, row in enumerate(rows):
        if row is not None:
            out[i] = question.chosen[row]
    return out


def _group(question: ClosedQuestion, respondents: Sequence[str], threshold: int) -> "_Grouping | str":
    members = _members(question, respondents)
    hidden = hidden_everywhere(question, respondents, threshold)
    names = question.options
    if question.kind is Kind.MULTI:
        return _Grouping(question, names, members, hidden, False)
    if question.kind is Kind.LIKERT:
        if hidden and not nets_are_safe(question, hidden, threshold):
            return "so few chose some options that no table can be shown"
        sides = [s for s in (1, 0, -1, None) if s in question.sides]
        names = tuple(
            " / ".join(question.options[i] for i, s in enumerate(question.sides) if s == side) for side in sides
        )
        members = np.stack([members[:, [s == side for s in question.sides]].any(axis=1) for side in sides], axis=1)
        bases = [int(m) for m in members.sum(axis=0)]
        hidden = hide_cells(bases, small_cells(bases, [None] * len(bases), threshold=threshold), threshold=threshold)
    silent = ~members.any(axis=1)
    has_no_answer = bool(silent.any())
    if has_no_answer:
        names, members = (*names, NO_ANSWER), np.column_stack([members, silent])
    return _Grouping(question, names, members, hidden, has_no_answer)


def _draft(grouping: _Grouping, raised: Bools, theme: int, n: int, threshold: int, rng: np.random.Generator) -> _Draft:
    counts = (grouping.members & raised[:, None]).sum(axis=0)
    bases = grouping.members.sum(axis=0)
    k = int(raised.sum())
    if grouping.question.kind is Kind.MULTI:
        hidden = frozenset(
            i
            for i in range(len(counts))
            if i in grouping.hidden or hide_option(int(counts[i]), int(bases[i]), k, n, threshold=threshold)
        )
        chances = [_chance(np.array([c, k - c]), np.array([b, n - b]), rng) for c, b in zip(counts, bases, strict=True)]
        return _Draft(theme, grouping, counts, bases, hidden, chances)
    last = len(counts) - 1
    silent = last if grouping.has_no_answer else None
    tallies = [int(c) for c in counts]
    sizes = [None if i in grouping.hidden or i == silent else int(b) for i, b in enumerate(bases)]
    most = [None if i in grouping.hidden else int(b) for i, b in enumerate(bases)]
    small = small_cells(tallies, sizes, threshold=threshold) | grouping.hidden
    hidden = hide_cells(tallies, small, threshold=threshold, most=most)
    answered = slice(None, last) if grouping.has_no_answer else slice(None)
    return _Draft(theme, grouping, counts, bases, hidden, [_chance(counts[answered], bases[answered], rng)])


def _chance(counts: NDArray[np.int64], bases: NDArray[np.int64], rng: np.random.Generator) -> float | None:
    """Return the p-value of "no group differs" for counts of bases; None if there is nothing to test."""
    from scipy.stats import chi2  # noqa: PLC0415 -- a heavy library, in this module only

    counts, bases = counts[bases > 0], bases[bases > 0]
    k, n = int(counts.sum()), int(bases.sum())
    if len(bases) < 2 or k in (0, n):  # noqa: PLR2004 -- two groups at least
        return None
    expected = bases * (k / n)
    scale = 1 / (expected * (1 - k / n))

    def statistic(c: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray((((c - expected) ** 2) * scale).sum(axis=-1), np.float64)

    found = float(statistic(counts))
    if min(expected.min(), (bases - expected).min()) >= MIN_EXPECTED:
        return float(chi2.sf(found, len(bases) - 1))
    drawn = statistic(rng.multivariate_hypergeometric(bases, k, size=DRAWS))
    return float((1 + (drawn >= found - 1e-9).sum()) / (DRAWS + 1))


def _adjust(drafts: Sequence[_Draft]) -> None:
    """Replace p-values by Benjamini and Hochberg's, over all tables together."""
    from scipy.stats import false_discovery_control  # noqa: PLC0415

    places = [(d, i) for d in drafts for i, p in enumerate(d.chances) if p is not None]
    if not places:
        return
    adjusted = false_discovery_control([d.chances[i] for d, i in places])
    for (d, i), p in zip(places, adjusted, strict=True):
        d.chances[i] = float(p)


def _cell(count: int, base: int) -> Cell:
    if not base:
        return Cell(0, None, None, None)
    return Cell(count, *share_of(count, base))


def _row(draft: _Draft, theme: tuple[str, str], total: int, n: int) -> CrosstabRow:
    hidden = Cell(None, None, None, None)
    cells = tuple(
        hidden if i in draft.hidden else _cell(int(c), int(b))
        for i, (c, b) in enumerate(zip(draft.counts, draft.bases, strict=True))
    )
    chances = [c for c in draft.chances if c is not None]
    return CrosstabRow(theme[0], theme[1], cells, _cell(total, n), min(chances) if chances else None)


def _findings(draft: _Draft, theme: tuple[str, str], total: int, n: int) -> list[Finding]:
    """Return the groups that stand out: the test and the interval of the difference both say so."""
    found: list[Finding] = []
    q = draft.grouping.question
    for i, name in enumerate(draft.grouping.names):
        chance = draft.chances[i if q.kind is Kind.MULTI else 0]
        base, count = int(draft.bases[i]), int(draft.counts[i])
        silent = draft.grouping.has_no_answer and i == len(draft.grouping.names) - 1
        if silent or i in draft.hidden or chance is None or chance > FALSE_DISCOVERIES or not 0 < base < n:
            continue
        mine, others = share_of(count, base), share_of(total - count, n - base)
        low, high = difference_interval(mine, others)
        if low > 0 or high < 0:
            found.append(Finding(theme[0], theme[1], q.name, name, *mine, others[0], low, high, q.kind))
    return found
