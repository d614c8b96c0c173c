"""Webhooks: addresses that are called when a run ends, each with a secret that its calls are signed with."""

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, Row, delete, func, insert, select

from models.counts import counted
from models.vocabulary import ThemesError
from nlp_service.store import tables
from nlp_service.store.audit import add_entry
from nlp_service.store.batches import add_consultation
from nlp_service.store.database import Database
from nlp_service.store.values import WebhookId

MAX_WEBHOOKS: Final = 100
"""In a store: each end of a run makes as many deliveries at most."""
MAX_OF_CONSULTATION: Final = 10
"""Of these, told of one consultation alone: so that nobody who has the key of one takes them all."""
WHSEC: Final = "whsec_"
SECRET_BYTES: Final = 32


class WebhookNotFoundError(ThemesError):
    """There is no webhook of that id, or it is another consultation's."""

    code = "webhook_not_found"


class TooManyWebhooksError(ThemesError):
    """The store, or a consultation, has as many webhooks as it may."""

    code = "too_many_webhooks"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook without its secret."""

    id: WebhookId
    consultation: str | None
    """The only consultation whose batches it is told of; None: all."""
    url: str
    created_at: datetime
    created_by: str


def make_webhook(database: Database, url: str, *, actor: str, consultation: str | None = None) -> tuple[Webhook, str]:
    """Return a new webhook and its secret, which nobody is shown again.

    Raises
    ------
    TooManyWebhooksError
        If there are MAX_WEBHOOKS, or MAX_OF_CONSULTATION of this consultation.

    Notes
    -----
    The secret is kept as it is: any worker, on any machine, signs with it, and workers have no other secret in common than
    the store.
    """
    made = Webhook(WebhookId(f"w-{secrets.token_hex(10)}"), consultation, url, datetime.now(UTC), actor)
    secret = WHSEC + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    with database.write() as connection:
        _check_number(connection, consultation)
        if consultation is not None:
            add_consultation(connection, consultation)
        connection.execute(
            insert(tables.webhooks).values(
                id=made.id,
                consultation=consultation,
                url=url,
                secret=secret,
                created_at=made.created_at,
                created_by=actor,
            )
        )
        add_entry(connection, actor, "webhook.make", made.id)
    return made, secret


def _check_number(connection: Connection, consultation: str | None) -> None:
    count = select(func.count()).select_from(tables.webhooks)
    if consultation is not None:
        mine = connection.execute(count.where(tables.webhooks.c.consultation == consultation)).scalar_one()
        if mine >= MAX_OF_CONSULTATION:
            raise TooManyWebhooksError(
                f"the consultation has {counted(mine, 'webhook')}.",
                allowed=f"at most {MAX_OF_CONSULTATION} of one consultation.",
                next_step="delete one that is not used.",
            )
    n = connection.execute(count).scalar_one()
    if n >= MAX_WEBHOOKS:
        raise TooManyWebhooksError(
            f"the service has {counted(n, 'webhook')}.",
            allowed=f"at most {MAX_WEBHOOKS}.",
            next_step="delete one that is not used.",
        )


def list_webhooks(database: Database, *, consultation: str | None = None) -> tuple[Webhook, ...]:
    """Return webhooks, oldest first; those of one consultation, or all."""
    c = tables.webhooks.c
    mine = [] if consultation is None else [c.consultation == consultation]
    with database.read() as connection:
        rows = connection.execute(select(*_COLUMNS).where(*mine).order_by(c.created_at, c.id)).all()
    return tuple(_webhook(r) for r in rows)


def get_webhook(database: Database, webhook: str, *, consultation: str | None = None) -> Webhook:
    """Return a webhook; raises WebhookNotFoundError, also if it is not the given consultation's own."""
    found = next((w for w in list_webhooks(database, consultation=consultation) if w.id == webhook), None)
    if found is None:
        raise WebhookNotFoundError(
            "there is no webhook of that id.",
            allowed="the id of a webhook that you can see.",
            next_step="list the webhooks.",
        )
    return found


def delete_webhook(database: Database, webhook: WebhookId, *, actor: str) -> None:
    """Delete a webhook with its deliveries: it is called no more."""
    with database.write() as connection:
        gone = connection.execute(delete(tables.webhooks).where(tables.webhooks.c.id == webhook))
        if gone.rowcount:
            add_entry(connection, actor, "webhook.delete", webhook)


_COLUMNS: Final = tuple(c for c in tables.webhooks.c if c.name != "secret")


def _webhook(row: Row[tuple[object, ...]]) -> Webhook:
    return Webhook(WebhookId(row.id), row.consultation, row.url, row.created_at, row.created_by)
