"""What the service says of itself holds: requests made from its OpenAPI description, right and wrong, by Schemathesis."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running_service import RunningService, running_service

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
CONFIG = Path(__file__).with_name("schemathesis.toml")
pytestmark = pytest.mark.slow


@pytest.fixture
def service(tmp_path: Path, small_model: Path) -> Iterator[RunningService]:
    options = ["--quiet", "--model", small_model]
    more = {"registry": str(tmp_path / "registry"), "requests_a_minute": "1000000"}
    with running_service(tmp_path, scope="admin", workers=1, options=options, **more) as running:
        yield running  # with a worker, as the progress of a batch that nobody codes has no end


def explore(service: RunningService, n: int, folder: Path) -> str:
    """Return what Schemathesis reports after n requests an operation in each of its phases, all checks on."""
    done = subprocess.run(
        [
            SCHEMATHESIS, "--config-file", CONFIG, "run", f"{service.url}/openapi.json", "--header", f"Authorization: {service.key['authorization']}",
            "--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--max-examples", str(n),
            "--seed", "1", "--generation-database", "none", "--continue-on-failure", "--no-color",
        ],
        cwd=folder, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


def test_every_operation_answers_as_it_is_described(service: RunningService, tmp_path: Path) -> None:
    said = explore(service, 15, tmp_path)
    assert re.search(r"[1-9]\d+ generated", said), said[-2000:]


@pytest.mark.soak
def test_every_operation_answers_as_it_is_described_three_hundred_times(
    service: RunningService, tmp_path: Path
) -> None:
    explore(service, 300, tmp_path)
