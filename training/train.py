"""The chain: decisions, folds, fits, calibration out of sample, final fit, quick encoder, card, artefact."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml
from numpy.typing import NDArray

from models.artefact import Artefact, Tagger, write_artefact
from models.calibration import Calibration, fit_calibration
from models.lexical import N_BUCKETS
from models.model import Backend, build_classifier
from models.text import make_segments
from models.tokens import Window, WordPieces, tokens_of_segments
from models.vocabulary import Codebook, DecidedComment, ModelId, Segment, ThemesError
from models.weights import DEFAULT_BASE, Base, merge_adapters, read_base
from training.card import make_card
from training.decisions import DecisionsError
from training.evaluation import coder_agreement, confusable_pairs, metrics, micro_f1_interval
from training.finetune import FitSettings, Fitted, Step, fit
from training.lexical_fit import Lexical, fit_lexical
from training.quick_encoder import fit_smoothing
from training.splits import make_folds
from training.suspects import Suspect, find_suspects

LEXICAL_WEIGHTS: Final = (0.0, 0.15, 0.3, 0.45, 0.6)
SMOOTHING_TEXTS: Final = 300
MARGIN_TEXTS: Final = 1_500
MARGIN_QUANTILE: Final = 0.90

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Report = Callable[[str, Step | None], None]


class AboutError(ThemesError):
    """The file about a model cannot be used."""

    code = "about_invalid"


@dataclass(frozen=True, slots=True)
class About:
    """What the numbers cannot say of a model: its name, where its data came from, what it is not good for."""

    name: str = "model"
    version: str = "1.0.0"
    data: tuple[str, ...] = ()
    limits: tuple[str, ...] = (
        "Measured on the decisions it was trained from, held out in parts; other consultations may differ.",
    )
    rebuild: str = "themes train --decisions FILE --codebook FILE --out DIR"


def read_about(path: Path) -> About:
    """Return what a YAML file says of a model: any of name, version, rebuild (texts), data, limits (lists of texts).

    Raises
    ------
    AboutError
        If it cannot be read or says anything else.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        odd = sorted(set(given) - set(About.__dataclass_fields__))
        plain = About()
        about = About(
            name=str(given.get("name", plain.name)),
            version=str(given.get("version", plain.version)),
            data=tuple(str(line) for line in given.get("data", plain.data)),
            limits=tuple(str(line) for line in given.get("limits", plain.limits)),
            rebuild=str(given.get("rebuild", plain.rebuild)),
        )
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, TypeError) as error:
        raise AboutError(
            f"{path.name} cannot be read ({type(error).__name__}).",
            allowed="a YAML mapping.",
            next_step="check the file.",
        ) from error
    if odd:
        raise AboutError(
            f"{path.name} has the field {odd[0]!r}.",
            allowed="name, version, rebuild, data, limits.",
            next_step="take it out.",
        )
    return about


@dataclass(frozen=True, slots=True)
class KeptOut:
    """A gold set that training never sees.

    Its digest, and how many decisions were left out because they share a text or a respondent with it.
    """

    sha256: str
    n_left_out: int


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives besides the folder."""

    model_id: ModelId
    facts: dict[str, Any]
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True, slots=True)
class _Data:
    """Decisions as arrays: one row a comment."""

    decided: Sequence[DecidedComment]
    codebook: Codebook
    windows: list[Window]
    truth: BoolArray
    hints: list[Window] = field(default_factory=list)
    hint_truth: BoolArray = field(default_factory=lambda: np.zeros((0, 0), np.bool_))


def train(
    decided: Sequence[DecidedComment],
    codebook: Codebook,
    out: Path,
    *,
    settings: FitSettings | None = None,
    about: About | None = None,
    encoder: str = DEFAULT_BASE,
    gold: KeptOut | None = None,
    report: Report = lambda _stage, _step: None,
) -> Trained:
    """Write a model folder and return its id, the facts on its card and the decisions in doubt.

    Parameters
    ----------
    decided
        Comments with their complete sets of themes; at least two of them must carry a theme.
    codebook
        Any codebook; its definitions and examples serve as hints for the fit.
    out
        The folder to write, whole or not at all.
    settings, about, encoder
        How to fit, what to say on the card, and which base encoder to start from.
    gold
        What was kept out of `decided`, for the card.
    report
        Told of each stage, and of each step of a fit.

    Raises
    ------
    DecisionsError
        If no theme has a positive decision.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settings, about = settings or FitSettings(), about or About()
    base = read_base(encoder)
    pieces = WordPieces(base.tokenizer_json)
    data = _data(decided, codebook, pieces)
    if not data.truth.any():
        raise DecisionsError(
            "no comment has a theme.",
            allowed="decisions in which themes occur.",
            next_step="check --codebook and the themes lists.",
        )
    mask_id = pieces.mask_id
    folds, made_by = make_folds(decided, seed=settings.seed, n_folds=settings.n_folds)
    held_out = _held_out_scores(base, mask_id, data, folds, settings, report)
    weight = best_lexical_weight(held_out.by_encoder, held_out.by_words, data.truth)
    scores = held_out.by_encoder + weight * held_out.by_words
    honest = cross_calibrated(scores, data.truth, folds)
    calibration = fit_calibration(scores, data.truth)
    report("final fit", None)
    fitted = _fit(base, mask_id, data, np.arange(len(decided)), settings, "final fit", report)
    lexical = fit_lexical(data.windows, data.truth) if weight else None
    report("quick encoder", None)
    artefact = _artefact(base, data, fitted, lexical, weight, calibration, settings, about, encoder)
    themes = [t.id for t in codebook.codable]
    suspects = find_suspects(themes, data.truth, honest.probabilities, held_out.evidence)
    facts = _facts(data, honest, calibration, made_by, weight, settings, about, encoder)
    agreement = coder_agreement(decided, themes)
    facts |= {"gold": asdict(gold)} if gold is not None else {}
    facts |= {"coder_agreement": agreement} if agreement is not None else {}
    model_id = write_artefact(out, replace(artefact, card=facts, card_text=make_card(facts, codebook)))
    return Trained(model_id, facts, tuple(suspects))


