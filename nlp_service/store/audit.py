"""The audit log: who did what, when. Entries are added in the transaction of what they tell of; none changes."""

from datetime import UTC, datetime

from sqlalchemy import Connection, insert, select

from nlp_service.store import tables
from nlp_service.store.database import Database
from nlp_service.store.values import AuditEntry


def add_entry(connection: Connection, actor: str, did: str, subject: str, **details: str | int) -> None:
    """Add an entry, as part of the caller's transaction."""
    connection.execute(
        insert(tables.audit).values(at=datetime.now(UTC), actor=actor, did=did, subject=subject, details=details)
    )


def read_entries(database: Database, *, limit: int = 1_000) -> tuple[AuditEntry, ...]:
    """Return the latest entries, newest first."""
    with database.read() as connection:
        rows = connection.execute(select(tables.audit).order_by(tables.audit.c.id.desc()).limit(limit)).all()
    return tuple(AuditEntry(r.at, r.actor, r.did, r.subject, r.details) for r in rows)
