"""What the service says of itself holds: requests made from its OpenAPI description, right and wrong, by Schemathesis."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

BIN = Path(sys.executable).parent
CONFIG = Path(__file__).with_name("schemathesis.toml")
pytestmark = pytest.mark.slow


@pytest.fixture
def place(tmp_path: Path, small_model: Path) -> Iterator[tuple[str, str]]:
    """Yield the address of a service on a store of its own, and an admin key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {
        **os.environ,
        "THEMES_STORE": f"sqlite:///{tmp_path / 'themes.db'}",
        "THEMES_SECRET_FILE": str(tmp_path / "secret"),
        "THEMES_REGISTRY": str(tmp_path / "registry"),
        "THEMES_REQUESTS_A_MINUTE": "1000000",
    }
    made = subprocess.run(
        [BIN / "themes", "key", "create", "--scope", "admin", "explorer"],
        env=env, check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    command = [BIN / "themes", "serve", "--port", str(port), "--workers", "0", "--quiet", "--model", small_model]
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{url}/health/live").raise_for_status()
                break
            except httpx.TransportError:
                assert process.poll() is None
                time.sleep(0.1)
        yield url, made.stdout.split()[-1]
    finally:
        process.terminate()
        process.wait(60)


def explore(url: str, key: str, n: int, folder: Path) -> str:
    """Return what Schemathesis reports after n requests an operation in each of its phases, all checks on."""
    done = subprocess.run(
        [
            BIN / "schemathesis", "--config-file", CONFIG, "run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}",
            "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--max-examples", str(n),
            "--seed", "1", "--generation-database", "none", "--continue-on-failure", "--no-color",
        ],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_every_operation_answers_as_it_is_described(place: tuple[str, str], tmp_path: Path) -> None:
    said = explore(*place, 15, tmp_path)
    assert re.search(r"[1-9]\d+ generated", said), said[-2000:]


@pytest.mark.soak
def test_every_operation_answers_as_it_is_described_three_hundred_times(place: tuple[str, str], tmp_path: Path) -> None:
    explore(*place, 300, tmp_path)