def _data(decided: Sequence[DecidedComment], codebook: Codebook, pieces: WordPieces) -> _Data:
    column = {t.id: k for k, t in enumerate(codebook.codable)}
    truth = np.zeros((len(decided), len(column)), np.bool_)
    for row, one in enumerate(decided):
        for theme in one.themes:
            truth[row, column[theme]] = True
    hints = [(text, k) for k, t in enumerate(codebook.codable) for text in (f"{t.label}. {t.definition}", *t.examples)]
    hint_truth = np.zeros((len(hints), len(column)), np.bool_)
    for row, (_, k) in enumerate(hints):
        hint_truth[row, k] = True
    windows = [w[0] for w in pieces.windows([d.comment.text for d in decided])]
    return _Data(decided, codebook, windows, truth, [w[0] for w in pieces.windows([t for t, _ in hints])], hint_truth)


def _fit(
    base: Base, mask_id: int, data: _Data, rows: NDArray[np.intp], settings: FitSettings, stage: str, report: Report
) -> Fitted:
    """Return a fit on some rows and on the codebook's hints, of which only the positive cell is known."""
    windows = [*(data.windows[i].ids for i in rows), *(w.ids for w in data.hints)]
    truth = np.concatenate((data.truth[rows], data.hint_truth))
    known = np.concatenate((np.ones((len(rows), truth.shape[1]), np.bool_), data.hint_truth))
    return fit(base, mask_id, windows, truth, settings, known=known, progress=lambda step: report(stage, step))


@dataclass(frozen=True, slots=True)
class _HeldOutScores:
    """Scores of every comment by models that did not see its fold, both (n, n_themes), and the segments behind them."""

    by_encoder: FloatArray
    by_words: FloatArray
    evidence: tuple[tuple[Segment | None, ...], ...]


def _held_out_scores(
    base: Base, mask_id: int, data: _Data, folds: NDArray[np.int64], settings: FitSettings, report: Report
) -> _HeldOutScores:
    from models.encoder_openvino import OpenVinoEncoder  # noqa: PLC0415
    from models.encoder_reference import ReferenceEncoder  # noqa: PLC0415

    by_encoder, by_words = np.zeros(data.truth.shape), np.zeros(data.truth.shape)
    evidence: list[tuple[Segment | None, ...]] = [()] * len(data.decided)
    n_folds = int(folds.max()) + 1
    for fold in range(n_folds):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        fitted = _fit(base, mask_id, data, inside, settings, f"held-out part {fold + 1} of {n_folds}", report)
        tensors = merge_adapters(base, fitted.adapters)
        is_bert = base.config.get("model_type") == "bert"
        encoder = (
            OpenVinoEncoder(base, tensors, n_threads=settings.n_threads) if is_bert else ReferenceEncoder(base, tensors)
        )
        vectors = encoder.encode([data.windows[i].ids for i in outside])
        by_encoder[outside] = np.stack([v.mean(axis=0) for v in vectors]) @ fitted.head.T + fitted.head_bias
        lexical = fit_lexical([data.windows[i] for i in inside], data.truth[inside])
        by_words[outside] = lexical.scores([data.windows[i] for i in outside])
        for i, v in zip(outside, vectors, strict=True):
            evidence[int(i)] = _telling_segments(data.decided[int(i)].comment.text, data.windows[i], v @ fitted.head.T)
    return _HeldOutScores(by_encoder, by_words, tuple(evidence))


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


