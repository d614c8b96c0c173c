"""Processes that code texts for a worker: a text that stops one of them is found and set aside, and the others are coded."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Final, Protocol

from models.classifier import Classifier, TextCoding
from nlp_service.coding_pool import ModelChoice
from nlp_service.processes import make_context

MIN_TEXTS_A_PROCESS: Final = 64
MODELS_KEPT: Final = 2
"""Models that a process holds at once; the one used longest ago makes room."""

Halves = Callable[[Sequence[str]], list[TextCoding]]


class Coders(Protocol):
    """Codes texts; a text that cannot be coded is None."""

    def code(self, texts: Sequence[str], choice: ModelChoice, model: str) -> list[TextCoding | None]:
        """Return a coding for each text, in order."""

    def close(self) -> None:
        """Let go of all processes."""


class ProcessCoders:
    """Coders in processes of their own. Safe to share between threads.

    Parameters
    ----------
    jobs
        Processes.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs, self._lock, self._alone = jobs, threading.Lock(), threading.Lock()
        self._pool: ProcessPoolExecutor | None = None
        os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

    def code(self, texts: Sequence[str], choice: ModelChoice, model: str) -> list[TextCoding | None]:
        """Return a coding for each text, in order; None for a text that breaks whatever codes it."""
        distinct = sorted(set(texts), key=lambda t: (len(t), t))
        n_parts = max(1, min(self._jobs, len(distinct) // MIN_TEXTS_A_PROCESS))
        parts = even_parts(distinct, n_parts)
        pool = self._current()
        waiting: list[tuple[list[str], Future[list[TextCoding]] | None]] = []
        for part in parts:
            try:
                waiting.append((part, pool.submit(_code, choice, model, part)))
            except (BrokenProcessPool, RuntimeError):
                waiting.append((part, None))
        codings: dict[str, TextCoding | None] = {}
        for part, future in waiting:
            try:
                found: Sequence[TextCoding | None] = (
                    future.result() if future is not None else self._halved(part, choice, model)
                )
            except Exception:  # noqa: BLE001 -- whatever it was, the other texts get coded
                found = self._halved(part, choice, model)
            codings.update(zip(part, found, strict=True))
        return [codings[t] for t in texts]

    def close(self) -> None:
        """Let go of all processes."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _halved(self, texts: Sequence[str], choice: ModelChoice, model: str) -> list[TextCoding | None]:
        """Return codings where a part has failed once: in a process for this alone, so that nobody else's text breaks it."""
        with self._alone:
            pool = _make_pool(1)

            def attempt(part: Sequence[str]) -> list[TextCoding]:
                nonlocal pool
                try:
                    return pool.submit(_code, choice, model, list(part)).result()
                except BrokenProcessPool:
                    pool = _make_pool(1)
                    raise

            try:
                return code_by_halves(texts, attempt)
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is not None and getattr(self._pool, "_broken", False):
                self._pool.shutdown(wait=False, cancel_futures=True)
                self._pool = None
            if self._pool is None:
                self._pool = _make_pool(self._jobs)
            return self._pool


def code_by_halves(texts: Sequence[str], attempt: Halves) -> list[TextCoding | None]:
    """Return the coding of each text, None for a text that `attempt` fails on when it is alone, twice, and on no other.

    Raises
    ------
    Exception
        What `attempt` raised, if it fails on every one of several texts, or also on one that it coded before: then it is not
        the texts that are at fault.
    """
    failures: list[Exception] = []

    def halve(part: Sequence[str]) -> list[TextCoding | None]:
        try:
            return list(attempt(part))
        except Exception as error:  # noqa: BLE001 -- the worker step's boundary
            if len(part) == 1:
                failures.append(error)
                return [None]
        middle = len(part) // 2
        return halve(part[:middle]) + halve(part[middle:])

    codings = halve(texts)
    if len(texts) > 1 and len(failures) == len(texts):
        raise failures[0]
    good = next((t for t, coding in zip(texts, codings, strict=True) if coding is not None), None)
    for i in [i for i, coding in enumerate(codings) if coding is None]:
        try:
            (codings[i],) = attempt([texts[i]])
        except Exception:  # noqa: BLE001 -- as above
            if good is not None:
                attempt([good])
    return codings


def even_parts(texts: Sequence[str], n_parts: int) -> list[list[str]]:
    """Return the texts, which come by length, dealt out so that each part takes a like time and holds all lengths."""
    return [list(texts[k::n_parts]) for k in range(n_parts)]


def _make_pool(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, mp_context=make_context(), initializer=_start)


def _start() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # the worker was killed; nobody will read what comes of the texts in hand


_models: dict[tuple[ModelChoice, str], Classifier] = {}


class ModelChangedError(Exception):
    """Another model lies where the run's model lay."""


def _code(choice: ModelChoice, model: str, texts: Sequence[str]) -> list[TextCoding]:
    classifier = _models.pop((choice, model), None) or choice.load()
    if classifier.artefact.model_id != model:
        raise ModelChangedError
    while len(_models) >= MODELS_KEPT:
        _models.pop(next(iter(_models)))
    _models[choice, model] = classifier
    return list(classifier.code_texts(texts, batch_size=choice.batch_size))
