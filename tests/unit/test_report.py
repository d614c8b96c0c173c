"""What is written is what was found: text stays text, every format holds every comment, nothing is half written."""

import csv
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from models.vocabulary import (
    CodebookRef,
    CodedComment,
    Coding,
    Comment,
    CommentId,
    ModelId,
    Problem,
    RespondentId,
    Segment,
    ThemeId,
)
from nlp_service.report.codings_file import (
    plain_cell,
    write_csv,
    write_jsonl,
    write_parquet,
    write_problems,
    written_aside,
)
from nlp_service.report.run import Run, count_themes
from nlp_service.report.table import themes_table, underlined
from nlp_service.report.workbook import MAX_CELL_UNITS, write_workbook
from nlp_service.report.workshops import count_raised, workshops_table
from tests.conftest import THREE

TEXTS = (
    '=HYPERLINK("http://x")',
    "+44 noise",
    "-1",
    "@cmd",
    "\tlights",
    "plain\nnoise",
    "\x07bell \ufffe",
    "👮" * 20_000,
    "007",
    "http://a.b",
)
PROBABILITIES = tuple((t.id, p) for t, p in zip(THREE.codable, (0.9, 0.1234, 0.5), strict=True))


def pairs() -> list[tuple[Comment, CodedComment]]:
    made = []
    for i, text in enumerate(TEXTS):
        comment = Comment(CommentId(f"={i}"), text, "=question")
        coding = Coding(ThemeId("noise"), 0.9, (Segment(0, 2),))
        coded = CodedComment(
            comment.id, (coding,), (ThemeId("light"),), PROBABILITIES, ModelId("m"), CodebookRef("flat@1")
        )
        made.append((comment, coded))
    return made


def a_run() -> Run:
    coded = [c for _, c in pairs()]
    return Run(
        ("=in.csv",), 12, len(coded), len(coded), (Problem("blank_text", "nobody wrote here", "nothing to do", 3, "=text", "in.csv"),),
        ("a note",), "m", "1", THREE, "e", "fast", "0", datetime(2026, 1, 2, tzinfo=UTC), 1.5, count_themes(THREE, coded),
    )  # fmt: skip


def test_jsonl_is_the_contract(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "o.jsonl", pairs())
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["comment_id"] for line in lines] == [c.id for c, _ in pairs()]
    assert lines[0] == {
        "comment_id": "=0",
        "themes": [{"theme": "noise", "probability": 0.9, "evidence": [[0, 2]]}],
        "unsure": ["light"],
        "probabilities": {"noise": 0.9, "theft": 0.1234, "light": 0.5},
        "model": "m",
        "codebook": "flat@1",
        "question": "=question",
    }
    plain = [(replace(c, question=None, respondent=RespondentId(c.id)), coded) for c, coded in pairs()]
    write_jsonl(tmp_path / "o.jsonl", plain)
    keys = set(json.loads((tmp_path / "o.jsonl").read_text(encoding="utf-8").splitlines()[0]))
    assert keys == {"comment_id", "themes", "unsure", "probabilities", "model", "codebook"}


