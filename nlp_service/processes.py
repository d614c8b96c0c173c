"""Processes that work beside the first one, started so that a stop in between leaves none behind and says nothing of its own."""

import multiprocessing
import signal
import threading
from collections.abc import Iterator
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
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        forkserver.ensure_running()
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
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

    before = {number: signal.signal(number, keep) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if came:
            signal.raise_signal(came[0])
