"""A model folder is loaded as it was written, or not at all."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from models.artefact import MANIFEST, ArtefactError, _digest, _json, audit, read_artefact, write_artefact
from models.lexical import N_BUCKETS
from models.trained_on import make_marks
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


def _rewritten(folder: Path, *, form: int, **arrays: Any) -> Path:
    """Return the folder with other arrays in it, its manifest made to fit."""
    path = folder / "tagger.safetensors"
    found = load_file(path) | arrays
    save_file({k: v for k, v in found.items() if v is not None}, path)
    manifest = json.loads((folder / MANIFEST).read_text())
    data = path.read_bytes()
    manifest["files"][path.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest["format"] = form
    manifest["digest"] = _digest({k: v for k, v in manifest.items() if k != "digest"})
    (folder / MANIFEST).write_bytes(_json(manifest))
    return folder


def test_empty_buckets_take_no_room_and_come_back(base: Base, tmp_path: Path) -> None:
    made = make_artefact(base)
    rng = np.random.default_rng(1)
    lexical = rng.integers(-127, 128, made.tagger.lexical.shape).astype(np.int8)
    lexical[rng.random(len(lexical)) < 0.75] = 0
    write_artefact(tmp_path / "m", replace(made, tagger=replace(made.tagger, lexical=lexical)))
    np.testing.assert_array_equal(read_artefact(tmp_path / "m").tagger.lexical, lexical)
    assert (tmp_path / "m" / "tagger.safetensors").stat().st_size < lexical.nbytes / 2 + made.tagger.idf.nbytes + 50_000


def test_a_model_with_a_row_for_every_bucket_is_read_as_before(folder: Path) -> None:
    lexical = read_artefact(folder).tagger.lexical
    old = _rewritten(folder, form=2, lexical=lexical, lexical_used=None)
    np.testing.assert_array_equal(read_artefact(old).tagger.lexical, lexical)
    with pytest.raises(ArtefactError, match="another format"):
        read_artefact(_rewritten(folder, form=1))


@pytest.mark.parametrize(
    "used",
    [np.zeros(N_BUCKETS // 8, np.uint8), np.zeros(7, np.uint8), np.zeros(N_BUCKETS // 8, np.int8)],
)
def test_lexical_rows_that_belong_to_no_bucket_are_refused(folder: Path, used: np.ndarray) -> None:
    with pytest.raises(ArtefactError, match="do not fit together"):
        read_artefact(_rewritten(folder, form=3, lexical=np.ones((5, 3), np.int8), lexical_used=used))


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


@pytest.mark.parametrize("card", [[], None, "words", 7])
def test_a_card_that_is_no_object_is_refused(base: Base, tmp_path: Path, card: Any) -> None:
    write_artefact(tmp_path / "odd", replace(make_artefact(base), card=card))
    with pytest.raises(ArtefactError, match=r"card\.json is no object"):
        read_artefact(tmp_path / "odd")


@pytest.mark.parametrize("card", [{}, {"data_sha256": None}, {"data_sha256": "a" * 63}, {"data_sha256": "g" * 64}])
def test_marks_without_the_key_to_ask_for_them_are_refused(base: Base, tmp_path: Path, card: dict[str, Any]) -> None:
    marks = make_marks([("p1", "Lamp is out")], key="ab" * 32)
    write_artefact(tmp_path / "odd", replace(make_artefact(base), card=card, trained_on=marks))
    with pytest.raises(ArtefactError, match="data_sha256"):
        read_artefact(tmp_path / "odd")
    write_artefact(tmp_path / "whole", replace(make_artefact(base), card={"data_sha256": "ab" * 32}, trained_on=marks))
    assert read_artefact(tmp_path / "whole").trained_on is not None