def test_csv_cells_never_start_like_a_formula(tmp_path: Path) -> None:
    write_csv(tmp_path / "o.csv", pairs(), THREE)
    with (tmp_path / "o.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(TEXTS) + 1
    assert all(not cell.startswith(("=", "+", "-", "@", "\t")) for row in rows for cell in row)
    assert rows[1][2] == "'" + TEXTS[0]
    assert plain_cell("noise") == "noise"


def test_parquet_holds_the_text_as_it_was(tmp_path: Path) -> None:
    write_parquet(tmp_path / "o.parquet", pairs(), THREE)
    table = pq.read_table(tmp_path / "o.parquet").to_pylist()
    assert [row["text"] for row in table] == list(TEXTS)
    assert table[0]["evidence"] == [{"theme": "noise", "start": 0, "end": 2}]
    assert table[0]["probability theft"] == 0.1234


def test_the_workbook_has_four_sheets_and_no_formula(tmp_path: Path) -> None:
    write_workbook(tmp_path / "o.xlsx", pairs(), a_run())
    book = openpyxl.load_workbook(tmp_path / "o.xlsx")
    assert book.sheetnames == ["Comments", "Themes", "Problems", "Run"]
    cells = [c for sheet in book for row in sheet.iter_rows() for c in row if c.value is not None]
    assert all(c.data_type != "f" and c.hyperlink is None for c in cells)
    comments = list(book["Comments"].iter_rows(min_row=2, values_only=True))
    assert [row[2] for row in comments][:6] == list(TEXTS[:6])
    assert comments[8][2] == "007"
    assert "bell" in str(comments[6][2])
    long = str(comments[7][2])
    assert long.endswith("hold all]")
    assert len(long.encode("utf-16-le")) // 2 <= MAX_CELL_UNITS
    themes = {row[0]: row[2] for row in book["Themes"].iter_rows(min_row=2, values_only=True)}
    assert themes["noise"] == len(TEXTS)
    assert themes["theft"] == 0
    assert next(book["Problems"].iter_rows(min_row=2, values_only=True))[:4] == ("in.csv", 3, "=text", "blank_text")
    run = {row[0]: row[1] for row in book["Run"].iter_rows(min_row=2, values_only=True)}
    assert run["Codebook"] == "flat@1"
    assert run["Rows in the files"] == "12"


def test_problems_are_lines_with_row_column_and_code(tmp_path: Path) -> None:
    write_problems(tmp_path / "p.jsonl", a_run().problems)
    line = json.loads((tmp_path / "p.jsonl").read_text())
    assert (line["row"], line["column"], line["code"]) == (3, "=text", "blank_text")


def test_a_stopped_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "o.jsonl"
    target.write_text("old")
    with pytest.raises(KeyboardInterrupt), written_aside(target) as aside:
        aside.write_text("half")
        raise KeyboardInterrupt
    assert [p.name for p in tmp_path.iterdir()] == ["o.jsonl"]
    assert target.read_text() == "old"


def test_a_parent_counts_a_comment_once() -> None:
    from models.codebook import SHIPPED, read_codebook

    book = read_codebook(SHIPPED)
    two = tuple(Coding(ThemeId(t), 0.9, ()) for t in ("DRG.deal", "DRG.use"))
    coded = CodedComment(CommentId("1"), two, (), (), ModelId("m"), book.ref)
    counts = {t: n for t, n, _ in count_themes(book, [coded])}
    assert (counts["DRG"], counts["DRG.deal"], counts["DRG.use"], counts["ASB"]) == (1, 1, 1, 0)


def test_the_table_says_why_shares_have_no_interval() -> None:
    shown = themes_table(a_run())
    assert "100.0%" in shown
    assert "have no interval" in shown
    assert "Theft" not in shown


def test_underlines_stand_beneath_the_evidence() -> None:
    comment = Comment(CommentId("7"), "All calm. But the noise at night is bad.")
    segment = Segment(10, len(comment.text))
    _, coded = pairs()[0]
    coded = replace(coded, codings=(Coding(ThemeId("noise"), 0.9, (segment,)),), unsure=())
    lines = underlined(comment, coded, THREE).splitlines()
    words, marks = lines[2], lines[3]
    start = marks.index("~")
    assert words[start : start + marks.count("~")] == segment.of(comment.text)


def test_workshops_are_counted_by_sessions_and_speakers() -> None:
    def turn(i: int, session: str, speaker: str, *themes: str) -> tuple[Comment, CodedComment]:
        comment = Comment(CommentId(str(i)), "x", None, RespondentId(speaker), i, session)
        codings = tuple(Coding(ThemeId(t), 0.9, ()) for t in themes)
        return comment, CodedComment(comment.id, codings, (), PROBABILITIES, ModelId("m"), CodebookRef("flat@1"))

    said = [turn(1, "a", "Ben", "noise"), turn(2, "a", "Ben", "noise"), turn(3, "b", "Ben", "noise"), turn(4, "b", "Cem", "light"), turn(5, "a", "Dee")]  # fmt: skip
    found = [(r.theme, r.n_sessions, r.of_sessions, r.n_speakers, r.of_speakers) for r in count_raised(THREE, said)]
    assert found == [("noise", 2, 2, 2, 4), ("light", 1, 2, 1, 4)]
    assert "2 of 2    2 of 4" in workshops_table(THREE, said)
    assert "and 1 more theme" in workshops_table(THREE, said, most=1)
