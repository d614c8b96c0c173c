"""The use case: a model folder goes through the gate and into the registry, published or refused."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.artefact import Artefact, read_artefact
from models.model import Backend, build_classifier, find_model_folder
from models.registry import Entry, Gold, Registry, publish, read_registry, refuse
from models.vocabulary import DecidedComment, ModelId, ThemesError
from nlp_service.find_model import find_current

if TYPE_CHECKING:
    from training.gate import Coded


class GoldError(ThemesError):
    """The gold set that the gate needs cannot be used."""

    code = "gold_refused"


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
            _coded(current, decided, themes, request),
            _coded(artefact, decided, themes, request),
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
    from training.decisions import read_decisions  # noqa: PLC0415

    codebook = artefact.codebook
    fixed = registry.gold.get(codebook.id)
    if request.gold is None and fixed is None:
        raise GoldError(
            f"no gold set is fixed for the codebook {codebook.id!r} yet.",
            allowed="decisions that no model was or will be trained on.",
            next_step="give them once: `themes model publish DIR --gold FILE`.",
        )
    path = request.gold if request.gold is not None else Path(fixed.file if fixed is not None else "")
    decided, problems = read_decisions(path, codebook)
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
            f"{path.name} is not the gold set that was fixed ({fixed.n_comments} comments, SHA-256 {fixed.sha256[:12]}).",
            allowed="one gold set for all models of a codebook, or figures cannot be compared.",
            next_step="give the fixed one, or add --new-gold to fix this one from now on.",
        )
    same = fixed if fixed is not None and digest == fixed.sha256 else None
    return Gold(str(path.resolve()), digest, len(decided), same.earlier if same is not None else ()), decided


def _coded(
    artefact: Artefact, decided: Sequence[DecidedComment], themes: Sequence[str], request: PublishRequest
) -> "Coded":
    from training.gate import Coded  # noqa: PLC0415

    classifier = build_classifier(artefact, backend=request.backend, encoder=request.encoder)
    column = {str(t.id): k for k, t in enumerate(artefact.codebook.codable)}
    columns = [column[t] for t in themes]
    probabilities = np.zeros((len(decided), len(column)))
    predicted = np.zeros((len(decided), len(column)), np.bool_)
    for row, coding in enumerate(classifier.code_texts([d.comment.text for d in decided])):
        probabilities[row] = coding.probabilities
        predicted[row, list(coding.coded)] = True
    return Coded(probabilities[:, columns], predicted[:, columns])
