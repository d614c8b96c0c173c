"""Projects for other programs: hierarchy, colours and positions come back exactly, whatever the text."""

import json
import zipfile
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring

from models.codebook import SHIPPED, read_codebook
from models.vocabulary import CodedComment, Coding, Comment, CommentId, ModelId, Segment, ThemeId
from nlp_service.cli.main import run
from nlp_service.exchange.qdc_file import ExchangeError
from nlp_service.exchange.qdpx_file import read_qdpx, write_qdpx

BOOK = read_codebook(SHIPPED)
TEXTS = (
    "Line one.\r\nLine two \U0001f6b2\U0001f468\u200d\U0001f469 here.\rLine three.",
    "Cafe\u0301 & <b>bold</b> ]]> \u2028 end",
    "  leading and trailing  \n",
    "Plain.",
)


def coded(i: int, *codings: Coding) -> CodedComment:
    return CodedComment(CommentId(f"c{i}"), codings, (), (), ModelId("m-1"), BOOK.ref)


def made_pairs() -> list[tuple[Comment, CodedComment]]:
    drink, litter = ThemeId("ASB.drink"), ThemeId("ASB.litter")
    codings = (
        (Coding(drink, 0.9, (Segment(0, 9), Segment(20, 25))), Coding(litter, 0.8, (Segment(20, 25),))),
        (Coding(litter, 0.7, (Segment(0, len(TEXTS[1])),)),),
        (),
        (Coding(drink, 0.6, ()),),
    )
    return [(Comment(CommentId(f"c{i}"), t), coded(i, *c)) for i, (t, c) in enumerate(zip(TEXTS, codings, strict=True))]


def test_a_project_comes_back_exactly_with_emoji_and_line_breaks(tmp_path: Path) -> None:
    write_qdpx(tmp_path / "p.qdpx", made_pairs(), BOOK)
    book, sources = read_qdpx(tmp_path / "p.qdpx")
    assert book == BOOK
    assert [s.text for s in sources] == list(TEXTS)
    assert [s.name for s in sources] == ["c0", "c1", "c2", "c3"]
    expected = [[(str(c.theme), e) for c in one.codings for e in (c.evidence or (None,))] for _, one in made_pairs()]
    assert [list(s.codings) for s in sources] == expected


def test_codes_stand_in_two_levels_with_colours_and_every_guid_is_its_own(tmp_path: Path) -> None:
    write_qdpx(tmp_path / "p.qdpx", made_pairs(), BOOK)
    with zipfile.ZipFile(tmp_path / "p.qdpx") as archive:
        root = fromstring(archive.read("project.qde"))
    codes = [e for e in root.iter() if e.tag.endswith("}Code")]
    assert len(codes) == len(BOOK.themes)
    assert all(len(e.attrib["color"]) == 7 for e in codes)
    guids = [e.attrib["guid"] for e in root.iter() if "guid" in e.attrib]
    assert len(set(guids)) == len(guids)


def test_the_same_comments_give_the_same_bytes(tmp_path: Path) -> None:
    write_qdpx(tmp_path / "a.qdpx", made_pairs(), BOOK)
    write_qdpx(tmp_path / "b.qdpx", made_pairs(), BOOK)
    assert (tmp_path / "a.qdpx").read_bytes() == (tmp_path / "b.qdpx").read_bytes()


def test_what_is_no_project_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.qdpx").write_bytes(b"no zip")
    with zipfile.ZipFile(tmp_path / "b.qdpx", "w") as archive:
        archive.writestr("project.qde", "<Project/>")
    for name in ("a.qdpx", "b.qdpx", "missing.qdpx"):
        with pytest.raises(ExchangeError):
            read_qdpx(tmp_path / name)


@pytest.mark.slow
def test_the_command_writes_texts_as_they_may_be_shown_with_evidence_where_it_stands_then(tmp_path: Path) -> None:
    text = "Write to jo.bloggs@example.org about it. The lights are broken."
    (tmp_path / "s.csv").write_text(f'id,text\n1,"{text}"\n2,"Drinkers in the park at night."\n')
    start = text.index("The lights")
    lines = []
    for i, evidence in (("1", [[start, len(text)]]), ("2", [])):
        themes = [{"theme": "ASB.drink", "probability": 0.9, "evidence": evidence}]
        probabilities = {str(t.id): 0.9 if t.id == "ASB.drink" else 0.1 for t in BOOK.codable}
        line = {
            "comment_id": i,
            "themes": themes,
            "unsure": [],
            "probabilities": probabilities,
            "model": "m",
            "codebook": BOOK.ref,
        }
        lines.append(json.dumps(line))
    (tmp_path / "c.jsonl").write_text("\n".join(lines) + "\n")
    out = tmp_path / "p.qdpx"
    arguments = [
        "codebook",
        "export",
        str(SHIPPED),
        "--codings",
        str(tmp_path / "c.jsonl"),
        "--comments",
        str(tmp_path / "s.csv"),
    ]
    assert run([*arguments, "--out", str(out)]) == 0
    first = read_qdpx(out)[1][0]
    assert "example.org" not in first.text
    ((theme, place),) = first.codings
    assert theme == "ASB.drink"
    assert place is not None
    assert place.of(first.text) == "The lights are broken."
