"""The tables of the store. A change here needs a step in `migrations/versions`; a test compares the two."""

from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    Column,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

ID_CHARS: Final = 64
NAME_CHARS: Final = 200

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC time, kept as ISO 8601 text that sorts: the same bytes in both databases."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:  # noqa: ARG002 -- its signature
        """Return the text for a time; ValueError if it has no zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        return value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- its signature
        """Return the time for a text."""
        return None if value is None else datetime.fromisoformat(value)


class Words(TypeDecorator[str]):
    """Any text, also with a NUL, which PostgreSQL has no place for: it is kept as escape and 0, an escape as escape and 1."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 -- its signature
        """Return the text as it is kept."""
        return None if value is None else value.replace("\x1b", "\x1b1").replace("\x00", "\x1b0")

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002 -- its signature
        """Return the text as it was."""
        return None if value is None else str(value).replace("\x1b0", "\x00").replace("\x1b1", "\x1b")


consultations = Table(
    "consultations",
    metadata,
    Column("name", String(NAME_CHARS), primary_key=True),
    Column("created_at", UtcTime, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("consultation", ForeignKey("consultations.name"), nullable=False, index=True),
    Column("inputs", JSON, nullable=False),
    Column("created_at", UtcTime, nullable=False, index=True),
    Column("created_by", String(ID_CHARS), nullable=False),
    Column("n_rows", Integer, nullable=False),
    Column("n_comments", Integer, nullable=False),
    Column("n_distinct", Integer, nullable=False),
    Column("n_problems", Integer, nullable=False),
    Column("n_erased", Integer, nullable=False),
    Column("notes", JSON, nullable=False),
)

comments = Table(
    "comments",
    metadata,
    Column("batch", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("comment_id", Words, nullable=False),
    Column("text", Words, nullable=False),
    Column("question", Words),
    Column("respondent", Words),
    Column("row", Integer),
    Column("session", Words),
    Index(None, "respondent", postgresql_using="hash"),  # an id may be longer than a tree holds
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("batch", ForeignKey("batches.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("state", String(16), nullable=False, index=True),
    Column("attempt", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("n_done", Integer, nullable=False),
    Column("n_problems", Integer, nullable=False),
    Column("chunk_comments", Integer, nullable=False),
    Column("model_folder", Text, nullable=False),
    Column("model", String(NAME_CHARS), nullable=False),
    Column("model_version", String(NAME_CHARS), nullable=False),
    Column("codebook", String(NAME_CHARS), nullable=False),
    Column("codebook_document", JSON, nullable=False),
    Column("encoder", Text, nullable=False),
    Column("backend", String(32), nullable=False),
    Column("service_version", String(32), nullable=False),
    Column("error", String(64)),
)

codings = Table(
    "codings",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("batch", String(ID_CHARS), nullable=False),
    Column("coding", Text, nullable=False),
    ForeignKeyConstraint(["batch", "ordinal"], ["comments.batch", "comments.ordinal"], ondelete="CASCADE"),
    Index(None, "batch", "ordinal"),
)

problems = Table(
    "problems",
    metadata,
    Column("batch", ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True),
    Column("run", String(ID_CHARS), primary_key=True, comment="empty where the file was at fault, not a run"),
    Column("ordinal", Integer, primary_key=True, autoincrement=False),
    Column("file", Words),
    Column("row", Integer),
    Column("column", Words),
    Column("code", String(64), nullable=False),
    Column("found", Words, nullable=False),
    Column("next_step", Words, nullable=False),
)

keys = Table(
    "keys",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("name", String(NAME_CHARS), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("consultation", ForeignKey("consultations.name")),
    Column("hash", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("consultation", ForeignKey("consultations.name"), index=True),
    Column("url", Text, nullable=False),
    Column("secret", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("created_by", String(ID_CHARS), nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("webhook", ForeignKey("webhooks.id", ondelete="CASCADE"), primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("id", String(ID_CHARS), nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("n_attempts", Integer, nullable=False),
    Column("due_at_s", Float, nullable=False, comment="while it is being sent: when another worker may send it"),
    Column("made_at", UtcTime, nullable=False),
    Column("last_at", UtcTime),
    Column("last_status", Integer),
    Column("last_error", String(64)),
    Index(None, "state", "due_at_s"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(ID_CHARS), nullable=False),
    Column("did", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSON, nullable=False),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("caller", String(ID_CHARS), primary_key=True),
    Column("key", String(NAME_CHARS), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("batch", String(ID_CHARS), comment="empty while the first request is in flight"),
    Column("begun_at_s", Float, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    Column("id", String(ID_CHARS), primary_key=True),
    Column("beat_at_s", Float, nullable=False),
    Column("service_version", String(32), nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(ID_CHARS), nullable=False),
    Column("until_s", Float, nullable=False),
)
