"""Settings from the environment, each documented in docs/reference/settings.md."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from models.model import Backend


class Settings(BaseSettings):
    """What can be set from outside; command-line options win over these."""

    model_config = SettingsConfigDict(env_prefix="THEMES_", extra="ignore")

    model: str | None = None
    """THEMES_MODEL: `starter`, a model or codebook id of the registry, or the path of a model folder."""
    registry: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "themes" / "registry")
    """THEMES_REGISTRY: the folder of published models."""
    backend: Backend = Backend.FAST
    """THEMES_BACKEND: fast, exact or reference."""
    encoder: str | None = None
    """THEMES_ENCODER: where the base encoder lies, or the one to train on: a name or a folder."""
    jobs: int = Field(default_factory=lambda: len(os.sched_getaffinity(0)), ge=1, le=256)
    """THEMES_JOBS: processes that code at the same time, one thread each; all cores if not set."""
    batch_size: int = Field(default=256, ge=1, le=4096)
    """THEMES_BATCH_SIZE: texts that a process holds in memory at once; changes no coding."""
    small_cell: int = Field(default=5, ge=1, le=100)
    """THEMES_SMALL_CELL: counts under this are hidden in reports, with what would give them away."""
