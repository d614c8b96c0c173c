"""Many texts coded by several processes: each distinct text once, one thread a process, order kept."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from models.classifier import Classifier, TextCoding
from models.model import Backend, load_model

CHUNK_TEXTS: Final = 256
MIN_TEXTS_A_PROCESS: Final = 300
"""Fewer distinct texts than this are coded before another process would have started."""
_AHEAD: Final = 2
"""Chunks that wait for each process: enough to keep it busy, few enough to stop quickly."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """Which model codes, and how."""

    model: str
    backend: Backend
    encoder: str | None
    batch_size: int

    def load(self) -> Classifier:
        """Return the classifier."""
        return load_model(self.model, backend=self.backend, encoder=self.encoder)


Progress = Callable[[int], None]
"""Called with the number of comments done since the last call."""

_worker: Classifier | None = None
_worker_batch_size = 1


def code_distinct(texts: Sequence[str], choice: ModelChoice, *, jobs: int, progress: Progress) -> dict[str, TextCoding]:
    """Return the coding of each distinct text.

    Texts of like length travel together, so that chunks take like time; what a text is coded as does not depend
    on its company, on `jobs` or on the batch size.
    """
    times: dict[str, int] = {}
    for text in texts:
        times[text] = times.get(text, 0) + 1
    distinct = sorted(times, key=lambda t: (len(t), t))
    jobs = max(1, min(jobs, len(distinct) // MIN_TEXTS_A_PROCESS))
    codings: dict[str, TextCoding] = {}

    def keep(chunk: Sequence[str], coded: Sequence[TextCoding]) -> None:
        codings.update(zip(chunk, coded, strict=True))
        progress(sum(times[t] for t in chunk))

    chunks = [distinct[i : i + CHUNK_TEXTS] for i in range(0, len(distinct), CHUNK_TEXTS)]
    chunks.reverse()  # the longest first: the last chunks to finish are the small ones
    if jobs == 1:
        classifier = choice.load()
        for chunk in chunks:
            keep(chunk, list(classifier.code_texts(chunk, batch_size=choice.batch_size)))
        return codings
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(choice,)) as pool:
        waiting: dict[Future[list[TextCoding]], list[str]] = {}
        try:
            for chunk in chunks:
                if len(waiting) >= jobs * _AHEAD:
                    _collect(waiting, keep)
                waiting[pool.submit(_code_chunk, chunk)] = chunk
            while waiting:
                _collect(waiting, keep)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return codings


def _collect(
    waiting: dict[Future[list[TextCoding]], list[str]], keep: Callable[[Sequence[str], Sequence[TextCoding]], None]
) -> None:
    done, _ = wait(waiting, return_when=FIRST_COMPLETED)
    for future in done:
        keep(waiting.pop(future), future.result())


def _start(choice: ModelChoice) -> None:
    global _worker, _worker_batch_size
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one alone answers it
    _worker, _worker_batch_size = choice.load(), choice.batch_size


def _code_chunk(texts: list[str]) -> list[TextCoding]:
    if _worker is None:
        raise RuntimeError("the process was not started with a model")
    return list(_worker.code_texts(texts, batch_size=_worker_batch_size))
