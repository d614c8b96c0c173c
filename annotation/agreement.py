"""How well coders agree: per theme and overall, coder by coder, over time, and with suggestions shown or hidden.

Agreement is measured on the comments that two coders or more decided. Every figure is None, with the reason beside it, where the
decisions cannot give it: nobody overlaps, nobody said yes, or (for alpha) everybody gave the same answer everywhere. Intervals are 95 %
percentile bootstrap intervals that draw whole comments (Efron, 1979). The coefficients are written out here because they must be
weighted by the draws; the libraries that have them are GPL (krippendorff, irrCAC), or bring a whole toolkit for one formula (nltk, statsmodels).
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import CommentId, Decision, Suggestion, ThemeId, Verdict

FloatArray = NDArray[np.float64]

DRAWS: Final = 1_000
LEVEL: Final = 0.95
MIN_FOR_INTERVAL: Final = 10
"""With fewer comments a bootstrap says nothing."""
RARE_SHARE: Final = 0.05
"""A theme on fewer of the answers is rare: read AC1 beside alpha."""
N_BLOCKS: Final = 4
_EVEN: Final = 0.5

NO_OVERLAP: Final = "no comment was decided by two coders"
NO_VARIATION: Final = "everybody gave the same answer everywhere: agreement beyond chance cannot be told"
NO_YES: Final = "nobody said yes"
NO_DISAGREEMENT: Final = "nobody disagreed, so these comments cannot say how far off the figure may be"
FEW_COMMENTS: Final = f"fewer than {MIN_FOR_INTERVAL} comments: no interval"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number from `n` comments with its 95 % interval; `why` says what is missing and why."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What several coders said: a table of comments by coders by themes, in the order of the ids."""

    comments: tuple[CommentId, ...]
    coders: tuple[str, ...]
    themes: tuple[ThemeId, ...]
    verdicts: NDArray[np.int8]
    """Shape (n_comments, n_coders, n_themes): 1 yes, 0 no, -1 not asked, not answered or unsure."""
    times: FloatArray
    """When, in seconds since 1970 UTC, shape (n_comments, n_coders); NaN where it is not known."""
    n_left_out: int
    """Decisions without a coder, or on a theme that is not asked about."""
    n_replaced: int
    """Decisions that a later one by the same coder on the same comment and theme replaced."""

    def counts(self) -> NDArray[np.int64]:
        """Return how many coders said no and yes of each comment and theme, shape (n_comments, n_themes, 2)."""
        return np.stack([(self.verdicts == v).sum(axis=1, dtype=np.int64) for v in (0, 1)], axis=-1)

    def overlap(self) -> NDArray[np.bool_]:
        """Return which comments two coders or more decided, shape (n_comments,)."""
        return np.asarray((self.verdicts >= 0).any(axis=2).sum(axis=1) > 1)

    def take(self, rows: NDArray[Any]) -> "Answers":
        """Return the table of some comments; rows are a mask or indices."""
        kept = tuple(self.comments[int(i)] for i in np.arange(len(self.comments))[rows])
        return Answers(
            kept, self.coders, self.themes, self.verdicts[rows], self.times[rows], self.n_left_out, self.n_replaced
        )


@dataclass(frozen=True, slots=True)
class ThemeAgreement:
    """How well coders agree on one theme."""

    theme: ThemeId
    n_comments: int
    """Comments on which two coders or more answered this theme."""
    share_yes: float | None
    """Of those answers; a theme below `RARE_SHARE` is rare."""
    rare: bool
    observed: float | None
    """Mean share of pairs of coders that agree on a comment, not corrected for chance."""
    alpha: Figure
    ac1: Figure
    f1: Figure


@dataclass(frozen=True, slots=True)
class CoderPair:
    """How well two coders agree on the comments that both decided."""

    coders: tuple[str, str]
    n_comments: int
    exact_match: float | None
    f1: float | None
    alpha: float | None


