"""What a run was: the story that its numbers carry."""

from dataclasses import dataclass
from datetime import datetime

from models.vocabulary import Codebook, CodedComment, Comment, CommentId, Problem
from nlp_service.duplicates import Duplicates


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A comment that may disclose harm to somebody: read first, and never quoted."""

    comment_id: CommentId
    probability: float
    row: int | None = None
    question: str | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """What was done for the residents behind the comments, and what a person should look at."""

    disclosures: tuple[Disclosure, ...]
    """The likeliest first."""
    duplicates: Duplicates
    n_other_languages: int
    """Comments that are not in English, as it seems: listed as problems, or coded if that was asked for."""
    redacted: tuple[tuple[str, int], ...] = ()
    """How many findings of each kind were replaced in the output."""
    with_personal_data: bool | None = None
    """True: texts stand as they were written. None: the output carries no text."""


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
    protection: Protection | None = None


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
