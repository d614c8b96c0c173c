"""Sending one message to one webhook: to the address that was checked, within a time, without following anywhere."""

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

import httpx

from nlp_service.store.deliveries import Delivery
from nlp_service.webhooks.address import Target, WebhookAddressError, find_target
from nlp_service.webhooks.signature import signed_headers

TIMEOUT_S: Final = 10.0
"""For all of an attempt: the host's address, the connection, and the answer."""
MAX_ANSWER_BYTES: Final = 4_096
"""Of an answer's body so much is taken, for ANSWER_S, so that the receiver can end it; nobody looks at it."""
ANSWER_S: Final = 1.0
GONE: Final = 410
UNREACHABLE: Final = "webhook_unreachable"
TIMED_OUT: Final = "webhook_timeout"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt."""

    status: int | None
    """Of the answer; None: there was none."""
    error: str | None = None
    """Why there was none: a code."""

    @property
    def is_delivered(self) -> bool:
        """Return whether the receiver has taken the message."""
        return self.status is not None and httpx.codes.is_success(self.status)

    @property
    def is_final(self) -> bool:
        """Return whether there is no use in another attempt: it was delivered, or the receiver is gone for good."""
        return self.is_delivered or self.status == GONE


class Sender:
    """Sends messages. It calls receivers directly: no proxy of the environment is used, as that would look hosts up anew.

    Parameters
    ----------
    private
        Addresses of private networks may be called.
    timeout_s
        For all of an attempt, in seconds.
    """

    def __init__(self, *, private: bool, timeout_s: float = TIMEOUT_S) -> None:
        self._private, self._timeout_s = private, timeout_s
        self._tls = httpx.create_ssl_context()  # takes long enough to be made once

    async def send(self, delivery: Delivery) -> Outcome:
        """Return what came of one attempt; raises nothing that a receiver or its network can cause."""
        inside = not delivery.is_bound
        try:
            async with asyncio.timeout(self._timeout_s):
                target = await find_target(delivery.url, private=self._private and inside, local=inside)
                return Outcome(await self._post(delivery, target))
        except WebhookAddressError as error:
            return Outcome(None, error.code)
        except (TimeoutError, httpx.TimeoutException):
            return Outcome(None, TIMED_OUT)
        except httpx.HTTPError:
            return Outcome(None, UNREACHABLE)

    async def _post(self, delivery: Delivery, target: Target) -> int:
        """Return the status of the first of the addresses that can be connected to."""
        body = delivery.body.encode()
        headers = {
            "host": target.url.netloc.decode("ascii"),
            "content-type": "application/json",
            "user-agent": "theme-coding",
            **signed_headers(delivery.secret, delivery.id, int(time.time()), body),
        }
        connect_s = self._timeout_s / (1 + len(target.addresses))
        timeout = httpx.Timeout(self._timeout_s, connect=connect_s)
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=timeout) as client:
            *others, last = target.addresses
            for address in others:
                with contextlib.suppress(httpx.ConnectError, httpx.ConnectTimeout):
                    return await _status(client, target, address, body, headers)
            return await _status(client, target, last, body, headers)


async def _status(client: httpx.AsyncClient, target: Target, address: str, body: bytes, headers: dict[str, str]) -> int:
    """Return the status of the answer; the certificate must be that of the URL's host, not of the address."""
    async with client.stream(
        "POST",
        target.url.copy_with(host=address),
        content=body,
        headers=headers,
        extensions={"sni_hostname": target.url.raw_host.decode("ascii")},
    ) as answer:
        with contextlib.suppress(TimeoutError, httpx.HTTPError):  # the status says all
            async with asyncio.timeout(ANSWER_S):
                await _take(answer)
        return answer.status_code


async def _take(answer: httpx.Response) -> None:
    n_bytes = 0
    async for piece in answer.aiter_raw():
        n_bytes += len(piece)
        if n_bytes >= MAX_ANSWER_BYTES:
            return
