"""Processes that work beside the first one, started so that a stop in between leaves none behind and says nothing of its own."""

import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from types import FrameType
from typing import Final

_STOPS: Final = (signal.SIGINT, signal.SIGTERM)
_HEAVY: Final = ["models.model", "models.encoder_openvino", "openvino.opset13", "spacy.lang.en"]


def make_context() -> BaseContext:
    """Return how processes are started: by a server that has imported what is heavy once, where the system has one.

    The server runs afterwards, and Ctrl-C, which a terminal sends to every process, does not break off its imports.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_HEAVY)
    if threading.current_thread() is not threading.main_thread():
        return context
    with _handled([signal.SIGINT], signal.SIG_IGN):
        forkserver.ensure_running()
    return context


@contextmanager
def stops_held_back() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block has ended.

    A pool that is interrupted while it starts a process does not know of that process, and waits for it never.
    """
    if threading.current_thread() is not threading.main_thread():  # signals are another thread's
        yield
        return
    came: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    try:
        with _handled(_STOPS, keep):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None] | signal.Handlers
) -> Iterator[None]:
    """Let a handler answer signals within the block."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, own in before.items():
            signal.signal(number, own if own is not None else signal.SIG_DFL)
