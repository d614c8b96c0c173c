"""The report as a page and a document: accessible, without a network, whatever residents wrote."""

import itertools
import json
import re
import zipfile
from pathlib import Path

import docx
import lxml.html
import pytest

from nlp_service.cli.main import run
from tests.small_consultation import HOSTILE, TEXTS, Files, write_consultation

pytestmark = pytest.mark.slow  # each draws charts


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return write_consultation(tmp_path_factory.mktemp("consultation"))


@pytest.fixture(scope="module")
def page(files: Files, tmp_path_factory: pytest.TempPathFactory) -> lxml.html.HtmlElement:
    out = tmp_path_factory.mktemp("page") / "report.html"
    assert run(files.arguments(out, "--decisions", str(files.decisions), "--title", "Safety <i>& you</i>")) == 0
    return lxml.html.document_fromstring(out.read_text(encoding="utf-8"))


def test_a_residents_markup_is_shown_and_never_obeyed(tmp_path: Path) -> None:
    files = write_consultation(tmp_path, n=60)
    lines = [json.loads(line) for line in files.codings.read_text().splitlines()]
    for line in lines[::5]:
        if line["comment_id"].startswith("survey"):
            line["themes"] = [{"theme": "noise", "probability": 0.99, "evidence": [[0, len(HOSTILE)]]}]
    files.codings.write_text("\n".join(map(json.dumps, lines)) + "\n")
    out = tmp_path / "report.html"
    assert run(files.arguments(out, "--title", HOSTILE, "--with-personal-data")) == 0
    text = out.read_text(encoding="utf-8")
    tree = lxml.html.document_fromstring(text)
    assert HOSTILE in [" ".join(q.text_content().split()).strip("“”") for q in tree.xpath("//blockquote/p")]
    assert tree.xpath("//script") == []
    assert all(src.startswith("data:image/png;base64,") for src in tree.xpath("//img/@src"))
    assert tree.xpath("//b | //i | //*[@onerror]") == []
    assert "49 =1+1" not in text


def test_the_page_is_one_file_that_asks_no_network(page: lxml.html.HtmlElement) -> None:
    links = [a for a in page.xpath("//@src | //@href") if not a.startswith(("data:", "#"))]
    assert links == []
    assert page.xpath("//link | //script | //iframe | //object") == []
    style = page.xpath("string(//style)")
    assert "url(" not in style
    assert "@import" not in style
    policy = page.xpath("string(//meta[@http-equiv='Content-Security-Policy']/@content)")
    assert policy.startswith("default-src 'none'")


def test_the_page_has_landmarks_headings_in_order_captions_and_alternative_texts(page: lxml.html.HtmlElement) -> None:
    assert page.get("lang") == "en-GB"
    assert all(len(page.xpath(f"//{tag}")) == 1 for tag in ("header", "main", "nav", "h1", "title"))
    levels = [int(h.tag[1]) for h in page.xpath("//h1 | //h2 | //h3 | //h4 | //h5")]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert all(image.get("alt", "").strip() for image in page.xpath("//img"))
    assert all(table.xpath("normalize-space(caption)") for table in page.xpath("//table"))
    assert all(th.get("scope") in ("row", "col") for th in page.xpath("//th"))
    targets = {a[1:] for a in page.xpath("//a/@href")}
    assert targets <= set(page.xpath("//@id"))


def test_every_chart_has_a_table_of_its_figures_after_it(page: lxml.html.HtmlElement) -> None:
    figures = page.xpath("//figure")
    assert len(figures) >= 4
    for figure in figures:
        assert figure.xpath("following::table[1]")


def test_we_did_is_left_to_fill_in_for_each_theme(page: lxml.html.HtmlElement) -> None:
    rows = page.xpath("//section[@aria-labelledby='did']//tbody/tr")
    assert len(rows) == 2
    assert all(row.xpath("string(td)") == "To fill in" for row in rows)


