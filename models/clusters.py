"""Groups of segments that the codebook leaves unexplained, found again and again in resamples and joined by vote.

One resample: k-means over a random part of the segments, whitened, an average-linkage tree over its centres, and each node of the tree
grown by Fisher's linear discriminant from its own segments to all that resemble them. Nodes are ranked by how much of them no
theme explains. A group is what most resamples agree on; its stability is the mean Jaccard of its best match in each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Int = NDArray[np.intp]

N_RESAMPLES: Final = 40
PART: Final = 0.8
"""Part of the comments in a resample."""
MAX_SEGMENTS: Final = 6_000
"""Segments that k-means sees in a resample; all segments are scored."""
_SEGMENTS_A_CENTRE: Final = 60
_CENTRES: Final = (8, 150)
_MAX_NODE_PART: Final = 0.12
_MAX_NOVEL_PART: Final = 0.4
"""The part of all segments that a node may hold; the larger one if themes explain less than half of it."""
_NOVEL_FROM: Final = 0.5
_MIN_NODE_SEGMENTS: Final = 5
_RIDGE: Final = 0.1
_KEPT: Final = 67
"""Nodes of a resample that take part in the vote: the most novel."""
_FEW: Final = 10.0
"""How much more the covariance is drawn towards the identity, for (dimensions / segments)^2: few segments are hardly whitened."""
GROWN_AT: Final = 0.5
"""A segment joins where its score is nearer to the core's mean (1) than to all segments' (0)."""
_MOST: Final = 0.5
_STEADINESS: Final = 4
"""Power of the stability in the order of groups."""
_WIDER: Final = 0.15
"""How far outside of its core a group ends: more of a hidden theme was found so (ADR 8)."""
SAME: Final = 0.4
"""Two groups that share this much (Jaccard of comments) are one; the better ranked stays."""


@dataclass(frozen=True, slots=True)
class Material:
    """What groups are sought in: every segment of every comment, and what is known of them."""

    vectors: Float32
    """Shape (n_segments, dim), unit length."""
    owner: Int
    """Shape (n_segments,): index of the comment, ascending."""
    unexplained: Float
    """Shape (n_segments,): 1 where no theme explains the segment, 0 where one does."""
    coded: Bool
    """Shape (n_comments, n_themes): themes that comments carry, those that mean "nothing to report" left out."""


@dataclass(frozen=True, slots=True)
class Discriminant:
    """A linear scorer of unit vectors: 0 at the mean of all segments, 1 at the mean of its core."""

    weights: Float
    bias: float

    def scores(self, vectors: Float32) -> Float:
        """Return scores, shape (n_segments,)."""
        return np.asarray(vectors @ self.weights + self.bias, np.float64)


@dataclass(frozen=True, slots=True)
class Group:
    """Segments that belong together and that no theme explains well."""

    core: Int
    """Segments that most resamples gave it, ascending."""
    discriminant: Discriminant
    """Fitted from the core, which it gives back as well as a plane can; says what else belongs."""
    comments: Bool
    """Shape (n_comments,): comments with a segment that belongs."""
    stability: float
    """Mean over resamples of the Jaccard of its comments with those of its best match."""
    unexplained: float
    """Part of its core that no theme explains."""
    rank_score: float


def find_groups(
    material: Material,
    *,
    n_groups: int = 10,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    known: Bool | None = None,
    resamples: Sequence[Bool] | None = None,
) -> list[Group]:
    """Return at most `n_groups` groups, the most telling first. The same material and seed give the same bits.

    Parameters
    ----------
    material
        Segments and what is known of them.
    n_groups
        How many to return.
    seed
        Of resamples and k-means.
    n_resamples
        How often groups are sought.
    known
        Shape (n_known, n_comments): comments of groups that are known already and not wanted again.
    resamples
        From `draw_resamples` for the same vectors, if they are drawn already: they do not depend on the codings.
    """
    n_comments = len(material.coded)
    centre, inverse = _spread(material.vectors)
    ranked: list[Float] = []
    grown: list[Bool] = []
    cores: list[Bool] = []
    runs: list[Int] = []
    if resamples is None:
        resamples = draw_resamples(material.vectors, material.owner, n_comments, seed=seed, n_resamples=n_resamples)
    for run, drawn in enumerate(resamples):
        nodes = drawn[_fits(drawn, material)]
        scores, _ = _grow(material.vectors, nodes, centre, inverse)
        comments = _by_comment(scores >= GROWN_AT, material.owner, n_comments)
        rank = rank_scores(nodes, comments, material)
        kept = np.argsort(-rank, kind="stable")[:_KEPT]
        ranked.append(rank[kept])
        grown.append(comments[kept])
        cores.append(scores[kept] >= GROWN_AT)
        runs.append(np.full(len(kept), run, np.intp))
    return _vote(
        material,
        (centre, inverse),
        np.concatenate(grown),
        np.concatenate(cores),
        np.concatenate(ranked),
        np.concatenate(runs),
        n_groups,
        known,
    )


def rank_scores(nodes: Bool, comments: Bool, material: Material) -> Float:
    """Return how telling nodes are, shape (n_nodes,): size^1/2 x (part unexplained / usual part) x (1 - F1 with the nearest theme)^2.

    Parameters
    ----------
    nodes
        Shape (n_nodes, n_segments): segments of each before it grew.
    comments
        Shape (n_nodes, n_comments): comments of each after it grew.
    material
        What is known of segments and comments.
    """
    size = nodes.sum(axis=1)
    usual = max(float(material.unexplained.mean()), 1e-9)
    part = (nodes @ material.unexplained) / np.maximum(size, 1) / usual
    return np.asarray(np.sqrt(size) * part * (1 - overlap_with_themes(comments, material.coded)) ** 2)


def overlap_with_themes(comments: Bool, coded: Bool) -> Float:
    """Return each group's highest F1 with the comments of a theme, shape (n_groups,)."""
    if not coded.shape[1]:
        return np.zeros(len(comments))
    members, themes = comments.astype(np.float32), coded.astype(np.float32)
    both = members @ themes
    total = members.sum(axis=1)[:, None] + themes.sum(axis=0)[None]
    return np.asarray((2 * both / np.maximum(total, 1)).max(axis=1), np.float64)


