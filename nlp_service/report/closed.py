"""Closed questions: what kind each is, its options in order, and how many chose each, with the base of every figure."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nlp_service.report.suppression import hide_cells, small_cells

_NEUTRAL: Final = re.compile(r"^(neither|neutral|mixed|undecided|no change)")
_GOOD: Final = ("agree", "safe", "satisfied", "likely", "important", "good", "support", "confident", "positive", "better", "happy", "effective", "supportive", "comfortable", "easy", "well", "improved")  # fmt: skip
_BAD: Final = ("disagree", "unsafe", "dissatisfied", "unlikely", "unimportant", "poor", "oppose", "unconfident", "negative", "worse", "unhappy", "ineffective", "opposed", "uncomfortable", "difficult", "badly", "bad", "worsened")  # fmt: skip


class Kind(StrEnum):
    """How a question is answered."""

    SINGLE = "single"
    ORDERED = "ordered"
    LIKERT = "likert"
    MULTI = "multi"


@dataclass(frozen=True, slots=True)
class ClosedQuestion:
    """A question with given options, and who chose which.

    `chosen` has the shape (n_respondents, n_options); a row without True is a respondent who did not answer. `sides` holds for each
    option of a Likert scale 1 (agree, safe ...), 0 or -1, and None for one that is off the scale; for other kinds all are None.
    """

    name: str
    kind: Kind
    options: tuple[str, ...]
    sides: tuple[int | None, ...]
    respondents: tuple[str, ...]
    chosen: NDArray[np.bool_]
    about_person: bool
    """True where it asks who answers, not what they think (ward, age ...)."""


@dataclass(frozen=True, slots=True)
class OptionResult:
    """How many chose an option; None where the figure is hidden because it is small, or would give away a small one."""

    option: str
    n: int | None
    share: float | None
    side: int | None
    """1, 0 or -1 on a Likert scale; None off it and in other questions."""


@dataclass(frozen=True, slots=True)
class NetResult:
    """Options of one side of a Likert scale taken together: "strongly agree" and "agree"."""

    options: tuple[str, ...]
    n: int
    share: float
    side: int


@dataclass(frozen=True, slots=True)
class ClosedResult:
    """One question's figures: `n_answered` is the base of each share."""

    question: str
    kind: Kind
    n_answered: int
    n_asked: int
    options: tuple[OptionResult, ...]
    nets: tuple[NetResult, ...]
    about_person: bool
    n_hidden: int


def make_question(
    name: str,
    kind: Kind,
    options: Sequence[str],
    answers: Mapping[str, Collection[str]],
    *,
    outside: Collection[str] = (),
    about_person: bool = False,
) -> ClosedQuestion:
    """Return a question with who chose which of its options.

    Parameters
    ----------
    kind
        SINGLE, ORDERED or MULTI. An ordered question whose options lie on two sides (agree and disagree, safe and unsafe) becomes LIKERT,
        its good side first.
    options
        Ordered ones from least to most.
    answers
        Options chosen by each respondent; none where somebody did not answer.
    outside
        Options of an ordered question that are not on its scale.
    """
    ordered = tuple(options)
    sides: tuple[int | None, ...] = (None,) * len(ordered)
    if kind is Kind.ORDERED:
        inside = [o for o in ordered if o not in outside]
        values = [_side(o) for o in inside]
        if None not in values and {1, -1} <= set(values):
            kind = Kind.LIKERT
            ordered = (*reversed(inside), *(o for o in ordered if o in outside))
            sides = tuple(None if o in outside else _side(o) for o in ordered)
    place = {option: i for i, option in enumerate(ordered)}
    chosen = np.zeros((len(answers), len(ordered)), np.bool_)
    for row, answer in enumerate(answers.values()):
        chosen[row, [place[option] for option in answer]] = True
    return ClosedQuestion(name, kind, ordered, sides, tuple(answers), chosen, about_person)


def count_answers(question: ClosedQuestion, *, threshold: int, also: frozenset[int] = frozenset()) -> ClosedResult:
    """Return how many chose each option, with small figures hidden; `also` names options that are hidden elsewhere."""
    counts = [int(n) for n in question.chosen.sum(axis=0)]
    n = int(question.chosen.any(axis=1).sum())
    hidden = hidden_options(question, threshold=threshold) | also
    options = tuple(
        OptionResult(
            option,
            None if i in hidden else counts[i],
            None if i in hidden or not n else counts[i] / n,
            question.sides[i],
        )
        for i, option in enumerate(question.options)
    )
    nets: list[NetResult] = []
    if question.kind is Kind.LIKERT and nets_are_safe(question, hidden, threshold):
        for side in (1, -1):
            of = [i for i, s in enumerate(question.sides) if s == side]
            total = sum(counts[i] for i in of)
            nets.append(NetResult(tuple(question.options[i] for i in of), total, total / n if n else 0.0, side))
    if question.kind in (Kind.MULTI, Kind.SINGLE):
        options = tuple(sorted(options, key=lambda o: (o.n is None, -(o.n or 0), o.option)))
    return ClosedResult(
        question.name,
        question.kind,
        n,
        len(question.respondents),
        options,
        tuple(nets),
        question.about_person,
        len(hidden),
    )


def hidden_options(question: ClosedQuestion, *, threshold: int, also: frozenset[int] = frozenset()) -> frozenset[int]:
    """Return the options whose counts stay hidden."""
    counts = [int(n) for n in question.chosen.sum(axis=0)]
    small = small_cells(counts, [None] * len(counts), threshold=threshold) | also
    return small if question.kind is Kind.MULTI else hide_cells(counts, small, threshold=threshold)


def nets_are_safe(question: ClosedQuestion, hidden: frozenset[int], threshold: int) -> bool:
    """Return whether the sums of a scale's two sides tell nothing of hidden options: no side hides one alone, or few."""
    counts = question.chosen.sum(axis=0)
    for side in (1, -1, 0):
        of = [i for i, s in enumerate(question.sides) if (s or 0) == side]
        inside = [i for i in of if i in hidden]
        if inside and (len(inside) == 1 or counts[inside].sum() < threshold):
            return False
    return True


def _side(option: str) -> int | None:
    """Return the side of its scale on which an option lies: 1 good, -1 bad, 0 between; None if it is on none."""
    words = option.casefold().replace("-", " ").split()
    if _NEUTRAL.match(option.casefold()):
        return 0
    stem = next((w.strip(".,") for w in reversed(words) if w.strip(".,") in (*_GOOD, *_BAD)), None)
    if stem is None:
        return None
    return -1 if (stem in _BAD) != (words[0] == "not") else 1
