"""The registry changes whole or not at all, keeps its reasons, and finds the right model for a name."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models import registry as registry_module
from models.artefact import STARTER, ArtefactError, read_artefact, write_artefact
from models.model import ModelNotFoundError
from models.registry import (
    Entry,
    Gold,
    RegistryError,
    folder_of,
    pin,
    publish,
    read_registry,
    refuse,
    roll_back,
)
from models.vocabulary import ModelId
from models.weights import Base
from nlp_service.cli.main import run
from nlp_service.find_model import find_current, find_model
from tests.conftest import make_artefact

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def folders(base: Base, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("candidates")
    for seed in (1, 2):
        write_artefact(place / f"m{seed}", replace(make_artefact(base, seed=seed), version=str(seed)))
    return place / "m1", place / "m2"


def entry(folder: Path, status: str = "accepted") -> Entry:
    return Entry(ModelId(str(read_artefact(folder).model_id)), "flat", "1", status, NOW.isoformat(), "because")


class Countdown:
    """Stops the program, as Ctrl-C would, before the n-th of the calls that it stands in front of."""

    def __init__(self, n: int) -> None:
        self.left = n

    def before(self, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*args: object, **more: object) -> object:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
            return call(*args, **more)

        return counted


def test_no_registry_is_an_empty_one_and_reading_makes_nothing(tmp_path: Path) -> None:
    assert read_registry(tmp_path / "r").entries == ()
    assert find_current(tmp_path / "r", "flat") is None
    assert not (tmp_path / "r").exists()


def test_publish_roll_back_and_publish_again(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    first, second = entry(folders[0]), entry(folders[1])
    publish(tmp_path, folders[0], first, gold=Gold("g.jsonl", "0" * 64, 9))
    publish(tmp_path, folders[1], second)
    assert find_current(tmp_path, "flat") == folder_of(tmp_path, second.model)
    assert read_artefact(folder_of(tmp_path, first.model)).model_id == first.model
    roll_back(tmp_path, "flat", at=NOW, reason="worse in use")
    assert find_current(tmp_path, "flat") == folder_of(tmp_path, first.model)
    publish(tmp_path, folders[1], second)
    after = read_registry(tmp_path)
    assert after.published["flat"] == (first.model, second.model)
    assert [e.did for e in after.events] == ["publish", "publish", "roll back", "publish"]
    assert after.events[2].reason == "worse in use"
    assert after.gold["flat"].n_comments == 9


def test_rolling_back_the_only_model_leaves_the_shipped_one_and_then_refuses(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    publish(tmp_path, folders[0], entry(folders[0]))
    roll_back(tmp_path, "flat", at=NOW)
    assert find_current(tmp_path, "flat") is None
    with pytest.raises(RegistryError, match="no model is published"):
        roll_back(tmp_path, "flat", at=NOW)


def test_a_refused_model_is_listed_and_codes_nothing(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    refused = entry(folders[0], "refused")
    refuse(tmp_path, folders[0], refused)
    assert read_registry(tmp_path).find_entry(refused.model) == refused
    assert find_current(tmp_path, "flat") is None


def test_names_find_models(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    one, two = entry(folders[0]), entry(folders[1])
    publish(tmp_path, folders[0], one)
    publish(tmp_path, folders[1], two)
    assert find_model(tmp_path, one.model) == folder_of(tmp_path, one.model)
    assert find_model(tmp_path, "flat") == folder_of(tmp_path, two.model)
    assert find_model(tmp_path, str(folders[0])) == folders[0]
    with pytest.raises(ModelNotFoundError, match="zebra"):
        find_model(tmp_path, "zebra")


def test_a_pin_outlasts_publishing_until_it_is_taken_out(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    one = entry(folders[0])
    publish(tmp_path, folders[0], one)
    pin(tmp_path, "plan", one.model, at=NOW)
    publish(tmp_path, folders[1], entry(folders[1]))
    assert find_model(tmp_path, None, consultation="plan") == folder_of(tmp_path, one.model)
    pin(tmp_path, "plan", None, at=NOW)
    assert find_model(tmp_path, None, consultation="plan") == find_model(tmp_path, None)
    with pytest.raises(RegistryError, match="no pin"):
        pin(tmp_path, "plan", None, at=NOW)
    with pytest.raises(RegistryError, match="not in the registry"):
        pin(tmp_path, "plan", ModelId("zebra"), at=NOW)


def test_a_model_that_ships_is_pinned_in_a_registry_without_any_and_the_pin_outlasts_what_ships(
    tmp_path: Path, folders: tuple[Path, Path]
) -> None:
    ships = entry(folders[0]).model
    pin(tmp_path / "r", "plan", ships, at=NOW, source=folders[0])
    found = find_model(tmp_path / "r", None, consultation="plan")
    assert (found, read_artefact(found).model_id) == (folder_of(tmp_path / "r", ships), ships)
    assert read_registry(tmp_path / "r").entries == ()
    assert find_model(tmp_path / "r", ships) == found
    with pytest.raises(ModelNotFoundError, match=re.escape(f"'starter', '{ships}'")):
        find_model(tmp_path / "r", "zebra")
    with pytest.raises(RegistryError, match="another model of the id"):
        pin(tmp_path / "r", "plan", ships, at=NOW, source=folders[1])


def test_a_consultation_is_pinned_to_the_starter_by_either_name_before_anything_was_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folders: tuple[Path, Path]
) -> None:
    registry = tmp_path / "r"
    monkeypatch.setenv("THEMES_REGISTRY", str(registry))
    ours = str(read_artefact(STARTER).model_id)
    for name in ("starter", ours):
        assert run(["model", "pin", "plan", name]) == 0
        assert capsys.readouterr().out == f"plan is coded by {ours}\n"
    assert read_artefact(folder_of(registry, ModelId(ours))).model_id == ours
    publish(registry, folders[0], replace(entry(folders[0]), codebook_id=read_artefact(STARTER).codebook.id))
    assert find_model(registry, None, consultation="plan") == STARTER
    assert find_model(registry, None) != STARTER
    assert run(["model", "list"]) == 0
    assert f"pin: plan is coded by {ours}" in capsys.readouterr().out
    assert run(["model", "unpin", "plan"]) == 0
    assert find_model(registry, None, consultation="plan") == find_model(registry, None)


def test_a_model_that_nobody_published_is_not_found_and_what_can_be_pinned_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("THEMES_REGISTRY", str(tmp_path / "r"))
    assert run(["model", "pin", "plan", "zebra"]) == 4
    said = capsys.readouterr().err
    assert "error model_not_found" in said
    assert "allowed: starter." in said
    assert not (tmp_path / "r").exists()


def test_a_writer_stopped_anywhere_leaves_the_registry_as_it_was(
    tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stop the writer at each call that touches the disk: readers see the old registry, the next writer mends."""
    publish(tmp_path, folders[0], entry(folders[0]))
    before, document = read_registry(tmp_path), (tmp_path / "registry.json").read_bytes()
    second = entry(folders[1])
    stops = 0
    while True:
        with monkeypatch.context() as patch:
            countdown = Countdown(stops + 1)
            for name in ("write_bytes", "rename", "replace", "chmod"):
                patch.setattr(Path, name, countdown.before(getattr(Path, name)))
            try:
                publish(tmp_path, folders[1], second)
            except KeyboardInterrupt:
                stops += 1
                assert (tmp_path / "registry.json").read_bytes() == document
                assert read_registry(tmp_path) == before
                continue
        break
    assert stops > 5
    assert find_current(tmp_path, "flat") == folder_of(tmp_path, second.model)
    assert not list(tmp_path.rglob(".aside-*"))


