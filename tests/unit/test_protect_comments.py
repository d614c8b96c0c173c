import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openpyxl
import pyarrow.parquet as pq
import pytest

from models.model import Backend
from models.vocabulary import (
    CodebookRef,
    CodedComment,
    Coding,
    Comment,
    CommentId,
    ModelId,
    RespondentId,
    Segment,
    ThemeId,
)
from nlp_service import protect_comments
from nlp_service.code_batch import CodedBatch, CodeRequest, code_batch
from nlp_service.coding_pool import ModelChoice, Progress
from nlp_service.privacy.redaction import redact
from nlp_service.protect_comments import Protected, as_shown, protect_distinct
from nlp_service.report.workbook import run_lines

DISCLOSES = "My husband hits me and the children, he said he will kill me if I tell anyone."
SPANISH = "Ayuda con la basura en mi calle por favor, hay mucha droga"
ROWS = (
    ("a", "Drug dealing outside 14 Oakwood Road, ask Dave Thompson"),
    ("b", SPANISH),
    ("c", DISCLOSES),
    ("d", "More lights please"),
    ("e", "more lights, please!"),
)


@contextmanager
def silent(_n: int) -> Iterator[Progress]:
    yield lambda _n: None


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    path = tmp_path / "survey.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "text"), *ROWS])
    return path


def coded(survey: Path, model: Path, name: str, **more: bool) -> CodedBatch:
    choice = ModelChoice(str(model), Backend.FAST, None, 64)
    return code_batch(CodeRequest((survey,), survey.with_name(name), choice, **more), start=silent)  # type: ignore[arg-type]


@pytest.mark.slow
def test_tables_show_redacted_texts_and_evidence_where_it_stands_there(survey: Path, small_model: Path) -> None:
    coded(survey, small_model, "out.parquet")
    rows = pq.read_table(survey.with_name("out.parquet")).to_pylist()
    assert rows[0]["text"] == "Drug dealing outside [ADDRESS], ask [NAME]"
    for row in rows:
        for one in row["evidence"]:
            assert 0 <= one["start"] < one["end"] <= len(row["text"])
    coded(survey, small_model, "out.csv")
    shown = survey.with_name("out.csv").read_text(encoding="utf-8-sig")
    assert "Thompson" not in shown
    assert "[ADDRESS]" in shown


@pytest.mark.slow
def test_personal_data_stays_only_where_it_is_asked_for_and_the_run_sheet_says_so(
    survey: Path, small_model: Path
) -> None:
    without = coded(survey, small_model, "out.xlsx").run
    assert ("Personal data", "replaced: 1 NAME, 1 ADDRESS") in run_lines(without)
    with_it = coded(survey, small_model, "out.csv", with_personal_data=True).run
    assert ("Personal data", "left as written (--with-personal-data)") in run_lines(with_it)
    assert "Dave Thompson" in survey.with_name("out.csv").read_text(encoding="utf-8-sig")


@pytest.mark.slow
def test_codings_are_those_of_the_original_in_every_output(survey: Path, small_model: Path) -> None:
    batches = [coded(survey, small_model, name) for name in ("out.jsonl", "out.csv")]
    assert batches[0].pairs == batches[1].pairs
    line = json.loads(survey.with_name("out.jsonl").read_text(encoding="utf-8").splitlines()[0])
    for coding in line["themes"]:
        for start, end in coding["evidence"]:
            assert ROWS[0][1][start:end].strip()


@pytest.mark.slow
def test_disclosures_come_first_and_are_never_quoted(survey: Path, small_model: Path) -> None:
    coded(survey, small_model, "out.xlsx")
    book = openpyxl.load_workbook(survey.with_name("out.xlsx"))
    assert book.sheetnames == ["Safeguarding", "Comments", "Themes", "Duplicates", "Problems", "Run"]
    first = list(book["Safeguarding"].iter_rows(values_only=True))
    assert first[1][0] == "c"
    assert not any("husband" in str(cell) for row in first for cell in row)
    quotes = {r[0]: r[5] for r in book["Comments"].iter_rows(min_row=2, values_only=True)}
    assert "husband" not in str(quotes["c"])


