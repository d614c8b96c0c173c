"""Shared parts: a small real model (the base encoder with a fixed head) that takes no training."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from models.artefact import Artefact, Tagger, write_artefact
from models.calibration import Calibration
from models.lexical import N_BUCKETS
from models.vocabulary import Codebook, Theme, ThemeId
from models.weights import DEFAULT_BASE, Base, read_base
from nlp_service.store.database import Database, open_store
from tests.postgresql import Server
from training.lexical_fit import in_eight_bits

settings.register_profile("untimed", deadline=None)  # tests do not time things
settings.load_profile("untimed")

THREE = Codebook("flat", "1", tuple(Theme(ThemeId(i), i.title(), f"About {i}.") for i in ("noise", "theft", "light")))


@pytest.fixture(scope="session", autouse=True)
def _no_registry_of_the_user(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("none")
    os.environ["THEMES_REGISTRY"] = str(folder / "registry")
    os.environ["THEMES_STORE"] = f"sqlite:///{folder / 'themes.db'}"
    os.environ["THEMES_SECRET_FILE"] = str(folder / "secret")


@pytest.fixture(scope="session")
def base() -> Base:
    return read_base(DEFAULT_BASE)


def make_artefact(base: Base, codebook: Codebook = THREE, *, margin: float = 0.2, seed: int = 3) -> Artefact:
    """Return an artefact whose head points at the codebook's own labels: weak, but real and reproducible."""
    rng = np.random.default_rng(seed)
    k, dim = len(codebook.codable), int(base.config["hidden_size"])
    adapters = {"encoder.layer.0.attention.self.query": _adapter(rng, dim)}
    head, bias = rng.normal(0, 0.5, (k, dim)), rng.normal(0, 0.1, k)
    lexical, step = in_eight_bits(rng.normal(0, 0.5, (N_BUCKETS, k)).astype(np.float32))
    tagger = Tagger(
        adapters,
        head.astype(np.float32),
        bias.astype(np.float32),
        lexical,
        step,
        np.ones(N_BUCKETS, np.float32),
        {},
        {},
    )
    half = np.full(k, 0.5)
    calibration = Calibration(np.ones(k), np.zeros(k), half, half - 0.2, half + 0.2, (50,) * k)
    return Artefact(
        "test", "0.1", DEFAULT_BASE, dict(base.digests), codebook, tagger, calibration, margin, {}, "# Test\n"
    )


def _adapter(rng: np.random.Generator, dim: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(0, 0.05, (4, dim)).astype(np.float16), rng.normal(0, 0.05, (dim, 4)).astype(np.float16)


@pytest.fixture(scope="session")
def small_model(base: Base, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    write_artefact(folder, make_artefact(base))
    return folder


@pytest.fixture
def lines_file(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8", newline="")
        return path

    return write


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A real server, started the first time that a test asks for it."""
    server = Server()
    yield server
    server.remove()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new store, in each kind of database in turn."""
    if request.param == "sqlite":
        directory = tmp_path / "store"
        directory.mkdir()
        return f"sqlite:///{directory / 'themes.db'}"
    server: Server = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """A new store, open."""
    opened = open_store(store_url)
    yield opened
    opened.close()
