"""The chain: decisions, folds, fits, calibration out of sample, final fit, quick encoder, card, artefact."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import yaml

from models.artefact import Artefact, Tagger, write_artefact
from models.calibration import BEST_F1, Aim, Calibration, fit_calibration
from models.lexical import N_BUCKETS
from models.model import Backend, build_classifier
from models.tokens import WordPieces
from models.trained_on import make_marks
from models.vocabulary import Codebook, DecidedComment, ModelId, ThemesError
from models.weight_changes import merge_updates
from models.weights import DEFAULT_BASE, Base, read_base
from training.card import make_card
from training.decisions import DecisionsError
from training.evaluation import bootstrap_intervals, coder_agreement, confusable_pairs, metrics, theme_rates
from training.finetune import FitSettings, Fitted, Step, check_full, prefers_full
from training.held_out import (
    Data,
    HeldOut,
    Report,
    best_lexical_weight,
    compare_splits,
    cross_calibrated,
    fit_rows,
    make_data,
    score_held_out,
)
from training.lexical_fit import Lexical, fit_lexical, in_eight_bits
from training.quick_encoder import fit_smoothing
from training.splits import MANY_COMMENTS, N_FOLDS, find_n_folds, make_folds
from training.suspects import Suspect, find_suspects

FEW_COMMENTS: Final = 1_000
JOINED_IF_FEW: Final = 0.3
"""`FitSettings.joined` for up to `FEW_COMMENTS` comments, if it is not given; with more, real comments are read as they are."""
AVERAGED_IF_FEW: Final = 3
"""`FitSettings.n_averaged` for as many, of fits with adapters: each alone learns much that is chance. With more, one fit."""
SMOOTHING_TEXTS: Final = 300
MARGIN_TEXTS: Final = 1_500
MARGIN_QUANTILE: Final = 0.90


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
    invented: bool = False
    """Whether the comments were written for the purpose: then they are nobody's, and no marks of them are kept."""


def read_about(path: Path) -> About:
    """Return what a YAML file says of a model: any of name, version, rebuild (texts), data, limits (lists of texts), invented (true or false).

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
            invented=given.get("invented", plain.invented) is True,
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
            allowed="name, version, rebuild, data, limits, invented.",
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


PIECES_PER_SECOND: Final = 2_600
"""Word pieces that training reads on two cores with AVX-512: for the time on the card, which must be the same whenever and
wherever a model is rebuilt."""


class _Work:
    """Adds up what the fits did."""

    def __init__(self, report: Report) -> None:
        self._report, self.n_updates, self.n_pieces = report, 0, 0

    def __call__(self, stage: str, step: Step | None) -> None:
        if step is not None and step.done == step.of:
            self.n_updates += step.of
            self.n_pieces += step.n_pieces
        self._report(stage, step)

    def facts(self) -> dict[str, float]:
        minutes = round(self.n_pieces / PIECES_PER_SECOND / 60, 1)
        return {"updates": self.n_updates, "word_pieces": self.n_pieces, "minutes": minutes}


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives besides the folder."""

    model_id: ModelId
    facts: dict[str, Any]
    suspects: tuple[Suspect, ...]


