"""Files are read whole, row by row, or refused in words; nothing is lost."""

from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.table import MAX_COLUMNS, InputNotFoundError, InputRefusedError
from tests.broken_files import BROKEN, Case, run_case, workbook
from tests.generated_tables import check_table

Write = Callable[[str, str], Path]


@pytest.mark.parametrize("case", BROKEN, ids=lambda c: c.name)
def test_a_broken_file_gets_a_clear_error_and_leaves_nothing(case: Case, tmp_path: Path, small_model: Path) -> None:
    assert run_case(case, tmp_path, str(small_model)) == ""


@pytest.mark.parametrize("block", range(6))
def test_rows_in_are_comments_plus_problems(block: int, tmp_path: Path) -> None:
    for seed in range(block * 25, block * 25 + 25):
        rows, comments, problems = check_table(seed, tmp_path)
        assert rows == comments + problems


@pytest.mark.slow
@pytest.mark.soak
def test_a_thousand_tables_lose_no_row(tmp_path: Path) -> None:
    for seed in range(1_000, 2_000):
        rows, comments, problems = check_table(seed, tmp_path)
        assert rows == comments + problems


def test_a_workbook_keeps_row_numbers_types_and_gaps(tmp_path: Path) -> None:
    def fill(book: openpyxl.Workbook) -> None:
        sheet = book.active
        assert sheet is not None
        for row in (["id", "text"], [1.0, "a b"], [], [True, 5], [3, "=not a formula"]):
            sheet.append(row)
        sheet["B5"].data_type = "s"

    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(fill))
    reading = read_comments([path], ReadingOptions(text=("text",)))
    assert [(c.id, c.text, c.row) for c in reading.comments] == [
        ("row-2", "a b", 2),
        ("row-4", "5", 4),
        ("row-5", "=not a formula", 5),
    ]
    assert [(p.code, p.row) for p in reading.problems] == [("blank_text", 3)]


def test_open_questions_are_found_and_dates_and_scales_are_not(lines_file: Write) -> None:
    rows = "".join(
        f'R{i},2026-01-0{i} 10:00,"Answer number {i} about dealers, lights",Agree,Ward {i}\n' for i in range(1, 8)
    )
    path = lines_file("s.csv", "Response ID,Submitted,What worries you?,I feel safe,Ward\n" + rows)
    reading = read_comments([path])
    assert [c.id for c in reading.comments] == [f"R{i}" for i in range(1, 8)]
    assert reading.comments[0].text.startswith("Answer number 1")


def test_several_questions_keep_their_question_and_respondent(lines_file: Write) -> None:
    path = lines_file("s.csv", "id,Worries,Wishes\n7,dealers,lights\n8,,patrols\n")
    reading = read_comments([path], ReadingOptions(text=("Worries", "Wishes")))
    assert [(c.id, c.question, c.respondent) for c in reading.comments] == [
        ("7/1", "Worries", "7"),
        ("7/2", "Wishes", "7"),
        ("8/2", "Wishes", "8"),
    ]
    assert [(p.row, p.column, p.code) for p in reading.problems] == [(3, "Worries", "blank_text")]


def test_ids_that_repeat_are_told_of_as_nobody_can_be_found_by_them(lines_file: Write) -> None:
    path = lines_file("in.csv", "Response ID,text\nR1,The lamp is out again\nR1,Nobody comes when you ring\nR2,Dogs\n")
    reading = read_comments([path])
    assert [str(c.id) for c in reading.comments] == ["row-2", "row-3", "row-4"]
    assert "The cells of 'Response ID' repeat or are blank" in reading.notes[0]


def test_several_files_never_clash(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "wave.csv").write_text("id,text\n1,dealers\n")
    reading = read_comments([tmp_path / "a" / "wave.csv", tmp_path / "b" / "wave.csv"])
    assert [c.id for c in reading.comments] == ["wave#1:1", "wave#2:1"]


def test_windows_1252_is_read_and_said(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    text = "£20 stolen – “again”, and nobody came when we rang about it"
    path.write_bytes(f'id,text\n1,"{text}"\n'.encode("cp1252"))
    reading = read_comments([path])
    assert reading.comments[0].text == text
    assert any("Windows-1252" in note for note in reading.notes)


def test_column_names_match_whatever_their_case_and_white_space(lines_file: Write) -> None:
    path = lines_file("s.csv", "ID,What  worries\nyou?\n".replace("\nyou", " you") + "1,noise\n")
    assert read_comments([path], ReadingOptions(text=("what worries you?",))).comments[0].text == "noise"


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(InputNotFoundError, match=r"there is no file none\.csv"):
        read_comments([tmp_path / "none.csv"])


def test_the_limit_of_columns_is_allowed_and_one_more_is_not(lines_file: Write) -> None:
    def table(n: int) -> str:
        return "text," + ",".join(f"c{i}" for i in range(n - 1)) + "\nnoise\n"

    assert len(read_comments([lines_file("ok.csv", table(MAX_COLUMNS))]).comments) == 1
    with pytest.raises(InputRefusedError, match="too_many_columns"):
        read_comments([lines_file("no.csv", table(MAX_COLUMNS + 1))])


def test_no_error_repeats_what_a_resident_wrote(lines_file: Write) -> None:
    secret = "zebrafish"
    for content in (
        f'id,text\n1,"{secret}\n',
        f'id,text\n1,"{secret}" x\n',
        f"id,text\n,{secret}\n1,{secret},{secret},x\n",
    ):
        try:
            reading = read_comments([lines_file("s.csv", content)], ReadingOptions(id_column="id"))
        except InputRefusedError as error:
            assert secret not in str(error)
        else:
            assert all(secret not in f"{p}" for p in reading.problems)
