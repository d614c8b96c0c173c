"""Docs say what is: every setting, error code and command they should name is there."""

import re
from pathlib import Path

from nlp_service.api.permission import ACCESS
from nlp_service.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    assert all(f"`THEMES_{name.upper()}`" in page for name in Settings.model_fields)


def test_the_readme_names_the_two_commands_and_links_that_exist() -> None:
    assert "make demo" in README
    assert "make test" in README
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_ci_runs_the_readme_test_command() -> None:
    assert re.search(r"^make test$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", README))
    assert named <= targets
    assert {"demo", "test"} <= targets


def test_every_route_is_in_the_how_to() -> None:
    page = (ROOT / "docs" / "how-to" / "call-the-service.md").read_text(encoding="utf-8")
    page += (ROOT / "docs" / "how-to" / "run-the-service.md").read_text(encoding="utf-8")
    ends = {path.replace(":path}", "}").replace("/v1/batches/{batch}/", "…/") for _, path in ACCESS}
    assert [e for e in sorted(ends) if e not in page and e != "/first-key"] == []
