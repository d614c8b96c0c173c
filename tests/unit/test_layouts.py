"""Headers of several rows become one name a column, and what was heading is no row."""

import csv
import io
from pathlib import Path

from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.formats import read_table
from nlp_service.ingest.roles import Role, guess_roles
from nlp_service.ingest.table import Table


def table(*rows: tuple[str, ...]) -> Table:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return read_table("export.csv", ".csv", out.getvalue().encode())


QUALTRICS = (
    ("StartDate", "ResponseId", "Q1", "Q2_1", "Q2_2", "Q3_1", "Q3_2"),
    ("Start Date", "Response ID", "What worries you?", "Pick - Selected Choice - Drugs", "Pick - Selected Choice - Litter", "How safe? - By day", "How safe? - At night"),
    ('{"ImportId":"startDate","timeZone":"Europe/London"}', '{"ImportId":"_recordId"}', '{"ImportId":"QID1_TEXT"}', '{"ImportId":"QID2_1"}', '{"ImportId":"QID2_2"}', '{"ImportId":"QID3_1"}', '{"ImportId":"QID3_2"}'),
    ("2026-03-01 10:00:00", "R_1a", "Dealers by the lifts every night", "Drugs", "", "Safe", "Unsafe"),
    ("2026-03-01 11:00:00", "R_2b", "Nothing to worry about round here", "", "Litter", "Very safe", "Safe"),
)  # fmt: skip
MONKEY = (
    ("Respondent ID", "Collector ID", "Start Date", "What worries you?", "Pick any", "", "", "How safe?"),
    ("", "", "", "Open-Ended Response", "Drugs", "Litter", "Other (please specify)", "Response"),
    ("118001", "44", "03/01/2026 10:00:00 AM", "Dealers by the lifts every night", "Drugs", "", "", "Safe"),
    (
        "118002",
        "44",
        "03/01/2026 11:00:00 AM",
        "Nothing to worry about round here",
        "",
        "Litter",
        "scooters on paths",
        "Very safe",
    ),
)


def test_qualtrics_has_three_rows_of_headings() -> None:
    found = table(*QUALTRICS)
    assert found.columns[2] == "What worries you?"
    assert [r.number for r in found.rows] == [4, 5]
    assert [(f.question, f.option) for f in found.facts[3:]] == [
        ("Pick", "Drugs"),
        ("Pick", "Litter"),
        ("How safe?", "By day"),
        ("How safe?", "At night"),
    ]
    assert [r.role for r in guess_roles(found)] == [
        Role.DATE,
        Role.ID,
        Role.OPEN,
        Role.TICK,
        Role.TICK,
        Role.SCALE,
        Role.SCALE,
    ]


def test_qualtrics_from_excel_has_two() -> None:
    rows = (
        ("StartDate", "RecordedDate", "ResponseId", "Q1"),
        ("Start Date", "Recorded Date", "Response ID", "What worries you?"),
        ("2026-03-01", "2026-03-01", "R_1", "Dealers by the lifts at night"),
    )
    assert [r.number for r in table(*rows).rows] == [3]


def test_a_qualtrics_field_finds_its_column_too(tmp_path: Path) -> None:
    path = tmp_path / "q.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(QUALTRICS)
    assert read_comments([path], ReadingOptions(text=("q1",))).comments[0].id == "R_1a"


def test_surveymonkey_has_two_rows_and_a_question_over_its_options() -> None:
    found = table(*MONKEY)
    assert found.columns[3:] == (
        "What worries you?",
        "Pick any - Drugs",
        "Pick any - Litter",
        "Pick any - Other (please specify)",
        "How safe?",
    )
    assert [r.number for r in found.rows] == [3, 4]
    assert any("headings" in n for n in found.notes)
    roles = [r.role for r in guess_roles(found)]
    assert roles == [Role.ID, Role.IGNORE, Role.DATE, Role.OPEN, Role.TICK, Role.TICK, Role.OPEN, Role.SCALE]


def test_a_first_answer_is_not_taken_for_a_heading() -> None:
    found = table(("id", "text", ""), ("1", "Response", "x"), ("2", "noise", ""))
    assert len(found.rows) == 2
    found = table(("id", "text"), ("", "A comment whose id is missing"), ("2", "noise"))
    assert len(found.rows) == 2
