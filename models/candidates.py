"""Candidate themes: groups of what the codebook misses, with a name, numbers and a definition to start from."""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from models.clusters import (
    GROWN_AT,
    SAME,
    Bool,
    Discriminant,
    Float,
    Float32,
    Group,
    Int,
    Material,
    find_groups,
    jaccard,
    overlap_with_themes,
)
from models.topics import name_groups
from models.vocabulary import Codebook, CodedComment, Segment, Theme

EXPLAINED_AT: Final = 1.5
"""A segment is explained in full where a theme's probability reaches so many times the least one that was coded, or half the way from that to 1."""
MIN_RESIDUAL_SEGMENTS: Final = 100
MIN_STABILITY: Final = 0.5
MIN_UNEXPLAINED: Final = 0.2
MIN_RESPONDENTS: Final = 5
MIN_PHRASE_RESPONDENTS: Final = 3
"""A phrase names a candidate only if so many people in it used it: nobody's own words become a name."""
N_CANDIDATES: Final = 10
_RIDGE: Final = 1e-3
_MAX_ODDS: Final = 1e-4
_DIGITS: Final = 7
_OTHER: Final = re.compile(r"(^|[._])other$", re.IGNORECASE)

Allowed = Callable[[str], bool]
Read = Callable[[Sequence[str]], Float32]


@dataclass(frozen=True, slots=True)
class CandidateTheme:
    """A machine-found theme that nobody has approved."""

    id: str
    """`new-` and eight digits, from its members when it was first found; kept when a later run is given that run's file."""
    name: str
    phrases: tuple[str, ...]
    comments: tuple[int, ...]
    """Indices of the comments that raise it, ascending."""
    segments: tuple[int, ...]
    """Index of the segment that raises it most in each of `comments`."""
    n_respondents: int
    novelty: float
    """Cosine distance of its centre from the nearest theme's definition: 0 the same, 1 nothing in common."""
    nearest: str
    """That theme's id; empty if the codebook has none to compare."""
    overlap: float
    """Highest F1 of its comments with those of a coded theme."""
    unexplained: float
    """Part of its core that no theme explains."""
    stability: float | None
    """Mean Jaccard of its comments with its best match in each resample; None for one taken over from an earlier file."""
    is_old: bool
    discriminant: Discriminant


