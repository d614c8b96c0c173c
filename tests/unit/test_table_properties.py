"""Whatever is in its cells, a table's rows come out as comments, blanks or listed problems, and text comes through code point by code point."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.text import normalise
from nlp_service.ingest.comments import BLANK, ReadingOptions, read_comments
from nlp_service.ingest.table import InputRefusedError
from tests import attacks, made_files

Rows = list[list[str]]
PIECES = ('"', '""', "\n", "\r\n", "\r", ",", ";", "\t", "|", "\ufeff", "'", "=1+1", "46082", "£", "é", "e\u0301", "\u200b", " ", "  ", "\u00a0", "👩‍👩‍👧", "\u05d0", "\x0b", "a", "sep=;", "NULL", "#REF!")  # fmt: skip
XML_PIECES = tuple(p for p in PIECES if "\r" not in p and p not in ("\x0b", "\ufeff"))
LONG = "word " * 26_214 + "end"
HEADERS = ("", "q", "q", " ", "Q", "other, please", 'say "why"', "a;b")


def cells(pieces: tuple[str, ...]) -> st.SearchStrategy[str]:
    words = st.lists(st.sampled_from(pieces), max_size=6).map("".join)
    return st.one_of(
        words,
        words,
        st.just(""),
        st.just("noise in the street"),
        st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12),
    )


@st.composite
def tables(draw: st.DrawFn, pieces: tuple[str, ...]) -> Rows:
    """Return a header and rows: an id column (all different), a text column, and others with repeated or blank names."""
    others = draw(st.lists(st.sampled_from(HEADERS), max_size=4))
    at = draw(st.integers(0, len(others)))
    header = ["id", *others[:at], "text", *others[at:]]
    n = draw(st.integers(1, 8))
    body = [[f"r{i}", *(draw(cells(pieces)) for _ in header[1:])] for i in range(n)]
    return [header, *body]


def check(path: Path, rows: Rows) -> None:
    reading = read_comments([path], ReadingOptions(text=("text",), id_column="id"))
    column = rows[0].index("text")
    written = {row[0]: row[column] for row in rows[1:]}
    said = {i: t for i, t in written.items() if normalise(t).text}
    assert {c.id: c.text for c in reading.comments} == said
    assert [c.id for c in reading.comments] == list(said)
    assert [p.code for p in reading.problems] == [BLANK] * (len(written) - len(said))
    assert reading.n_rows == len(written) == len(reading.comments) + len(reading.problems)
    path.unlink()


def delimited(rows: Rows, seed: int) -> bytes:
    out = io.StringIO(newline="")
    broken = any(
        "\r" in cell or "\n" in cell for row in rows for cell in row
    )  # the writer does not quote a foreign line end
    quoting = csv.QUOTE_MINIMAL if seed % 2 and not broken else csv.QUOTE_ALL
    writer = csv.writer(
        out, delimiter=",;\t|"[seed // 2 % 4], lineterminator=("\n", "\r\n", "\r")[seed // 8 % 3], quoting=quoting
    )
    writer.writerows(rows)
    return out.getvalue().encode(("utf-8", "utf-8-sig", "utf-16")[seed // 24 % 3])


def lines(rows: Rows, seed: int) -> bytes:
    names = [f"{name}{i}" if name not in ("id", "text") else name for i, name in enumerate(rows[0])]
    return "".join(
        json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=bool(seed % 2)) + "\n" for row in rows[1:]
    ).encode()


def columns(rows: Rows, _seed: int) -> bytes:
    return made_files.parquet(
        [[f"{name}{i}" if name not in ("id", "text") else name for i, name in enumerate(rows[0])], *rows[1:]]
    )


MAKERS: dict[str, tuple[Callable[[Rows, int], bytes], tuple[str, ...]]] = {
    ".csv": (delimited, PIECES), ".txt": (delimited, PIECES), ".jsonl": (lines, (*PIECES, "\x00", "\x1f", "\u2028")), ".parquet": (columns, (*PIECES, "\x00")),
    ".xlsx": (lambda rows, _: made_files.xlsx(rows), XML_PIECES), ".xls": (lambda rows, _: made_files.xls(rows), XML_PIECES), ".ods": (lambda rows, _: made_files.ods(rows), XML_PIECES),
}  # fmt: skip


def sweep(extension: str, folder: Path, n: int) -> None:
    make, pieces = MAKERS[extension]

    @settings(max_examples=n, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(tables(pieces), st.integers(0, 71))
    def holds(rows: Rows, seed: int) -> None:
        path = folder / f"t{extension}"
        path.write_bytes(make(rows, seed))
        check(path, rows)

    holds()


@pytest.mark.parametrize("extension", MAKERS)
def test_rows_in_are_comments_and_blanks_and_text_is_equal(extension: str, tmp_path: Path) -> None:
    sweep(extension, tmp_path, 40)


@pytest.mark.slow
@pytest.mark.parametrize("extension", MAKERS)
def test_a_thousand_tables_keep_rows_and_text(extension: str, tmp_path: Path) -> None:
    sweep(extension, tmp_path, 160)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize("extension", MAKERS)
def test_ten_thousand_tables_keep_rows_and_text(extension: str, tmp_path: Path) -> None:
    sweep(extension, tmp_path, 1_500)


@pytest.mark.parametrize("extension", [".csv", ".jsonl", ".parquet", ".ods"])
def test_cells_of_131073_characters_are_kept(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"t{extension}"
    rows = [["id", "text", "q"], ["r0", LONG, "x"], ["r1", "short one here", ""]]
    assert len(LONG) == 131_073
    data = MAKERS[extension][0](rows, 0)
    path.write_bytes(data)
    check(path, rows)


def test_a_workbook_cell_of_131073_characters_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.xlsx"  # longer than Excel itself allows, so that no library writes it
    path.write_bytes(
        attacks.part(
            attacks.SHEET,
            attacks.sheet(f"<row>{attacks.cell('A1', 'text')}</row><row>{attacks.cell('A2', LONG)}</row>"),
        )()
    )
    assert [c.text for c in read_comments([path]).comments] == [LONG]


def test_a_nul_in_delimited_text_is_refused_and_in_json_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"id,text\nr0,a\x00b\n")
    with pytest.raises(InputRefusedError, match="not_text"):
        read_comments([path])


def test_hidden_rows_are_rows_and_merged_cells_are_answers_once(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (
        ["id", "text", "q"],
        ["r0", "first one", "a"],
        ["r1", "hidden one", "b"],
        ["r2", "merged one", "c"],
        ["r3", "under it", "d"],
    ):
        sheet.append(row)
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["C"].hidden = True
    sheet.merge_cells("B4:B5")
    path = tmp_path / "t.xlsx"
    book.save(path)
    reading = read_comments([path])
    assert [(c.id, c.text) for c in reading.comments] == [
        ("r0", "first one"),
        ("r1", "hidden one"),
        ("r2", "merged one"),
    ]
    assert [(p.code, p.row) for p in reading.problems] == [(BLANK, 5)]
