"""Decisions that a cross-validated model disagrees with most: worth a second look, not wrong by themselves.

Confident learning (Northcutt, Jiang and Chuang, 2021), theme by theme: a "no" is suspected where the probability, from a model that did
not see the comment, is at least what comments decided "yes" get on average, and a "yes" where it is at most what
comments decided "no" get on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.vocabulary import Codebook, DecidedComment, Segment, ThemeId

MIN_POSITIVES: Final = 5
"""A theme with fewer positives gives no suspects: its averages say nothing."""

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Suspect:
    """One decision in doubt, with what speaks on either side."""

    row: int
    """Place in the decisions that were read, from 0."""
    theme: ThemeId
    decided: bool
    probability: float
    typical_yes: float
    """Mean out-of-sample probability of comments decided yes; `typical_no` likewise."""
    typical_no: float
    evidence: Segment | None
    """The segment that speaks most for the theme, for the model."""


def find_suspects(
    themes: Sequence[ThemeId],
    truth: BoolArray,
    probabilities: FloatArray,
    evidence: Sequence[Sequence[Segment | None]],
) -> list[Suspect]:
    """Return suspected decisions, those that the model believes least first.

    Parameters
    ----------
    themes
        Ids, the columns' order.
    truth, probabilities
        Decisions and out-of-sample probabilities, shape (n, n_themes).
    evidence
        For each comment and theme the segment that speaks most for it.
    """
    found: list[Suspect] = []
    for k, theme in enumerate(themes):
        yes = truth[:, k]
        if yes.sum() < MIN_POSITIVES or yes.all():
            continue
        p = probabilities[:, k]
        typical_yes, typical_no = float(p[yes].mean()), float(p[~yes].mean())
        if typical_yes <= typical_no:
            continue
        doubtful = np.where(yes, p <= typical_no, p >= typical_yes)
        found.extend(
            Suspect(
                i,
                theme,
                bool(yes[i]),
                round(float(p[i]), 4),
                round(typical_yes, 4),
                round(typical_no, 4),
                evidence[i][k],
            )
            for i in map(int, np.flatnonzero(doubtful))
        )
    return sorted(found, key=lambda s: (s.probability if s.decided else 1 - s.probability, s.row, s.theme))


def suspect_line(suspect: Suspect, decided: DecidedComment, codebook: Codebook) -> dict[str, Any]:
    """Return a suspect for review, as one line of a file: both sides, and what the codebook says."""
    theme = codebook.get_theme(suspect.theme)
    return {
        "comment_id": decided.comment.id,
        "text": decided.comment.text,
        "theme": suspect.theme,
        "coder_said": {
            "decision": "yes" if suspect.decided else "no",
            "coder": decided.coder,
            "blind": decided.blind,
            "all_themes": sorted(decided.themes),
        },
        "model_says": {
            "probability": suspect.probability,
            "typical_of_yes": suspect.typical_yes,
            "typical_of_no": suspect.typical_no,
            "evidence": [suspect.evidence.start, suspect.evidence.end] if suspect.evidence is not None else None,
        },
        "codebook_says": {"definition": theme.definition, "include": theme.include, "exclude": theme.exclude},
    }
