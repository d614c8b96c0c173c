"""What a run was: the story that its numbers carry."""

from dataclasses import dataclass
from datetime import datetime

from models.vocabulary import Codebook, CodedComment, Comment, Problem


@dataclass(frozen=True, slots=True)
class Run:
    """One coding of one set of files."""

    inputs: tuple[str, ...]
    n_rows: int
    n_comments: int
    n_distinct: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    model: str
    model_version: str
    codebook: Codebook
    encoder: str
    backend: str
    service_version: str
    started_at: datetime
    seconds: float
    counts: tuple[tuple[str, int, int], ...]
    """For each theme of the codebook: id, comments coded with it (a parent: with any of its themes), unsure among all."""


def count_themes(codebook: Codebook, coded: list[CodedComment]) -> tuple[tuple[str, int, int], ...]:
    """Return for each theme the number of comments coded with it and of comments where it is unsure."""
    sure = dict.fromkeys((t.id for t in codebook.themes), 0)
    unsure = dict(sure)
    parent_of = {t.id: t.parent for t in codebook.themes}
    for one in coded:
        for theme in {p for t in one.themes for p in (t, parent_of[t]) if p is not None}:
            sure[theme] += 1
        for theme in {p for t in one.unsure for p in (t, parent_of[t]) if p is not None}:
            unsure[theme] += 1
    return tuple((t.id, sure[t.id], unsure[t.id]) for t in codebook.themes)


def evidence_quotes(comment: Comment, coded: CodedComment) -> list[tuple[str, list[str]]]:
    """Return, for each coded theme, its evidence verbatim."""
    return [(c.theme, [s.of(comment.text) for s in c.evidence]) for c in coded.codings]