def train(
    decided: Sequence[DecidedComment],
    codebook: Codebook,
    out: Path,
    *,
    settings: FitSettings | None = None,
    about: About | None = None,
    encoder: str = DEFAULT_BASE,
    gold: KeptOut | None = None,
    all_splits: bool = False,
    aim: Aim = BEST_F1,
    fallback: bool = True,
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
    all_splits
        Also fit and score each other split that the data allow, for the card.
    aim
        What the thresholds are chosen for.
    fallback
        Whether a comment on which no theme reaches its threshold may be given its likeliest; see `models.calibration`.
    report
        Told of each stage, and of each step of a fit.

    Raises
    ------
    DecisionsError
        If no theme has a positive decision.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    settings, about = settings or FitSettings(), about or About()
    settings = replace(settings, n_folds=settings.n_folds or find_n_folds(len(decided)))
    few = len(decided) <= FEW_COMMENTS
    if settings.joined is None:
        settings = replace(settings, joined=JOINED_IF_FEW if few else 0.0)
    work = report = _Work(report)
    base = read_base(encoder)
    if settings.full:
        check_full(base)
    elif settings.full is None:
        settings = replace(settings, full=len(decided) >= MANY_COMMENTS and prefers_full(base))
    if settings.n_averaged is None:
        settings = replace(settings, n_averaged=AVERAGED_IF_FEW if few and not settings.full else 1)
    settings = replace(settings, epochs=settings.n_epochs)
    pieces = WordPieces(base.tokenizer_json)
    data = make_data(decided, codebook, pieces)
    if not data.truth.any():
        raise DecisionsError(
            "no comment has a theme.",
            allowed="decisions in which themes occur.",
            next_step="check --codebook and the themes lists.",
        )
    mask_id = pieces.mask_id
    folds, made_by = make_folds(decided, seed=settings.seed, n_folds=settings.n_folds or N_FOLDS)
    held_out = score_held_out(base, mask_id, data, folds, settings, report)
    weight = best_lexical_weight(held_out.by_encoder, held_out.by_words, data.truth)
    scores = held_out.by_encoder + weight * held_out.by_words
    honest = cross_calibrated(scores, data.truth, folds, aim, fallback=fallback)
    calibration = fit_calibration(scores, data.truth, aim=aim, fallback=fallback)
    report("final fit", None)
    fitted = fit_rows(base, mask_id, data, np.arange(len(decided)), settings, "final fit", report)
    lexical = fit_lexical(data.windows, data.truth) if weight else None
    report("quick encoder", None)
    artefact = _artefact(base, data, fitted, lexical, weight, calibration, settings, about, encoder)
    themes = [t.id for t in codebook.codable]
    suspects = find_suspects(themes, data.truth, honest.probabilities, held_out.evidence)
    beside: list[dict[str, Any]] = []
    if all_splits:
        beside = compare_splits(base, mask_id, data, scores, weight, settings, made_by, aim, report, fallback=fallback)
    facts = _facts(data, honest, calibration, made_by, weight, settings, about, encoder)
    facts["work"] = work.facts()
    agreement, rates = coder_agreement(decided, themes), theme_rates(decided, themes)
    facts |= {"gold": asdict(gold)} if gold is not None else {}
    facts |= {"aim": asdict(aim)} if aim != BEST_F1 else {}
    facts |= {"fallback": round(calibration.fallback, 4)} if calibration.fallback is not None else {}
    facts |= {"splits": beside} if beside else {}
    facts |= {"theme_rates": rates} if rates is not None else {}
    facts |= {"coder_agreement": agreement} if agreement is not None else {}
    marks = None if about.invented else make_marks(map(_written, decided), key=facts["data_sha256"])
    model_id = write_artefact(
        out, replace(artefact, card=facts, card_text=make_card(facts, codebook), trained_on=marks)
    )
    return Trained(model_id, facts, tuple(suspects))


def _written(d: DecidedComment) -> tuple[str, str]:
    return d.comment.respondent or d.comment.id, d.comment.text


def _artefact(
    base: Base,
    data: Data,
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
    smoothing = fit_smoothing(
        base, merge_updates(base, fitted.adapters, fitted.changes), [data.windows[i].ids for i in some]
    )
    weights, step = np.zeros((0, n_themes), np.int8), np.zeros(n_themes, np.float32)
    if lexical is not None:
        weights, step = in_eight_bits(weight * lexical.weights)
    tagger = Tagger(
        fitted.adapters,
        fitted.head,
        (fitted.head_bias + (weight * lexical.bias if lexical is not None else 0.0)).astype(np.float32),
        weights,
        step,
        lexical.idf if lexical is not None else np.zeros(0, np.float32),
        smoothing,
        fitted.changes,
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
    data: Data,
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
        "intervals": bootstrap_intervals(
            honest.predicted, truth, groups, probabilities=honest.probabilities, seed=settings.seed
        ),
        "confusable": confusable_pairs(themes, honest.predicted, truth),
        "lexical_weight": weight,
        "settings": asdict(settings),
        "limits": list(about.limits),
        "rebuild": about.rebuild,
    }