@dataclass(frozen=True, slots=True)
class CoderSummary:
    """One coder beside all others."""

    coder: str
    n_comments: int
    n_shared: int
    """Comments that somebody else decided too."""
    themes_per_comment: float | None
    f1: float | None
    """Micro-F1 with the others on shared comments."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well coders agree; the model cannot be expected to agree with them better than they do."""

    n_comments: int
    """Comments decided by two coders or more."""
    n_pairs: int
    """Pairs of coders on a comment: three coders on one comment are three pairs."""
    alpha: Figure
    """Krippendorff's alpha of all comments and themes as yes or no."""
    alpha_mean: Figure
    """The plain mean of the themes' alphas, over themes that have one."""
    alpha_sets: Figure
    """Krippendorff's alpha of whole sets of themes, at MASI distance."""
    micro_f1: Figure
    """Coder-coder F1 over all themes: the model's ceiling."""
    macro_f1: Figure
    """Mean over the themes that somebody gave on those comments."""
    exact_match: Figure
    """Share of pairs that gave the very same set."""
    themes: tuple[ThemeAgreement, ...]
    pairs: tuple[CoderPair, ...]
    coders: tuple[CoderSummary, ...]


def make_answers(decisions: Iterable[Decision], themes: Sequence[ThemeId]) -> Answers:
    """Return the table of decisions, whatever their order.

    Of several decisions by one coder on one comment and theme the latest counts; without times, or at one time, the last given.
    `unsure` is no answer. For decided comments give `d.decisions(codebook)` of each.
    """
    column = {t: k for k, t in enumerate(themes)}
    latest: dict[tuple[CommentId, str, ThemeId], Decision] = {}
    n_left_out, n_replaced = 0, 0
    for d in decisions:
        if d.coder is None or d.theme not in column:
            n_left_out += 1
            continue
        before = latest.get((d.comment_id, d.coder, d.theme))
        n_replaced += before is not None
        if before is None or _seconds(d, -np.inf) >= _seconds(before, -np.inf):
            latest[d.comment_id, d.coder, d.theme] = d
    comments = tuple(sorted({c for c, _, _ in latest}))
    coders = tuple(sorted({c for _, c, _ in latest}))
    row, place = {c: i for i, c in enumerate(comments)}, {c: i for i, c in enumerate(coders)}
    verdicts = np.full((len(comments), len(coders), len(column)), -1, np.int8)
    times = np.full((len(comments), len(coders)), np.nan)
    for (comment, coder, theme), d in latest.items():
        i, j = row[comment], place[coder]
        if d.verdict is not Verdict.UNSURE:
            verdicts[i, j, column[theme]] = d.verdict is Verdict.YES
        times[i, j] = np.fmax(times[i, j], _seconds(d, np.nan))
    return Answers(comments, coders, tuple(themes), verdicts, times, n_left_out, n_replaced)


def _seconds(decision: Decision, otherwise: float) -> float:
    return otherwise if decision.decided_at is None else decision.decided_at.timestamp()


def krippendorff_alpha(counts: NDArray[Any], distances: FloatArray | None = None) -> float | None:
    """Return Krippendorff's alpha; None if no unit has two values or all values are the same.

    Parameters
    ----------
    counts
        How many coders gave each value to each unit, shape (n_units, n_values).
    distances
        Between values, shape (n_values, n_values), zero on the diagonal; nominal (0 or 1) if not given.

    Notes
    -----
    Krippendorff (2011), Computing Krippendorff's alpha-reliability, section D: units with fewer than two values are left out, each of
    the others weighs as much as it has values. Where all values are the same alpha is 0 / 0; it is not called 1 here, because coders
    who only ever say "no" have not shown that they can tell.

    Examples
    --------
    >>> krippendorff_alpha(np.array([[2, 0], [0, 2], [1, 1]])).__round__(3)
    0.444
    """
    return _plain(_alpha(np.ones((1, len(counts))), *_alpha_parts(np.asarray(counts), distances), distances))


