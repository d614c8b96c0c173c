"""Files get the verdict that is recorded for them, and files spoilt at random are read or refused, never a crash."""

import io
import random
import re
import zipfile
from pathlib import Path

import pytest

from models.vocabulary import ThemesError
from nlp_service.ingest.comments import FACILITATOR, read_comments
from tests import file_corpus, made_files
from tests.file_corpus import Filed

SPLICES = (
    b"9" * 20,
    b"-1",
    b"1e999",
    b"NaN",
    b"&amp;",
    b"A1:ZZZ99999",
    b't="s"',
    b't="d"',
    b't="n"',
    b"\xff\xff\xff\x7f",
    b"",
)


def verdict(filed: Filed, folder: Path) -> int | str:
    path = folder / filed.name
    path.write_bytes(filed.data)
    try:
        reading = read_comments([path])
    except ThemesError as error:
        return error.code
    finally:
        path.unlink()
    assert len(reading.comments) + len(reading.problems) >= reading.n_rows
    return len(reading.comments) + sum(p.code == FACILITATOR for p in reading.problems)


@pytest.mark.slow
def test_three_hundred_files_are_accepted_with_every_comment(tmp_path: Path) -> None:
    files = list(file_corpus.accepted())
    assert len(files) == file_corpus.N_EACH
    assert [(f.name, found) for f in files if (found := verdict(f, tmp_path)) != f.n_comments] == []


@pytest.mark.slow
def test_three_hundred_files_are_refused_with_their_code(tmp_path: Path) -> None:
    files = [f for f in file_corpus.rejected() if f.code != "no_comments"]
    assert len(files) >= file_corpus.N_EACH - 5
    assert [(f.name, found) for f in files if (found := verdict(f, tmp_path)) != f.code] == []


def spoilt(data: bytes, rng: random.Random) -> bytes:
    """Return bytes with some of them changed, moved, doubled, dropped or replaced by what readers trip over."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 2, 4, 10))):
        at, kind = rng.randrange(len(changed)), rng.random()
        if kind < 0.3:
            changed[at] = rng.choice((rng.randrange(256), *b'0123456789<>/"aZ&; -=.'))
        elif kind < 0.5:
            del changed[at : at + rng.choice((1, 3, 30, 300))]
        elif kind < 0.7:
            start = rng.randrange(len(changed))
            changed[at:at] = changed[start : start + rng.choice((5, 40, 200))]
        elif numbers := list(re.finditer(rb"\d+", changed)):
            found = rng.choice(numbers)
            changed[found.start() : found.end()] = rng.choice(SPLICES)
        changed = changed or bytearray(b"<")
    return bytes(changed)


def spoilt_inside(data: bytes, rng: random.Random) -> bytes:
    """Return a zip file in which one part is spoilt and every checksum fits."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        chosen = rng.choice([n for n in old.namelist() if n.endswith((".xml", ".rels"))])
        for entry in old.infolist():
            part = old.read(entry)
            new.writestr(entry.filename, spoilt(part, rng) if entry.filename == chosen else part, entry.compress_type)
    return out.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("extension", [*file_corpus.TABLES, "docx", "vtt"])
def test_a_spoilt_file_is_read_or_refused(extension: str, tmp_path: Path) -> None:
    rows = file_corpus.table_rows(5)
    said = [("Ann", "What worries you?"), ("Ben", "The stairs at night."), ("Ann", "And you?"), ("Cem", "Nothing.")]
    if extension == "docx":
        good = made_files.docx([f"{s}: {w}" for s, w in said])
    elif extension == "vtt":
        good = file_corpus.transcript_styles.vtt_voices(said).encode()
    else:
        good = file_corpus.TABLES[extension](rows, 0)
    for seed in range(120):
        rng = random.Random(seed)
        inside = good.startswith(b"PK") and seed % 2
        data = spoilt_inside(good, rng) if inside else spoilt(good, rng)
        assert verdict(Filed(f"f.{extension}", data), tmp_path) is not None