@pytest.mark.slow
def test_beside_other_outputs_disclosures_are_listed_without_words_and_an_old_list_goes(
    survey: Path, small_model: Path
) -> None:
    batch = coded(survey, small_model, "out.jsonl")
    assert batch.safeguarding_file is not None
    lines = [json.loads(x) for x in batch.safeguarding_file.read_text(encoding="utf-8").splitlines()]
    assert [(x["comment_id"], x["row"]) for x in lines] == [("c", 4)]
    assert set(lines[0]) == {"comment_id", "probability", "row", "question"}
    survey.write_text("id,text\na,More lights please\n", encoding="utf-8")
    assert coded(survey, small_model, "out.jsonl").safeguarding_file is None
    assert not batch.safeguarding_file.exists()


@pytest.mark.slow
def test_rows_in_are_comments_and_problems_whatever_their_language(survey: Path, small_model: Path) -> None:
    run = coded(survey, small_model, "out.csv").run
    assert run.n_rows == run.n_comments + len(run.problems) == len(ROWS)
    assert [(p.code, p.row, p.file) for p in run.problems] == [("other_language", 3, "survey.csv")]
    everything = coded(survey, small_model, "out.csv", all_languages=True).run
    assert (everything.n_comments, everything.problems) == (len(ROWS), ())
    assert everything.protection is not None
    assert everything.protection.n_other_languages == 1


@pytest.mark.slow
def test_copies_are_counted_and_nothing_is_deleted(survey: Path, small_model: Path) -> None:
    batch = coded(survey, small_model, "out.xlsx")
    assert batch.run.protection is not None
    assert [g.comments for g in batch.run.protection.duplicates.groups] == [("d", "e")]
    assert batch.run.protection.duplicates.n_distinct == 3
    book = openpyxl.load_workbook(survey.with_name("out.xlsx"))
    assert book["Comments"].max_row == 5
    assert [c.value for c in book["Duplicates"][2]][1:] == [2, 1, "d, e"]


def test_evidence_that_meets_in_one_replacement_becomes_one() -> None:
    text = "Ask Dave Thompson. He saw it."
    comment = Comment(CommentId("1"), text)
    evidence = (Segment(0, 8), Segment(9, 18), Segment(19, 29))
    one = CodedComment(comment.id, (Coding(ThemeId("x"), 0.9, evidence),), (), (), ModelId("m"), CodebookRef("c@1"))
    ((shown, again),) = as_shown([(comment, one)], {text: Protected(redact(text), None)})
    assert shown.text == "Ask [NAME]. He saw it."
    assert [s.of(shown.text) for s in again.codings[0].evidence] == ["Ask [NAME].", "He saw it."]


def test_speakers_of_a_workshop_are_numbered_and_kept_apart() -> None:
    def turn(i: int, session: str, speaker: str) -> tuple[Comment, CodedComment]:
        comment = Comment(CommentId(str(i)), "Bins.", respondent=RespondentId(speaker), session=session)
        return comment, CodedComment(comment.id, (), (), (), ModelId("m"), CodebookRef("c@1"))

    turns = [turn(1, "w1", "Ruth"), turn(2, "w1", "Desmond"), turn(3, "w1", "Ruth"), turn(4, "w2", "Ruth")]
    shown = as_shown(turns, {"Bins.": Protected(redact("Bins."), None)})
    assert [c.respondent for c, _ in shown] == ["w1: speaker 1", "w1: speaker 2", "w1: speaker 1", "w2: speaker 1"]
    assert as_shown(turns, {"Bins.": Protected(None, None)}) == tuple(turns)


@pytest.mark.slow
def test_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protect_comments, "_MIN_TEXTS_A_PROCESS", 20)
    monkeypatch.setattr(protect_comments, "_CHUNK_TEXTS", 15)
    texts = [f"Ask Dave Thompson at {i} Oakwood Road about the noise" for i in range(1, 50)]
    assert protect_distinct(texts, with_redaction=True, jobs=2) == protect_distinct(texts, with_redaction=True, jobs=1)