def gwet_ac1(counts: NDArray[Any]) -> float | None:
    """Return Gwet's AC1 of any number of coders; None if no unit has two values.

    Where all values are the same it is 1: chance agreement is then zero, which makes AC1 fit for rare themes.

    Parameters
    ----------
    counts
        How many coders gave each value to each unit, shape (n_units, n_values), with a column for each of the 2 or more values possible.

    Notes
    -----
    Gwet (2008); with missing values Gwet (2014), Handbook of Inter-Rater Reliability, 4th edition, chapter 5: observed agreement over
    units with two values, the values' shares over all units with one.
    """
    given = np.asarray(counts)
    return _plain(_ac1(np.ones((1, len(given))), *_ac1_parts(given)))


def masi_distance(a: frozenset[Any], b: frozenset[Any]) -> float:
    """Return the distance of two sets in [0, 1]: 1 - Jaccard x monotonicity (Passonneau, 2006).

    Monotonicity is 1 for equal sets, 2/3 if one holds the other, 1/3 if they overlap, 0 if nothing is shared. Two empty sets are equal
    (both coders found no theme); an empty set shares nothing with any other.

    Examples
    --------
    >>> round(masi_distance(frozenset("ab"), frozenset("abcd")), 3)
    0.667
    """
    if a == b:
        return 0.0
    shared = len(a & b)
    monotonicity = 0 if not shared else 2 / 3 if a <= b or b <= a else 1 / 3
    return 1 - shared / len(a | b) * monotonicity


