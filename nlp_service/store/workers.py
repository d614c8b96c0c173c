"""Which workers are alive, by the database's clock, and the one lease that lets a worker clear up after others."""

from typing import Literal

from sqlalchemy import delete, or_, select, update

from nlp_service.store import tables
from nlp_service.store.database import Database, insert_new, upsert

Hindrance = Literal["worker", "room"]


def beat(database: Database, worker: str, *, service_version: str) -> None:
    """Note that a worker is alive now."""
    with database.write() as connection:
        now = connection.execute(select(database.clock())).scalar_one()
        row = {"id": worker, "beat_at_s": now, "service_version": service_version}
        connection.execute(upsert(connection, tables.workers, row))


def sign_off(database: Database, worker: str) -> None:
    """Note that a worker is gone: others may take its work at once."""
    with database.write() as connection:
        connection.execute(delete(tables.workers).where(tables.workers.c.id == worker))


def live_workers(database: Database, *, silent_s: float) -> frozenset[str]:
    """Return the workers whose last beat is no older than `silent_s` seconds."""
    with database.read() as connection:
        alive = tables.workers.c.beat_at_s >= database.clock() - silent_s
        return frozenset(connection.execute(select(tables.workers.c.id).where(alive)).scalars())


def prove_writable(database: Database) -> None:
    """Write a row; raises StoreGoneError if the database does not answer, or has no room."""
    database.check_room()
    take_lease(database, "ready", "ready", seconds=0)


def hindrance(database: Database, *, silent_s: float) -> Hindrance | None:
    """Return why no run gets on now: the disk is full, or no worker is alive; None if nothing is known to be in the way."""
    if database.is_full:
        return "room"
    return None if live_workers(database, silent_s=silent_s) else "worker"


def forget_silent(database: Database, *, silent_s: float) -> None:
    """Delete the rows of workers that have been silent for longer."""
    with database.write() as connection:
        connection.execute(delete(tables.workers).where(tables.workers.c.beat_at_s < database.clock() - silent_s))


def take_lease(database: Database, name: str, holder: str, *, seconds: float) -> bool:
    """Return whether the holder has the lease for the next seconds; one holder at a time."""
    c = tables.leases.c
    with database.write() as connection:
        now = connection.execute(select(database.clock())).scalar_one()
        values = {"holder": holder, "until_s": now + seconds}
        new = connection.execute(
            insert_new(connection, tables.leases).values(name=name, **values).returning(c.name)
        ).first()
        if new is not None:
            return True
        taken = connection.execute(
            update(tables.leases).where(c.name == name, or_(c.holder == holder, c.until_s < now)).values(values)
        )
        return bool(taken.rowcount)
