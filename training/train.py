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
from training.start import Start, StartError, start_at_base, start_at_model
from training.suspects import Suspect, find_suspects

FEW_COMMENTS: Final = 1_000
JOINED_IF_FEW: Final = 0.3
"""`FitSettings.joined` for up to `FEW_COMMENTS` comments, if it is not given; with more, real comments are read as they are."""
AVERAGED_IF_FEW: Final = 3
"""`FitSettings.n_averaged` for as many, of fits with adapters: each alone learns much that is chance. With more, one fit."""
GOING_ON_FULL_RATE: Final = 5e-5
"""`FitSettings.full_rate` where a fit goes on from a trained model."""
GOING_ON_HEAD_RATE: Final = 3e-4
"""`FitSettings.head_rate` there."""
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
    """Whether the comments were written for the purpose: then they are nobody's, and other models may go on from this one."""


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
    start: Artefact | None = None,
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
        How to fit, what to say on the card, and the base encoder.
    start
        A trained model to go on from, see `training.start`; the fit begins at the base encoder if not given.
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
    StartError
        If training cannot go on from that model.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    about = about or About()
    work = report = _Work(report)
    base = read_base(encoder)
    settings = _settled(settings or FitSettings(), len(decided), base, start)
    pieces = WordPieces(base.tokenizer_json)
    data = make_data(decided, codebook, pieces)
    if not data.truth.any():
        raise DecisionsError(
            "no comment has a theme.",
            allowed="decisions in which themes occur.",
            next_step="check --codebook and the themes lists.",
        )
    if start is None:
        begun = start_at_base(base, pieces.mask_id, data.truth.shape[1])
    else:
        begun = start_at_model(start, base, pieces.mask_id, codebook, decided)
    folds, made_by = make_folds(decided, seed=settings.seed, n_folds=settings.n_folds or N_FOLDS)
    held_out = score_held_out(begun, data, folds, settings, report)
    weight = 0.0 if start is not None else best_lexical_weight(held_out.by_encoder, held_out.by_words, data.truth)
    scores = held_out.by_encoder + weight * held_out.by_words
    honest = cross_calibrated(scores, data.truth, folds, aim, fallback=fallback)
    calibration = fit_calibration(scores, data.truth, aim=aim, fallback=fallback)
    report("final fit", None)
    fitted = fit_rows(begun, data, np.arange(len(decided)), settings, "final fit", report)
    lexical = fit_lexical(data.windows, data.truth) if weight else None
    report("quick encoder", None)
    artefact = _artefact(begun, data, fitted, lexical, weight, calibration, settings, about, encoder)
    themes = [t.id for t in codebook.codable]
    suspects = find_suspects(themes, data.truth, honest.probabilities, held_out.evidence)
    beside: list[dict[str, Any]] = []
    if all_splits:
        beside = compare_splits(begun, data, scores, weight, settings, made_by, aim, report, fallback=fallback)
    facts = _facts(data, honest, calibration, made_by, weight, settings, about, encoder)
    facts["work"] = work.facts()
    agreement, rates = coder_agreement(decided, themes), theme_rates(decided, themes)
    if begun.model_id is not None:
        n_known, is_lexical = int(begun.known.sum()), len(begun.lexical) > 0
        facts["start"] = {"model": begun.model_id, "n_known": n_known, "lexical": is_lexical}
    facts |= {"gold": asdict(gold)} if gold is not None else {}
    facts |= {"aim": asdict(aim)} if aim != BEST_F1 else {}
    facts |= {"fallback": round(calibration.fallback, 4)} if calibration.fallback is not None else {}
    facts |= {"splits": beside} if beside else {}
    facts |= {"theme_rates": rates} if rates is not None else {}
    facts |= {"coder_agreement": agreement} if agreement is not None else {}
    facts |= {"invented": True} if about.invented else {}
    marks = make_marks((d.written for d in decided), key=facts["data_sha256"])
    model_id = write_artefact(
        out, replace(artefact, card=facts, card_text=make_card(facts, codebook), trained_on=marks)
    )
    return Trained(model_id, facts, tuple(suspects))


def _settled(settings: FitSettings, n_comments: int, base: Base, start: Artefact | None) -> FitSettings:
    """Return settings with everything said that was left to the number of comments, the encoder and the start."""
    few = n_comments <= FEW_COMMENTS
    if start is not None and settings.full is False:
        raise StartError(
            "adapters were asked for, and a model to go on from.",
            allowed="full fine-tuning, which goes on from a model, or adapters at the base encoder.",
            next_step="leave --adapters out, or add --start none.",
        )
    full = settings.full
    if full is None:
        full = start is not None or (n_comments >= MANY_COMMENTS and prefers_full(base))
    if full:
        check_full(base)
    joined = JOINED_IF_FEW if few and start is None else 0.0
    settings = replace(
        settings,
        full=full,
        n_folds=settings.n_folds or find_n_folds(n_comments),
        joined=joined if settings.joined is None else settings.joined,
        n_averaged=settings.n_averaged or (AVERAGED_IF_FEW if few and not full else 1),
    )
    if start is not None:
        settings = replace(settings, full_rate=GOING_ON_FULL_RATE, head_rate=GOING_ON_HEAD_RATE)
    return replace(settings, epochs=settings.n_epochs)


def _artefact(
    begun: Start,
    data: Data,
    fitted: Fitted,
    lexical: Lexical | None,
    weight: float,
    calibration: Calibration,
    settings: FitSettings,
    about: About,
    encoder: str,
) -> Artefact:
    base = begun.base
    rng = np.random.default_rng(settings.seed)
    some = rng.permutation(len(data.windows))[:SMOOTHING_TEXTS]
    smoothing = fit_smoothing(
        base, merge_updates(base, fitted.adapters, fitted.changes), [data.windows[i].ids for i in some]
    )
    words, idf = begun.lexical, begun.idf
    if lexical is not None:
        words, idf = weight * lexical.weights, lexical.idf
    weights, step = in_eight_bits(words)
    tagger = Tagger(
        fitted.adapters,
        fitted.head,
        (fitted.head_bias + (weight * lexical.bias if lexical is not None else 0.0)).astype(np.float32),
        weights,
        step,
        idf,
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
