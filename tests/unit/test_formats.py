"""A file is what its bytes say; text comes through as it was written; what had to be guessed or mended is listed."""

from collections.abc import Callable
from pathlib import Path

import pytest

from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.encoding import decode
from nlp_service.ingest.formats import read_table
from nlp_service.ingest.table import MAX_CELLS, InputRefusedError, check_cells
from tests import made_files

ROWS = [
    ["id", "text"],
    ["r1", "Dealers by  the lifts – every evening"],
    ["r2", "“Café” owners\nare worried\ttoo"],
    ["r3", ""],
    ["r4", "=1+1 👮🏽 e\u0301"],
]
TEXTS = {"r1": ROWS[1][1], "r2": ROWS[2][1], "r4": ROWS[4][1]}


@pytest.mark.parametrize(
    "make", [made_files.xlsx, made_files.xls, made_files.ods, made_files.parquet], ids=lambda m: m.__name__
)
@pytest.mark.parametrize("extension", [".xlsx", ".csv", ".dat"])
def test_a_workbook_is_read_whatever_its_name_says(make: Callable[..., bytes], extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"file{extension}"
    path.write_bytes(make(ROWS))
    reading = read_comments([path])
    assert {c.id: c.text for c in reading.comments} == TEXTS
    assert [(p.code, p.row) for p in reading.problems] == [("blank_text", 4)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("extension", [".csv", ".xls", ".xlsx", ".txt"])
def test_delimited_text_is_read_whatever_its_name_says(delimiter: str, encoding: str, extension: str) -> None:
    text = f'id{delimiter}text{delimiter}n\nr1{delimiter}"Café: £20 – ""gone""{delimiter} they said"{delimiter}1\nr2{delimiter}noise again{delimiter}2\n'
    table = read_table(f"a{extension}", extension, text.encode(encoding))
    assert [r.cells for r in table.rows] == [
        ("r1", f'Café: £20 – "gone"{delimiter} they said', "1"),
        ("r2", "noise again", "2"),
    ]


def test_a_line_that_names_the_delimiter_is_obeyed_and_rows_keep_their_numbers() -> None:
    table = read_table("a.csv", ".csv", b"sep=|\r\nid|text\r\n1|a, b; c\r\n")
    assert (table.columns, [(r.number, r.cells) for r in table.rows]) == (("id", "text"), [(3, ("1", "a, b; c"))])


def test_json_in_one_list_is_a_table() -> None:
    for text in (
        '[{"id": 1, "text": "noise"}]',
        '{"meta": 1, "responses": [{"id": 1, "text": "noise"}]}',
        '{"id": 1, "text": "noise"}\n',
    ):
        assert read_table("a.json", ".json", text.encode()).rows[0].cells == ("1", "noise")


def test_spss_has_questions_for_names_labels_for_codes_and_their_order(tmp_path: Path) -> None:
    data = made_files.sav(
        [("respid", "", 8), ("q1", "What worries you most?", 64), ("q2", "I feel safe", 0), ("q3", "I feel safe", 0)],
        [("a1", "Dealers by the lifts, every evening", 1, 2), ("a2", "Café owners are worried too, I hear", 2, ""), ("a3", "", 1, 1)],
        {"q2": {1: "Never ever", 2: "Now and then", 3: "Rather always"}},
        ["q2"],
    )  # fmt: skip
    path = tmp_path / "s.sav"
    path.write_bytes(data)
    reading = read_comments([path], ReadingOptions(text=("Q1",)))
    assert [c.text for c in reading.comments] == [
        "Dealers by the lifts, every evening",
        "Café owners are worried too, I hear",
    ]
    assert reading.comments[0].question == "What worries you most?"
    assert reading.answers.questions[0].options == ("Never ever", "Now and then", "Rather always")
    assert read_table("s.sav", ".sav", data).columns[2:] == ("I feel safe (Q2)", "I feel safe (Q3)")


def test_mojibake_is_mended_where_it_is_certain_and_its_rows_are_listed(tmp_path: Path) -> None:
    said = "Café owners’ £20 – gone “again”"
    bad = "".join(_misread(c) for c in said)
    path = tmp_path / "m.csv"
    path.write_text(f"id,text\n1,{bad}\n2,{said}\n", encoding="utf-8")
    reading = read_comments([path])
    assert [c.text for c in reading.comments] == [said, said]
    assert any("mended in 1 cell (row 2)" in n for n in reading.notes)


def _misread(char: str) -> str:
    return "".join(bytes([b]).decode("cp1252", errors="ignore") or chr(b) for b in char.encode())


@pytest.mark.parametrize("text", ["SÃO PAULO", "Â£20 and “quotes”", "naïve Ã", "10 × 3 ÷ 2", "Ärger", "ÂŽ"])
def test_what_is_not_certain_stays_as_it_is(text: str) -> None:
    table = read_table("m.csv", ".csv", f"id,text\n1,{text}\n".encode())
    assert table.rows[0].cells[1] == text


@pytest.mark.parametrize(
    "data",
    [bytes(range(256)), "夜は怖い".encode("shift_jis") * 9, b"a\x00b", b"\xff\xfea", b"\x00\xd8" * 40 + b"a\x00" * 400],
)
def test_bytes_that_are_no_text_are_refused(data: bytes) -> None:
    with pytest.raises(InputRefusedError, match="not_text"):
        decode("x.csv", data)


def test_the_limit_of_cells_is_allowed_and_one_row_more_is_not() -> None:
    check_cells("x", MAX_CELLS // 1_000, 1_000)
    with pytest.raises(InputRefusedError, match="table_too_large"):
        check_cells("x", MAX_CELLS // 1_000 + 1, 1_000)


@pytest.mark.slow
def test_a_stray_cell_does_not_make_every_row_wide(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_text("text" + "," * 1_999 + "z\n" + "noise here\n" * 16_000, encoding="utf-8")
    with pytest.raises(InputRefusedError, match="table_too_large"):
        read_comments([path])


def test_dates_stored_as_numbers_are_read_as_dates_and_numbers_as_they_look() -> None:
    import datetime as dt

    stamp = dt.datetime.fromisoformat("2026-03-01 10:30:00")
    rows = [
        ["id", "text", "when", "score"],
        [1, "noise", dt.date(2026, 3, 1), 4.0],
        [2, "litter", stamp, 4.5],
    ]
    table = read_table("d.xlsx", ".xlsx", made_files.xlsx(rows))
    assert [r.cells for r in table.rows] == [
        ("1", "noise", "2026-03-01", "4"),
        ("2", "litter", "2026-03-01 10:30:00", "4.5"),
    ]
