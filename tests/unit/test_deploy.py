"""What is deployed fits the project: commands, settings, paths and routes that the files of `deploy/` name are there."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from nlp_service.api.permission import ACCESS
from nlp_service.cli.main import themes
from nlp_service.settings import Settings
from nlp_service.settings_file import VARIABLE

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "themes.service").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
HOW_TO = (ROOT / "docs" / "how-to" / "run-the-service.md").read_text(encoding="utf-8")
IN_CONTAINERS = HOW_TO.partition("## In containers")[2].partition("\n## ")[0]
OURS = ("service", "worker")


def parsed(words: list[str]) -> click.Context:
    """Return what the command line makes of a command; UsageError where it knows it not."""
    assert words[0] == "themes"
    command: click.Command = themes
    context = click.Context(themes)
    rest = words[1:]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, info_name=name)
    return command.make_context("themes", rest)


def volumes(name: str) -> dict[str, str]:
    """Return the volumes of a service by the folder that they are mounted at."""
    return {target: volume for volume, target in (v.split(":")[:2] for v in COMPOSE["services"][name]["volumes"])}


def last_of(dockerfile: str, word: str) -> str:
    return re.findall(rf"^{word} (.+)$", dockerfile, re.MULTILINE)[-1]


def test_every_variable_that_is_set_is_a_setting() -> None:
    for text in (DOCKERFILE, UNIT, (DEPLOY / "compose.yaml").read_text(encoding="utf-8"), HOW_TO):
        named = set(re.findall(r"\bTHEMES_[A-Z_]+", text)) - {VARIABLE}
        assert {n.removeprefix("THEMES_").lower() for n in named} <= set(Settings.model_fields)


def test_every_command_is_one_of_the_command_line() -> None:
    commands = [COMPOSE["services"][name]["command"] for name in OURS]
    commands.append(yaml.safe_load(last_of(DOCKERFILE, "CMD")))
    commands.append(["themes", *shlex.split(UNIT.partition("ExecStart=")[2].partition("\n")[0])[1:]])
    commands += [["themes", *shlex.split(line)] for line in re.findall(r"run --rm service themes (.+)", IN_CONTAINERS)]
    assert len(commands) == 5
    for words in commands:
        assert parsed(words).command.name in ("serve", "worker", "create")
    with pytest.raises(click.UsageError):
        parsed(["themes", "serve", "--nowhere"])


def test_there_are_a_database_a_service_and_a_worker_that_start_again_and_wait_for_the_database() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"db", *OURS}
    assert {s["restart"] for s in services.values()} == {"unless-stopped"}
    assert services["db"]["healthcheck"]["test"][1] == "pg_isready"
    for name in OURS:
        assert services[name]["depends_on"] == {"db": {"condition": "service_healthy"}}
        assert int(services[name]["stop_grace_period"].removesuffix("s")) >= 60
    assert parsed(services["service"]["command"]).params["host"] == "0.0.0.0"  # noqa: S104 -- inside the container


def test_the_service_is_asked_for_its_health_at_a_route_that_is_open_and_on_its_port() -> None:
    service = COMPOSE["services"]["service"]
    port = parsed(service["command"]).params["port"]
    (path,) = re.findall(rf"http://127\.0\.0\.1:{port}(/[a-z/]+)", service["healthcheck"]["test"][-1])
    assert ACCESS["GET", path] == "anyone"
    compile(service["healthcheck"]["test"][-1], "healthcheck", "exec")
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert last_of(DOCKERFILE, "EXPOSE") == str(port)
    assert ACCESS["GET", "/health/ready"] == "anyone"
    assert f"http://127.0.0.1:{port}/health/ready" in IN_CONTAINERS


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    uid = last_of(DOCKERFILE, "USER")
    assert uid.isdigit()
    assert int(uid) > 0
    assert f"--uid {uid}" in DOCKERFILE
    assert f"chown {uid} secrets/settings.env" in IN_CONTAINERS
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True
        assert "/tmp" in service["tmpfs"]  # noqa: S108 -- of the container
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        if name in OURS:
            assert service["cap_drop"] == ["ALL"]


def test_what_is_kept_lies_in_volumes_that_belong_to_the_user_of_the_image() -> None:
    environment = COMPOSE["services"]["service"]["environment"]
    mounted = volumes("service")
    assert mounted[str(Path(environment["THEMES_SECRET_FILE"]).parent)] == "keys"
    assert mounted[environment["THEMES_REGISTRY"]] == "registry"
    for folder in mounted:
        assert re.search(rf"install -d -o themes .*{folder}( |$)", DOCKERFILE, re.MULTILINE)
    assert volumes("worker") == {environment["THEMES_REGISTRY"]: "registry"}
    assert set(COMPOSE["volumes"]) == {*mounted.values(), *volumes("db").values()}


def test_secrets_come_from_files_that_are_in_no_image_and_no_repository() -> None:
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    for name, secret in COMPOSE["secrets"].items():
        assert secret["file"].startswith("./secrets/")
        assert secret["file"].removeprefix("./") in IN_CONTAINERS
        assert any(name in s["secrets"] for s in COMPOSE["services"].values())
    assert "deploy/secrets/" in ignored
    assert COMPOSE["services"]["db"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/run/secrets/db-password"
    for name in OURS:
        assert COMPOSE["services"][name]["environment"][VARIABLE] == "/run/secrets/settings"
        assert "db-password" not in COMPOSE["services"][name]["secrets"]
    user, database = (COMPOSE["services"]["db"]["environment"][n] for n in ("POSTGRES_USER", "POSTGRES_DB"))
    assert f"THEMES_STORE=postgresql://{user}:$(cat secrets/db-password)@db/{database}" in IN_CONTAINERS


def test_the_database_is_reached_by_ours_alone() -> None:
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert COMPOSE["services"]["db"]["networks"] == ["store"]
    assert "ports" not in COMPOSE["services"]["db"]


def test_the_image_is_built_from_what_is_there_and_from_nothing_else() -> None:
    build = COMPOSE["services"]["service"]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).is_file()
    sources = {
        source for line in re.findall(r"^COPY (?!--)(.+)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]
    }
    assert all((ROOT / s).exists() for s in sources)
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if line.startswith("!")}
    assert sent == sources
    packages = {p.name for p in ROOT.iterdir() if (p / "__init__.py").exists()} - {"tests", "benchmarks"}
    assert packages <= sources
