"""The report as a value: every figure with its base, quotes verbatim, nothing left behind where something is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from models.codebook import read_codebook
from nlp_service.cli.main import run
from nlp_service.ingest.comments import read_comments
from nlp_service.make_report import read_coded
from nlp_service.privacy.redaction import redact
from nlp_service.store.batches import NewBatch, add_batch, add_codings, set_state
from nlp_service.store.database import open_store
from nlp_service.store.values import RunModel, RunState
from tests.small_consultation import TEXTS, Files, write_consultation

pytestmark = pytest.mark.slow  # each loads the encoder, with which disclosures are found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_consultation(tmp_path_factory.mktemp("consultation"))


@pytest.fixture(scope="module")
def document(files: Files, tmp_path_factory: pytest.TempPathFactory) -> dict:
    out = tmp_path_factory.mktemp("document") / "report.json"
    assert run(files.arguments(out, "--decisions", str(files.decisions))) == 0
    return json.loads(out.read_text(encoding="utf-8"))


def test_shares_have_intervals_and_ranks_and_a_parent_is_the_union_of_its_parts(document: dict) -> None:
    for top in document["priorities"]:
        assert top["figure"]["low"] <= top["figure"]["share"] <= top["figure"]["high"]
        assert top["figure"]["rank_low"] <= top["figure"]["rank_high"]
        parts = [p["n_coded"] for p in top["parts"]]
        assert max(parts) <= top["n_coded"] <= sum(parts)


def test_every_closed_figure_has_its_base(document: dict) -> None:
    by_name = {r["question"]: r for r in document["closed"]}
    assert {r["kind"] for r in by_name.values()} == {"likert", "multi", "single"}
    for r in by_name.values():
        for o in r["options"]:
            assert o["n"] is None or o["share"] == pytest.approx(o["n"] / r["n_answered"], abs=1e-6)


def test_workshops_stand_beside_the_survey_and_are_not_added_to_it(document: dict) -> None:
    assert document["asked"]["n_respondents"] == 160
    raised = {w["raised"]["theme"]: w["raised"] for w in document["workshops"]["themes"]}
    assert (raised["light"]["n_speakers"], raised["light"]["of_speakers"], raised["light"]["of_sessions"]) == (2, 3, 1)


def test_who_feels_unsafe_and_raised_light_is_named_with_an_interval_clear_of_zero(document: dict) -> None:
    found = next(f for f in document["findings"] if f["theme"] == "light" and f["group"] == "Disagree")
    assert found["difference_low"] > 0
    assert found["low"] < found["share"] < found["high"]


def test_quotes_are_slices_of_the_comments_and_name_them(files: Files, document: dict) -> None:
    texts = {
        json.loads(line)["comment_id"]: json.loads(line)["text"] for line in files.decisions.read_text().splitlines()
    }
    quotes = [q for top in document["priorities"] for part in top["parts"] for q in part["quotes"]]
    assert quotes
    for q in quotes:
        if q["comment_id"] in texts:
            assert redact(texts[q["comment_id"]]).text[q["start"] : q["end"]] == q["text"]
        assert q["text"] in TEXTS.values()


def test_the_workbook_holds_numbers_and_no_formula(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "r.xlsx"
    assert run(files.arguments(out, "--decisions", str(files.decisions))) == 0
    book = openpyxl.load_workbook(out)
    assert {"We asked", "You said", "Quotes", "Closed questions", "Workshops", "Who raised what", "We did", "Method"} <= set(book.sheetnames)  # fmt: skip
    assert all(c.data_type != "f" for sheet in book for row in sheet.iter_rows() for c in row)
    assert isinstance(book["You said"]["D2"].value, float)


def broken_template(files: Files, folder: Path) -> list[str]:
    (folder / "words.jinja").write_text("{% macro %}")
    return ["--templates", str(folder)]


def other_codings(files: Files, folder: Path) -> list[str]:
    path = folder / "other.jsonl"
    path.write_text(files.codings.read_text().partition("\n")[2])
    return ["--codings", str(path)]


def no_report(files: Files, folder: Path) -> list[str]:
    path = folder / "old.json"
    path.write_text('{"format": 1, "asked": {}}')
    return ["--previous", str(path)]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (broken_template, "template_refused"),
        (other_codings, "codings_invalid"),
        (no_report, "previous_report_invalid"),
        (lambda _files, _folder: ["--pin", "survey:R1@0-9999"], "quote_refused"),
        (lambda _files, _folder: ["--pin", "survey:nobody"], "quote_refused"),
        (lambda _files, _folder: ["--closed", "No such column"], "missing_column"),
        (lambda _files, folder: ["--out", str(folder / "out" / "r.pdf")], "output_refused"),
        (lambda _files, folder: ["--out", str(folder / "no" / "r.json")], "output_refused"),
    ],
)
def test_what_cannot_be_used_is_refused_and_leaves_nothing(
    files: Files,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Files, Path], list[str]],
    code: str,
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert run(files.arguments(out / "r.html", *spoil(files, tmp_path))) == 3
    assert f"error {code}:" in capsys.readouterr().err
    assert list(out.iterdir()) == []


def test_only_columns_named_with_closed_are_reported_when_any_is_named(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert run(files.arguments(out, "--closed", "Ward")) == 0
    assert [r["question"] for r in json.loads(out.read_text())["closed"]] == ["Ward"]


def test_small_counts_are_hidden_under_the_threshold_asked_for(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "r.json"
    assert run(files.arguments(out, "--small-cell", "60")) == 0
    document = json.loads(out.read_text())
    counts = [o["n"] for r in document["closed"] for o in r["options"] if o["n"] is not None]
    assert min(counts) >= 60
    assert document["method"]["n_hidden_closed"] > 0


def test_personal_data_in_a_quote_is_replaced_unless_the_analyst_says_otherwise(tmp_path: Path) -> None:
    files = write_consultation(tmp_path, n=40)
    person = "Ring Mr Geoffrey Thwaite on 020 7946 0991 about the noise."
    codings, survey = files.codings.read_text().splitlines(), files.survey.read_text()
    first = json.loads(codings[1])
    old = next(line for line in survey.splitlines() if line.startswith("R1,"))
    new = f'R1,2025-11-02,"{person}",Agree,CCTV <3,South'
    files.survey.write_text(survey.replace(old, new))
    first["themes"] = [{"theme": "noise", "probability": 1.0, "evidence": [[0, len(person)]]}]
    files.codings.write_text("\n".join([codings[0], json.dumps(first), *codings[2:]]) + "\n")
    out = tmp_path / "r.json"
    assert run(files.arguments(out, "--pin", "survey:R1")) == 0
    assert "Thwaite" not in out.read_text()
    assert "7946" not in out.read_text()
    assert "about the noise." in out.read_text()
    assert run(files.arguments(out, "--pin", "survey:R1", "--with-personal-data")) == 0
    assert person in out.read_text()
    assert json.loads(out.read_text())["method"]["redacted"] is False


def test_a_batch_in_the_store_is_reported_by_its_id(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"sqlite:///{tmp_path / 'themes.db'}"
    monkeypatch.setenv("THEMES_STORE", url)
    reading, codings, book = (
        read_comments([files.survey, files.workshop]),
        read_coded(files.codings),
        read_codebook(files.book),
    )
    database = open_store(url)
    new = NewBatch(
        "safety", ("survey.csv", "talk.vtt"), reading.comments, reading.problems, reading.notes, reading.n_rows
    )
    model = RunModel("starter", "m-1", "1", book, "encoder", "fast")
    with database.write() as connection:
        batch, running = add_batch(connection, new, model, actor="t", chunk_comments=50, service_version="1")
    out = tmp_path / "r.json"
    assert run(["report", batch, "--out", str(out)]) == 3
    assert "error not_done:" in capsys.readouterr().err
    add_codings(database, running, batch, dict(enumerate(codings)))
    set_state(database, running, RunState.DONE)
    database.close()
    assert run(["report", batch, "--out", str(out), "--decisions", str(files.decisions)]) == 0
    stored = json.loads(out.read_text())
    assert run(files.arguments(out, "--decisions", str(files.decisions))) == 0
    plain = json.loads(out.read_text())
    assert [t["figure"] for t in stored["priorities"]] == [t["figure"] for t in plain["priorities"]]
    assert stored["workshops"] == plain["workshops"]
    assert stored["closed"] == []
    assert run(["report", "b-nothing", "--out", str(out)]) == 4


def test_shares_of_themes_are_weighted_to_stated_margins_and_nothing_else_is(files: Files, tmp_path: Path) -> None:
    margins = tmp_path / "margins.yaml"
    margins.write_text("I feel safe at night: {Agree: 90, Disagree: 10}")
    out = tmp_path / "r.json"
    found = {}
    for name, more in (("plain", []), ("weighted", ["--margins", str(margins)])):
        assert run(files.arguments(out, "--decisions", str(files.decisions), *more)) == 0
        found[name] = json.loads(out.read_text())
    shares = {
        n: {p["theme"]: p["figure"]["share"] for t in d["priorities"] for p in t["parts"]} for n, d in found.items()
    }
    assert shares["weighted"]["light"] < shares["plain"]["light"] - 0.1
    assert found["weighted"]["closed"] == found["plain"]["closed"]
    assert found["weighted"]["crosstabs"] == found["plain"]["crosstabs"]
    assert found["weighted"]["method"]["weighted_by"] == ["I feel safe at night"]
    common = ["--codings", str(files.codings), "--codebook", str(files.book), "--decisions", str(files.decisions)]
    asked = ["--margins", str(margins), "--survey", str(files.survey), "--survey", str(files.workshop)]
    assert run(["shares", *common, *asked, "--out", str(out)]) == 0
    assert {line["theme"]: line["share"] for line in json.loads(out.read_text())}["light"] == pytest.approx(
        shares["weighted"]["light"]
    )
    assert run(["shares", *common, *asked[:2], "--out", str(out)]) == 2


def test_a_comment_that_may_disclose_harm_is_counted_and_never_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_consultation(tmp_path, n=40, hostile="My boyfriend beats me and I am scared to go home.")
    out = tmp_path / "r.json"
    assert run(files.arguments(out, "--quotes", "20")) == 0
    document = json.loads(out.read_text())
    assert document["asked"]["n_comments"] == 40
    assert document["method"]["n_disclosing"] == 8
    quotes = [q for top in document["priorities"] for part in top["parts"] for q in part["quotes"]]
    assert len(quotes) > 8
    assert not {q["comment_id"] for q in quotes} & {f"survey:R{i}" for i in range(0, 40, 5)}
    assert run(files.arguments(out, "--pin", "survey:R5@0-40")) == 3
    assert "error quote_refused:" in capsys.readouterr().err


def test_comments_left_uncoded_for_their_language_are_problems_and_no_fault_of_the_codings(tmp_path: Path) -> None:
    files = write_consultation(tmp_path, n=40)
    old = next(line for line in files.survey.read_text().splitlines() if line.startswith("R1,"))
    polish = "R1,2025-11-02,Boimy się wychodzić wieczorem z domu bo na ulicy jest zupełnie ciemno.,Agree,CCTV <3,South"
    files.survey.write_text(files.survey.read_text().replace(old, polish))
    lines = files.codings.read_text().splitlines()
    files.codings.write_text("\n".join([lines[0], *lines[2:]]) + "\n")
    out = tmp_path / "r.json"
    assert run(files.arguments(out)) == 0
    document = json.loads(out.read_text())
    assert document["asked"]["n_comments"] == 39
    assert ["other_language", 1] in document["method"]["problems"]


def test_candidates_are_listed_with_counts_and_without_shares(files: Files, tmp_path: Path) -> None:
    found = tmp_path / "candidates.json"
    entry = {"id": "x", "name": "gambling shops", "phrases": ["slots", "betting"], "n_comments": 7, "n_respondents": 6}
    found.write_text(json.dumps({"candidates": [entry]}))
    out = tmp_path / "r.json"
    assert run(files.arguments(out, "--candidates", str(found))) == 0
    assert json.loads(out.read_text())["emergent"] == [
        {"label": "gambling shops", "n_comments": 7, "words": ["slots", "betting"]}
    ]
    found.write_text("{}")
    assert run(files.arguments(out, "--candidates", str(found))) == 3
