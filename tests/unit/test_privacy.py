import re
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nlp_service.privacy.names
import nlp_service.privacy.structured
from models.vocabulary import Segment
from nlp_service.privacy import entities
from nlp_service.privacy.entities import NameModelError
from nlp_service.privacy.personal_data import Kind, PersonalData
from nlp_service.privacy.redaction import Redacted, count_kinds, redact
from nlp_service.privacy.structured import find_structured, is_nhs_number
from nlp_service.privacy.words import common_words, word_list

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("I live in W10 5AD, not W10 or SW3 4th", "I live in [POSTCODE], not W10 or SW3 4th"),
        ("postcode w105ad", "postcode [POSTCODE]"),
        ("text me on 07700 900123 or (020) 7946 0123", "text me on [PHONE] or [PHONE]"),
        ("+44 (0)7700 900 123", "[PHONE]"),
        ("Crimestoppers is 0800 555 111 and 101 is slow", "Crimestoppers is 0800 555 111 and 101 is slow"),
        ("email jo.b+x@mail.example.co.uk.", "email [EMAIL]."),
        ("jo at gmail dot com", "[EMAIL]"),
        ("my NI is AB 12 34 56 C", "my NI is [NI NUMBER]"),
        ("NHS 943 476 5919 not 943 476 5918", "NHS [NHS NUMBER] not 943 476 5918"),
        ("the van is LK19 XYZ, reg P123 ABC before", "the van is [VEHICLE], reg [VEHICLE] before"),
        ("I am 78 and was mugged in E17 ASB", "I am 78 and was mugged in E17 ASB"),
        ("CAD 4567/12MAR24 and crime ref 6512345/24", "[REFERENCE] and crime ref [REFERENCE]"),
        ("crime in 2023 went up, 12000 crimes", "crime in 2023 went up, 12000 crimes"),
        ("14 Oakwood Road and flat 3, 22 elm street", "[ADDRESS] and [ADDRESS]"),
        ("2 men in the street, 20 mph on Kings Road", "2 men in the street, 20 mph on Kings Road"),
        ("In 2019 Portobello Road was fine", "In 2019 Portobello Road was fine"),
        ("see www.example.org/asb. Ask @hillmum", "see [URL]. Ask [HANDLE]"),
        ("end of road.The next", "end of road.The next"),
    ],
)
def test_personal_data_with_a_form_is_replaced_and_its_look_alikes_are_not(text: str, redacted: str) -> None:
    assert redact(text).text == redacted


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("My neighbour Dave told PC Davies", "My neighbour [NAME] told PC [NAME]"),
        ("mrs jones next door, sharon from upstairs", "mrs [NAME] next door, [NAME] from upstairs"),
        ("Will Harris and May Chen came", "[NAME] and [NAME] came"),
        ("In May it was bad. Will you help? May I say", "In May it was bad. Will you help? May I say"),
        ("Cllr Mohammed Begum’s surgery", "Cllr [NAME]’s surgery"),
        ("Yours, B. Whitcombe", "Yours, [NAME]"),
        ("SHARON AT THE SHOP SAW IT", "[NAME] AT THE SHOP SAW IT"),
        (
            "Elizabeth Street, John Aird Court, Edward Woods Estate",
            "Elizabeth Street, John Aird Court, Edward Woods Estate",
        ),
        ("Stanley ward, Holland Park and Queen's Gate", "Stanley ward, Holland Park and Queen's Gate"),
        ("The NHS and John Lewis, Clare's Law, Ask for Angela", "The NHS and John Lewis, Clare's Law, Ask for Angela"),
        ("W10 5AD is a postcode, not a person", "[POSTCODE] is a postcode, not a person"),
        ("Graffiti and Fireworks again in Golborne", "Graffiti and Fireworks again in Golborne"),
    ],
)
def test_people_are_replaced_and_what_is_named_after_people_is_not(text: str, redacted: str) -> None:
    assert redact(text).text == redacted


def test_the_way_between_original_and_redacted_text_is_exact() -> None:
    one = redact("Ask Dave in W10 5AD, please")
    assert one.text == "Ask [NAME] in [POSTCODE], please"
    assert one.to_redacted(0, 3) == Segment(0, 3)
    assert one.to_redacted(5, 7).of(one.text) == "[NAME]"
    assert one.to_original(4, 6).of(one.original) == "Dave"
    assert one.to_original(11, 13).of(one.original) == "in"
    assert one.quote(Segment(4, 19)) == "[NAME] in [POSTCODE]"
    assert one.to_original(len(one.text) - 6, len(one.text)).of(one.original) == "please"
    for start, end in ((0, 0), (-1, 2), (3, 99)):
        with pytest.raises(IndexError):
            one.to_original(start, end)
        with pytest.raises(IndexError):
            one.to_redacted(start, end)


