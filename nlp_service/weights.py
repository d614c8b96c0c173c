"""Weights of respondents, so that they match what is known of a place: raking to stated margins."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from models.counts import counted
from models.vocabulary import RespondentId, ThemesError
from nlp_service.ingest.answers import ClosedAnswers

MAX_FILE_BYTES: Final = 1_000_000
ROUNDS: Final = 1_000
CLOSE: Final = 1e-9
"""Raking ends when no margin is further off than this."""
_SUM_OFF: Final = 0.011
"""How far stated shares may be from adding up to all, for rounding."""
_IN_PER_CENT: Final = 2.0
"""Shares that add up to more than this are taken for per cent."""

Margins = Mapping[str, Mapping[str, float]]


class MarginsError(ThemesError):
    """Margins cannot be used: the file is none, or the respondents can't match them."""

    code = "margins_invalid"


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each respondent counts, 1 on average, and what one should know of it."""

    values: NDArray[np.float64]
    questions: tuple[str, ...]
    note: str


def read_margins(path: Path) -> Margins:
    """Return stated shares: `question: {option: share}` in YAML or JSON, each question's shares as parts of 1 or per cent.

    Raises
    ------
    MarginsError
        If the file is no such mapping, a share is not above 0, or a question's shares do not add up.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refused(path.name, f"is larger than {MAX_FILE_BYTES} bytes")
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        margins = {str(q): {str(o): float(s) for o, s in of.items()} for q, of in document.items()}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise _refused(path.name, f"is no mapping of questions to shares ({type(error).__name__})") from error
    if not margins:
        raise _refused(path.name, "states nothing")
    for question, shares in margins.items():
        total = sum(shares.values())
        scale = 100.0 if total > _IN_PER_CENT else 1.0
        if not shares or min(shares.values()) <= 0 or not abs(total / scale - 1) <= _SUM_OFF:
            raise _refused(path.name, f"has shares for {question!r} that are not all above 0, or add up to {total:g}")
        margins[question] = {o: s / total for o, s in shares.items()}
    return margins


def rake(margins: Margins, answers: ClosedAnswers, respondents: Sequence[str]) -> Weights:
    """Return weights with which the respondents match every margin (iterative proportional fitting, Deming and Stephan 1940).

    Who did not answer a question, or gave an answer without a stated share, keeps the share they have among the respondents.

    Raises
    ------
    MarginsError
        If a question or option is not among the answers, or no weights match all margins.
    """
    known = {q.name: q for q in answers.questions}
    groups: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for question, shares in margins.items():
        if question not in known:
            raise _refused("the margins", f"name {question!r}, which is no closed question of the survey")
        place = {option: i for i, option in enumerate(shares)}
        member = np.full(len(respondents), len(place), np.int64)
        for i, who in enumerate(respondents):
            chosen = answers.of(RespondentId(who)).get(question, ())
            if len(chosen) == 1 and chosen[0] in place:
                member[i] = place[chosen[0]]
        counts = np.bincount(member, minlength=len(place) + 1)
        empty = [option for option, i in place.items() if not counts[i]]
        if empty:
            raise _refused("the margins", f"state a share of {empty[0]!r} for {question!r}, which nobody answered")
        others = counts[-1] / len(respondents)
        groups.append((member, np.array([*((1 - others) * s for s in shares.values()), others])))
    weights = np.ones(len(respondents))
    for _ in range(ROUNDS):
        off = 0.0
        for member, target in groups:
            now = np.bincount(member, weights, len(target)) / weights.sum()
            off = max(off, float(np.abs(now - target).max()))
            weights *= np.divide(target, now, out=np.ones_like(now), where=now > 0)[member]
        if off < CLOSE:
            break
    else:
        raise _refused("the margins", "cannot all be matched at once by these respondents")
    weights *= len(weights) / weights.sum()
    count_like = round(float(weights.sum() ** 2 / (weights**2).sum()))
    note = (
        f"shares are weighted by {', '.join(margins)}: weights from {weights.min():.2f} to {weights.max():.2f}; "
        f"{counted(len(weights), 'person counts', 'people count')} like {count_like}"
    )
    return Weights(weights, tuple(margins), note)


def _refused(what: str, found: str) -> MarginsError:
    return MarginsError(
        f"{what} {found}.",
        allowed="a mapping such as {Ward: {North: 0.4, South: 0.6}}, of closed questions with one answer each.",
        next_step="mend the margins; `themes inspect FILE` shows the closed questions.",
    )
