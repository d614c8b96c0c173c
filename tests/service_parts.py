"""A service on a store of its own, with a small model, and a coder that works in the test's own process."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from models.classifier import Classifier, TextCoding
from models.model import load_model
from nlp_service.api.app import make_app
from nlp_service.api.listen import bind, configured
from nlp_service.api.service import Service, open_service
from nlp_service.classify_texts import MAX_WAITING
from nlp_service.coding_pool import ModelChoice
from nlp_service.jobs.coders import code_by_halves
from nlp_service.jobs.run_coder import RunCoder
from nlp_service.loaded_models import LoadedModels
from nlp_service.settings import Settings
from nlp_service.store.keys import Scope
from nlp_service.store.values import RunId

POISON = "zzpoison"


@cache
def loaded(model: str) -> Classifier:
    return load_model(model)


class OwnCoders:
    """Codes in this process; a text that holds POISON breaks it."""

    def code(self, texts: Sequence[str], choice: ModelChoice, model: str) -> list[TextCoding | None]:
        classifier = loaded(choice.model)
        assert classifier.artefact.model_id == model

        def attempt(part: Sequence[str]) -> list[TextCoding]:
            if any(POISON in text for text in part):
                raise MemoryError
            return list(classifier.code_texts(list(part)))

        return code_by_halves(texts, attempt)

    def close(self) -> None:
        """Hold nothing."""


def models_of(classifier: Classifier, *, max_waiting: int = MAX_WAITING) -> LoadedModels:
    """Return models of which this one is in service, beside no registry."""
    return LoadedModels(Path("no-registry"), lambda _: classifier, default="starter", max_waiting=max_waiting)


@contextmanager
def serving(
    model: Path, folder: Path, *, store: str = "", is_local: bool = True, **settings: Any
) -> Iterator[tuple[TestClient, Service]]:
    """Yield a client and the service behind it."""
    chosen = Settings(
        store=store or f"sqlite:///{folder / 'themes.db'}",
        secret_file=folder / "secret",
        registry=folder / "registry",
        model=str(model),
        chunk_comments=4,
        **settings,
    )
    models = LoadedModels(chosen.registry, lambda folder: loaded(str(folder)), default=str(model))
    service = open_service(chosen, models, is_local=is_local)
    try:
        with TestClient(make_app(service), raise_server_exceptions=False) as client:
            yield client, service
    finally:
        service.close()


@contextmanager
def listening(service: Service) -> Iterator[str]:
    """Yield the address of the service on a port of this machine, for what calls it over the network."""
    (listener,) = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = configured(make_app(service), [listener])
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def code_run(service: Service, run: str) -> None:
    """Do all that a worker does to a run."""
    coder = RunCoder(service.database, OwnCoders(), None, 64)
    for chunk in range(coder.begin(RunId(run))):
        coder.code(RunId(run), chunk)
    coder.finish(RunId(run))


def key_of(service: Service, *scopes: Scope, consultation: str | None = None) -> dict[str, str]:
    """Return the header of a new key."""
    _, text = service.keys.make_key("test", scopes, actor="test", consultation=consultation)
    return {"authorization": f"Bearer {text}"}
