"""The labelling interface: any codebook, nothing that could run in a browser."""

from xml.etree import ElementTree as ET

from annotation.interface import NONE, UNSURE, make_interface, make_result, sides_line, suggestion_line
from models.codebook import SHIPPED, read_codebook
from models.vocabulary import Codebook, Segment, Theme, ThemeId
from tests.conftest import THREE

EVIL = Codebook(
    "evil",
    "1",
    (
        Theme(
            ThemeId("a"), '<script>alert("x")</script>', "see $text & </View>", include='"quoted"', exclude="\x00\ud800"
        ),
        Theme(ThemeId("b"), "Same", "One."),
        Theme(ThemeId("c"), "same", "Two."),
    ),
)


def parsed(xml: str) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 -- our own


def test_the_shipped_codebook_is_grouped_by_parent_with_hints_and_hotkeys() -> None:
    book = read_codebook(SHIPPED)
    root = parsed(make_interface(book, suggestions=True, question=True))
    choices = root.find(".//Choices")
    assert choices is not None
    assert choices.get("required") == "true"
    ids = [c.get("alias") for c in choices.iter("Choice")]
    assert sorted(ids[:-2]) == sorted(t.id for t in book.codable)
    assert ids[-2:] == [NONE, UNSURE]
    parents = [h.get("value") for h in choices.iter("Header")]
    assert parents[:-1] == list(dict.fromkeys(book.get_theme(t.parent).label for t in book.codable if t.parent))
    keys = [k for c in root.iter("Choice") if (k := c.get("hotkey"))]
    assert len(keys) == len(set(keys))
    first = next(iter(choices.iter("Choice")))
    theme = book.get_theme(str(first.get("alias")))
    assert theme.definition in str(first.get("hint"))
    assert {e.get("alias") for e in root.iter("Label")} == {t.id for t in book.codable}


def test_a_flat_codebook_works_and_blind_shows_no_suggestion() -> None:
    xml = make_interface(THREE, suggestions=False)
    assert "suggest" not in xml
    assert "question" not in xml
    assert [c.get("alias") for c in parsed(xml).iter("Choice")] == ["noise", "theft", "light", NONE, UNSURE]


def test_markup_in_theme_names_stays_words_and_variables_stay_closed() -> None:
    xml = make_interface(EVIL, suggestions=True, sides=True)
    assert "<script" not in xml
    root = parsed(xml)
    choices = {c.get("alias"): c for c in root.iter("Choice")}
    assert choices["a"].get("value") == '<script>alert("x")</script>'
    assert "$text" not in str(choices["a"].get("hint"))
    assert choices["b"].get("value") != choices["c"].get("value")
    assert [e.get("value") for e in root.iter("Text")] == ["$text", "$suggested", "$sides"]


def test_suggestions_come_likeliest_first_with_their_evidence() -> None:
    text = "Lamps are out, bikes gone"
    codings = [(ThemeId("light"), 0.7, (Segment(0, 13),)), (ThemeId("theft"), 0.9, (Segment(15, 25),))]
    result = make_result(codings, text)
    assert result[0]["value"] == {"choices": ["theft", "light"]}
    assert [(r["value"]["labels"], r["value"]["text"]) for r in result[1:]] == [
        (["theft"], "bikes gone"),
        (["light"], "Lamps are out"),
    ]
    assert suggestion_line(THREE, [(t, p) for t, p, _ in codings], [(ThemeId("noise"), 0.4)]) == (
        "Theft 90 %; Light 70 %. Not ticked, but possible: Noise 40 %."
    )
    assert suggestion_line(THREE, [(ThemeId("light"), 0.5)], [(ThemeId("light"), 0.5)]) == "Light 50 % (unsure)."
    assert all(r["id"].isalnum() for r in result)
    assert suggestion_line(THREE, [], []) == "no theme."
    assert make_result([], text) == []


def test_both_sides_are_told() -> None:
    noise, theft, light = (t.id for t in THREE.themes)
    assert sides_line(THREE, {"Coder 1": [noise, theft], "Coder 2": [theft, light]}) == (
        "All: Theft\nCoder 1: Noise\nCoder 2: Light"
    )
    assert sides_line(THREE, {"Coder 1": [], "Coder 2": [light]}) == "Coder 1: none of these\nCoder 2: Light"