def jaccard(first: Bool, second: Bool) -> Float:
    """Return Jaccard coefficients of rows, shape (n_first, n_second)."""
    a, b = first.astype(np.float32), second.astype(np.float32)
    both = a @ b.T
    return np.asarray(both / np.maximum(a.sum(axis=1)[:, None] + b.sum(axis=1)[None] - both, 1), np.float64)


def _spread(vectors: Float32) -> tuple[Float, Float]:
    """Return the mean of all vectors and the inverse of their covariance, a tenth of its mean variance added."""
    centre, covariance = _moments(vectors)
    dim = len(covariance)
    return centre, np.linalg.inv(covariance + _RIDGE * np.trace(covariance) / dim * np.eye(dim))


def _moments(vectors: Float32) -> tuple[Float, Float]:
    """Return the mean of all vectors, shape (dim,), and their covariance, shape (dim, dim)."""
    centre = vectors.mean(axis=0, dtype=np.float64)
    apart = vectors - centre
    return centre, apart.T @ apart / max(len(vectors) - 1, 1)


def draw_resamples(
    vectors: Float32, owner: Int, n_comments: int, *, seed: int = 0, n_resamples: int = N_RESAMPLES
) -> list[Bool]:
    """Return for each resample the segments of each node of its tree, shape (n_nodes, n_segments)."""
    white = _whitened(vectors)
    return [_nodes(white, owner, n_comments, np.random.default_rng((seed, run))) for run in range(n_resamples)]


def _whitened(vectors: Float32) -> Float32:
    """Return vectors less their mean, by the inverse root of their covariance, each of unit length.

    What all comments share (tone, length, the service they speak of) then weighs no more than what few do. The covariance is
    drawn towards a multiple of the identity, the more so the fewer segments there are for each dimension.
    """
    n, dim = vectors.shape
    centre, covariance = _moments(vectors)
    variances, axes = np.linalg.eigh(covariance)
    ridge = max((_RIDGE + _FEW * (dim / n) ** 2) * float(variances.mean()), 1e-9)
    white = (vectors - centre) @ (axes / np.sqrt(np.maximum(variances, 0) + ridge)) @ axes.T
    return np.asarray(white / np.maximum(np.linalg.norm(white, axis=1, keepdims=True), 1e-9), np.float32)


def _fits(nodes: Bool, material: Material) -> Bool:
    """Return which nodes are not too large to be a theme, shape (n_nodes,)."""
    size = nodes.sum(axis=1)
    seen = min(PART * nodes.shape[1], MAX_SEGMENTS)
    novel = (nodes @ material.unexplained) / np.maximum(size, 1) >= _NOVEL_FROM
    return np.asarray(size <= np.where(novel, _MAX_NOVEL_PART, _MAX_NODE_PART) * seen)


