"""The use case: a few texts in, their codings out, in milliseconds, from a model that stays loaded."""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.classifier import Classifier, TextCoding, attach_coding
from models.vocabulary import Codebook, CodedComment, Comment, CommentId, ModelId, ThemesError

MAX_TEXTS: Final = 256
MAX_TEXT_CHARS: Final = 20_000


class OtherModelError(ThemesError):
    """The caller asked for a model or codebook that is not the one in service."""

    code = "other_model"


class BusyError(ThemesError):
    """More callers wait than the service lets wait."""

    code = "busy"


@dataclass(slots=True, eq=False)
class _Call:
    """A caller's texts, and what came of them."""

    texts: Sequence[str]
    codings: list[TextCoding] | None = None
    error: Exception | None = None


class TextClassifier:
    """Codes texts with one loaded model; callers that wait at the same time are coded together, up to a limit.

    What a text is coded as does not depend on its company.

    Parameters
    ----------
    classifier
        The loaded model.
    max_waiting
        Callers that may wait; the next is turned away with BusyError.
    """

    def __init__(self, classifier: Classifier, *, max_waiting: int = 64) -> None:
        self._classifier, self._max_waiting = classifier, max_waiting
        self._turn, self._count = threading.Lock(), threading.Lock()
        self._n_inside = 0
        self._waiting: deque[_Call] = deque()

    @property
    def codebook(self) -> Codebook:
        """Return the codebook that texts are coded with."""
        return self._classifier.codebook

    @property
    def model_id(self) -> ModelId:
        """Return the id of the model in service."""
        return ModelId(str(self._classifier.artefact.model_id))

    def classify(
        self, texts: Sequence[str], *, model: str | None = None, codebook: str | None = None
    ) -> list[CodedComment]:
        """Return a coding for each text, in order.

        Raises
        ------
        OtherModelError
            If `model` or `codebook` is given and is not the one in service.
        BusyError
            If too many callers wait already.
        """
        self._check_versions(model, codebook)
        with self._count:
            self.check_busy()
            self._n_inside += 1
        try:
            codings = self._coded(_Call(texts))
        finally:
            with self._count:
                self._n_inside -= 1
        return [
            attach_coding(self._classifier.artefact, Comment(CommentId(str(i)), text), coding)
            for i, (text, coding) in enumerate(zip(texts, codings, strict=True))
        ]

    def check_busy(self) -> None:
        """Raise BusyError if a caller who came now would be turned away."""
        if self._n_inside > self._max_waiting:
            raise BusyError(
                f"{self._n_inside} callers are being served or waiting.",
                allowed=f"{self._max_waiting} waiting.",
                next_step="try again in a second.",
            )

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

    def _check_versions(self, model: str | None, codebook: str | None) -> None:
        here = self.codebook
        if model is not None and model != self.model_id:
            raise OtherModelError(
                "another model was asked for than the one in service.",
                allowed=f"{self.model_id}.",
                next_step="leave `model` out, or start the service with --model.",
            )
        if codebook is not None and codebook not in (here.id, here.ref):
            raise OtherModelError(
                "another codebook was asked for than the one in service.",
                allowed=f"{here.ref} or {here.id}.",
                next_step="leave `codebook` out, or start the service with a model of that codebook.",
            )
