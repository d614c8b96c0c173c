"""What a worker does to a run: begin, code each chunk, finish. Each may be done twice, by two workers, without harm."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from models.artefact import Artefact, read_artefact
from models.classifier import attach_coding
from models.model import Backend
from models.vocabulary import Problem, ThemesError
from nlp_service.coding_pool import ModelChoice
from nlp_service.jobs.coders import Coders, ModelChangedError
from nlp_service.store.batches import (
    add_codings,
    coded_ordinals,
    find_batch,
    find_run,
    n_stored_comments,
    read_comments,
    set_state,
)
from nlp_service.store.database import Database, StoreGoneError
from nlp_service.store.values import RunId, RunRecord, RunState

NOT_CODABLE: Final = "not_codable"
WAIT_MAX_S: Final = 10.0
_First = TypeVar("_First")


class UnfinishedError(Exception):
    """A run came to its end with comments that nobody has coded; it is started anew."""


@dataclass(frozen=True, slots=True)
class RunCoder:
    """Codes runs of a store.

    Parameters
    ----------
    database
        The store. When it does not answer or has no room, the coder waits until it does.
    coders
        Who codes the texts.
    encoder, batch_size
        As in ModelChoice.
    """

    database: Database
    coders: Coders
    encoder: str | None
    batch_size: int

    def begin(self, run_id: RunId) -> int:
        """Return the number of chunks of a run, 0 if it is over; a run whose model is not there fails."""
        return patiently(lambda: self._begin(run_id))

    def code(self, run_id: RunId, chunk: int) -> int:
        """Code the comments of a chunk that are not coded yet; return how many were."""
        return patiently(lambda: self._code(run_id, chunk))

    def finish(self, run_id: RunId) -> None:
        """Mark a run as done; raises UnfinishedError if it is not."""
        patiently(lambda: self._finish(run_id))

    def _begin(self, run_id: RunId) -> int:
        run = find_run(self.database, run_id)
        if run is None or run.state.is_final:
            return 0
        batch = find_batch(self.database, run.batch)
        if batch is None:
            return 0
        try:
            there = str(read_artefact(Path(run.model_folder)).model_id)
        except ThemesError as error:
            set_state(self.database, run_id, RunState.FAILED, error=error.code)
            return 0
        if there != run.model:
            set_state(self.database, run_id, RunState.FAILED, error="other_model")
            return 0
        set_state(self.database, run_id, RunState.CODING)
        return -(-batch.n_comments // run.chunk_comments)

    def _code(self, run_id: RunId, chunk: int) -> int:
        run = find_run(self.database, run_id)
        if run is None or run.state.is_final:
            return 0
        start, end = chunk * run.chunk_comments, (chunk + 1) * run.chunk_comments
        done = coded_ordinals(self.database, run_id, start, end)
        waiting = [(i, c) for i, c in read_comments(self.database, run.batch, start, end) if i not in done]
        if not waiting:
            return 0
        artefact = _artefact(run.model_folder, run.model)
        codings = self.coders.code([c.text for _, c in waiting], self._choice(run), run.model)
        coded, problems = {}, {}
        for (i, comment), coding in zip(waiting, codings, strict=True):
            if coding is not None:
                coded[i] = attach_coding(artefact, comment, coding)
            else:
                problems[i] = Problem(NOT_CODABLE, "the model stops on this comment", "code it by hand", comment.row, comment.question)  # fmt: skip
        return add_codings(self.database, run_id, run.batch, coded, problems)

    def _finish(self, run_id: RunId) -> None:
        run = find_run(self.database, run_id)
        if run is None or run.state.is_final:
            return
        batch = find_batch(self.database, run.batch)
        n_done = len(coded_ordinals(self.database, run_id, 0, batch.n_comments)) if batch is not None else 0
        if n_done < n_stored_comments(self.database, run.batch):
            raise UnfinishedError
        set_state(self.database, run_id, RunState.DONE)

    def _choice(self, run: RunRecord) -> ModelChoice:
        return ModelChoice(run.model_folder, Backend(run.backend), self.encoder, self.batch_size)


@lru_cache(maxsize=4)
def _artefact(folder: str, model: str) -> Artefact:
    artefact = read_artefact(Path(folder))
    if artefact.model_id != model:
        raise ModelChangedError
    return artefact


def patiently(work: Callable[[], _First], *, sleep: Callable[[float], None] = time.sleep) -> _First:
    """Return what `work` returns; while the database is gone or full, wait and do it again."""
    wait_s = 0.2
    while True:
        try:
            return work()
        except StoreGoneError:
            sleep(wait_s)
            wait_s = min(WAIT_MAX_S, wait_s * 2)
