"""Scores of comments by models that never saw them, and what is learnt from those scores alone."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.calibration import BEST_F1, Aim, fit_calibration
from models.encoder import Encoder
from models.text import make_segments
from models.tokens import Window, WordPieces, tokens_of_segments
from models.vocabulary import Codebook, DecidedComment, Segment
from models.weight_changes import merge_updates
from models.weights import Base
from training.evaluation import metrics
from training.finetune import FitSettings, Fitted, Step, average, fit
from training.hints import make_hints, make_phrases
from training.lexical_fit import fit_lexical
from training.splits import Split, has_ties, make_folds
from training.start import Start

LEXICAL_WEIGHTS: Final = (0.0, 0.15, 0.3, 0.45, 0.6)
MIN_SOURCE_SHARE: Final = 0.08
"""A source with a smaller share of the comments is not held out on its own."""

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Report = Callable[[str, Step | None], None]


@dataclass(frozen=True, slots=True)
class Hints:
    """Texts of the codebook's own, and the one theme that each speaks of; truth of shape (n_hints, n_themes)."""

    windows: list[Window]
    truth: BoolArray

    def __add__(self, other: "Hints") -> "Hints":
        return Hints([*self.windows, *other.windows], np.concatenate((self.truth, other.truth)))


@dataclass(frozen=True, slots=True)
class Data:
    """Decisions as arrays: one row a comment."""

    decided: Sequence[DecidedComment]
    codebook: Codebook
    windows: list[Window]
    truth: BoolArray
    hints: Hints
    """Each theme's definition and examples."""
    phrases: Hints
    """The phrases of the definitions; see `training.hints`."""


def make_data(decided: Sequence[DecidedComment], codebook: Codebook, pieces: WordPieces) -> Data:
    """Return decisions and the codebook's own hints as arrays."""
    column = {t.id: k for k, t in enumerate(codebook.codable)}
    truth = np.zeros((len(decided), len(column)), np.bool_)
    for row, one in enumerate(decided):
        for theme in one.themes:
            truth[row, column[theme]] = True
    windows = [w[0] for w in pieces.windows([d.comment.text for d in decided])]
    hints, phrases = (_hints(said, len(column), pieces) for said in (make_hints(codebook), make_phrases(codebook)))
    return Data(decided, codebook, windows, truth, hints, phrases)


def _hints(said: Sequence[tuple[str, int]], n_themes: int, pieces: WordPieces) -> Hints:
    truth = np.zeros((len(said), n_themes), np.bool_)
    for row, (_, k) in enumerate(said):
        truth[row, k] = True
    return Hints([w[0] for w in pieces.windows([text for text, _ in said])], truth)


HEAD_START: Final = 1.0
"""Length of each theme's row in the head that a fit begins with where the codebook speaks for and against all themes."""


def fit_rows(
    start: Start, data: Data, rows: NDArray[np.intp], settings: FitSettings, stage: str, report: Report
) -> Fitted:
    """Return a fit on some rows and on what the codebook says; themes that the start knows keep their place in its head."""
    against_others = settings.hints == "all"
    hints = data.hints + data.phrases if against_others else data.hints
    windows = [*(data.windows[i].ids for i in rows), *(w.ids for w in hints.windows)]
    truth = np.concatenate((data.truth[rows], hints.truth))
    known = np.ones_like(truth)
    if not against_others:
        known[len(rows) :] = hints.truth
    head = start.head.copy()
    if against_others and len(data.codebook.codable) > 1 and not start.known.all():
        head[~start.known] = _head_of_hints(start, hints, settings)[~start.known]
    n_fits = settings.n_averaged or 1

    def fitted(i: int) -> Fitted:
        own = replace(settings, seed=settings.seed * n_fits + i)
        name = stage if n_fits == 1 else f"{stage}, fit {i + 1} of {n_fits}"
        return fit(start, windows, truth, own, known=known, head_start=head, progress=lambda step: report(name, step))

    return average([fitted(i) for i in range(n_fits)])


def _head_of_hints(start: Start, hints: Hints, settings: FitSettings) -> NDArray[np.float32]:
    """Return a head, (n_themes, dim), whose rows point from the mean of all themes' hints to the mean of each theme's."""
    vectors = _encoder(start.base, start.tensors, settings).encode([w.ids for w in hints.windows])
    pooled = np.stack([v.mean(axis=0) for v in vectors])
    rows = np.stack([pooled[hints.truth[:, k]].mean(axis=0) for k in range(hints.truth.shape[1])])
    rows -= rows.mean(axis=0)
    return np.asarray(HEAD_START * rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9), np.float32)


def _encoder(base: Base, tensors: Mapping[str, NDArray[np.float32]], settings: FitSettings) -> Encoder:
    """Return an exact encoder for scoring."""
    from models.encoder_openvino import OpenVinoEncoder  # noqa: PLC0415
    from models.encoder_reference import ReferenceEncoder  # noqa: PLC0415

    if base.config.get("model_type") == "bert":
        return OpenVinoEncoder(base, tensors, n_threads=settings.n_threads)
    return ReferenceEncoder(base, tensors)


@dataclass(frozen=True, slots=True)
class HeldOutScores:
    """Scores of every comment by models that did not see its fold, both (n, n_themes), and the segments behind them."""

    by_encoder: FloatArray
    by_words: FloatArray
    evidence: tuple[tuple[Segment | None, ...], ...]