def test_a_damaged_folder_is_not_taken_in(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in folders[0].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "card.md").write_text("changed")
    with pytest.raises(ArtefactError, match=r"card\.md"):
        publish(tmp_path / "r", broken, entry(folders[0]))
    assert not (tmp_path / "r" / "registry.json").exists()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "entries": [{"model": 1}]}'])
def test_what_is_no_registry_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "registry.json").write_text(content)
    with pytest.raises(RegistryError, match=r"registry\.json cannot be read"):
        read_registry(tmp_path)


def test_an_id_that_could_leave_the_folder_is_refused(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    bad = replace(entry(folders[0]), model=ModelId("../../etc/model"))
    with pytest.raises(RegistryError, match="cannot name a folder"):
        publish(tmp_path / "r", folders[0], bad)
    assert not (tmp_path / "etc").exists()


def test_the_document_holds_no_comment_and_can_be_read_by_a_person(tmp_path: Path, folders: tuple[Path, Path]) -> None:
    publish(tmp_path, folders[0], entry(folders[0]))
    document = json.loads((tmp_path / "registry.json").read_text())
    assert set(document) == {"format", "entries", "published", "pins", "gold", "events"}


def test_two_writers_take_turns(tmp_path: Path, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    from filelock import FileLock

    monkeypatch.setattr(registry_module, "_LOCK_SECONDS", 0.1)
    with FileLock(tmp_path / ".lock"), pytest.raises(registry_module.RegistryBusyError):
        publish(tmp_path, folders[0], entry(folders[0]))
    assert not (tmp_path / "registry.json").exists()