def cross_calibrated(scores: FloatArray, truth: BoolArray, folds: NDArray[np.int64]) -> HeldOut:
    """Return each fold's verdicts under calibration and thresholds learnt on the other folds."""
    probabilities, predicted = np.zeros(scores.shape), np.zeros(scores.shape, np.bool_)
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        calibration = fit_calibration(scores[inside], truth[inside])
        probabilities[outside] = calibration.probabilities(scores[outside])
        predicted[outside] = probabilities[outside] >= calibration.threshold
    return HeldOut(probabilities, predicted)


def _artefact(
    base: Base,
    data: _Data,
    fitted: Fitted,
    lexical: Lexical | None,
    weight: float,
    calibration: Calibration,
    settings: FitSettings,
    about: About,
    encoder: str,
) -> Artefact:
    n_themes = data.truth.shape[1]
    rng = np.random.default_rng(settings.seed)
    some = rng.permutation(len(data.windows))[:SMOOTHING_TEXTS]
    smoothing = fit_smoothing(base, merge_adapters(base, fitted.adapters), [data.windows[i].ids for i in some])
    tagger = Tagger(
        fitted.adapters,
        fitted.head,
        (fitted.head_bias + (weight * lexical.bias if lexical is not None else 0.0)).astype(np.float32),
        (weight * lexical.weights).astype(np.float16) if lexical is not None else np.zeros((0, n_themes), np.float16),
        lexical.idf if lexical is not None else np.zeros(0, np.float32),
        smoothing,
    )
    assert tagger.lexical.shape[0] in (0, N_BUCKETS)  # noqa: S101 -- what read_artefact will ask for
    artefact = Artefact(
        about.name, about.version, encoder, dict(base.digests), data.codebook, tagger, calibration, 0.0, {}, ""
    )
    if base.config.get("model_type") == "bert":
        texts = [data.decided[int(i)].comment.text for i in rng.permutation(len(data.decided))[:MARGIN_TEXTS]]
        artefact = replace(artefact, review_margin=_review_margin(artefact, texts, encoder))
    return artefact


def _review_margin(artefact: Artefact, texts: Sequence[str], encoder: str) -> float:
    """Return how far the quick encoder's log-odds stray near a threshold: the `MARGIN_QUANTILE` of the differences."""
    calibration = artefact.calibration
    quick = calibration.logits(build_classifier(artefact, backend=Backend.FAST, encoder=encoder).scores(texts))
    exact = calibration.logits(build_classifier(artefact, backend=Backend.EXACT, encoder=encoder).scores(texts))
    near = np.abs(exact - np.log(calibration.threshold / (1 - calibration.threshold))) < 1.0
    return round(float(np.quantile(np.abs(quick - exact)[near], MARGIN_QUANTILE)), 4) if near.any() else 0.0


def _facts(
    data: _Data,
    honest: HeldOut,
    calibration: Calibration,
    made_by: str,
    weight: float,
    settings: FitSettings,
    about: About,
    encoder: str,
) -> dict[str, Any]:
    decided, codebook, truth = data.decided, data.codebook, data.truth
    themes = [t.id for t in codebook.codable]
    result = metrics(
        themes, honest.predicted, truth, probabilities=honest.probabilities, thresholds=calibration.threshold
    )
    groups = [d.comment.respondent or d.comment.id for d in decided]
    notes = {
        "source": "each part held out consists of whole sources, so the model had not met that kind of writing.",
        "text": "parts held out share no text and no respondent with the rest, but come from the same sources.",
    }
    digest = hashlib.sha256()
    for d in decided:
        digest.update(json.dumps([d.comment.text, sorted(d.themes)], ensure_ascii=True).encode())
    return {
        "name": about.name,
        "version": about.version,
        "codebook": codebook.ref,
        "encoder": encoder,
        "n_themes": len(themes),
        "n_comments": len(decided),
        "n_decisions": len(decided) * len(themes),
        "data_sha256": digest.hexdigest(),
        "data_notes": list(about.data),
        "sources": dict(sorted(Counter(d.source or "not said" for d in decided).items())),
        "split": made_by,
        "split_note": notes[made_by],
        "out_of_sample": result,
        "micro_f1_interval": [
            round(v, 4) for v in micro_f1_interval(honest.predicted, truth, groups, seed=settings.seed)
        ],
        "confusable": confusable_pairs(themes, honest.predicted, truth),
        "lexical_weight": weight,
        "settings": asdict(settings),
        "limits": list(about.limits),
        "rebuild": about.rebuild,
    }
