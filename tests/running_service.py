"""A real service on a real port, on a store of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

THEMES = Path(sys.executable).with_name("themes")
PATIENCE_S = 120


@dataclass(frozen=True, slots=True)
class RunningService:
    """Where it listens, its process, the environment of commands that work with it, and its log."""

    url: str
    process: "subprocess.Popen[bytes]"
    env: dict[str, str]
    log: Path

    @property
    def key(self) -> dict[str, str]:
        """Return the header with its key."""
        return {"authorization": f"Bearer {self.env['THEMES_KEY']}"}


@contextmanager
def running_service(
    folder: Path, *, scope: str = "", workers: int = 0, options: Sequence[str | Path] = (), **settings: str
) -> Iterator[RunningService]:
    """Yield a service once it and its workers are ready, with a key of the scope if one is named.

    `settings` are those of `nlp_service.settings`, by name; the store is an SQLite file in the folder if none is given.
    """
    chosen = {"store": f"sqlite:///{folder / 'themes.db'}", "secret_file": str(folder / "secret"), **settings}
    env = {**os.environ, **{f"THEMES_{name.upper()}": value for name, value in chosen.items()}}
    if scope:
        command = [THEMES, "key", "create", "t", "--scope", scope]
        made = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        env["THEMES_KEY"] = made.stdout.strip()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [THEMES, "serve", "--port", str(port), "--workers", str(workers), *options], env=env, stderr=log
        )
        service = RunningService(f"http://127.0.0.1:{port}", process, env, folder / "log")
        try:
            _wait_until_ready(service, workers)
            yield service
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(service: RunningService, workers: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            ready = httpx.get(f"{service.url}/health/ready").raise_for_status().json()
        except httpx.TransportError:
            assert service.process.poll() is None
        else:
            if ready["n_workers"] >= workers:
                return
        time.sleep(0.1)
    raise TimeoutError("the service is not ready")
