"""Settings come from the environment and from one file, and what the file says wrong is said so without its values."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from models.model import Backend
from nlp_service.cli.main import run
from nlp_service.settings import Settings
from nlp_service.settings_file import SettingsFileError

HUSH = "hush-hush-hush-hush"


@pytest.fixture(autouse=True)
def _only_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("THEMES_")]:
        monkeypatch.delenv(name)


def said(folder: Path, monkeypatch: pytest.MonkeyPatch, content: str | bytes) -> Settings:
    path = folder / "settings.env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    monkeypatch.setenv("THEMES_SETTINGS", str(path))
    return Settings()


def test_a_file_sets_what_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEMES_SMALL_CELL", "7")
    settings = said(
        tmp_path,
        monkeypatch,
        "\ufeff# of the town\n\nexport THEMES_STORE='postgresql://themes@db/t'  # where\nTHEMES_SMALL_CELL=9\r\n"
        'themes_backend="exact"\nTHEMES_WEBHOOK_PRIVATE=true\nTHEMES_SECRET_FILE=/run/secrets/themes\nOMP_NUM_THREADS=1\n'
        "THEMES_KEY=a${HOME}#b\n",
    )
    assert (settings.store, settings.small_cell, settings.backend) == ("postgresql://themes@db/t", 7, Backend.EXACT)
    assert (settings.webhook_private, settings.secret_file) == (True, Path("/run/secrets/themes"))
    assert settings.key == "a${HOME}#b"
    assert Settings(small_cell=8).small_cell == 8
    monkeypatch.setenv("THEMES_SETTINGS", "")
    assert Settings().backend is Backend.FAST


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        (f"\n\nTHEMES_KEYS={HUSH}\n", "line 3 sets THEMES_KEYS, and there is no such setting"),
        (f"THEMES_SETTINGS={HUSH}\n", "line 1 sets THEMES_SETTINGS, and"),
        (f"THEMES_KEY={HUSH}\nthemes_key=b\n", "line 2 sets themes_key again"),
        (f"THEMES_KEY {HUSH}\n", "line 1 is no NAME=value"),
        (f"# it\nTHEMES_KEY:{HUSH}\n", "line 2 is no NAME=value"),
        (f"THEMES_KEY:{HUSH}==\n", "line 1 is no NAME=value"),
        (f"{HUSH}\n", "line 1 is no NAME=value"),
        (f"THEMES_KEY='{HUSH}\n", "line 1 is no NAME=value"),
        (f"THEMES_KEY={HUSH}".encode("utf-16"), "not text in UTF-8"),
    ],
)
def test_a_file_that_says_something_else_is_refused_without_its_values(
    content: str | bytes,
    finding: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SettingsFileError, match=finding):
        said(tmp_path, monkeypatch, content)
    assert run(["key", "list"]) == 3
    error = capsys.readouterr().err
    assert error.startswith("error settings_refused: settings.env")
    assert "hush" not in error


@pytest.mark.parametrize("name", ["nowhere.env", ""])
def test_a_file_that_is_not_there_or_none_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEMES_SETTINGS", str(tmp_path / name))
    with pytest.raises(SettingsFileError, match="cannot be read"):
        Settings()
    assert run(["key", "list"]) == 3


def test_a_value_of_the_file_that_is_not_allowed_is_said_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValidationError):
        said(tmp_path, monkeypatch, f"THEMES_JOBS={HUSH}\n")
    assert run(["key", "list"]) == 2
    error = capsys.readouterr().err
    assert "THEMES_JOBS" in error
    assert "hush" not in error


@pytest.mark.slow
def test_commands_and_the_processes_that_they_start_read_the_file(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text(
        f"THEMES_STORE=sqlite:///{tmp_path / 'there.db'}\nTHEMES_SECRET_FILE={tmp_path / 'secret'}\n"
    )
    env = {n: v for n, v in os.environ.items() if not n.startswith("THEMES_")}
    command = [Path(sys.executable).with_name("themes"), "key", "create", "t", "--scope", "submit"]
    subprocess.run(
        command, env={**env, "THEMES_SETTINGS": "settings.env"}, cwd=tmp_path, check=True, capture_output=True
    )
    assert (tmp_path / "there.db").exists()
    assert (tmp_path / "secret").exists()