def test_findings_that_overlap_or_leave_the_text_are_refused() -> None:
    name = PersonalData(0, 3, Kind.NAME)
    for found in ((name, PersonalData(2, 4, Kind.URL)), (PersonalData(0, 9, Kind.NAME),)):
        with pytest.raises(ValueError, match="in order"):
            Redacted("abcd", found)
    with pytest.raises(ValueError, match="holds something"):
        PersonalData(2, 2, Kind.NAME)


@st.composite
def redacted_texts(draw: st.DrawFn) -> Redacted:
    text = draw(st.text(min_size=1, max_size=60))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    pairs = [(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False) if a < b]
    return Redacted(text, tuple(PersonalData(a, b, draw(st.sampled_from(list(Kind)))) for a, b in pairs))


@given(redacted_texts(), st.data())
@pytest.mark.slow
def test_every_slice_maps_out_and_back_without_showing_a_finding(one: Redacted, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(one.original) - 1))
    end = data.draw(st.integers(start + 1, len(one.original)))
    there = one.to_redacted(start, end)
    back = one.to_original(there.start, there.end)
    assert back.start <= start
    assert back.end >= end
    touched = [f for f in one.found if f.start < end and start < f.end]
    assert back.start == min([start, *(f.start for f in touched)])
    assert back.end == max([end, *(f.end for f in touched)])
    assert redact_by_hand(one, back.start, back.end) == there.of(one.text)


def redact_by_hand(one: Redacted, start: int, end: int) -> str:
    shown = ""
    for i in range(start, end):
        inside = next((f for f in one.found if f.start <= i < f.end), None)
        if inside is None:
            shown += one.original[i]
        elif inside.start == i:
            shown += inside.replacement
    return shown


@given(st.text(max_size=200))
def test_any_text_is_redacted_the_same_twice_and_rebuilds(text: str) -> None:
    one = redact(text)
    assert one == redact(text)
    assert redact_by_hand(one, 0, len(text)) == one.text


def test_the_nhs_check_digit_is_checked() -> None:
    assert is_nhs_number("9434765919")
    assert not is_nhs_number("9434765918")
    assert not is_nhs_number("943476591")
    assert not is_nhs_number("1111111111")


def test_kinds_are_counted_in_their_order() -> None:
    assert count_kinds([redact("Dave W10 5AD"), redact("Sharon")]) == {Kind.NAME: 2, Kind.POSTCODE: 1}


@pytest.mark.slow
def test_no_pattern_takes_long_on_hostile_text() -> None:
    patterns = [
        p
        for module in (nlp_service.privacy.structured, nlp_service.privacy.names)
        for p in vars(module).values()
        if isinstance(p, re.Pattern)
    ]
    assert len(patterns) > 20
    units = (
        "a",
        "1",
        "A1 ",
        "a.",
        "a@",
        "0 ",
        "flat 1 ",
        "1 Aa ",
        "ref ",
        "insta is ",
        "+1 ",
        "www.",
        "1-",
        " ",
        "12 The ",
        "at a dot ",
    )
    for pattern in patterns:
        for unit in units:
            hostile = unit * (10_000 // len(unit))
            assert _seconds(pattern, hostile) < 0.05, (pattern.pattern[:60], unit)


def _seconds(pattern: "re.Pattern[str]", text: str) -> float:
    began = time.process_time()
    for _ in pattern.finditer(text):
        pass
    return time.process_time() - began


def test_many_findings_in_a_long_text_are_kept_apart() -> None:
    found = find_structured("W10 5AD " * 3_000)
    assert len(found) == 3_000


def test_common_words_are_those_of_the_starter_corpus() -> None:
    assert sorted(word_list("common_words")) == common_words(ROOT / "training" / "starter" / "corpus.jsonl")


def test_a_changed_recogniser_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(entities._DIGESTS, "tokenizer", "0" * 64)
    with pytest.raises(NameModelError, match="tokenizer has another digest"):
        entities._find_folder()
    monkeypatch.setattr(entities, "_PACKAGE", "no_such_package_here")
    with pytest.raises(NameModelError, match="not installed"):
        entities._find_folder()
