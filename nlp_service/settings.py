"""Settings from the environment and from a file, each documented in docs/reference/settings.md."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from models.model import Backend
from nlp_service.settings_file import read_settings_file


class Settings(BaseSettings):
    """What can be set from outside: command-line options win over the environment, and that over the file of THEMES_SETTINGS."""

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

    label_studio_url: str | None = None
    """THEMES_LABEL_STUDIO_URL: where annotators work."""
    label_studio_token: str | None = Field(default=None, repr=False)
    """THEMES_LABEL_STUDIO_TOKEN: of the account that owns the rounds' projects."""
    label_studio_timeout_s: float = Field(default=60.0, gt=0, le=3600)
    """THEMES_LABEL_STUDIO_TIMEOUT_S: how long to wait for one of its answers, in seconds."""
    label_studio_secret: str | None = Field(default=None, min_length=16, max_length=200, repr=False)
    """THEMES_LABEL_STUDIO_SECRET: what Label Studio must know to ask the service for suggestions and to nudge it."""

    store: str = Field(default_factory=lambda: f"sqlite:///{Path.home() / '.local' / 'share' / 'themes' / 'themes.db'}")
    """THEMES_STORE: where the service keeps batches: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`."""
    secret_file: Path = Field(default_factory=lambda: Path.home() / ".local" / "share" / "themes" / "secret")
    """THEMES_SECRET_FILE: the secret that API keys are hashed with; made the first time."""
    chunk_comments: int = Field(default=512, ge=1, le=100_000)
    """THEMES_CHUNK_COMMENTS: comments of a batch that are coded and kept together; changes no coding."""
    beat_s: float = Field(default=5.0, gt=0, le=600)
    """THEMES_BEAT_S: seconds between a worker's heartbeats."""
    silent_s: float = Field(default=30.0, gt=0, le=3600)
    """THEMES_SILENT_S: a worker that has not been heard of for so many seconds is gone: others take its work."""
    max_batch_bytes: int = Field(default=50_000_000, ge=1_000, le=300_000_000)
    """THEMES_MAX_BATCH_BYTES: largest file that the service takes."""
    max_batch_comments: int = Field(default=200_000, ge=1, le=1_000_000)
    """THEMES_MAX_BATCH_COMMENTS: most comments in a batch."""
    max_waiting_comments: int = Field(default=1_000_000, ge=1)
    """THEMES_MAX_WAITING_COMMENTS: with more than these waiting to be coded, no batch is taken."""
    requests_a_minute: int = Field(default=6_000, ge=1, le=1_000_000)
    """THEMES_REQUESTS_A_MINUTE: requests that a key may make; callers without one share as many."""
    erase_from: Annotated[tuple[Path, ...], NoDecode] = ()
    """THEMES_ERASE_FROM: rounds' folders, files of JSON lines and folders that hold either, with colons between; erasing a
    respondent looks there too."""
    webhook_retry_s: float = Field(default=10.0, gt=0, le=3600)
    """THEMES_WEBHOOK_RETRY_S: seconds before a webhook that did not answer well is called again; later calls wait longer."""
    webhook_private: bool = False
    """THEMES_WEBHOOK_PRIVATE: webhooks may lead into private networks, as 10.0.0.0/8, if made with a key of all consultations."""
    url: str = "http://127.0.0.1:8765"
    """THEMES_URL: the service that `themes submit` hands files to."""
    key: str | None = Field(default=None, repr=False)
    """THEMES_KEY: the API key that it does so with."""

    @field_validator("erase_from", mode="before")
    @classmethod
    def _paths(cls, given: object) -> object:
        return tuple(part for part in given.split(os.pathsep) if part) if isinstance(given, str) else given

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- its signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return where settings come from, first what wins; raises SettingsFileError."""
        from_file = read_settings_file(settings_cls.model_fields)
        return init_settings, env_settings, InitSettingsSource(settings_cls, dict(from_file))
