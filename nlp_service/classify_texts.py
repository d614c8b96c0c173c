"""The use case: a few texts in, their codings out, in milliseconds, from a model that stays loaded."""

import threading
from collections.abc import Sequence
from typing import Final

from models.classifier import Classifier, attach_coding
from models.vocabulary import Codebook, CodedComment, Comment, CommentId, ModelId, ThemesError

MAX_TEXTS: Final = 256
MAX_TEXT_CHARS: Final = 20_000


class OtherModelError(ThemesError):
    """The caller asked for a model or codebook that is not the one in service."""

    code = "other_model"


class BusyError(ThemesError):
    """More callers wait than the service lets wait."""

    code = "busy"


class TextClassifier:
    """Codes texts with one loaded model, one caller at a time; others wait, up to a limit.

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
            if self._n_inside > self._max_waiting:
                raise BusyError(
                    f"{self._n_inside} callers are being served or waiting.",
                    allowed=f"{self._max_waiting} waiting.",
                    next_step="try again in a second.",
                )
            self._n_inside += 1
        try:
            with self._turn:
                codings = list(self._classifier.code_texts(list(texts)))
        finally:
            with self._count:
                self._n_inside -= 1
        return [
            attach_coding(self._classifier.artefact, Comment(CommentId(str(i)), text), coding)
            for i, (text, coding) in enumerate(zip(texts, codings, strict=True))
        ]

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
