"""A model folder is loaded as it was written, or not at all."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.artefact import MANIFEST, ArtefactError, audit, read_artefact, write_artefact
from models.weights import Base
from tests.conftest import make_artefact


@pytest.fixture
def folder(small_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(small_model, tmp_path / "model"))


def test_what_is_written_is_read(folder: Path, base: Base) -> None:
    written, read = make_artefact(base), read_artefact(folder)
    assert read.codebook == written.codebook
    np.testing.assert_array_equal(read.tagger.head, written.tagger.head)
    assert read.model_id is not None
    assert read.model_id.startswith("test-0.1+")


def test_writing_twice_gives_the_same_bytes_and_replaces_whole(base: Base, tmp_path: Path) -> None:
    first = write_artefact(tmp_path / "a", make_artefact(base))
    assert write_artefact(tmp_path / "a", make_artefact(base)) == first
    assert write_artefact(tmp_path / "a", make_artefact(base, seed=4)) != first
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_no_single_flipped_bit_is_loaded(folder: Path) -> None:
    rng = np.random.default_rng(0)
    files = sorted(p for p in folder.iterdir())
    for i in range(120):
        path = files[i % len(files)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[int(rng.integers(len(bad)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        with pytest.raises(ArtefactError):
            read_artefact(folder)
        path.write_bytes(good)
    assert read_artefact(folder)


@pytest.mark.parametrize("name", ["tagger.safetensors", "calibration.json", "codebook.json", "card.md", MANIFEST])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        audit(folder)


def test_a_stray_file_is_refused(folder: Path) -> None:
    (folder / "extra.pkl").write_bytes(b"x")
    with pytest.raises(ArtefactError, match=r"extra\.pkl is not listed"):
        audit(folder)


def test_a_link_is_refused(folder: Path) -> None:
    (folder / "card.md").rename(folder.parent / "card.md")
    (folder / "card.md").symlink_to(folder.parent / "card.md")
    with pytest.raises(ArtefactError, match=r"card\.md is a link"):
        audit(folder)


def test_files_of_another_model_are_refused(folder: Path, base: Base, tmp_path: Path) -> None:
    write_artefact(tmp_path / "other", make_artefact(base, seed=9))
    shutil.copy(tmp_path / "other" / "tagger.safetensors", folder / "tagger.safetensors")
    with pytest.raises(ArtefactError, match=r"tagger\.safetensors is not the file"):
        read_artefact(folder)


def test_a_manifest_cannot_name_files_elsewhere(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["../x"] = {"bytes": 1, "sha256": ""}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtefactError, match="manifest"):
        audit(folder)
