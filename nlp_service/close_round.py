"""The use case: a round's decisions become a model that goes through the gate and codes the comments again."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from annotation.round import RoundError
from models.counts import counted
from models.model import Backend
from models.registry import read_registry
from models.weights import DEFAULT_BASE
from nlp_service.code_batch import CodeRequest, StartProgress, code_batch
from nlp_service.coding_pool import ModelChoice
from nlp_service.find_start import find_start
from nlp_service.publish_model import Published, PublishRequest, publish_model
from nlp_service.round_folder import SETTLED, write_lines
from nlp_service.run_round import Server, Source, locked, pull_round

if TYPE_CHECKING:
    from training.held_out import Report

GOLD: Final = "gold.jsonl"
MODEL: Final = "model"
RECODED: Final = "codings.jsonl"


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """How to close a round."""

    folder: Path
    registry: Path
    source: Source | None = None
    """Comments to code again with the new model."""
    decisions: tuple[Path, ...] = ()
    """More decisions to train from."""
    gold: Path | None = None
    leave_open: bool = False
    """Close although some disagreements are not settled: those comments are left out."""
    override: str | None = None
    begin_at: str | None = None
    """Model to go on from; see `nlp_service.find_start`."""
    seed: int = 0
    folds: int | None = None
    threads: int = 2
    jobs: int = 1
    backend: Backend = Backend.FAST
    encoder: str | None = None
    batch_size: int = 256


@dataclass(frozen=True, slots=True)
class Closed:
    """What came of a round."""

    n_decisions: int
    model: str
    micro_f1: float
    published: Published
    recoded: Path | None
    notes: tuple[str, ...]


def close_round(
    request: CloseRequest, server: Server, *, report: "Report", start: StartProgress, now: datetime | None = None
) -> Closed:
    """Pull, train on what was settled, put the model through the gate, and code the comments again if it passes.

    Where no gold set is fixed for the codebook yet, the blind project's decisions become it, and are kept out of the training.

    Raises
    ------
    ThemesError
        If disagreements are open, there are too few decisions, or training, gate or coding cannot be done.
    """
    from training.decisions import leave_out, read_decisions  # noqa: PLC0415 -- training is heavy to import
    from training.finetune import FitSettings  # noqa: PLC0415
    from training.train import KeptOut, train  # noqa: PLC0415

    pulled = pull_round(request.folder, server)
    if pulled.settled.open and not request.leave_open:
        raise RoundError(
            f"{counted(len(pulled.settled.open), 'comment is', 'comments are')} open: coders disagree or were unsure.",
            allowed="a round without open comments.",
            next_step="`themes round adjudicate`, settle them in Label Studio, or add --leave-open to leave them out.",
        )
    book = pulled.round.codebook
    with locked(request.folder):
        gold = request.gold
        fixed = read_registry(request.registry).gold.get(book.id)
        if gold is None and fixed is not None:
            gold = Path(fixed.file)
        if gold is None:
            gold = request.folder / GOLD
            write_lines(gold, _as_gold(pulled.settled.lines))
        of_gold, _ = read_decisions(gold, book)
        decided = [
            d
            for file in (request.folder / SETTLED, *request.decisions)
            for d in read_decisions(file, book, at_least=0)[0]
        ]
        kept = leave_out(decided, of_gold)
        if not kept:
            raise RoundError(
                f"all decisions ({len(decided)}) are in the gold set, or of its respondents.",
                allowed="decisions that are not in it, to train from.",
                next_step="give more with --decisions, or answer more of the assisted project.",
            )
        kept_out = KeptOut(hashlib.sha256(gold.read_bytes()).hexdigest(), len(decided) - len(kept))
        folder = request.folder / MODEL
        choice = ModelChoice(str(folder), request.backend, request.encoder, request.batch_size)
        encoder = request.encoder or DEFAULT_BASE
        trained = train(
            kept, book, folder, settings=FitSettings(seed=request.seed, n_folds=request.folds, n_threads=request.threads), gold=kept_out,
            report=report, encoder=encoder, start=find_start(request.begin_at, book, encoder, request.registry),
        )  # fmt: skip
        asked = PublishRequest(
            folder, request.registry, gold, override=request.override, backend=choice.backend, encoder=choice.encoder
        )
        published = publish_model(asked, now=now or datetime.now(UTC))
        recoded = None
        s = request.source
        if s is not None and published.entry.status == "accepted":
            recoded = request.folder / RECODED
            code_batch(CodeRequest(s.files, recoded, choice, s.reading_options, jobs=request.jobs), start=start)
    micro = float(trained.facts["out_of_sample"]["micro_f1"])
    return Closed(len(kept), str(trained.model_id), micro, published, recoded, published.notes)


def _as_gold(lines: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    return ({k: v for k, v in line.items() if k != "history"} for line in lines if line["blind"])