@dataclass(frozen=True, slots=True)
class Known:
    """A candidate of an earlier run."""

    id: str
    name: str
    phrases: tuple[str, ...]
    stability: float | None
    unexplained: float
    discriminant: Discriminant


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gives."""

    candidates: tuple[CandidateTheme, ...]
    n_residual_segments: int
    too_few: bool


def is_other(theme: Theme) -> bool:
    """Return whether a residual theme means "outside the codebook": its id ends in `other`."""
    return theme.residual and _OTHER.search(theme.id) is not None


def carries_theme(coded: Sequence[CodedComment], segments: Sequence[Sequence[Segment]], codebook: Codebook) -> Bool:
    """Return which segments carry a theme, shape (n_segments,): the residual is the rest.

    A segment carries a theme if it is evidence of one that is not residual, or if its comment has nothing but residual themes
    and none of them means "outside the codebook".
    """
    out: list[bool] = []
    for one, own in zip(coded, segments, strict=True):
        themes = [(c, codebook.find_theme(c.theme)) for c in one.codings]
        real = [c for c, t in themes if t is None or not t.residual]
        aside = bool(themes) and not real and not any(t is not None and is_other(t) for _, t in themes)
        spans = [s for c in real for s in c.evidence]
        out.extend(aside or any(s.start < e.end and e.start < s.end for e in spans) for s in own)
    return np.array(out, np.bool_)


def make_material(vectors: Float32, owner: Int, probabilities: Float, coded: Bool, aside: Bool) -> Material:
    """Return what groups are sought in.

    How far a theme explains a segment is estimated from the codings of whole comments: ridge regression of the log-odds on the
    comments' mean vectors, applied to segments, against the least probability that was coded.

    Parameters
    ----------
    vectors
        Shape (n_segments, dim), unit length.
    owner
        Shape (n_segments,): index of the comment, ascending.
    probabilities, coded
        Shape (n_comments, n_themes), themes that are not residual.
    aside
        Shape (n_segments,): segments that are not to be looked at.
    """
    n_comments, n_themes = coded.shape
    unexplained = np.ones(len(vectors))
    used = [k for k in range(n_themes) if coded[:, k].any()]
    if used:
        means = np.zeros((n_comments, vectors.shape[1]))
        np.add.at(means, owner, vectors.astype(np.float64))
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
        bounded = np.clip(probabilities[:, used], _MAX_ODDS, 1 - _MAX_ODDS)
        odds = np.log(bounded / (1 - bounded))
        centre, level = means.mean(axis=0), odds.mean(axis=0)
        apart = means - centre
        square = apart.T @ apart
        square += (_RIDGE * np.trace(square) / len(square) + 1e-9) * np.eye(len(square))
        weights = np.linalg.solve(square, apart.T @ (odds - level))
        of_segment = 1 / (1 + np.exp(-((vectors - centre) @ weights + level)))
        least = np.array([probabilities[coded[:, k], k].min() for k in used])
        unexplained -= np.clip(of_segment / np.minimum(EXPLAINED_AT * least, (1 + least) / 2), 0, 1).max(axis=1)
    return Material(vectors, owner, np.where(aside, 0.0, unexplained), coded)


def find_candidates(
    material: Material,
    segment_texts: Sequence[str],
    comment_ids: Sequence[str],
    respondents: Sequence[str],
    residual: Bool,
    codebook: Codebook,
    read: Read,
    *,
    n_candidates: int = N_CANDIDATES,
    seed: int = 0,
    known: Sequence[Known] = (),
    allowed: Allowed = lambda _phrase: True,
    cautious: bool = False,
) -> Found:
    """Return candidates, those of the earlier run first, then the most telling.

    Parameters
    ----------
    material
        From `make_material`.
    segment_texts
        Shape (n_segments,).
    comment_ids, respondents
        Shape (n_comments,).
    residual
        Shape (n_segments,): segments that carry no theme.
    codebook
        For distances from definitions.
    read
        Gives vectors of texts, by the encoder of `material`.
    known
        Candidates of an earlier run: they keep id, name and scorer, and comments join them without a refit.
    allowed
        Says whether a phrase may be shown.
    cautious
        Look even where fewer than `MIN_RESIDUAL_SEGMENTS` segments carry no theme.
    """
    n_residual = int(residual.sum())
    too_few = n_residual < MIN_RESIDUAL_SEGMENTS
    kept = [_member_comments(material, k.discriminant) for k in known]
    groups: list[Group] = []
    if not too_few or (cautious and n_residual):
        wanted = max(n_candidates - len(known), 0)
        groups = find_groups(material, n_groups=wanted, seed=seed, known=np.stack(kept) if kept else None)
    rounded = [_rounded(g.discriminant) for g in groups]
    phrases = name_candidates(material, groups, segment_texts, respondents, read, allowed)
    themes = [t for t in codebook.codable if not t.residual]
    definitions = read([f"{t.label}. {t.definition}" for t in themes]) if themes else None
    out: list[CandidateTheme] = []
    for old, members in zip(known, kept, strict=True):
        out.append(_candidate(material, old, members, respondents, themes, definitions, old.id))
    for group, scorer, told in zip(groups, rounded, phrases, strict=True):
        members = _member_comments(material, scorer)
        if not members.any() or (out and _is_known(members, material, out)):
            continue
        new = Known("", _title(told), told, group.stability, group.unexplained, scorer)
        name = _content_id([comment_ids[int(i)] for i in np.flatnonzero(members)], codebook)
        out.append(_candidate(material, new, members, respondents, themes, definitions, name))
    return Found(tuple(out), n_residual, too_few)


def is_shown(candidate: CandidateTheme) -> bool:
    """Return whether a candidate has the support, stability and novelty that are asked for, and a name."""
    steady = candidate.stability is None or candidate.stability >= MIN_STABILITY
    return (
        steady
        and candidate.unexplained >= MIN_UNEXPLAINED
        and candidate.n_respondents >= MIN_RESPONDENTS
        and bool(candidate.phrases)
    )


def suggested_theme(candidate: CandidateTheme, codebook: Codebook) -> dict[str, Any]:
    """Return the candidate as a theme of a codebook file, to be put into better words by a person."""
    nearest = codebook.find_theme(candidate.nearest)
    told = [f'"{p}"' for p in candidate.phrases]
    listed = ", ".join(told[:-1]) + (f" and {told[-1]}" if len(told) > 1 else "".join(told))
    return {
        "id": candidate.id.upper().replace("-", "."),
        "label": candidate.name,
        "definition": f"Comments about {candidate.name.lower()}: people speak of {listed}.",
        "include": f"Mentions of {listed}.",
        "exclude": f"What belongs to {nearest.id} ({nearest.label})." if nearest is not None else "",
        "cues": list(candidate.phrases),
    }


def _is_known(members: Bool, material: Material, out: Sequence[CandidateTheme]) -> bool:
    rows = np.zeros((len(out), len(material.coded)), np.bool_)
    for row, candidate in zip(rows, out, strict=True):
        row[list(candidate.comments)] = True
    return bool(jaccard(members[None], rows).max() >= SAME)


def _rounded(scorer: Discriminant) -> Discriminant:
    """Return the scorer as a file keeps it, so that a later run gives the same members."""
    return Discriminant(
        np.array([float(f"{w:.{_DIGITS}g}") for w in scorer.weights]), float(f"{scorer.bias:.{_DIGITS}g}")
    )


def _member_comments(material: Material, scorer: Discriminant) -> Bool:
    out = np.zeros(len(material.coded), np.bool_)
    out[material.owner[scorer.scores(material.vectors) >= GROWN_AT]] = True
    return out


def _candidate(
    material: Material,
    known: Known,
    members: Bool,
    respondents: Sequence[str],
    themes: Sequence[Theme],
    definitions: Float32 | None,
    new_id: str,
) -> CandidateTheme:
    scores = known.discriminant.scores(material.vectors)
    chosen = np.flatnonzero(members)
    order = np.lexsort((-scores, material.owner))
    owners, first = np.unique(material.owner[order], return_index=True)
    best = dict(zip(owners.tolist(), order[first].tolist(), strict=True))
    held = scores >= GROWN_AT
    nearest, novelty = "", 1.0
    if definitions is not None and held.any():
        centre = material.vectors[held].mean(axis=0)
        near = definitions @ (centre / max(float(np.linalg.norm(centre)), 1e-9))
        nearest, novelty = str(themes[int(near.argmax())].id), 1 - float(near.max())
    return CandidateTheme(
        id=new_id,
        name=known.name,
        phrases=known.phrases,
        comments=tuple(int(i) for i in chosen),
        segments=tuple(best[int(i)] for i in chosen),
        n_respondents=len({respondents[int(i)] for i in chosen}),
        novelty=round(novelty, 4),
        nearest=nearest,
        overlap=round(float(overlap_with_themes(members[None], material.coded)[0]), 4),
        unexplained=round(known.unexplained, 4),
        stability=None if known.stability is None else round(known.stability, 4),
        is_old=bool(known.id),
        discriminant=known.discriminant,
    )


def name_candidates(
    material: Material,
    groups: Sequence[Group],
    texts: Sequence[str],
    respondents: Sequence[str],
    read: Read,
    allowed: Allowed = lambda _phrase: True,
) -> list[tuple[str, ...]]:
    """Return key phrases; what is in no group is cut into documents of the usual size of a group."""
    if not groups:
        return []
    inside = np.zeros(len(texts), np.bool_)
    for g in groups:
        inside[g.core] = True
    rest = np.flatnonzero(~inside)
    size = max(50, math.ceil(sum(len(g.core) for g in groups) / len(groups)))
    others = [[texts[int(i)] for i in rest[start : start + size]] for start in range(0, len(rest), size)]
    lowered = [[texts[int(i)].lower().replace("\u2019", "'") for i in g.core] for g in groups]

    def may_show(group: int, phrase: str) -> bool:
        pattern = re.compile(rf"\b{re.escape(phrase)}\b")
        core = groups[group].core
        users = {
            respondents[int(material.owner[i])] for i, t in zip(core, lowered[group], strict=True) if pattern.search(t)
        }
        return len(users) >= MIN_PHRASE_RESPONDENTS and allowed(phrase)

    centres = np.stack([material.vectors[g.core].mean(axis=0) for g in groups])
    return name_groups([[texts[int(i)] for i in g.core] for g in groups], others, centres, read, allowed=may_show)


def _title(phrases: Sequence[str]) -> str:
    """Return a name: the two most telling phrases."""
    joined = ", ".join(phrases[:2])
    return joined[:1].upper() + joined[1:]


def _content_id(members: Sequence[str], codebook: Codebook) -> str:
    digest = hashlib.sha256("\n".join([codebook.ref, *sorted(members)]).encode()).hexdigest()
    return f"new-{digest[:8]}"


def known_from_document(entry: Mapping[str, Any]) -> Known:
    """Return a candidate of an earlier file; KeyError, TypeError or ValueError if it is none."""
    scorer = entry["scorer"]
    weights = np.array([float(w) for w in scorer["weights"]])
    bias = float(scorer["bias"])
    if not (np.isfinite(weights).all() and math.isfinite(bias)):
        raise ValueError("a scorer's weights are finite")
    stability = entry["stability"]
    return Known(
        str(entry["id"]),
        str(entry["name"]),
        tuple(str(p) for p in entry["phrases"]),
        None if stability is None else float(stability),
        float(entry["unexplained"]),
        Discriminant(weights, bias),
    )