def score_held_out(
    start: Start, data: Data, folds: NDArray[np.int64], settings: FitSettings, report: Report
) -> HeldOutScores:
    """Return each comment's scores by a fit on the other folds."""
    by_encoder, by_words = np.zeros(data.truth.shape), np.zeros(data.truth.shape)
    evidence: list[tuple[Segment | None, ...]] = [()] * len(data.decided)
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        part = _fit_and_score(
            start, data, (inside, outside), settings, f"held-out part {fold + 1} of {n_folds}", report
        )
        by_encoder[outside], by_words[outside] = part.by_encoder, part.by_words
        for i, segments in zip(outside, part.evidence, strict=True):
            evidence[int(i)] = segments
    return HeldOutScores(by_encoder, by_words, tuple(evidence))


def _fit_and_score(
    start: Start,
    data: Data,
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    settings: FitSettings,
    stage: str,
    report: Report,
) -> HeldOutScores:
    """Return scores of the second rows by a fit on the first."""
    inside, outside = rows
    fitted = fit_rows(start, data, inside, settings, stage, report)
    encoder = _encoder(start.base, merge_updates(start.base, fitted.adapters, fitted.changes), settings)
    windows = [data.windows[i] for i in outside]
    vectors = encoder.encode([w.ids for w in windows])
    lexical = fit_lexical([data.windows[i] for i in inside], data.truth[inside])
    texts = [data.decided[int(i)].comment.text for i in outside]
    return HeldOutScores(
        np.stack([v.mean(axis=0) for v in vectors]) @ fitted.head.T + fitted.head_bias + start.lexical_scores(windows),
        lexical.scores(windows),
        tuple(_telling_segments(t, w, v @ fitted.head.T) for t, w, v in zip(texts, windows, vectors, strict=True)),
    )


def _telling_segments(text: str, window: Window, shares: NDArray[np.floating[Any]]) -> tuple[Segment | None, ...]:
    """Return for each theme the segment whose tokens speak most for it; shares of shape (n_tokens, n_themes)."""
    segments = make_segments(text)
    if not segments:
        return (None,) * int(shares.shape[1])
    holds = tokens_of_segments(window, segments) == np.arange(len(segments))[:, None]
    best = (holds.astype(np.float32) @ shares[1:-1]).argmax(axis=0)
    return tuple(segments[int(s)] for s in best)


def best_lexical_weight(by_encoder: FloatArray, by_words: FloatArray, truth: BoolArray) -> float:
    """Return the weight of the lexical score with the least log loss out of sample; 0 leaves that part out."""

    def loss(weight: float) -> float:
        scores = by_encoder + weight * by_words
        p = np.clip(fit_calibration(scores, truth).probabilities(scores), 1e-6, 1 - 1e-6)
        return float(-np.where(truth, np.log(p), np.log(1 - p)).mean())

    return min(LEXICAL_WEIGHTS, key=loss)


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Probabilities and verdicts of comments whose fold neither the fit nor the calibration saw."""

    probabilities: FloatArray
    predicted: BoolArray


def cross_calibrated(
    scores: FloatArray, truth: BoolArray, folds: NDArray[np.int64], aim: Aim = BEST_F1, *, fallback: bool = False
) -> HeldOut:
    """Return each fold's verdicts under calibration and thresholds learnt on the other folds."""
    probabilities, predicted = np.zeros(scores.shape), np.zeros(scores.shape, np.bool_)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        calibration = fit_calibration(scores[inside], truth[inside], aim=aim, fallback=fallback)
        probabilities[outside] = calibration.probabilities(scores[outside])
        predicted[outside] = calibration.verdicts(probabilities[outside])
    return HeldOut(probabilities, predicted)


def other_splits(decided: Sequence[DecidedComment], made_by: Split) -> list[tuple[Split, str, NDArray[np.int64]]]:
    """Return the splits that the data allow beside the one already used: which, what is tested, and its mask of rows.

    A random split says nothing new where no text and no respondent occurs twice. Sources are held out in turn if there are few,
    and every comment names one.
    """
    found: list[tuple[Split, str, NDArray[np.int64]]] = []
    grouped = has_ties(decided)
    for split in (Split.RANDOM, Split.TEXT):
        if split is not made_by and (grouped or split is Split.TEXT):
            folds, _ = make_folds(decided, seed=0, n_folds=5, split=split)
            found.append((split, "a fifth", np.flatnonzero(folds == 0)))
    sources = Counter(d.source for d in decided)
    if made_by is not Split.SOURCE and None not in sources and len(sources) > 1:
        for source, n in sorted(sources.items(), key=str):
            if MIN_SOURCE_SHARE <= n / len(decided) <= 1 - MIN_SOURCE_SHARE:
                rows = np.array([i for i, d in enumerate(decided) if d.source == source])
                found.append((Split.SOURCE, str(source), rows))
    return found


def compare_splits(
    start: Start, data: Data, scores: FloatArray, weight: float, settings: FitSettings, made_by: Split, aim: Aim,
    report: Report, *, fallback: bool = False,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return figures of other splits, each by a fit of its own; calibration and thresholds are from its training rows.

    `scores` are the held-out scores of all comments, of which each split uses those of its training rows.
    """
    out: list[dict[str, Any]] = []
    themes = [t.id for t in data.codebook.codable]
    for split, tested, outside in other_splits(data.decided, made_by):
        inside = np.setdiff1d(np.arange(len(data.decided)), outside)
        stage = f"{split} split, {tested} held out"
        part = _fit_and_score(start, data, (inside, outside), settings, stage, report)
        calibration = fit_calibration(scores[inside], data.truth[inside], aim=aim, fallback=fallback)
        probabilities = calibration.probabilities(part.by_encoder + weight * part.by_words)
        predicted = calibration.verdicts(probabilities)
        figures = metrics(themes, predicted, data.truth[outside], probabilities=probabilities)
        kept = ("micro_f1", "macro_f1", "samples_f1", "exact_match", "ece")
        out.append({"split": str(split), "tested_on": tested, "n": len(outside), **{k: figures[k] for k in kept}})
    return out
