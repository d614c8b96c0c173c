"""The use case: a model folder that comes as a zip file goes through the gate and into the registry, one at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from models.artefact import Artefact, ArtefactError, read_artefact
from models.registry import RegistryBusyError
from models.weights import DEFAULT_BASE
from nlp_service.model_zip import unpack_model
from nlp_service.publish_model import Published, PublishRequest, publish_model
from nlp_service.settings import Settings
from nlp_service.store.audit import add_entry
from nlp_service.store.database import Database
from nlp_service.store.workers import prove_writable


class UploadPublisher:
    """Publishes uploaded models. Safe to share between threads: it does one at a time and turns others away."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._settings = database, settings
        self._turn = threading.Lock()

    def check_free(self) -> None:
        """Raise RegistryBusyError if an upload that came now would be turned away."""
        if self._turn.locked():
            raise _busy()

    def publish(self, zip_file: Path, *, override: str | None, actor: str, now: datetime) -> Published:
        """Compare an uploaded model with the one that codes now, and publish it, or list it as refused.

        Nothing in the upload is taken for a path: the gold set is the one that is fixed for its codebook, the encoder one
        that the service knows.

        Raises
        ------
        RegistryBusyError
            If another upload is being published.
        ThemesError
            If the upload, the gold set or the registry cannot be used. The registry stays as it was then.
        """
        with self._own_turn(), TemporaryDirectory(prefix="themes-model-") as place:
            prove_writable(self._database)  # what is done must be written down
            folder = Path(place)
            unpack_model(zip_file, folder)
            self._check(folder)
            settings = self._settings
            request = PublishRequest(
                folder, settings.registry, override=override, backend=settings.backend, encoder=settings.encoder
            )
            done = publish_model(request, now=now)
            self._note(done, actor)
            return done

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        if not self._turn.acquire(blocking=False):
            raise _busy()
        try:
            yield
        finally:
            self._turn.release()

    def _check(self, folder: Path) -> None:
        try:
            artefact: Artefact = read_artefact(folder)
        except RecursionError as error:
            raise ArtefactError(
                "a file of it is nested too deeply.",
                allowed="a model folder as `themes train` wrote it, unchanged.",
                next_step="zip the folder anew.",
            ) from error
        if artefact.encoder not in (DEFAULT_BASE, self._settings.encoder):
            raise ArtefactError(
                "it reads with an encoder that this service was not set up with.",
                allowed=f"{DEFAULT_BASE}, or the encoder that THEMES_ENCODER of the service names.",
                next_step="set THEMES_ENCODER, or publish it where the service runs: `themes model publish DIR`.",
            )

    def _note(self, done: Published, actor: str) -> None:
        entry = done.entry
        did = "model.publish" if entry.status == "accepted" else "model.refuse"
        details = {"override": entry.override} if entry.override else {}
        with self._database.write() as connection:
            add_entry(
                connection, actor, did, entry.model, codebook=f"{entry.codebook_id}@{entry.codebook_version}", **details
            )


def _busy() -> RegistryBusyError:
    return RegistryBusyError(
        "another model is being published.",
        allowed="one at a time.",
        next_step="try again when it has ended; it takes seconds to minutes.",
    )
