"""What is to be delivered to webhooks: written with the end of a run, claimed by one worker at a time, kept until it is settled."""

import json
import secrets
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, text, tuple_, update

from nlp_service.store import tables
from nlp_service.store.database import Database, insert_new
from nlp_service.store.values import BatchId, DeliveryId, RunId, WebhookId

EVENT: Final = "batch.ended"
_CLAIM_LOCK: Final = 7_240_116
_DELIVERIES, _WEBHOOKS, _RUNS, _BATCHES = tables.deliveries, tables.webhooks, tables.runs, tables.batches
_IS_BOUND: Final = (
    exists()
    .where(tables.keys.c.id == _WEBHOOKS.c.created_by, tables.keys.c.consultation.is_not(None))
    .correlate(_WEBHOOKS)
    .label("is_bound")
)


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
    consultation: str | None
    """The only one that the webhook is told of; None: all."""
    is_bound: bool
    """Whether a key of one consultation made the webhook: it may lead to public addresses alone."""
    url: str
    secret: str
    body: str
    n_attempts: int
    """With the one to be made; what comes of it counts only while nobody has claimed the delivery again."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Deliveries that one webhook, and the webhooks of one consultation, may have under way in one worker."""

    of_webhook: int
    of_consultation: int


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


def claim_due(
    database: Database,
    *,
    limit: int,
    seconds: float,
    shares: Shares | None = None,
    under_way: Collection[Delivery] = (),
) -> tuple[Delivery, ...]:
    """Return deliveries whose time has come; for so many seconds nobody else is given them.

    First are those of consultations that have the fewest under way, then those that were tried least.

    Parameters
    ----------
    limit
        At most so many.
    seconds
        How long a delivery is the caller's.
    shares
        What one webhook and one consultation may have, of these and those under way; None: all.
    under_way
        What the caller has claimed before and not settled.
    """
    shares = shares or Shares(limit, limit)
    with database.read() as connection:
        if not _chosen(connection, database.clock(), limit, shares, under_way):
            return ()  # so that nobody writes where nothing is to be done
    with database.write() as connection:
        if not database.is_sqlite:  # workers claim one after another, or all would choose the same
            connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _CLAIM_LOCK})
        chosen = _chosen(connection, database.clock(), limit, shares, under_way)
        rows = connection.execute(
            select(_DELIVERIES, _WEBHOOKS.c.url, _WEBHOOKS.c.secret, _WEBHOOKS.c.consultation, _IS_BOUND)
            .join_from(_DELIVERIES, _WEBHOOKS, _DELIVERIES.c.webhook == _WEBHOOKS.c.id)
            .where(_due(database.clock()), tuple_(_DELIVERIES.c.webhook, _DELIVERIES.c.run).in_(chosen))
            .with_for_update(of=_DELIVERIES, skip_locked=True)
        ).all()
        claimed = tuple(
            Delivery(
                DeliveryId(r.id),
                WebhookId(r.webhook),
                RunId(r.run),
                r.consultation,
                bool(r.is_bound),
                r.url,
                r.secret,
                r.body,
                r.n_attempts + 1,
            )
            for r in rows
        )
        for delivery in claimed:
            connection.execute(
                update(_DELIVERIES)
                .where(_is(delivery))
                .values(n_attempts=delivery.n_attempts, due_at_s=database.clock() + seconds)
            )
    return claimed


def _chosen(
    connection: Connection, now_s: ColumnElement[float], limit: int, shares: Shares, under_way: Collection[Delivery]
) -> list[tuple[str, str]]:
    """Return webhook and run of the deliveries that are to be claimed."""
    c = _DELIVERIES.c
    rank = func.row_number().over(partition_by=c.webhook, order_by=(c.n_attempts, c.due_at_s)).label("rank")
    ranked = (
        select(c.webhook, c.run, c.n_attempts, c.due_at_s, _WEBHOOKS.c.consultation, rank)
        .join_from(_DELIVERIES, _WEBHOOKS, c.webhook == _WEBHOOKS.c.id)
        .where(_due(now_s))
        .subquery()
    )
    rows = list(connection.execute(select(ranked).where(ranked.c.rank <= min(limit, shares.of_webhook))))
    of_webhook = Counter(d.webhook for d in under_way)
    of_consultation = Counter(d.consultation for d in under_way)
    chosen: list[tuple[str, str]] = []
    while len(chosen) < limit:
        rows = [
            r
            for r in rows
            if of_webhook[r.webhook] < shares.of_webhook and of_consultation[r.consultation] < shares.of_consultation
        ]
        if not rows:
            break
        first = min(rows, key=lambda r: (of_consultation[r.consultation], r.n_attempts, r.due_at_s))
        rows.remove(first)
        of_webhook[first.webhook] += 1
        of_consultation[first.consultation] += 1
        chosen.append((first.webhook, first.run))
    return chosen


def _due(now_s: ColumnElement[float]) -> ColumnElement[bool]:
    return and_(_DELIVERIES.c.state == DeliveryState.WAITING.value, _DELIVERIES.c.due_at_s <= now_s)


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
