"""The sample consultation's report carries each line of a consultation page as councils publish it, and more."""

import csv
import json
import re
import zipfile
from pathlib import Path

import docx
import lxml.html
import pytest

from nlp_service.demo import DECISIONS, SAMPLE, TITLE, WORKSHOPS
from nlp_service.ingest.comments import read_comments
from nlp_service.privacy.redaction import redact
from tests.acceptance.test_command_line import themes

pytestmark = pytest.mark.slow  # codes the sample with the shipped model

DAY, NIGHT = "I feel safe in my area during the day", "I feel safe in my area at night"
PRIORITIES, WORKS = "Which three should be our priorities?", "Which of these would work best to tackle crime?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sample's codings, and its report with the last wave's beside it."""
    place = tmp_path_factory.mktemp("sample")
    inputs = [str(SAMPLE), *map(str, WORKSHOPS)]
    themes("code", *inputs, "--out", place / "codings.jsonl", "--quiet")
    _last_wave(place)
    common = ["--title", TITLE, "--codings", place / "codings.jsonl", "--decisions", DECISIONS]
    outs = [arg for kind in ("html", "docx", "xlsx", "json") for arg in ("--out", place / f"report.{kind}")]
    themes("report", *inputs, *common, "--previous", place / "last.json", *outs)
    return place


def _last_wave(place: Path) -> None:
    """Write the report of an earlier wave: 300 of the people, fewer of them safe by day."""
    with SAMPLE.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))[:300]
    for row in rows[:90]:
        row[DAY] = row[DAY].replace("Agree", "Disagree")
    (place / "last").mkdir()
    survey = place / "last" / "survey.csv"
    with survey.open("w", encoding="utf-8", newline="") as file:
        out = csv.DictWriter(file, rows[0].keys())
        out.writeheader()
        out.writerows(rows)
    ids = {str(c.id) for c in read_comments([survey]).comments}
    lines = [json.loads(line) for line in (place / "codings.jsonl").read_text().splitlines()]
    kept = [line | {k: line[k].removeprefix("survey:") for k in ("comment_id", "respondent")} for line in lines]
    (place / "last.jsonl").write_text("".join(json.dumps(k) + "\n" for k in kept if k["comment_id"] in ids))
    titled = ["--title", "the 2021 wave", "--out", place / "last.json"]
    themes("report", survey, "--codings", place / "last.jsonl", *titled)