def _nodes(white: Float32, owner: Int, n_comments: int, rng: np.random.Generator) -> Bool:
    from scipy.cluster.hierarchy import linkage  # noqa: PLC0415 -- with scikit-learn, a second of start-up
    from sklearn.cluster import KMeans  # noqa: PLC0415

    chosen = np.zeros(n_comments, np.bool_)
    chosen[rng.permutation(n_comments)[: max(2, round(PART * n_comments))]] = True
    rows = np.flatnonzero(chosen[owner])
    if len(rows) > MAX_SEGMENTS:
        rows = np.sort(rng.permutation(rows)[:MAX_SEGMENTS])
    seen = white[rows]
    n_centres = min(int(np.clip(len(owner) / _SEGMENTS_A_CENTRE, *_CENTRES)), len(rows))
    labels = KMeans(n_centres, n_init=1, max_iter=50, random_state=int(rng.integers(2**31))).fit(seen).labels_
    used = np.unique(labels)
    means = np.stack([seen[labels == c].mean(axis=0) for c in used])
    sets = [frozenset([int(c)]) for c in used]
    if len(used) > 1:
        for a, b, *_ in linkage(means, "average", metric="cosine"):
            sets.append(sets[int(a)] | sets[int(b)])
    nodes = []
    for held in sets:
        inside = rows[np.isin(labels, list(held))]
        if _MIN_NODE_SEGMENTS <= len(inside) <= _MAX_NOVEL_PART * len(rows):
            node = np.zeros(len(owner), np.bool_)
            node[inside] = True
            nodes.append(node)
    return np.stack(nodes) if nodes else np.zeros((0, len(owner)), np.bool_)


def _grow(vectors: Float32, nodes: Bool, centre: Float, inverse: Float) -> tuple[Float32, list[Discriminant]]:
    """Return scores of all segments for each node, shape (n_nodes, n_segments), and what gives them.

    Fisher's discriminant with the covariance of all segments: w = S^-1 (m - c), scaled so that the core's mean m scores 1.
    """
    means = (nodes.astype(np.float32) @ vectors) / np.maximum(nodes.sum(axis=1, keepdims=True), 1)
    apart = means - centre
    weights = apart @ inverse
    reach = np.maximum((apart * weights).sum(axis=1), 1e-9)
    weights = weights / reach[:, None]
    biases = -(weights @ centre)
    scores = (weights.astype(np.float32) @ vectors.T) + biases[:, None].astype(np.float32)
    return scores, [Discriminant(w, float(b)) for w, b in zip(weights, biases, strict=True)]


def _cut_where_core_ends(fitted: Discriminant, scores: Float32, core: Bool) -> Discriminant:
    """Return the scorer moved so that `GROWN_AT` lies a little outside of where it tells the core from other segments best (highest F1)."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(core[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + core.sum())
    best = int(f1.argmax())
    lowest = float(scores[order[best]])
    below = float(scores[order[best + 1]]) if best + 1 < len(order) else lowest - 1.0
    return Discriminant(fitted.weights, fitted.bias + GROWN_AT + _WIDER - (lowest + below) / 2)


def _by_comment(segments: Bool, owner: Int, n_comments: int) -> Bool:
    """Return which comments have such a segment, shape (n_groups, n_comments)."""
    out = np.zeros((len(segments), n_comments), np.bool_)
    for row, held in zip(out, segments, strict=True):
        row[owner[held]] = True
    return out


def _vote(
    material: Material,
    spread: tuple[Float, Float],
    grown: Bool,
    cores: Bool,
    ranked: Float,
    runs: Int,
    n_groups: int,
    known: Bool | None,
) -> list[Group]:
    """Return what resamples agree on: a segment belongs if it does so in the best match of most resamples."""
    n_comments = len(material.coded)
    if not len(runs):
        return []
    alike = jaccard(grown, grown)
    held = [np.flatnonzero(runs == r) for r in np.unique(runs)]
    best = np.stack([rows[alike[:, rows].argmax(axis=1)] for rows in held], axis=1)
    stability = np.take_along_axis(alike, best, axis=1)
    order = np.argsort(-(ranked * stability.mean(axis=1) ** _STEADINESS), kind="stable")
    found: list[Group] = []
    taken = [] if known is None else list(known)
    for i in order:
        if len(found) == n_groups:
            break
        core = cores[best[i]].mean(axis=0) > _MOST
        if core.sum() < _MIN_NODE_SEGMENTS:
            continue
        scores, (fitted,) = _grow(material.vectors, core[None], *spread)
        discriminant = _cut_where_core_ends(fitted, scores[0], core)
        comments = _by_comment(core[None], material.owner, n_comments)
        if taken and jaccard(comments, np.stack(taken)).max() >= SAME:
            continue
        taken.append(comments[0])
        again = jaccard(comments, grown[best[i]]).mean()
        found.append(
            Group(
                np.flatnonzero(core),
                discriminant,
                comments[0],
                float(again),
                float(material.unexplained[core].mean()),
                float(ranked[i]),
            )
        )
    return found
