"""Delivering what is due, beside a worker's coding: claimed, sent, noted, and again by a schedule until it is given up."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from nlp_service.store.database import Database, StoreGoneError
from nlp_service.store.deliveries import Delivery, DeliveryState, Shares, claim_due, note_outcome
from nlp_service.webhooks.sender import TIMEOUT_S, Outcome, Sender

WAITS: Final = (1, 6, 30, 180, 720, 2_880)
"""Between attempts, in units of THEMES_WEBHOOK_RETRY_S: 10 s, 1 min, 5 min, 30 min, 2 h and 8 h as it is set by default."""
AT_ONCE: Final = 16
"""Deliveries that a worker has under way."""
SHARES: Final = Shares(of_webhook=2, of_consultation=4)
"""Of these, the most that one webhook, and the webhooks of one consultation, have: receivers that are slow hold up their own."""
LOOKUPS: Final = 64
"""Hosts looked up at the same time. A lookup that its attempt has given up on takes up a thread for some half a minute: with
names that never resolve, one consultation takes up 24."""
POLL_S: Final = 1.0
CLAIM_S: Final = 60.0
"""A delivery whose worker has died is sent by another after so long; longer than an attempt can take."""
BUG: Final = "bug"
_Done = TypeVar("_Done")
_log = logging.getLogger(__name__)


def wait_s(n_attempts: int, retry_s: float) -> float | None:
    """Return the seconds until the next attempt, after so many that failed; None: it is given up."""
    return WAITS[n_attempts - 1] * retry_s if n_attempts <= len(WAITS) else None


class Courier:
    """One thread that delivers what is due in a store, until it is stopped. There can be any number on one store.

    Parameters
    ----------
    database, sender
        The store, and who sends.
    retry_s
        Seconds before the second attempt; the later ones wait longer, by WAITS.
    """

    def __init__(self, database: Database, sender: Sender, *, retry_s: float) -> None:
        self._database, self._sender, self._retry_s = database, sender, retry_s
        self._stopping = threading.Event()
        self._aside = ThreadPoolExecutor(
            AT_ONCE, "courier-store"
        )  # not the loop's own: that is for lookups, which may hang
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the attempts that are under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(2 * TIMEOUT_S)

    async def deliver(self) -> int:
        """Attempt what is due, AT_ONCE at a time, until nothing is; return how many attempts that were.

        A slot that is free is filled at once, whatever the others still wait for.
        """
        n_attempts = 0
        under_way: dict[asyncio.Task[None], Delivery] = {}
        try:
            while True:
                for delivery in await self._claimed(under_way.values()):
                    under_way[asyncio.create_task(self._settle(delivery))] = delivery
                    n_attempts += 1
                if not under_way:
                    return n_attempts
                ended, _ = await asyncio.wait(under_way, timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
                for task in ended:
                    del under_way[task]
                    task.result()
        finally:
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _claimed(self, under_way: Collection[Delivery]) -> tuple[Delivery, ...]:
        n_free = AT_ONCE - len(under_way)
        if self._stopping.is_set() or not n_free:
            return ()
        return await self._beside(
            lambda: claim_due(self._database, limit=n_free, seconds=CLAIM_S, shares=SHARES, under_way=tuple(under_way))
        )

    async def _settle(self, delivery: Delivery) -> None:
        outcome = await self._attempt(delivery)
        await self._beside(lambda: self._note(delivery, outcome))

    async def _beside(self, do: Callable[[], _Done]) -> _Done:
        """Return what comes of work with the store; while that keeps it waiting, attempts go on."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, do)

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            return await self._sender.send(delivery)
        except Exception as error:  # noqa: BLE001 -- the worker step's boundary: one delivery must not stop the others
            _log.warning("a delivery failed: %s", type(error).__name__)
            return Outcome(None, BUG)

    def _note(self, delivery: Delivery, outcome: Outcome) -> None:
        wait = None if outcome.is_final else wait_s(delivery.n_attempts, self._retry_s)
        failed = DeliveryState.GIVEN_UP if wait is None else DeliveryState.WAITING
        state = DeliveryState.DELIVERED if outcome.is_delivered else failed
        note_outcome(self._database, delivery, state, status=outcome.status, error=outcome.error, wait_s=wait or 0.0)

    def _run(self) -> None:
        with asyncio.Runner() as runner, self._aside:
            runner.get_loop().set_default_executor(ThreadPoolExecutor(LOOKUPS, "courier-lookup"))
            while not self._stopping.is_set():
                try:
                    n = runner.run(self.deliver())
                except StoreGoneError:
                    n = 0  # what was sent and could not be noted is sent again
                except Exception as error:  # noqa: BLE001 -- the worker's boundary: the next round tries again
                    _log.warning("delivering failed: %s", type(error).__name__)
                    n = 0
                if not n:
                    self._stopping.wait(POLL_S)