def test_without_decisions_the_report_says_that_it_has_no_intervals(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "r.html"
    assert run(files.arguments(out)) == 0
    text = out.read_text(encoding="utf-8")
    assert "No share has an interval" in text
    assert "nothing was labelled by people" in text
    assert "That is most of them" not in text


def test_the_word_document_has_headings_contents_tables_and_alternative_texts(files: Files, tmp_path: Path) -> None:
    out = tmp_path / "r.docx"
    assert run(files.arguments(out, "--decisions", str(files.decisions))) == 0
    document = docx.Document(str(out))
    styles = [p.style.name for p in document.paragraphs]
    assert "Title" in styles
    assert {"Heading 1", "Heading 2", "Heading 3"} <= set(styles)
    assert [p.text for p in document.paragraphs if p.style.name == "Heading 1"] == [
        "We asked", "You said", "We did", "How the figures were made, and their limits",
    ]  # fmt: skip
    xml = zipfile.ZipFile(out).read("word/document.xml").decode("utf-8")
    assert "TOC \\o" in xml
    pictures = re.findall(r"<wp:docPr [^>]*>", xml)
    assert len(pictures) == len(document.inline_shapes) >= 4
    assert all(re.search(r'descr="[^"]{40,}"', p) for p in pictures)
    assert len(document.tables) >= 6
    assert any(p.style.name == "Quote" and p.text.strip("“”") in TEXTS.values() for p in document.paragraphs)


@pytest.mark.parametrize("kind", ["html", "docx", "xlsx", "json"])
def test_the_same_input_gives_the_same_bytes(files: Files, tmp_path: Path, kind: str) -> None:
    first, second = tmp_path / f"a.{kind}", tmp_path / f"b.{kind}"
    for out in (first, second):
        assert run(files.arguments(out, "--decisions", str(files.decisions))) == 0
    assert first.read_bytes() == second.read_bytes()


def test_what_moved_is_told_with_an_interval_and_only_where_it_clears_zero(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = write_consultation(tmp_path / "old", seed=1), write_consultation(tmp_path / "new", seed=2)
    survey = old.survey.read_text().replace(",Agree,", ",Disagree,", 60)
    old.survey.write_text(survey)
    before = tmp_path / "before.json"
    assert run(old.arguments(before, "--decisions", str(old.decisions), "--title", "2024")) == 0
    now = tmp_path / "now.json"
    assert run(new.arguments(now, "--decisions", str(new.decisions), "--previous", str(before))) == 0
    changes = json.loads(now.read_text())["changes"]
    assert changes["title"] == "2024"
    safe = next(c for c in changes["changes"] if c["kind"] == "net" and c["key"] == "Agree")
    assert safe["low"] > 0
    light = next(c for c in changes["changes"] if c["key"] == "light")
    assert light["low"] < 0 < light["high"]
    page = tmp_path / "now.html"
    assert run(new.arguments(page, "--decisions", str(new.decisions), "--previous", str(before))) == 0
    rows = lxml.html.parse(str(page)).xpath("//h3[contains(., 'What moved since 2024')]/following::table[1]//tr")
    told = {r.xpath("normalize-space(th)"): r.xpath("normalize-space(td[3])") for r in rows[1:]}
    assert told["Agree (I feel safe at night)"].startswith("up (")
    assert told["Light"].startswith("no clear change (")


def test_a_council_changes_its_words_in_its_own_copy_of_the_templates(files: Files, tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "nlp_service" / "report" / "templates" / "words.jinja"
    own = tmp_path / "own"
    own.mkdir()
    (own / "words.jinja").write_text(
        shipped.read_text().replace("of those who wrote raised it", "of our residents wrote of it")
    )
    out = tmp_path / "r.html"
    assert run(files.arguments(out, "--templates", str(own))) == 0
    assert "of our residents wrote of it" in out.read_text()


def test_a_report_of_workshops_alone_or_of_a_survey_alone_is_a_report(files: Files, tmp_path: Path) -> None:
    lines = files.codings.read_text().splitlines()
    for name, path in (("talk:", files.workshop), ("survey:", files.survey)):
        own = [line.replace(name, "") for line in lines if f'"comment_id": "{name}' in line]
        codings = tmp_path / "own.jsonl"
        codings.write_text("\n".join(own) + "\n")
        out = tmp_path / "r.html"
        assert (
            run(["report", str(path), "--codings", str(codings), "--codebook", str(files.book), "--out", str(out)]) == 0
        )
        text = out.read_text()
        assert ("There was no survey." in text) == (name == "talk:")
        assert ("What was said in the workshops" in text) == (name == "talk:")
