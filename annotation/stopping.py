"""Whether more answers are worth their time: how often people still correct the model, and which themes have too few examples."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from annotation.round import Answer, Kind
from models.prevalence import wilson
from models.vocabulary import Codebook, ThemeId

NEXT: Final = 50
"""Answers that are looked ahead, and back."""
ENOUGH_POSITIVES: Final = 20
"""A theme with as many decided comments has enough examples."""
FEW_CORRECTIONS: Final = 0.2
"""Below this share of corrected answers, at the upper end of its interval, a round brings little."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next `NEXT` assisted answers are expected to bring."""

    n_seen: int
    """The latest assisted answers, at most `NEXT`, that this is drawn from."""
    n_corrected: int
    """Those that differ from what was suggested."""
    expected: float | None
    """Corrections among the next `NEXT`; None without any answer."""
    low: float | None
    high: float | None
    """The 95 % interval of `expected`."""
    few: tuple[ThemeId, ...]
    """Themes that occur in the answers, but on fewer than `ENOUGH_POSITIVES` comments."""
    stop: bool
    reason: str


def look_ahead(answers: Sequence[Answer], codebook: Codebook) -> Outlook:
    """Return what the next answers are expected to bring, if they are like the latest.

    Notes
    -----
    The interval is Wilson's (1927) for a share, times `NEXT`. The order of the queue matters: it puts the likeliest corrections first, so
    that the expectation is, if anything, too high.
    """
    decided = [a for a in answers if a.themes is not None]
    assisted = [a for a in decided if a.task.kind is Kind.ASSISTED]
    latest = sorted(assisted, key=lambda a: (a.decided_at.timestamp() if a.decided_at else 0.0, a.task.key))[-NEXT:]
    n, k = len(latest), sum(a.themes != frozenset(t for t, _, _ in a.task.suggested.coded) for a in latest)
    on = Counter(t for t, _ in {(t, a.task.comment.id) for a in decided for t in a.themes or ()})
    few = tuple(t.id for t in codebook.codable if 0 < on[t.id] < ENOUGH_POSITIVES and not t.residual)
    if n == 0:
        return Outlook(0, 0, None, None, None, few, stop=False, reason="no assisted answer yet: nothing can be said")
    low, high = (float(end) for end in wilson(k / n, n))
    stop = n >= NEXT and high < FEW_CORRECTIONS and not few
    if n < NEXT:
        reason = f"{n} assisted answers are too few to say: go on to {NEXT}"
    elif high >= FEW_CORRECTIONS:
        reason = f"people corrected {k} of the latest {n} answers: more of them teach the model"
    elif few:
        reason = f"{len(few)} themes have fewer than {ENOUGH_POSITIVES} examples: more comments on them would help"
    else:
        reason = f"people corrected only {k} of the latest {n} answers, and every theme that occurs has {ENOUGH_POSITIVES} examples"
    return Outlook(n, k, round(NEXT * k / n, 1), round(NEXT * low, 1), round(NEXT * high, 1), few, stop, reason)
