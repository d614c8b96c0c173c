"""A zipped model folder is unpacked flat, or refused before a byte of it is unpacked."""

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.artefact import read_artefact
from nlp_service import model_zip
from nlp_service.model_zip import MAX_ENTRIES, MAX_LIST_BYTES, ModelZipError, unpack_model


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("card.md")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def with_flag(flag: int) -> bytes:
    """Return an archive whose list says that its file is encrypted."""
    data = bytearray(zipped(("card.md", b"x")))
    at = data.index(b"PK\x01\x02") + 8
    struct.pack_into("<H", data, at, struct.unpack_from("<H", data, at)[0] | flag)
    return bytes(data)


def with_size(n_bytes: int) -> bytes:
    """Return an archive whose list says that its file is so large."""
    data = bytearray(zipped(("card.md", b"x" * 1000)))
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, n_bytes)
    return bytes(data)


def damaged() -> bytes:
    data = bytearray(zipped(("card.md", bytes(range(256)) * 20), how=zipfile.ZIP_STORED))
    data[500] ^= 1
    return bytes(data)


def large() -> bytes:
    """Return an archive with the end of a ZIP64 archive before its own."""
    data = zipped(("card.md", b"x"))
    return data[:-22] + b"PK\x06\x07" + bytes(16) + data[-22:]


def renamed(name: bytes) -> bytes:
    return zipped(("card.mdxx", b"x")).replace(b"card.mdxx", name)


REFUSED = {
    "nothing": b"",
    "no zip": b"PK but nothing of the kind" * 9,
    "cut off": zipped(("card.md", b"x" * 99))[:-5],
    "a comment": zipped(("card.md", b"x"))[:-2] + b"\x01\x00c",
    "a folder": zipped(("model/", b""), ("model/card.md", b"x")),
    "a path": zipped(("a/card.md", b"x")),
    "a path upwards": zipped(("../card.md", b"x")),
    "an absolute path": zipped(("/etc/card.md", b"x")),
    "a path of Windows": renamed(b"..\\card.m"),
    "a drive": renamed(b"C:card.md"),
    "a name that goes on behind a null": renamed(b"card.md\x00x"),
    "a hidden name": zipped((".card.md", b"x")),
    "two of one name": zipped(("card.md", b"x"), ("CARD.md", b"y")),
    "a link": zipped((link(), b"/etc/passwd")),
    "encrypted": with_flag(1),
    "hidden list": with_flag(0x2000),
    "too many": zipped(*((f"f{i}.json", b"x") for i in range(MAX_ENTRIES + 1))),
    "a long list": zipped(*((f"f{i}.json", b"") for i in range(MAX_LIST_BYTES // 46))),
    "the end of a large archive": large(),
    "packed in another way": zipped(("card.md", b"x" * 999), how=zipfile.ZIP_LZMA),
    "larger than a file of a model": with_size(2**31),
    "larger than it says": with_size(10),
    "smaller than it says": with_size(2000),
    "damaged": damaged(),
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_model_folder_is_refused_and_nothing_lies_outside(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.zip").write_bytes(data)
    (tmp_path / "in").mkdir()
    with pytest.raises(ModelZipError) as refused:
        unpack_model(tmp_path / "m.zip", tmp_path / "in")
    assert refused.value.next_step
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "m.zip"]
    assert sum(p.stat().st_size for p in (tmp_path / "in").iterdir()) <= 6_000


def test_more_than_the_bound_in_all_is_refused_before_anything_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, folder = tmp_path / "m.zip", tmp_path / "in"
    folder.mkdir()
    path.write_bytes(zipped(("a.json", b"x" * 60), ("b.json", b"x" * 40)))
    monkeypatch.setattr(model_zip, "MAX_UNPACKED_BYTES", 99)
    with pytest.raises(ModelZipError, match="100 bytes"):
        unpack_model(path, folder)
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(model_zip, "MAX_UNPACKED_BYTES", 100)
    unpack_model(path, folder)
    assert {p.name: p.stat().st_size for p in folder.iterdir()} == {"a.json": 60, "b.json": 40}


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_model_folder_comes_out_as_it_went_in(small_model: Path, tmp_path: Path, how: int) -> None:
    (tmp_path / "m.zip").write_bytes(zipped(*((p.name, p.read_bytes()) for p in small_model.iterdir()), how=how))
    (tmp_path / "in").mkdir()
    unpack_model(tmp_path / "m.zip", tmp_path / "in")
    assert read_artefact(tmp_path / "in").model_id == read_artefact(small_model).model_id


def test_the_command_in_the_message_makes_such_a_file(
    small_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run: Callable[[list[str]], None] = zipfile.main  # type: ignore[attr-defined]
    run(["-c", str(tmp_path / "m.zip"), *map(str, sorted(small_model.iterdir()))])
    (tmp_path / "in").mkdir()
    unpack_model(tmp_path / "m.zip", tmp_path / "in")
    assert {p.name for p in (tmp_path / "in").iterdir()} == {p.name for p in small_model.iterdir()}
