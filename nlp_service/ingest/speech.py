"""What transcript readers return piece by piece, before turns are joined."""

from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown speaker"


@dataclass(frozen=True, slots=True)
class Said:
    """Some words of one speaker."""

    speaker: str
    words: str
    start_ms: int | None = None
