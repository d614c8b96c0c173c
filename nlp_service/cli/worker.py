"""`themes worker`: codes batches of the store, and calls webhooks, until stopped."""

import os
import signal
import threading
import time
from types import FrameType

import click

from nlp_service.settings import Settings
from nlp_service.store.database import open_store


@click.command()
@click.option("--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes that code. [default: one a core]")
@click.option("--with-parent", is_flag=True, hidden=True, help="End when the process that started this one has ended.")
def worker(jobs: int | None, with_parent: bool) -> None:
    """Code the batches that wait in the store, and call webhooks, until stopped. `themes serve` starts one; more may run anywhere.

    A worker that is stopped ends with the chunks that it has in hand; others go on with its batches.

    \b
    Example:
      THEMES_STORE=postgresql://themes@db/themes themes worker --jobs 2
    """
    from nlp_service.jobs.coders import ProcessCoders  # noqa: PLC0415 -- what only a worker needs
    from nlp_service.jobs.engine import Rhythm, Worker  # noqa: PLC0415
    from nlp_service.jobs.run_coder import RunCoder  # noqa: PLC0415
    from nlp_service.submit_batch import service_version  # noqa: PLC0415
    from nlp_service.webhooks.courier import Courier  # noqa: PLC0415
    from nlp_service.webhooks.sender import Sender  # noqa: PLC0415

    settings = Settings()
    coders = ProcessCoders(jobs or settings.jobs)
    database = open_store(settings.store)
    coder = RunCoder(database, coders, settings.encoder, settings.batch_size)
    started = Worker(database, coder, Rhythm(settings.beat_s, settings.silent_s), service_version=service_version())
    courier = Courier(database, Sender(private=settings.webhook_private), retry_s=settings.webhook_retry_s)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        started.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if with_parent:
        threading.Thread(target=_end_with, args=(os.getppid(), started.stop), daemon=True).start()
    courier.start()
    started.run(ready=lambda: click.echo(f"worker {started.id} codes batches", err=True))
    courier.stop()
    coders.close()
    click.echo(f"worker {started.id} stopped", err=True)
    os._exit(0)  # steps that wait for ever are left to the next worker


def _end_with(parent: int, stop: object) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    if callable(stop):
        stop()
