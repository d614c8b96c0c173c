"""Requests that are sent twice but must be done once: a caller's Idempotency-Key and what came of it."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, select, update

from models.vocabulary import ThemesError
from nlp_service.store import tables
from nlp_service.store.database import Database, insert_new
from nlp_service.store.values import BatchId

IN_FLIGHT_S: Final = 120.0
"""A request that has not ended after this time was lost with its process: another one may do the work."""
KEPT_S: Final = 7 * 24 * 3600.0
"""After this time a key may be used again."""


class InFlightError(ThemesError):
    """The first request with this Idempotency-Key has not ended yet."""

    code = "in_flight"


class OtherPayloadError(ThemesError):
    """The Idempotency-Key was used for another request before."""

    code = "idempotency_mismatch"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to do a request's work, or what came of it before."""

    caller: str
    key: str
    batch: BatchId | None
    """Set: the work was done before, and this is its batch."""


def claim(database: Database, caller: str, key: str, fingerprint: str) -> Claim:
    """Return the claim on a key.

    Raises
    ------
    InFlightError, OtherPayloadError
        If the first request has not ended; if it was another one.
    """
    c = tables.idempotency.c
    with database.write() as connection:
        now = connection.execute(select(database.clock())).scalar_one()
        connection.execute(
            delete(tables.idempotency).where(c.caller == caller, c.key == key, c.begun_at_s < now - KEPT_S)
        )
        connection.execute(
            delete(tables.idempotency).where(
                c.caller == caller, c.key == key, c.batch.is_(None), c.begun_at_s < now - IN_FLIGHT_S
            )
        )
        new = connection.execute(
            insert_new(connection, tables.idempotency)
            .values(caller=caller, key=key, fingerprint=fingerprint, begun_at_s=now)
            .returning(c.key)
        ).first()
        if new is not None:
            return Claim(caller, key, None)
        row = connection.execute(select(tables.idempotency).where(c.caller == caller, c.key == key)).one()
    if row.fingerprint != fingerprint:
        raise OtherPayloadError(
            "this Idempotency-Key came with another request before.",
            allowed="the same request again, or a new key.",
            next_step="take a new key for a new request.",
        )
    if row.batch is None:
        raise InFlightError(
            "the first request with this Idempotency-Key has not ended.",
            allowed="one at a time.",
            next_step="try again in a second.",
        )
    return Claim(caller, key, BatchId(row.batch))


def settle(connection: Connection, done: Claim, batch: BatchId) -> None:
    """Note what came of a request, in the transaction that made it."""
    c = tables.idempotency.c
    connection.execute(update(tables.idempotency).where(c.caller == done.caller, c.key == done.key).values(batch=batch))


def release(database: Database, undone: Claim) -> None:
    """Give a claim back whose work was refused, so that the caller may mend the request."""
    c = tables.idempotency.c
    with database.write() as connection:
        connection.execute(
            delete(tables.idempotency).where(c.caller == undone.caller, c.key == undone.key, c.batch.is_(None))
        )
