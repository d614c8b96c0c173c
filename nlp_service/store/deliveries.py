"""What is to be delivered to webhooks: written with the end of a run, claimed by one worker at a time, kept until it is settled."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from nlp_service.store import tables
from nlp_service.store.database import Database, insert_new
from nlp_service.store.values import BatchId, DeliveryId, RunId, WebhookId

EVENT: Final = "batch.ended"
_DELIVERIES, _WEBHOOKS, _RUNS, _BATCHES = tables.deliveries, tables.webhooks, tables.runs, tables.batches


class DeliveryState(StrEnum):
    """Where a delivery is."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that one worker may send now."""

    id: DeliveryId
    webhook: WebhookId
    run: RunId
    url: str
    secret: str
    body: str
    n_attempts: int
    """With the one to be made; what comes of it counts only while nobody has claimed the delivery again."""


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A delivery as it is now."""

    id: DeliveryId
    batch: BatchId
    run: RunId
    state: DeliveryState
    n_attempts: int
    made_at: datetime
    last_at: datetime | None
    last_status: int | None
    last_error: str | None
    next_at: datetime | None
    """When it is sent again at the earliest; None once it is settled."""


def add_deliveries(connection: Connection, run: RunId, *, now_s: ColumnElement[float]) -> None:
    """Add what every webhook is to be told of the end of a run, once, in the transaction that ends it."""
    c = _RUNS.c
    r = connection.execute(
        select(
            c.batch,
            c.state,
            c.error,
            c.ended_at,
            c.n_done,
            c.n_problems,
            _BATCHES.c.consultation,
            _BATCHES.c.n_comments,
        )
        .join_from(_RUNS, _BATCHES, c.batch == _BATCHES.c.id)
        .where(c.id == run)
    ).one()
    told = or_(_WEBHOOKS.c.consultation.is_(None), _WEBHOOKS.c.consultation == r.consultation)
    to = connection.execute(
        select(_WEBHOOKS.c.id).where(told).with_for_update(read=True, key_share=True)  # none is deleted meanwhile
    ).scalars()
    data = {
        "batch": r.batch,
        "run": run,
        "consultation": r.consultation,
        "state": r.state,
        "error": r.error,
        "n_comments": r.n_comments,
        "n_done": r.n_done,
        "n_problems": r.n_problems,
    }
    body = json.dumps({"type": EVENT, "timestamp": _instant(r.ended_at), "data": data}, separators=(",", ":"))
    for webhook in to.all():
        connection.execute(
            insert_new(connection, _DELIVERIES).values(
                webhook=webhook,
                run=run,
                id=f"d-{secrets.token_hex(10)}",
                body=body,
                state=DeliveryState.WAITING.value,
                n_attempts=0,
                due_at_s=now_s,
                made_at=r.ended_at,
            )
        )


def claim_due(database: Database, *, limit: int, seconds: float) -> tuple[Delivery, ...]:
    """Return deliveries whose time has come, first those that were tried least; for so many seconds nobody else is given them."""
    due = and_(_DELIVERIES.c.state == DeliveryState.WAITING.value, _DELIVERIES.c.due_at_s <= database.clock())
    with database.read() as connection:
        if connection.execute(select(_DELIVERIES.c.id).where(due).limit(1)).first() is None:
            return ()  # so that nobody writes where nothing is to be done
    with database.write() as connection:
        rows = connection.execute(
            select(_DELIVERIES, _WEBHOOKS.c.url, _WEBHOOKS.c.secret)
            .join_from(_DELIVERIES, _WEBHOOKS, _DELIVERIES.c.webhook == _WEBHOOKS.c.id)
            .where(due)
            .order_by(_DELIVERIES.c.n_attempts, _DELIVERIES.c.due_at_s)
            .limit(limit)
            .with_for_update(of=_DELIVERIES, skip_locked=True)
        ).all()
        claimed = tuple(
            Delivery(DeliveryId(r.id), WebhookId(r.webhook), RunId(r.run), r.url, r.secret, r.body, r.n_attempts + 1)
            for r in rows
        )
        for delivery in claimed:
            connection.execute(
                update(_DELIVERIES)
                .where(_is(delivery))
                .values(n_attempts=delivery.n_attempts, due_at_s=database.clock() + seconds)
            )
    return claimed


def note_outcome(
    database: Database,
    delivery: Delivery,
    state: DeliveryState,
    *,
    status: int | None,
    error: str | None,
    wait_s: float = 0.0,
) -> bool:
    """Note what came of an attempt; return whether it counted. A delivery that still waits is due again in `wait_s` seconds."""
    ours = and_(
        _is(delivery),
        _DELIVERIES.c.state == DeliveryState.WAITING.value,
        _DELIVERIES.c.n_attempts == delivery.n_attempts,
    )
    values = {"state": state.value, "last_at": datetime.now(UTC), "last_status": status, "last_error": error}
    with database.write() as connection:
        noted = connection.execute(update(_DELIVERIES).where(ours).values(due_at_s=database.clock() + wait_s, **values))
    return bool(noted.rowcount)


def list_deliveries(database: Database, webhook: WebhookId, *, limit: int) -> tuple[DeliveryRecord, ...]:
    """Return the latest deliveries of a webhook, newest first."""
    with database.read() as connection:
        rows = connection.execute(
            select(_DELIVERIES, _RUNS.c.batch)
            .join_from(_DELIVERIES, _RUNS, _DELIVERIES.c.run == _RUNS.c.id)
            .where(_DELIVERIES.c.webhook == webhook)
            .order_by(_DELIVERIES.c.made_at.desc(), _DELIVERIES.c.id)
            .limit(limit)
        ).all()
    return tuple(
        DeliveryRecord(
            DeliveryId(r.id),
            BatchId(r.batch),
            RunId(r.run),
            DeliveryState(r.state),
            r.n_attempts,
            r.made_at,
            r.last_at,
            r.last_status,
            r.last_error,
            datetime.fromtimestamp(r.due_at_s, UTC) if r.state == DeliveryState.WAITING else None,
        )
        for r in rows
    )


def _is(delivery: Delivery) -> ColumnElement[bool]:
    return and_(_DELIVERIES.c.webhook == delivery.webhook, _DELIVERIES.c.run == delivery.run)


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
