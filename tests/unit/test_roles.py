"""Columns get the role they have, with the reason; an analyst's word comes before a guess, and is kept for the next wave."""

from dataclasses import replace
from pathlib import Path

import pytest

from nlp_service.cli.main import run
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.mapping import (
    MappingInvalidError,
    choose_roles,
    mapping_from_json,
    mapping_to_json,
    read_mapping,
    write_mapping,
)
from nlp_service.ingest.roles import AnswerKind, Role, find_role, guess_roles
from nlp_service.ingest.scales import find_scale
from nlp_service.ingest.table import InputRefusedError, Row, Table

AGREE = ("Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree")
SURVEY = """Response ID,Submitted,Email,What worries you most?,I feel safe at night,Where did you hear of us?,Ward,Age group
R1,2026-03-01 10:00,a@x.org,Dealers by the lifts every evening,Agree,Post;Online,North,18-24
R2,2026-03-01 11:00,b@x.org,Nothing much to be honest with you,Disagree,Online,South,65+
R3,2026-03-02 09:00,c@x.org,The lights in the underpass are out,Agree,Post,North,25-34
R4,2026-03-02 10:00,d@x.org,Speeding along the school road,Strongly agree,Post;Library,South,65+
R5,2026-03-03 10:00,e@x.org,,Don't know,Library;Online,North,18-24
R6,2026-03-03 12:00,f@x.org,Nobody comes when you ring them,Agree,Online,South,25-34
"""
WANTED = (Role.ID, Role.DATE, Role.IGNORE, Role.OPEN, Role.SCALE, Role.MULTI, Role.DEMOGRAPHIC, Role.DEMOGRAPHIC)


def table(header: str, *rows: str) -> Table:
    cells = [tuple(r.split("|")) for r in rows]
    return Table("t.csv", tuple(header.split("|")), tuple(Row(i, c) for i, c in enumerate(cells, 2)))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    path = tmp_path / "wave1.csv"
    path.write_text(SURVEY, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "points",
    [
        AGREE,
        ("Very unsafe", "A bit unsafe", "Fairly safe", "Very safe"),
        ("Very dissatisfied", "Fairly dissatisfied", "Neither satisfied nor dissatisfied", "Fairly satisfied", "Very satisfied"),
        ("Not at all important", "Not very important", "Fairly important", "Very important"),
        ("Not a problem at all", "Not a very big problem", "A fairly big problem", "A very big problem"),
        ("Never", "Rarely", "Sometimes", "Often", "Always"),
        ("Monthly", "Weekly", "Daily"),
        ("Very poor", "Poor", "Fair", "Good", "Excellent"),
        ("Under 18", "18-24", "25 to 34", "35 – 44", "65 or over"),
        ("Less than 1 year", "1-2 years", "3 to 5 years", "More than 10 years"),
        ("1", "2", "3", "4", "5"),
        ("1 - Not at all", "2", "3", "5 - Very"),
        ("Much worse", "A bit worse", "About the same", "Better", "Much better"),
        ("Strongly oppose", "Tend to oppose", "Neutral", "Tend to support", "Strongly support"),
    ],
    ids=lambda p: p[0],
)  # fmt: skip
def test_a_scale_is_ordered_whatever_the_order_of_its_answers(points: tuple[str, ...]) -> None:
    for shuffled in (points, points[::-1], sorted(points)):
        found = find_scale((*shuffled, "Don't know"))
        assert found is not None
        assert found.order == (*points, "Don't know")


@pytest.mark.parametrize(
    "values", [("Yes", "No"), ("North", "South"), ("Agree", "Satisfied"), ("1", "2"), ("Agree", "Online"), ()]
)
def test_what_has_no_order_is_no_scale(values: tuple[str, ...]) -> None:
    assert find_scale(values) is None


def test_each_role_is_told_with_its_reason(survey: Path) -> None:
    reading = read_comments([survey])
    assert [(c.id, c.question) for c in reading.comments][:2] == [
        ("R1", "What worries you most?"),
        ("R2", "What worries you most?"),
    ]
    from nlp_service.ingest.formats import read_table

    roles = guess_roles(read_table("wave1.csv", ".csv", survey.read_bytes()))
    assert tuple(r.role for r in roles) == WANTED
    assert all(r.reason for r in roles)
    assert roles[4].order == ("Disagree", "Agree", "Strongly agree", "Don't know")
    assert roles[7].kind is AnswerKind.ORDERED


def test_reasons_never_hold_an_answer() -> None:
    found = guess_roles(table("What worries you?|Ward", *[f"zebrafish number {i} swam by us|Quokka" for i in range(9)]))
    assert not any("zebrafish" in r.reason or "Quokka" in r.reason for r in found)


def test_options_in_columns_are_one_question_and_statements_of_a_grid_are_scales() -> None:
    roles = guess_roles(
        table(
            "Priorities? - Drugs|Priorities? - Litter|How safe? [By day]|How safe? [At night]",
            "Drugs||Very safe|Fairly safe", "Drugs|Litter|Very safe|Very unsafe", "||Fairly safe|Very unsafe",
        )
    )  # fmt: skip
    assert [r.role for r in roles] == [Role.TICK, Role.TICK, Role.SCALE, Role.SCALE]
    assert [(r.question, r.option) for r in roles[:2]] == [("Priorities?", "Drugs"), ("Priorities?", "Litter")]


def test_what_people_write_under_other_is_never_taken_for_a_tick() -> None:
    names = "Priorities? - Drugs|Priorities? - Litter|Priorities? - Other (please specify)"
    for words in (("No", "", "None"), ("", "", ""), ("No", "No", "")):
        roles = guess_roles(table(names, *(f"Drugs|Litter|{w}" for w in words)))
        assert [r.role for r in roles] == [Role.TICK, Role.TICK, Role.OPEN]
    ticked = guess_roles(table(names, *["Drugs||Other (please specify)"] * 3))
    assert ticked[2].role is Role.TICK