def measure_agreement(answers: Answers, *, seed: int = 0, draws: int = DRAWS) -> Agreement:
    """Return how well the coders agree, from the comments that two or more decided; `seed` and `draws` are the bootstrap's.

    Notes
    -----
    Each pair of coders on a comment counts once in F1 and exact match, which are the same whichever coder is called the truth. A coder's
    set holds the themes said yes; it is compared with another's if both answered something on the comment.
    """
    shared = answers.take(answers.overlap())
    n = len(shared.comments)
    weights = _draw(n, seed, draws)
    counts = shared.counts()
    pairable = counts * (counts.sum(axis=2, keepdims=True) > 1)
    parts = [_alpha_parts(counts[:, k], None) for k in range(len(answers.themes))]
    alphas = [_alpha(weights, *p, None) for p in parts]
    f1_parts = _f1_parts(counts)
    themes = tuple(
        _of_theme(theme, counts[:, k], alphas[k], weights, tuple(p[:, k] for p in f1_parts))
        for k, theme in enumerate(answers.themes)
    )
    sets = _set_counts(shared)
    pooled = _pooled(parts, n)
    differ = bool(((pairable > 0).all(axis=2)).any())
    totals = sets.counts.sum(axis=1)
    both = (sets.counts * (sets.counts - 1)).sum(axis=1).astype(float)
    f1s = _ratio(weights @ f1_parts[0], weights @ f1_parts[1])
    return Agreement(
        n_comments=n,
        n_pairs=int((totals * (totals - 1)).sum() // 2),
        alpha=_figure(_alpha(weights, *pooled, None), n, differ, NO_VARIATION),
        alpha_mean=_figure(_mean(np.array(alphas).T) if alphas else np.full(len(weights), np.nan), n, differ, NO_VARIATION),
        alpha_sets=_figure(_alpha(weights, *_alpha_parts(sets.counts, sets.distances), sets.distances), n, differ, NO_VARIATION),
        micro_f1=_figure(_ratio(*((weights @ p).sum(axis=1) for p in f1_parts)), n, differ, NO_YES),
        macro_f1=_figure(_mean(f1s), n, differ, NO_YES),
        exact_match=_figure(_ratio(weights @ both, weights @ (totals * (totals - 1.0))), n, differ, NO_OVERLAP),
        themes=themes,
        pairs=tuple(_of_pair(shared, a, b) for a, b in itertools.combinations(range(len(answers.coders)), 2)),
        coders=tuple(_of_coder(answers, j) for j in range(len(answers.coders))),
    )  # fmt: skip


def _of_theme(
    theme: ThemeId, counts: NDArray[np.int64], alphas: FloatArray, weights: FloatArray, f1: tuple[FloatArray, ...]
) -> ThemeAgreement:
    pairable = counts[counts.sum(axis=1) > 1]
    n, n_answers = len(pairable), int(pairable.sum())
    differ = bool((pairable > 0).all(axis=1).any())
    share = float(pairable[:, 1].sum() / n_answers) if n else None
    parts = _ac1_parts(counts)
    observed = _plain(_ratio(parts[0].sum(keepdims=True), parts[1].sum(keepdims=True)))
    return ThemeAgreement(
        theme,
        n,
        share,
        share is not None and share < RARE_SHARE,
        observed,
        _figure(alphas, n, differ, NO_VARIATION),
        _figure(_ac1(weights, *parts), n, differ, NO_OVERLAP),
        _figure(_ratio(weights @ f1[0], weights @ f1[1]), n, differ, NO_YES),
    )


def _of_pair(shared: Answers, a: int, b: int) -> CoderPair:
    two = Answers(shared.comments, shared.coders, shared.themes, shared.verdicts[:, [a, b]], shared.times, 0, 0)
    both = two.take(two.overlap())
    counts = both.counts()
    cells = counts.reshape(-1, 2)
    same = (both.verdicts[:, 0] == 1) == (both.verdicts[:, 1] == 1)
    top, bottom = _f1_parts(counts)
    return CoderPair(
        (shared.coders[a], shared.coders[b]),
        len(both.comments),
        float(same.all(axis=1).mean()) if len(both.comments) else None,
        _plain(_ratio(top.sum(keepdims=True), bottom.sum(keepdims=True))),
        krippendorff_alpha(cells),
    )


def _of_coder(answers: Answers, j: int) -> CoderSummary:
    own = answers.verdicts[:, j]
    others = np.delete(answers.verdicts, j, axis=1)
    decided = (own >= 0).any(axis=1)
    shared = decided & (others >= 0).any(axis=(1, 2))
    asked = (own[shared, None] >= 0) & (others[shared] >= 0)
    yes, theirs = (own[shared, None] == 1) & asked, (others[shared] == 1) & asked
    said = yes.sum() + theirs.sum()
    return CoderSummary(
        answers.coders[j],
        int(decided.sum()),
        int(shared.sum()),
        float((own[decided] == 1).sum() / decided.sum()) if decided.any() else None,
        float(2 * (yes & theirs).sum() / said) if said else None,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sets:
    counts: NDArray[np.int64]
    """How many coders gave each set to each comment, shape (n_comments, n_sets)."""
    distances: FloatArray


def _set_counts(answers: Answers) -> _Sets:
    answered = (answers.verdicts >= 0).any(axis=2)
    index: dict[bytes, int] = {}
    sets: list[frozenset[int]] = []
    places = []
    for i, j in np.argwhere(answered):
        yes = answers.verdicts[i, j] == 1
        at = index.setdefault(yes.tobytes(), len(index))
        if at == len(sets):
            sets.append(frozenset(np.flatnonzero(yes).tolist()))
        places.append((i, at))
    counts = np.zeros((len(answers.comments), max(1, len(sets))), np.int64)
    for place in places:
        counts[place] += 1
    distances = np.array([[masi_distance(a, b) for b in sets] for a in sets]) if sets else np.zeros((1, 1))
    return _Sets(counts, distances)


@dataclass(frozen=True, slots=True)
class Block:
    """Agreement in one stretch of time."""

    begin: datetime
    """When the first comment of the block had its last answer."""
    end: datetime
    n_comments: int
    alpha: Figure
    micro_f1: Figure


@dataclass(frozen=True, slots=True)
class Drift:
    """Agreement in successive blocks of as many comments, and how far the last is above the first."""

    blocks: tuple[Block, ...]
    alpha_change: Figure
    f1_change: Figure
    n_without_time: int
    """Comments of two coders or more whose times are not known: in no block."""


def measure_drift(answers: Answers, *, n_blocks: int = N_BLOCKS, seed: int = 0, draws: int = DRAWS) -> Drift:
    """Return agreement over time; a comment stands at the time of its last answer, and ties in the order of their ids.

    With fewer than two comments a block there are fewer blocks; a change needs two.
    """
    shared = answers.take(answers.overlap())
    known = np.asarray(~np.isnan(shared.times).all(axis=1))
    timed = shared.take(known)
    at = np.nanmax(timed.times, axis=1) if len(timed.comments) else np.zeros(0)
    order = np.argsort(at, kind="stable")
    n_blocks = max(1, min(n_blocks, len(order) // 2)) if len(order) else 0
    blocks, series = [], []
    for number, rows in enumerate(np.array_split(order, n_blocks) if n_blocks else []):
        part = timed.take(rows)
        alphas, f1s, differ = _overall(part, _draw(len(rows), seed + number, draws))
        begin, end = (datetime.fromtimestamp(float(s), UTC) for s in (at[rows[0]], at[rows[-1]]))
        n = len(rows)
        blocks.append(Block(begin, end, n, _figure(alphas, n, differ, NO_VARIATION), _figure(f1s, n, differ, NO_YES)))
        series.append((alphas, f1s))
    why = "there are not two blocks of comments with times"
    if len(blocks) < 2:  # noqa: PLR2004 -- a first and a last
        nothing = Figure(None, None, None, len(order), why)
        return Drift(tuple(blocks), nothing, nothing, int((~known).sum()))
    few = min(blocks[0].n_comments, blocks[-1].n_comments)
    changes = [_figure(series[-1][i] - series[0][i], few, True, (NO_VARIATION, NO_YES)[i]) for i in (0, 1)]
    return Drift(tuple(blocks), changes[0], changes[1], int((~known).sum()))


def _overall(answers: Answers, weights: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
    """Return alpha and micro-F1 over all themes for each draw, and whether anybody disagreed."""
    counts = answers.counts()
    parts = [_alpha_parts(counts[:, k], None) for k in range(counts.shape[1])]
    alphas = _alpha(weights, *_pooled(parts, len(counts)), None)
    f1s = _ratio(*((weights @ p).sum(axis=1) for p in _f1_parts(counts)))
    return alphas, f1s, bool((counts > 0).all(axis=2).any())


@dataclass(frozen=True, slots=True)
class Contrast:
    """A number with suggestions shown and hidden, and shown less hidden with its 95 % interval."""

    assisted: float | None
    blind: float | None
    difference: Figure


@dataclass(frozen=True, slots=True)
class Sway:
    """How much suggestions sway people."""

    same_comments: bool
    """True if both sides are the same comments; else the comments differ too, and theme rates are compared less the model's."""
    n_assisted: int
    n_blind: int
    theme_rates: tuple[tuple[ThemeId, Contrast], ...]
    """Share of answers that are yes. The difference is, for different comments, that of yes rate less suggested probability."""
    kept: Contrast
    """Share of suggested themes that people said yes to."""
    added: Contrast
    """Share of themes not suggested that people said yes to."""
    model_f1: Contrast
    """Micro-F1 of people with the suggestions."""


def measure_sway(
    decisions: Sequence[Decision],
    suggestions: Iterable[Suggestion],
    themes: Sequence[ThemeId],
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Sway:
    """Return assisted against blind decisions; those that say neither are left out.

    If `MIN_FOR_INTERVAL` comments or more were decided both ways, by whomever, these alone are compared, and a draw takes a comment with
    both sides: nothing but the suggestions (and who decided) differs. Otherwise each side is drawn by itself. Then the queue's choice of
    comments differs too: each theme's rate is compared after the model's mean probability on the same comments is taken off, which is
    fair as far as the model is calibrated; `kept`, `added` and `model_f1` are not adjusted, and a queue of doubtful comments lowers them.

    Parameters
    ----------
    suggestions
        What the model said of the comments, whether it was shown or not; a comment without any is left out. `unsure` counts as suggested
        if the probability is the higher side of one half, else not.
    """
    said = {(s.comment_id, s.theme): s for s in suggestions}
    sides = [make_answers([d for d in decisions if d.blind is blind], themes) for blind in (False, True)]
    known = {c for c, _ in said}
    sides = [s.take(np.array([c in known for c in s.comments], np.bool_)) for s in sides]
    shared = set(sides[0].comments) & set(sides[1].comments)
    same = len(shared) >= MIN_FOR_INTERVAL
    if same:
        sides = [s.take(np.array([c in shared for c in s.comments], np.bool_)) for s in sides]
    parts = [_sway_parts(s, said) for s in sides]
    n = [len(s.comments) for s in sides]
    weights = [_draw(n[0], seed, draws), _draw(n[1], seed if same else seed + 1, draws)]
    rates = []
    for k, theme in enumerate(themes):
        plain, less = [], []
        for w, p in zip(weights, parts, strict=True):
            answered = w @ p.answered[:, k]
            plain.append(_ratio(w @ p.yes[:, k], answered))
            less.append(_ratio(w @ (p.yes[:, k] - p.probability[:, k]), answered))
        rates.append((theme, _contrast(plain, plain if same else less, min(n))))

    def overall(top: str, bottom: str) -> Contrast:
        values = [
            _ratio(w @ getattr(p, top).sum(axis=1), w @ getattr(p, bottom).sum(axis=1))
            for w, p in zip(weights, parts, strict=True)
        ]
        return _contrast(values, values, min(n))

    return Sway(
        same,
        n[0],
        n[1],
        tuple(rates),
        overall("kept", "suggested"),
        overall("added", "not_suggested"),
        overall("twice_kept", "yes_and_suggested"),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _SwayParts:
    """Sums over a comment's coders, each of shape (n_comments, n_themes)."""

    answered: FloatArray
    yes: FloatArray
    probability: FloatArray
    suggested: FloatArray
    kept: FloatArray

    @property
    def not_suggested(self) -> FloatArray:
        return self.answered - self.suggested

    @property
    def added(self) -> FloatArray:
        return self.yes - self.kept

    @property
    def twice_kept(self) -> FloatArray:
        return 2 * self.kept

    @property
    def yes_and_suggested(self) -> FloatArray:
        return self.yes + self.suggested


def _sway_parts(answers: Answers, said: Mapping[tuple[CommentId, ThemeId], Suggestion]) -> _SwayParts:
    no, yes = (answers.counts()[..., v].astype(np.float64) for v in (0, 1))
    answered = no + yes
    probability, suggested = np.zeros_like(yes), np.zeros_like(yes)
    for i, comment in enumerate(answers.comments):
        for k, theme in enumerate(answers.themes):
            s = said.get((comment, theme))
            if s is not None:
                probability[i, k] = s.probability
                suggested[i, k] = s.verdict is Verdict.YES or (s.verdict is Verdict.UNSURE and s.probability >= _EVEN)
    return _SwayParts(answered, yes, probability * answered, suggested * answered, suggested * yes)


def _contrast(plain: Sequence[FloatArray], compared: Sequence[FloatArray], n: int) -> Contrast:
    difference = compared[0] - compared[1]
    return Contrast(
        _plain(plain[0]),
        _plain(plain[1]),
        _figure(difference, n, True, "one side has no such answers"),
    )


def to_document(measured: Agreement | Drift | Sway) -> dict[str, Any]:
    """Return plain values for JSON, rounded to four decimals, times in ISO 8601."""
    document: dict[str, Any] = _rounded(asdict(measured))
    return document


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value


def _draw(n: int, seed: int, draws: int) -> FloatArray:
    """Return how often each comment counts, shape (1 + draws, n): once each in the first row, then as drawn."""
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws) if n else np.zeros((draws, 0))
    return np.concatenate((np.ones((1, n)), drawn)).astype(np.float64)


def _alpha_parts(counts: NDArray[Any], distances: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Return each unit's disagreement, shape (n,), and its pairable values, shape (n, n_values)."""
    size = counts.sum(axis=1)
    values = np.where(size[:, None] > 1, counts, 0).astype(np.float64)
    apart = (values * _spread(values, distances)).sum(axis=1) / np.maximum(size - 1, 1)
    return apart, values


def _pooled(parts: Sequence[tuple[FloatArray, FloatArray]], n: int) -> tuple[FloatArray, FloatArray]:
    """Return the parts of all themes' cells together, still a row for each comment: a draw takes a comment with all its themes."""
    apart, values = np.zeros(n), np.zeros((n, 2))
    for own_apart, own_values in parts:
        apart, values = apart + own_apart, values + own_values
    return apart, values


def _alpha(weights: FloatArray, apart: FloatArray, values: FloatArray, distances: FloatArray | None) -> FloatArray:
    """Return alpha for each row of weights; NaN where it is not defined."""
    totals = weights @ values
    n = totals.sum(axis=1)
    expected = (totals * _spread(totals, distances)).sum(axis=1) / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (weights @ apart) / expected, np.nan)


def _spread(values: FloatArray, distances: FloatArray | None) -> FloatArray:
    return values.sum(axis=1, keepdims=True) - values if distances is None else values @ distances


def _ac1_parts(counts: NDArray[Any]) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return each unit's agreement, whether it has two values, its values' shares and whether it has one."""
    size = counts.sum(axis=1)
    agreed = (counts * (counts - 1)).sum(axis=1) / np.maximum(size * (size - 1), 1)
    shares = counts / np.maximum(size, 1)[:, None]
    return agreed, (size > 1).astype(np.float64), shares, (size > 0).astype(np.float64)


def _ac1(
    weights: FloatArray, agreed: FloatArray, paired: FloatArray, shares: FloatArray, rated: FloatArray
) -> FloatArray:
    observed = _ratio(weights @ agreed, weights @ paired)
    share = _ratio(weights @ shares, (weights @ rated)[:, None])
    chance = (share * (1 - share)).sum(axis=1) / (shares.shape[1] - 1)
    return np.asarray((observed - chance) / (1 - chance))


def _f1_parts(counts: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Return what F1 over pairs of coders is made of: twice the pairs in which both said yes, and the yeses of all pairs.

    Both have shape (n_comments, n_themes).
    """
    yes, size = counts[..., 1].astype(np.float64), counts.sum(axis=-1)
    return yes * (yes - 1), yes * np.maximum(size - 1, 0)


def _ratio(top: Any, bottom: Any) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(np.asarray(bottom) > 0, np.asarray(top, np.float64) / bottom, np.nan))


def _mean(values: FloatArray) -> FloatArray:
    """Return each row's mean over what is defined; NaN if nothing is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0.0).sum(axis=1), defined.sum(axis=1))


def _plain(values: FloatArray) -> float | None:
    value = float(values.ravel()[0])
    return None if np.isnan(value) else value


def _figure(values: FloatArray, n: int, differ: bool, undefined: str) -> Figure:
    """Return the first value with the interval of the others; `differ` says whether there is anything to draw."""
    if np.isnan(values[0]):
        return Figure(None, None, None, n, undefined if n else NO_OVERLAP)
    drawn = values[1:][~np.isnan(values[1:])]
    if n < MIN_FOR_INTERVAL or not differ or len(drawn) < len(values[1:]) / 2 or not len(drawn):
        why = FEW_COMMENTS if n < MIN_FOR_INTERVAL else NO_VARIATION if differ else NO_DISAGREEMENT
        return Figure(float(values[0]), None, None, n, why)
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(float(values[0]), float(low), float(high), n)