@pytest.fixture(scope="module")
def page(folder: Path) -> lxml.html.HtmlElement:
    return lxml.html.document_fromstring((folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def document(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def rows_of(page: lxml.html.HtmlElement, caption: str) -> dict[str, list[str]]:
    """Return a table's rows by their first cell."""
    (table,) = [t for t in page.xpath("//table") if " ".join(t.xpath("string(caption)").split()).startswith(caption)]
    cells = [[" ".join(c.text_content().split()) for c in row.xpath("th | td")] for row in table.xpath(".//tbody/tr")]
    return {row[0]: row[1:] for row in cells}


def test_online_survey_from_day_to_day_plus_virtual_workshops_with_so_many_residents(
    page: lxml.html.HtmlElement,
) -> None:
    asked = " ".join(page.xpath("string(//section[@aria-labelledby='asked'])").split())
    assert "420 people answered the survey, from 5 November 2025 to 10 December 2025." in asked
    assert "15 people spoke in 2 workshops" in asked


@pytest.mark.parametrize("priority", ["Violence, abuse and exploitation", "Antisocial behaviour and environment", "Drug-related crime", "Feelings of safety"])  # fmt: skip
def test_priorities_are_ranked_with_share_interval_and_range_of_ranks(
    page: lxml.html.HtmlElement, priority: str
) -> None:
    share, interval, rank, _ = rows_of(page, "Themes by share of those who wrote a comment")[priority]
    assert re.fullmatch(r"\d+%", share)
    assert re.fullmatch(r"\d+ to \d+%", interval)
    assert re.fullmatch(r"\d(st|nd|rd|th)( to \d(st|nd|rd|th))?", rank)


@pytest.mark.parametrize(
    ("priority", "part"),
    [
        ("Violence, abuse and exploitation", "Youth violence and gangs"),
        ("Violence, abuse and exploitation", "Knife crime and weapons"),
        ("Violence, abuse and exploitation", "Child exploitation and grooming"),
        ("Violence, abuse and exploitation", "Safety of women and girls in public"),
        ("Violence, abuse and exploitation", "Domestic abuse and stalking"),
        ("Antisocial behaviour and environment", "Begging and rough sleeping"),
        ("Antisocial behaviour and environment", "Noise and nuisance neighbours"),
        ("Drug-related crime", "Drug use and paraphernalia in public"),
        ("Drug-related crime", "Drugs as a driver of other crime"),
        ("Reporting, response and trust", "Reporting has little effect"),
        ("Feelings of safety", "Safety after dark"),
    ],
)
def test_each_priority_has_its_sub_themes(page: lxml.html.HtmlElement, priority: str, part: str) -> None:
    assert re.fullmatch(r"\d+%|under 1%", rows_of(page, f"Parts of {priority}")[part][0])


@pytest.mark.parametrize(("question", "share"), [(DAY, "72%"), (NIGHT, "32%")])
def test_so_many_strongly_agreed_or_agreed_that_they_felt_safe(
    page: lxml.html.HtmlElement, question: str, share: str
) -> None:
    rows = rows_of(page, f"{question} (base: 420 people who answered, of 420)")
    assert rows["Strongly agree or Agree"][0] == share
    assert list(rows)[:5] == ["Strongly agree", "Agree", "Neither agree nor disagree", "Disagree", "Strongly disagree"]


@pytest.mark.parametrize(
    ("chose", "share"), [("High visibility patrols", "76%"), ("More CCTV", "56%"), ("Enforcement against antisocial behaviour", "50%")]
)  # fmt: skip
def test_so_many_chose_patrols_cctv_and_enforcement(page: lxml.html.HtmlElement, chose: str, share: str) -> None:
    assert rows_of(page, f"{WORKS} (base: 416 people who answered, of 420)")[chose][0] == share


@pytest.mark.parametrize(
    "said",
    [
        "Community engagement and involvement",
        "Communication and information",
        "Lighting and physical improvements",
        "Visible patrols: police and wardens",
        "Youth services and prevention",
    ],
)
def test_the_workshops_on_what_to_do_stand_beside_the_survey(page: lxml.html.HtmlElement, said: str) -> None:
    sessions, speakers = rows_of(page, "Themes of the workshops, beside the survey and never summed with it")[said]
    assert sessions == "2 of 2"
    assert re.fullmatch(r"\d of 15", speakers)


@pytest.mark.parametrize("priority", ["Violence, abuse and exploitation", "Antisocial behaviour and environment", "Drug-related crime"])  # fmt: skip
def test_we_did_has_a_line_to_fill_in_for_each_priority(page: lxml.html.HtmlElement, priority: str) -> None:
    rows = rows_of(page, "What is done about each theme")
    assert [did for said, (did,) in rows.items() if said.startswith(priority)] == ["To fill in"]


@pytest.mark.parametrize(
    ("figure", "question"),
    [
        ("Strongly agree or Agree", DAY),
        ("Strongly agree or Agree", NIGHT),
        ("Antisocial behaviour", PRIORITIES),
        ("Robbery and theft", PRIORITIES),
        ("Drug-related crime", PRIORITIES),
        ("High visibility patrols", WORKS),
        ("Enforcement against antisocial behaviour", WORKS),
    ],
)
def test_what_moved_since_the_last_wave(page: lxml.html.HtmlElement, figure: str, question: str) -> None:
    then, now, change = rows_of(page, "This wave beside the last one")[f"{figure} ({question})"]
    assert then.endswith("%")
    assert now.endswith("%")
    assert change.startswith("up (" if question == DAY else "no clear change (")


def test_themes_of_a_wave_without_intervals_are_not_compared(page: lxml.html.HtmlElement) -> None:
    assert rows_of(page, "This wave beside the last one")["Drug-related crime"][2].startswith("cannot be compared")


def test_the_method_is_told_from_the_run(page: lxml.html.HtmlElement) -> None:
    method = " ".join(page.xpath("string(//section[@aria-labelledby='method'])").split())
    for said in (
        "community-safety@",
        "starter-",
        "100 people drawn at random",
        "micro f1",
        "Counts under 5 are hidden",
        "Files: survey.csv",
    ):
        assert said in method


def test_every_quote_is_a_slice_of_its_comment_with_personal_data_replaced(document: dict) -> None:
    comments = {str(c.id): c for c in read_comments([SAMPLE, *WORKSHOPS]).comments}
    quotes = [q for top in document["priorities"] for part in top["parts"] for q in part["quotes"]]
    quotes += [q for w in document["workshops"]["themes"] for q in w["quotes"]]
    assert len(quotes) > 40
    for q in quotes:
        assert redact(comments[q["comment_id"]].text).text[q["start"] : q["end"]] == q["text"]
        assert len(q["text"]) <= 240
    survey = [comments[q["comment_id"]].respondent for q in quotes if q["session"] is None]
    assert len(survey) == len(set(survey))


def test_the_word_document_says_the_same_words_as_the_page(folder: Path, page: lxml.html.HtmlElement) -> None:
    document = docx.Document(str(folder / "report.docx"))
    headings = [p.text for p in document.paragraphs if p.style.name.startswith(("Heading", "Title"))]
    assert headings == [" ".join(h.text_content().split()) for h in page.xpath("//h1 | //h2 | //h3 | //h4 | //h5")]
    xml = zipfile.ZipFile(folder / "report.docx").read("word/document.xml").decode("utf-8")
    assert len(re.findall(r'<wp:docPr [^>]*descr="[^"]{40,}"', xml)) == len(page.xpath("//img"))
    assert len(document.tables) == len(page.xpath("//table"))
