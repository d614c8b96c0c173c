"""Routes of webhooks: make one, list them, see what was delivered, delete."""

from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from nlp_service.api.names import Name
from nlp_service.api.permission import TheCaller, TheService
from nlp_service.store.deliveries import DeliveryRecord, DeliveryState, list_deliveries
from nlp_service.store.webhooks import Webhook, delete_webhook, get_webhook, list_webhooks, make_webhook
from nlp_service.webhooks.address import MAX_URL_CHARS, find_target

router: Final = APIRouter(prefix="/v1")
_WEBHOOK: Final = "/webhooks/{webhook}"


class WebhookRequest(BaseModel):
    """A webhook to be made."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"url": "http://127.0.0.1:9000/themes"}]})

    url: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_URL_CHARS,
            description="https, or http to this machine; with a key of one consultation https to a public address.",
            json_schema_extra={"format": "uri"},
        ),
    ]
    consultation: Annotated[Name | None, Field(description="Only its batches are told of; all if left out.")] = None


class WebhookOut(BaseModel):
    """A webhook without its secret."""

    id: str
    url: str
    consultation: str | None
    created_at: datetime


class NewWebhookOut(WebhookOut):
    """A webhook with its secret, which is shown this once."""

    secret: str = Field(description="What its calls are signed with, by the Standard Webhooks scheme.")


class WebhooksOut(BaseModel):
    """All webhooks that the caller may see."""

    webhooks: list[WebhookOut]


class DeliveryOut(BaseModel):
    """What a webhook is told of the end of one run, and how far that has come."""

    id: str = Field(description="The header webhook-id of every attempt.")
    batch: str
    run: str
    state: DeliveryState
    n_attempts: int
    made_at: datetime
    last_at: datetime | None
    last_status: int | None = Field(description="What the receiver answered to the last attempt.")
    last_error: str | None = Field(description="Why it did not answer: an error code.")
    next_at: datetime | None = Field(description="When it is tried again at the earliest; null once it is settled.")


class DeliveriesOut(BaseModel):
    """Deliveries, newest first."""

    deliveries: list[DeliveryOut]


@router.post("/webhooks", status_code=201, summary="Make a webhook")
async def make(given: WebhookRequest, service: TheService, caller: TheCaller) -> NewWebhookOut:
    """Make a webhook that is called when a run ends, and return its secret, which cannot be shown again."""
    where = caller.narrowed(given.consultation)
    inside = caller.consultation is None  # what is in the way of a call is shown, and would tell what listens there
    target = await find_target(given.url, private=service.settings.webhook_private and inside, local=inside)
    made, secret = await run_in_threadpool(
        make_webhook, service.database, str(target.url), actor=caller.id, consultation=where
    )
    return NewWebhookOut(**_webhook(made).model_dump(), secret=secret)


@router.get("/webhooks", summary="Webhooks")
def webhooks(service: TheService, caller: TheCaller) -> WebhooksOut:
    """Return webhooks without their secrets; an admin of one consultation sees its own alone."""
    found = list_webhooks(service.database, consultation=caller.consultation)
    return WebhooksOut(webhooks=[_webhook(w) for w in found])


@router.get(f"{_WEBHOOK}/deliveries", summary="What a webhook was told")
def deliveries(
    webhook: str, service: TheService, caller: TheCaller, limit: Annotated[int, Query(ge=1, le=1_000)] = 100
) -> DeliveriesOut:
    """Return the latest deliveries of a webhook."""
    found = get_webhook(service.database, webhook, consultation=caller.consultation)
    return DeliveriesOut(deliveries=[_delivery(d) for d in list_deliveries(service.database, found.id, limit=limit)])


@router.delete(_WEBHOOK, status_code=204, summary="Delete a webhook")
def delete(webhook: str, service: TheService, caller: TheCaller) -> Response:
    """Delete a webhook with its deliveries; it is called no more."""
    found = get_webhook(service.database, webhook, consultation=caller.consultation)
    delete_webhook(service.database, found.id, actor=caller.id)
    return Response(status_code=204)


def _webhook(one: Webhook) -> WebhookOut:
    return WebhookOut(id=one.id, url=one.url, consultation=one.consultation, created_at=one.created_at)


def _delivery(one: DeliveryRecord) -> DeliveryOut:
    return DeliveryOut(**{name: getattr(one, name) for name in DeliveryOut.model_fields})
