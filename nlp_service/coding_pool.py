"""Many texts coded by several processes: each distinct text once, one thread a process, order kept."""

import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

from models.classifier import Classifier, TextCoding
from models.model import Backend, load_model
from nlp_service.processes import make_context, stops_held_back

CHUNK_TEXTS: Final = 512
CHUNK_CHARS: Final = 60_000
"""A chunk is full at either: many texts of one length are read together, and memory does not grow with length."""
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

    chunks = _chunks(distinct)
    chunks.reverse()  # the longest texts first: the last chunks to finish are the quick ones
    if jobs == 1:
        classifier = choice.load()
        for chunk in chunks:
            keep(chunk, list(classifier.code_texts(chunk, batch_size=choice.batch_size)))
        return codings
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    context = make_context()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start, initargs=(choice,)) as pool:
        waiting: dict[Future[list[TextCoding]], list[str]] = {}
        try:
            for chunk in chunks:
                if len(waiting) >= jobs * _AHEAD:
                    _collect(waiting, keep)
                with stops_held_back():
                    waiting[pool.submit(_code_chunk, chunk)] = chunk
            while waiting:
                _collect(waiting, keep)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return codings


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    chunks: list[list[str]] = [[]]
    room = CHUNK_CHARS
    for text in texts:
        if chunks[-1] and (len(chunks[-1]) == CHUNK_TEXTS or len(text) > room):
            chunks.append([])
            room = CHUNK_CHARS
        chunks[-1].append(text)
        room -= len(text)
    return [c for c in chunks if c]


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
