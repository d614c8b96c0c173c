"""The use case: a model folder goes through the gate and into the registry, published or refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from models.artefact import Artefact, ArtefactError, read_artefact
from models.classifier import Classifier
from models.counts import counted
from models.model import Backend, build_classifier, find_model_folder
from models.registry import Entry, Gold, Registry, publish, read_registry, refuse
from models.vocabulary import DecidedComment, ModelId, ThemesError
from nlp_service.find_model import find_current

if TYPE_CHECKING:
    from training.gate import Coded

_TRIAL: Final = "The street lights on our road are out."


class GoldError(ThemesError):
    """The gold set that the gate needs cannot be used."""

    code = "gold_refused"


class GateRefusedError(ThemesError):
    """The gate found the model worse than the one that codes now; it is listed as refused."""

    code = "gate_refused"

    def __init__(self, entry: Entry, compared_with: ModelId | None) -> None:
        self.entry = entry
        against = f", compared with {compared_with}" if compared_with else ""
        super().__init__(
            f"{entry.model} does worse{against}: {entry.reason}",
            allowed="a model that is at least as good on the gold set.",
            next_step="train on more decisions, or publish it all the same with a reason (override).",
        )


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What an analyst asks for."""

    folder: Path
    registry: Path
    gold: Path | None = None
    new_gold: bool = False
    """Replace the gold set that was fixed before."""
    override: str | None = None
    """Why the model is to be published although the gate refuses it."""
    backend: Backend = Backend.FAST
    encoder: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """What came of it."""

    entry: Entry
    compared_with: ModelId | None
    notes: tuple[str, ...]


def publish_model(request: PublishRequest, *, now: datetime) -> Published:
    """Compare a model with the one that codes now, and publish it, or list it as refused.

    Raises
    ------
    ThemesError
        If the model, the gold set or the registry cannot be used. The registry stays as it was then.
    """
    from training.gate import run_gate  # noqa: PLC0415 -- training is heavy to import

    artefact = read_artefact(find_model_folder(str(request.folder)))
    registry = read_registry(request.registry)
    gold, decided = _gold(request, registry, artefact)
    classifier = _working(artefact, request)
    current_folder = find_current(request.registry, artefact.codebook.id)
    current = read_artefact(current_folder) if current_folder is not None else None
    notes = _doubts_about_gold(artefact, gold)
    document: dict[str, object] = {}
    reason, passed = "the first model of this codebook: there is none to compare it with", True
    if current is not None:
        themes = [t.id for t in artefact.codebook.codable if t.id in {c.id for c in current.codebook.codable}]
        lost = sorted({c.id for c in current.codebook.codable} - set(themes))
        if lost:
            notes.append(f"not compared, as the candidate's codebook lacks them: {', '.join(lost)}")
        truth = np.array([[t in d.themes for t in themes] for d in decided], dtype=np.bool_)
        groups = [d.comment.respondent or d.comment.id for d in decided]
        report = run_gate(
            themes,
            truth,
            groups,
            _coded(_classifier(current, request), decided, themes),
            _coded(classifier, decided, themes),
        )
        if report.themes_not_judged:
            notes.append(f"too few positives to judge on their own: {', '.join(report.themes_not_judged)}")
        document, reason, passed = report.to_document(), report.reason, report.passed
    entry = Entry(
        model=ModelId(str(artefact.model_id)),
        codebook_id=artefact.codebook.id,
        codebook_version=artefact.codebook.version,
        status="accepted" if passed or request.override else "refused",
        at=now.isoformat(timespec="seconds"),
        reason=reason,
        override=request.override if not passed else None,
        gate=document,
    )
    put = publish if entry.status == "accepted" else refuse
    put(request.registry, find_model_folder(str(request.folder)), entry, gold=gold)
    return Published(entry, current.model_id if current is not None else None, tuple(notes))