def test_full_postcodes_are_kept_out_and_districts_are_kept() -> None:
    full = guess_roles(table("Postcode|x", *["AB1 2CD|a", "AB1 2CE|b", "AB1 2CD|a"]))
    part = guess_roles(table("Postcode|x", *["AB1|a", "AB2|b", "AB1|a"]))
    assert [full[0].role, part[0].role] == [Role.IGNORE, Role.DEMOGRAPHIC]


def test_what_is_told_comes_before_a_guess(survey: Path) -> None:
    reading = read_comments([survey], ReadingOptions(roles={"ward": Role.ID, "Email": Role.OPEN}))
    assert {p.code for p in reading.problems} == {"duplicate_id"}
    assert {c.question for c in reading.comments} == {"What worries you most?", "Email"}


def test_a_saved_mapping_serves_the_next_wave_and_says_what_changed(survey: Path, tmp_path: Path) -> None:
    saved = tmp_path / "roles.yaml"
    assert run(["inspect", str(survey), "--role", "Ward=ignore", "--save-mapping", str(saved)]) == 0
    second = tmp_path / "wave2.csv"
    second.write_text(
        SURVEY.replace("Submitted", "When").replace("I feel safe at night", "I feel safe at night"), encoding="utf-8"
    )
    mapping = read_mapping(saved)
    reading = read_comments([second], ReadingOptions(mapping=mapping))
    assert not any(q.name == "Ward" for q in reading.answers.questions)
    assert any("'Submitted'" in n for n in reading.notes)
    assert any("'When'" in n for n in reading.notes)
    assert [c.text for c in reading.comments] == [c.text for c in read_comments([survey]).comments]


def test_a_mapping_read_back_is_the_one_written(survey: Path, tmp_path: Path) -> None:
    from nlp_service.ingest.formats import read_table

    t = read_table("wave1.csv", ".csv", survey.read_bytes())
    roles, _ = choose_roles(t)
    write_mapping(tmp_path / "m.yaml", roles)
    again, notes = choose_roles(t, mapping=read_mapping(tmp_path / "m.yaml"))
    assert notes == ()
    assert [(r.column, r.role, r.kind, r.order, r.separator) for r in again] == [
        (r.column, r.role, r.kind, r.order, r.separator) for r in roles
    ]


@pytest.mark.parametrize(
    "content",
    ["[]", "columns: 1", "columns: [1]", "columns:\n- {column: a, role: poet}", "columns:\n- {column: a, role: id}\n- {column: A, role: id}", "a: [", "columns:\n- {column: a, role: tick}", "columns:\n- {column: a, role: id, colour: red}", "columns:\n- {column: a, role: multi, separator: ''}", "columns:\n- {column: a, role: scale, order: [2026-99-99]}"],
)  # fmt: skip
def test_a_bad_mapping_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(content)
    with pytest.raises(MappingInvalidError):
        read_mapping(tmp_path / "m.yaml")


def test_a_mapping_sent_as_json_says_all_that_the_file_says(survey: Path, tmp_path: Path) -> None:
    assert run(["inspect", str(survey), "--save-mapping", str(tmp_path / "m.yaml")]) == 0
    read = read_mapping(tmp_path / "m.yaml")
    sent = mapping_from_json(mapping_to_json(read))
    assert [replace(r, reason="") for r in sent.roles] == [replace(r, reason="") for r in read.roles]
    assert (read.name, read.file, sent.file) == ("m.yaml", tmp_path / "m.yaml", None)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "1", "columns: []", '{"columns": [1]}', '{"columns": [{"column": "a", "role": ["id"]}]}', '{"columns": [{"column": 1, "role": "id"}]}',
     '{"columns": [{"column": "a", "role": "id", "kind": {}}]}', '{"columns": [{"column": "a", "role": "multi", "separator": ""}]}', "[" * 100_000],
    ids=lambda t: t[:40],
)  # fmt: skip
def test_json_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(MappingInvalidError, match="the mapping: "):
        mapping_from_json(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ward=demographic", ("Ward", Role.DEMOGRAPHIC)),
        ("a=b=open", ("a=b", Role.OPEN)),
        ("=open", None),
        ("Ward", None),
        ("Ward=", None),
        ("Ward=poet", None),
        ("Ward= open", None),
        ("", None),
    ],
)
def test_a_role_is_what_stands_behind_the_last_equals_sign(text: str, found: tuple[str, Role] | None) -> None:
    assert find_role(text) == found


def test_inspect_shows_columns_and_codes_nothing(
    survey: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["inspect", str(survey)]) == 0
    said = capsys.readouterr()
    assert "I feel safe at night" in said.out
    assert "Disagree < Agree < Strongly agree" in said.out
    assert "6 rows: 5 comments to code, 1 blank" in said.err
    assert [p.name for p in tmp_path.iterdir()] == ["wave1.csv"]


def test_inspect_refuses_an_unknown_column_or_role(survey: Path, tmp_path: Path) -> None:
    assert run(["inspect", str(survey), "--role", "Nothing=open", "--save-mapping", str(tmp_path / "m.yaml")]) == 3
    assert run(["inspect", str(survey), "--role", "Ward=poet"]) == 2
    assert not (tmp_path / "m.yaml").exists()


def test_a_role_for_two_columns_of_one_name_is_refused() -> None:
    with pytest.raises(InputRefusedError, match="ambiguous_column"):
        choose_roles(table("a|a", "1|2"), roles={"a": Role.OPEN})
