"""What the routes work with: the loaded models, the store, the queue of jobs, the keys and the limits."""

import hmac
import secrets
import threading
from dataclasses import dataclass, field

from fastapi import Request

from nlp_service.api.metrics import Metrics
from nlp_service.jobs.engine import JobQueue
from nlp_service.loaded_models import LoadedModels
from nlp_service.publish_upload import UploadPublisher
from nlp_service.settings import Settings
from nlp_service.store.database import Database, open_store
from nlp_service.store.keys import KeyRing, read_secret


class FirstLink:
    """The right to make the first admin key: a token that opens once, kept in memory alone. Safe to share between threads."""

    def __init__(self) -> None:
        self._token: str | None = secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def token(self) -> str | None:
        """Return the token, or None once it was used."""
        return self._token

    def fits(self, token: str) -> bool:
        """Return whether a token would open."""
        return self._token is not None and hmac.compare_digest(self._token.encode(), token.encode())

    def use(self, token: str) -> bool:
        """Return whether the token opens; it does not open again."""
        with self._lock:
            if not self.fits(token):
                return False
            self._token = None
            return True


@dataclass(frozen=True, slots=True)
class Service:
    """All parts, made once a process."""

    models: LoadedModels
    database: Database
    jobs: JobQueue
    keys: KeyRing
    settings: Settings
    publisher: UploadPublisher
    is_local: bool
    """True: it listens to this machine alone. Callers without a key may classify then, until the first key is made."""
    metrics: Metrics = field(default_factory=Metrics)
    first_link: FirstLink = field(default_factory=FirstLink)

    def close(self) -> None:
        """Close all connections."""
        self.jobs.close()
        self.database.close()


def open_service(settings: Settings, models: LoadedModels, *, is_local: bool = True) -> Service:
    """Return a service on the store that the settings name; raises ThemesError."""
    database = open_store(settings.store)
    return Service(
        models,
        database,
        JobQueue(database),
        KeyRing(database, read_secret(settings.secret_file)),
        settings,
        UploadPublisher(database, settings),
        is_local,
    )


async def the_service(request: Request) -> Service:
    """Return the service that a request came to."""
    service: Service = request.app.state.service
    return service