def check_passed(done: Published) -> None:
    """Raise GateRefusedError if a model was refused."""
    if done.entry.status == "refused":
        raise GateRefusedError(done.entry, done.compared_with)


def _doubts_about_gold(artefact: Artefact, gold: Gold) -> list[str]:
    """Return what to know before the gate's word is trusted: whether training kept the gold set out."""
    kept_out = artefact.card.get("gold")
    if isinstance(kept_out, dict) and kept_out.get("sha256") in (gold.sha256, *gold.earlier):
        return []
    return [
        "the model's card does not say that this gold set was kept out of its training: if it was not, the gate flatters it "
        "(`themes train --gold FILE` keeps it out)"
    ]


def _gold(request: PublishRequest, registry: Registry, artefact: Artefact) -> tuple[Gold, list[DecidedComment]]:
    from training.decisions import DecisionsError, read_decisions  # noqa: PLC0415

    codebook = artefact.codebook
    fixed = registry.gold.get(codebook.id)
    if request.gold is None and fixed is None:
        raise GoldError(
            f"no gold set is fixed for the codebook {codebook.id!r} yet.",
            allowed="decisions that no model was or will be trained on.",
            next_step="give them once: `themes model publish DIR --gold FILE`.",
        )
    path = request.gold if request.gold is not None else Path(fixed.file if fixed is not None else "")
    try:
        decided, problems = read_decisions(path, codebook)
    except DecisionsError as error:
        if request.gold is not None:
            raise
        raise GoldError(
            f"the gold set that was fixed cannot be used: {error.found}",
            allowed="the file as it was, where it was.",
            next_step="put it back, or fix another: `themes model publish DIR --gold FILE --new-gold`.",
        ) from error
    if problems:
        first = problems[0]
        raise GoldError(
            f"{path.name} line {first.row}: {first.code}, {first.found}"
            + (f", and {len(problems) - 1} more." if len(problems) > 1 else "."),
            allowed="a gold set in which every line can be used.",
            next_step="mend the lines; `themes evaluate` lists them all.",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if fixed is not None and digest != fixed.sha256 and not request.new_gold:
        raise GoldError(
            f"{path.name} is not the gold set that was fixed ({counted(fixed.n_comments, 'comment')}, SHA-256 {fixed.sha256[:12]}).",
            allowed="one gold set for all models of a codebook, or figures cannot be compared.",
            next_step="give the fixed one, or add --new-gold to fix this one from now on.",
        )
    if fixed is not None and digest == fixed.sha256:
        return fixed, decided
    return Gold(str(path.resolve()), digest, len(decided)), decided


def _classifier(artefact: Artefact, request: PublishRequest) -> Classifier:
    return build_classifier(artefact, backend=request.backend, encoder=request.encoder)


def _working(artefact: Artefact, request: PublishRequest) -> Classifier:
    """Return the candidate once it has coded a text: arrays can be as the manifest says and still not fit the encoder."""
    try:
        classifier = _classifier(artefact, request)
        list(classifier.code_texts([_TRIAL]))
    except (ValueError, KeyError, IndexError, TypeError, RuntimeError) as error:
        raise ArtefactError(
            f"its arrays do not fit the encoder {artefact.encoder} ({type(error).__name__}).",
            allowed="a model folder as `themes train` wrote it.",
            next_step="train it again.",
        ) from error
    return classifier


def _coded(classifier: Classifier, decided: Sequence[DecidedComment], themes: Sequence[str]) -> "Coded":
    from training.gate import Coded  # noqa: PLC0415

    column = {str(t.id): k for k, t in enumerate(classifier.codebook.codable)}
    columns = [column[t] for t in themes]
    probabilities = np.zeros((len(decided), len(column)))
    predicted = np.zeros((len(decided), len(column)), np.bool_)
    for row, coding in enumerate(classifier.code_texts([d.comment.text for d in decided])):
        probabilities[row] = coding.probabilities
        predicted[row, list(coding.coded)] = True
    return Coded(probabilities[:, columns], predicted[:, columns])
