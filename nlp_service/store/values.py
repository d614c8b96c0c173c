"""What the store hands out: frozen values, no rows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from models.vocabulary import Codebook, ThemesError

BatchId = NewType("BatchId", str)
RunId = NewType("RunId", str)
KeyId = NewType("KeyId", str)
WebhookId = NewType("WebhookId", str)
DeliveryId = NewType("DeliveryId", str)

DEFAULT_CONSULTATION: Final = "default"


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    CODING = "coding"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more will happen."""
        return self in (RunState.DONE, RunState.CANCELLED, RunState.FAILED)


class BatchNotFoundError(ThemesError):
    """There is no batch of that id, or it is another consultation's."""

    code = "batch_not_found"


@dataclass(frozen=True, slots=True)
class RunModel:
    """The model and codebook that a run codes with, whole enough to write its results when the model is gone."""

    folder: str
    model: str
    version: str
    codebook: Codebook
    encoder: str
    backend: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One coding of a batch."""

    id: RunId
    batch: BatchId
    state: RunState
    attempt: int
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    n_done: int
    n_problems: int
    chunk_comments: int
    model_folder: str
    model: str
    model_version: str
    codebook: str
    encoder: str
    backend: str
    service_version: str
    error: str | None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch as it is now; `run` is the latest."""

    id: BatchId
    consultation: str
    inputs: tuple[str, ...]
    created_at: datetime
    created_by: str
    n_rows: int
    n_comments: int
    n_distinct: int
    n_problems: int
    n_erased: int
    notes: tuple[str, ...]
    run: RunRecord


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who did what, when. `details` hold ids and counts, never words."""

    at: datetime
    actor: str
    did: str
    subject: str
    details: dict[str, str | int]
