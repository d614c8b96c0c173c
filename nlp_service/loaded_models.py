"""Models that stay loaded in a service: the one that answers who names none, and a few that callers asked for."""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.artefact import ArtefactError
from models.classifier import Classifier
from models.counts import counted
from models.model import STARTER_ID, ModelNotFoundError
from models.registry import Registry
from models.vocabulary import CodedComment, ThemesError
from models.weights import EncoderWeightsError
from nlp_service.classify_texts import MAX_WAITING, BusyError, OtherModelError, TextClassifier, WaitingRoom
from nlp_service.find_model import broken_model, find_for_codebook, find_model, find_named, find_unnamed
from nlp_service.followed_registry import FollowedRegistry

MAX_OTHERS: Final = 2
"""Models that stay loaded beside the one in service; the one not asked for longest makes room. Each takes some 200 MB."""
MAX_AWAITING_LOAD: Final = 8
"""Callers that may wait for a model to be loaded: few, so that they leave room for those whose model is there."""
RETRY_S: Final = 30.0
"""A model that is to be in service and could not be loaded is tried again by the first call after so long."""


@dataclass(frozen=True, slots=True)
class Classified:
    """Codings, and what made them: one model for all texts of a call."""

    by: TextClassifier
    codings: list[CodedComment]


class LoadedModels:
    """Chooses who codes a call's texts. Safe to share between threads.

    The model in service is the one that `find_model` names for the default. When the registry changes it is chosen anew;
    a new one is loaded aside while the old one answers, and takes its place at once; if it cannot be loaded, the old one
    stays, and the new one is tried again after a while, when the registry changes, or when a caller names it. Other
    models are loaded by the first caller who asks for one; those who come meanwhile wait for the same load. One model is
    loaded at a time.

    Parameters
    ----------
    registry
        The registry's folder; it need not exist.
    load
        Returns the classifier of a model folder; raises ThemesError.
    default
        What codes for callers who name nothing, as for `find_model`. A folder outside the registry is read once.
    max_waiting
        Callers that may wait, over all models.
    tell
        Called with a line for people when another model comes into service, or cannot.

    Raises
    ------
    ThemesError
        If the registry or the model in service cannot be used.
    """

    def __init__(
        self,
        registry: Path,
        load: Callable[[Path], Classifier],
        *,
        default: str | None = None,
        max_waiting: int = MAX_WAITING,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._load, self._default, self._tell = load, default, tell
        self._room = WaitingRoom(max_waiting)
        self._lock, self._one_load = threading.Lock(), threading.Lock()
        self._others: OrderedDict[Path, TextClassifier] = OrderedDict()
        self._loading: dict[Path, Future[TextClassifier]] = {}
        self._n_awaiting = 0
        self._again_at = math.inf
        self._stays = default is not None and default != STARTER_ID and Path(default).is_dir()
        self._registry = FollowedRegistry(registry, self._follow, tell)
        folder = find_model(registry, None, default=default)
        self._wanted: Path | None = folder
        self._current = folder, TextClassifier(load(folder))

    @property
    def in_service(self) -> TextClassifier:
        """Return the model that codes for callers who name nothing; raises ModelNotFoundError where none does any more."""
        return self._in_service(self._registry.now())

    def classify(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        codebook: str | None = None,
        consultation: str | None = None,
    ) -> Classified:
        """Return a coding for each text, in order, all by the model that `get` returns.

        Raises
        ------
        ModelNotFoundError, OtherModelError, ModelBrokenError
            As `get`.
        BusyError
            If too many callers wait already.
        """
        with self._room.place():
            by = self.get(model=model, codebook=codebook, consultation=consultation)
            return Classified(by, by.classify(texts))

    def get(
        self, *, model: str | None = None, codebook: str | None = None, consultation: str | None = None
    ) -> TextClassifier:
        """Return a loaded model.

        Parameters
        ----------
        model
            Its id, `starter`, or a codebook; never a path.
        codebook
            The `id` or `id@version` that the model must code with. Without `model`: the one that would code anyway if it
            does so with this codebook, else the one published for it.
        consultation
            Whose pin counts where no model is named.

        Raises
        ------
        ModelNotFoundError
            If there is none.
        OtherModelError
            If `model` codes with another codebook than `codebook`.
        ModelBrokenError
            If its files are not as they were written.
        BusyError
            If it must be loaded first, and too many callers wait for that already.
        """
        registry = self._registry.now()
        if model is not None:
            chosen = self._named(registry, model)
        else:
            chosen = self._unnamed(registry, consultation)
            if codebook is not None and not chosen.codes_with(codebook):
                chosen = self._loaded(find_for_codebook(self._registry.folder, registry, codebook))
        if codebook is not None and not chosen.codes_with(codebook):
            raise OtherModelError(
                "the model that was asked for codes with another codebook than the one asked for.",
                allowed=f"{chosen.codebook.ref} or {chosen.codebook.id} with this model.",
                next_step="leave one of the two out.",
            )
        return chosen

    def _named(self, registry: Registry, model: str) -> TextClassifier:
        current = self._current[1]
        if model == current.model_id:  # it may lie outside the registry
            return current
        return self._loaded(find_named(self._registry.folder, registry, model))

    def _unnamed(self, registry: Registry, consultation: str | None) -> TextClassifier:
        if consultation is None or consultation not in registry.pins:
            return self._in_service(registry)
        return self._loaded(find_unnamed(self._registry.folder, registry, consultation=consultation))

    def _in_service(self, registry: Registry) -> TextClassifier:
        if self._wanted is None:
            self._wanted_by(registry)
        if time.monotonic() >= self._again_at:
            self._try_again()
        return self._current[1]

    def _wanted_by(self, registry: Registry) -> Path:
        return find_unnamed(self._registry.folder, registry, default=self._default)

    def _follow(self, registry: Registry) -> None:
        """Put the model that codes by a new document into service: at once if it is loaded, else when it is."""
        if self._stays:
            return
        try:
            wanted: Path | None = self._wanted_by(registry)
        except ModelNotFoundError as error:
            self._tell(f"{error.found} Callers must name a model.")
            wanted = None
        with self._lock:
            self._wanted, self._again_at = wanted, math.inf
            self._take_up()
            if wanted is None or wanted == self._current[0]:
                return
        self._start_to_bring(wanted)

    def _try_again(self) -> None:
        with self._lock:
            if time.monotonic() < self._again_at:
                return  # another caller has begun
            wanted, self._again_at = self._wanted, math.inf
        if wanted is not None:
            self._start_to_bring(wanted)

    def _start_to_bring(self, wanted: Path) -> None:
        try:
            threading.Thread(target=self._bring, args=(wanted,)).start()
        except RuntimeError as error:  # no thread can be started now
            self._put_off(wanted, error)

    def _bring(self, wanted: Path) -> None:
        try:
            self._loaded(wanted, is_caller=False)
        except Exception as error:  # noqa: BLE001 -- the thread's boundary: nobody else would hear of it
            self._put_off(wanted, error)
            return
        with self._lock:
            self._take_up()

    def _put_off(self, wanted: Path, error: Exception) -> None:
        with self._lock:
            if wanted != self._wanted or wanted == self._current[0]:
                return
            self._again_at = time.monotonic() + RETRY_S
            stays = self._current[1].model_id
        found = error.found if isinstance(error, ThemesError) else broken_model(wanted.name, error).found
        self._tell(f"{found} {stays} stays in service.")

    def _take_up(self) -> None:
        """Put the model that is to be in service there, if it is loaded. Under the lock."""
        if self._wanted is not None and self._wanted in self._others:
            self._again_at = math.inf
            self._put_into_service(self._wanted, self._others[self._wanted])

    def _put_into_service(self, folder: Path, classifier: TextClassifier) -> None:
        """Swap the model in service; the one before stays loaded for a while, as it may be wanted back. Under the lock."""
        before, self._current = self._current, (folder, classifier)
        self._others.pop(folder, None)
        self._keep(*before)
        self._tell(f"{classifier.model_id}, {classifier.codebook.ref}: in service from now on")

    def _keep(self, folder: Path, classifier: TextClassifier) -> None:
        self._others[folder] = classifier
        self._others.move_to_end(folder)
        while len(self._others) > MAX_OTHERS:
            self._others.popitem(last=False)

    def _loaded(self, folder: Path, *, is_caller: bool = True) -> TextClassifier:
        with self._lock:
            if folder == self._current[0]:
                return self._current[1]
            if folder in self._others:
                self._others.move_to_end(folder)
                return self._others[folder]
            if is_caller and self._n_awaiting >= MAX_AWAITING_LOAD:
                raise BusyError(
                    f"{counted(self._n_awaiting, 'caller waits', 'callers wait')} for a model to be loaded.",
                    allowed=f"{MAX_AWAITING_LOAD} waiting for that.",
                    next_step="try again in a second.",
                )
            is_first = folder not in self._loading
            loading = self._loading.setdefault(folder, Future())
            self._n_awaiting += is_caller
        try:
            if is_first:
                self._settle(folder, loading)
            return loading.result()
        finally:
            with self._lock:
                self._n_awaiting -= is_caller

    def _settle(self, folder: Path, loading: "Future[TextClassifier]") -> None:
        """Load a model for all who wait for it."""
        try:
            with self._one_load:
                loaded = TextClassifier(self._load(folder))
        except (ArtefactError, EncoderWeightsError) as error:
            self._give_up(folder, loading, broken_model(folder.name, error))
        except BaseException as error:  # noqa: BLE001 -- it is raised again for each who waits
            self._give_up(folder, loading, error)
        else:
            with self._lock:
                self._keep(folder, loaded)
                self._take_up()
                del self._loading[folder]
            loading.set_result(loaded)

    def _give_up(self, folder: Path, loading: "Future[TextClassifier]", error: BaseException) -> None:
        with self._lock:
            del self._loading[folder]
        loading.set_exception(error)
