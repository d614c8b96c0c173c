"""Nothing that is written takes the place of what is read."""

import json
import os
from pathlib import Path

import pytest

from nlp_service.cli.main import run
from nlp_service.output import OutputRefusedError, beside, keep_inputs

SURVEY = "ID,What worries you most?\nR1,The lamps are out by the canal\nR2,Loud music every night\n"


def test_an_output_that_is_an_input_is_refused_also_by_another_name(tmp_path: Path) -> None:
    read, other = tmp_path / "in.csv", tmp_path / "out.csv"
    read.write_text("text\nlamp out\n")
    keep_inputs([other, tmp_path / "absent"], [read, None])
    os.link(read, other)
    (tmp_path / "link").symlink_to(read)
    for out in (read, other, tmp_path / "link", tmp_path / "." / "in.csv"):
        with pytest.raises(OutputRefusedError):
            keep_inputs([out], [None, read])


@pytest.mark.parametrize(
    "words", ["code FILE --out FILE", "shares --codings FILE --out FILE", "report FILE --out FILE"]
)
def test_a_command_that_would_lose_its_input_leaves_it(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / ("in.json" if words.startswith("report") else "in.jsonl")
    path.write_text(json.dumps({"id": "1", "text": "lamp out"}) + "\n")
    before = path.read_bytes()
    assert run(words.replace("FILE", str(path)).split()) == 3
    assert "would be lost" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        "code SURVEY --mapping ROLES.jsonl --out ROLES.jsonl",
        "candidates --codings CODINGS --comments SURVEY --mapping ROLES --out ROLES",
        "candidates --codings CODINGS --comments SURVEY --out SURVEY",
        "candidates --codings CODINGS --comments SURVEY --since ROLES --out ROLES",
        "topics --codings CODINGS --comments SURVEY --mapping ROLES --out ROLES",
        "topics --codings CODINGS --comments SURVEY --out NEW --map SURVEY",
        "topics --codings CODINGS --comments SURVEY --codebook ROLES --out ROLES",
        "codebook export --codings CODINGS --comments SURVEY --mapping ROLES.qdpx --out ROLES.qdpx",
        "shares --codings CODINGS --survey SURVEY --mapping ROLES --out ROLES",
        "shares --codings CODINGS --survey SURVEY --out SURVEY",
        "report SURVEY --mapping ROLES.json --out ROLES.json",
        "submit SURVEY --mapping ROLES.jsonl --out ROLES.jsonl",
        "submit SURVEY --out SURVEY",
        "inspect SURVEY --save-mapping SURVEY",
        "inspect SURVEY --mapping ROLES --save-mapping ROLES",
    ],
)
def test_surveys_and_mappings_are_inputs_of_every_command(
    tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    survey, roles = tmp_path / "survey.csv", tmp_path / "roles"
    survey.write_text(SURVEY)
    assert run(["inspect", str(survey), "--save-mapping", str(roles)]) == 0
    for name in ("ROLES.jsonl", "ROLES.json", "ROLES.qdpx"):
        (tmp_path / name.replace("ROLES", "roles")).write_bytes(roles.read_bytes())
    (tmp_path / "codings.jsonl").write_text("not looked at\n")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    paths = {"SURVEY": survey, "ROLES": roles, "CODINGS": tmp_path / "codings.jsonl", "NEW": tmp_path / "new.json"}
    for word, path in paths.items():
        words = words.replace(word, str(path))
    assert run(words.split()) == 3
    assert "would be lost" in capsys.readouterr().err
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("command", "what"), [("code", "problems"), ("code", "safeguarding"), ("submit", "safeguarding")]
)
def test_what_goes_beside_an_output_takes_no_inputs_place_either(
    tmp_path: Path, command: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "coded.csv"
    read = beside(out, what)
    read.write_text(json.dumps({"id": "1", "text": "lamp out"}) + "\n")
    before = read.read_bytes()
    assert run([command, str(read), "--out", str(out)]) == 3
    assert "would be lost" in capsys.readouterr().err
    assert (read.read_bytes(), out.exists()) == (before, False)
