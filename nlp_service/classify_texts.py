"""The use case: a few texts in, their codings out, in milliseconds, from a model that stays loaded."""

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from models.classifier import Classifier, TextCoding, attach_coding
from models.counts import counted
from models.vocabulary import Codebook, CodedComment, Comment, CommentId, ModelId, ThemesError

MAX_TEXTS: Final = 256
MAX_TEXT_CHARS: Final = 20_000
MAX_WAITING: Final = 64
"""Callers that may wait beside the one that is served; the next is turned away."""


class OtherModelError(ThemesError):
    """The model and the codebook that were asked for do not fit."""

    code = "other_model"


class BusyError(ThemesError):
    """More callers wait than the service lets wait."""

    code = "busy"


class WaitingRoom:
    """Bounds the callers that are served or wait at the same time. Safe to share between threads."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting, self._lock = max_waiting, threading.Lock()
        self._n_inside = 0

    def check(self) -> None:
        """Raise BusyError if a caller who came now would be turned away."""
        if self._n_inside > self._max_waiting:
            raise BusyError(
                f"{counted(self._n_inside, 'caller is', 'callers are')} being served or waiting.",
                allowed=f"{self._max_waiting} waiting.",
                next_step="try again in a second.",
            )

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place for a caller; raises BusyError if there is none."""
        with self._lock:
            self.check()
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1


@dataclass(slots=True, eq=False)
class _Call:
    """A caller's texts, and what came of them."""

    texts: Sequence[str]
    codings: list[TextCoding] | None = None
    error: Exception | None = None


class TextClassifier:
    """Codes texts with one loaded model; callers that wait at the same time are coded together.

    What a text is coded as does not depend on its company.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._turn = threading.Lock()
        self._waiting: deque[_Call] = deque()

    @property
    def codebook(self) -> Codebook:
        """Return the codebook that texts are coded with."""
        return self._classifier.codebook

    @property
    def model_id(self) -> ModelId:
        """Return the id of the model."""
        return ModelId(str(self._classifier.artefact.model_id))

    def codes_with(self, codebook: str) -> bool:
        """Return whether a codebook, by `id` or `id@version`, is the model's."""
        return codebook in (self.codebook.id, self.codebook.ref)

    def classify(self, texts: Sequence[str]) -> list[CodedComment]:
        """Return a coding for each text, in order."""
        codings = self._coded(_Call(texts))
        return [
            attach_coding(self._classifier.artefact, Comment(CommentId(str(i)), text), coding)
            for i, (text, coding) in enumerate(zip(texts, codings, strict=True))
        ]

    def _coded(self, call: _Call) -> list[TextCoding]:
        self._waiting.append(call)
        with self._turn:
            while call.codings is None and call.error is None:
                self._code(self._next_group())
        if call.codings is None:
            raise call.error or RuntimeError("a caller was left out")
        return call.codings

    def _next_group(self) -> list[_Call]:
        """Return the callers who have waited longest, with no more texts together than one may send."""
        group, n_texts = [self._waiting.popleft()], 0
        n_texts += len(group[0].texts)
        while self._waiting and n_texts + len(self._waiting[0].texts) <= MAX_TEXTS:
            group.append(self._waiting.popleft())
            n_texts += len(group[-1].texts)
        return group

    def _code(self, group: Sequence[_Call]) -> None:
        try:
            coded = iter(list(self._classifier.code_texts([t for call in group for t in call.texts])))
            for call in group:
                call.codings = [next(coded) for _ in call.texts]
        except Exception as error:  # noqa: BLE001 -- it is raised again for the caller whose texts it came from
            if len(group) == 1:
                group[0].error = error
                return
            for call in group:
                self._code([call])
