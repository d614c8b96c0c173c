"""Every command that reads a survey takes the same options for how to read it, and reads it as it was coded."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import openpyxl
import pytest

from nlp_service.cli.main import run
from nlp_service.store.keys import Scope
from tests.service_parts import code_run, key_of, listening, serving

SAID = {
    "noise": "The music next door never stops before four.",
    "light": "It is pitch dark by the canal and nobody mends the lamps.",
    "theft": "My bike was taken from the hall, and it is the third one.",
}
ROLES = {"Ticket": "id", "Comment": "ignore", "Notes for analysts": "open", "Version": "single"}
"""Each column is guessed to be something else: the words stand where survey tools leave remarks, and clerks' remarks under "Comment"."""
HEADER = list(ROLES)
N = 30


@dataclass(frozen=True)
class Place:
    """A consultation whose columns guess wrongly, coded with a saved mapping; as a CSV file and on the second sheet of a workbook."""

    folder: Path
    model: Path

    @property
    def codings(self) -> Path:
        return self.folder / "codings.jsonl"

    @property
    def mapping(self) -> Path:
        return self.folder / "roles.yaml"

    def read_as(self, how: str) -> tuple[Path, list[str]]:
        """Return a file and the options with which its comments are those that were coded."""
        if how == "roles":
            return self.folder / "survey.csv", [o for c, r in ROLES.items() for o in ("--role", f"{c}={r}")]
        if how == "mapping":
            return self.folder / "survey.csv", ["--mapping", str(self.mapping)]
        return self.folder / "survey.xlsx", ["--sheet", "Answers", "--mapping", str(self.mapping)]


def rows() -> list[list[str]]:
    texts = list(SAID.values())
    return [
        [f"T-{100 + i}", "Typed in by the front desk, nothing to add here.", f"{texts[i % 3]} Number {i}.", ("Paper", "Online")[i % 2]]
        for i in range(N)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, small_model: Path) -> Place:
    made = Place(tmp_path_factory.mktemp("place"), small_model)
    with (made.folder / "survey.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *rows()])
    book = openpyxl.Workbook()
    book.active.title = "Read me"
    for line in (["Text"], ["How this workbook was put together"], ["Who to ask about it in the office"]):
        book.active.append(line)
    answers = book.create_sheet("Answers")
    for line in (HEADER, *rows()):
        answers.append(line)
    book.save(made.folder / "survey.xlsx")
    survey, roles = made.read_as("roles")
    assert run(["inspect", str(survey), *roles, "--save-mapping", str(made.mapping)]) == 0
    coding = ["code", str(survey), "--mapping", str(made.mapping), "--model", str(small_model)]
    assert run([*coding, "--out", str(made.codings), "--jobs", "1", "--quiet"]) == 0
    lines = [json.loads(line) for line in made.codings.read_text(encoding="utf-8").splitlines()]
    assert [line["comment_id"] for line in lines] == [row[0] for row in rows()]
    (made.folder / "margins.yaml").write_text("Version: {Paper: 80, Online: 20}\n")
    return made


def write_talk(path: Path, *turns: tuple[str, str]) -> None:
    cues = [f"00:00:{i:02}.000 --> 00:00:{i:02}.900\n<v {who}>{text}</v>\n" for i, (who, text) in enumerate(turns)]
    path.write_text("\n".join(["WEBVTT\n", *cues]), encoding="utf-8")


COMMANDS = {
    "candidates": "candidates --codings {codings} --comments {survey} --quiet --out {out}.json",
    "export": "codebook export --codings {codings} --comments {survey} --with-personal-data --out {out}.qdpx",
    "shares": "shares --codings {codings} --survey {survey} --margins {margins} --out {out}.json",
    "topics": "topics --codings {codings} --comments {survey} --quiet --out {out}.json",
    "report": "report {survey} --codings {codings} --quiet --out {out}.json",
}
EACH = [pytest.param(n, marks=pytest.mark.slow) if n in ("topics", "report") else n for n in COMMANDS]


def command(place: Place, name: str, survey: Path, out: Path) -> list[str]:
    paths = {"codings": place.codings, "margins": place.folder / "margins.yaml", "survey": survey, "out": out}
    return [word.format(**paths) for word in COMMANDS[name].split()]


@pytest.mark.parametrize("how", ["mapping", "roles", "sheet"])
@pytest.mark.parametrize("name", EACH)
@pytest.mark.slow
def test_a_survey_read_as_it_was_coded_belongs_to_its_codings(
    place: Place, tmp_path: Path, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    survey, options = place.read_as(how)
    assert run([*command(place, name, survey, tmp_path / "out"), *options]) == 0
    (out,) = tmp_path.iterdir()
    if name == "report":
        asked = json.loads(out.read_text(encoding="utf-8"))
        assert (asked["asked"]["n_comments"], [c["question"] for c in asked["closed"]]) == (N, ["Version"])
    elif name == "shares":
        assert {line["n_comments"] for line in json.loads(out.read_text())} == {N}
        assert "Version" in capsys.readouterr().err  # what the weights are by
    elif name == "export":
        assert f"{N} comments" in capsys.readouterr().err
    else:
        assert json.loads(out.read_text(encoding="utf-8"))["n_comments"] == N


@pytest.mark.parametrize("how", ["mapping", "sheet"])
@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_a_survey_read_in_another_way_is_refused_and_nothing_is_written(
    place: Place, tmp_path: Path, name: str, how: str
) -> None:
    survey, _ = place.read_as(how)
    assert run(command(place, name, survey, tmp_path / "out")) == 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_round_takes_the_comments_that_were_coded(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    survey, options = place.read_as("sheet")
    start = ["round", "start", "--codings", str(place.codings), "--comments", str(survey), "--labels", "6", "--model", str(place.model)]  # fmt: skip
    start += ["--out", str(tmp_path / "r"), "--url", "http://127.0.0.1:9", "--token", "t"]
    assert run(start) == 3
    assert "error round_refused:" in capsys.readouterr().err
    assert run([*start, *options]) == 3
    assert "error label_studio_failed:" in capsys.readouterr().err  # the comments were found; nothing listens there


@pytest.mark.slow
def test_a_report_without_codings_codes_what_the_options_say(place: Place, tmp_path: Path) -> None:
    survey, options = place.read_as("sheet")
    out = tmp_path / "r.json"
    assert run(["report", str(survey), "--model", str(place.model), "--quiet", "--out", str(out), *options]) == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    assert (document["asked"]["n_comments"], [c["question"] for c in document["closed"]]) == (N, ["Version"])


@pytest.mark.slow
def test_a_report_counts_the_turns_of_facilitators_where_they_were_coded(place: Place, tmp_path: Path) -> None:
    talk, codings, out = tmp_path / "talk.vtt", tmp_path / "c.jsonl", tmp_path / "r.json"
    write_talk(talk, *zip(("Ruth", "Anna", "Ben"), SAID.values(), strict=True))
    options = ["--facilitator", "Ruth", "--with-facilitators"]
    coding = ["code", str(talk), "--model", str(place.model), "--jobs", "1", "--quiet", "--out", str(codings)]
    assert run([*coding, *options]) == 0
    report = ["report", str(talk), "--codings", str(codings), "--quiet", "--out", str(out)]
    assert run([*report, *options[:2]]) == 3
    assert run([*report, *options]) == 0
    raised = json.loads(out.read_text(encoding="utf-8"))["workshops"]["themes"]
    assert {w["raised"]["of_speakers"] for w in raised} == {3}
    for name in ("candidates", "export"):  # the codings say whose turns were coded
        assert run([*command(place, name, talk, tmp_path / name), "--codings", str(codings), *options[:2]]) == 0


@pytest.mark.parametrize("mapping", ["none.yaml", "bad.yaml"])
@pytest.mark.parametrize("name", [*COMMANDS, "code", "inspect", "submit"])
def test_a_mapping_that_is_none_is_refused_by_every_command_alike(
    place: Place, tmp_path: Path, name: str, mapping: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.yaml").write_text("columns: 1")
    survey, out = place.read_as("mapping")[0], tmp_path / "out"
    given = command(place, name, survey, out) if name in COMMANDS else [name, str(survey)]
    given += ["--out", f"{out}.jsonl"] if name in ("code", "submit") else []
    assert run([*given, "--mapping", str(tmp_path / mapping)]) == 3
    assert "error mapping_invalid:" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.yaml"]


@pytest.mark.parametrize("how", ["mapping", "roles", "sheet"])
@pytest.mark.slow
def test_a_file_submitted_is_read_as_the_command_line_reads_it(
    place: Place, tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    survey, options = place.read_as(how)
    with serving(place.model, tmp_path) as (client, service), listening(service) as url:
        key = key_of(service, Scope.SUBMIT)
        monkeypatch.setenv("THEMES_KEY", key["authorization"].removeprefix("Bearer "))
        assert run(["submit", str(survey), "--url", url, *options]) == 0
        batch = client.get(f"/v1/batches/{capsys.readouterr().out.strip()}", headers=key).json()
        code_run(service, batch["run"]["id"])
        coded = client.get(f"/v1/batches/{batch['id']}/codings", headers=key).json()["codings"]
    assert coded == [json.loads(line) for line in place.codings.read_text(encoding="utf-8").splitlines()]


@pytest.mark.slow
def test_a_workshop_submitted_has_the_facilitators_that_were_named(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = tmp_path / "talk.vtt"
    french = "Il y a trop de bruit dans la rue le soir et personne ne vient quand on appelle."
    write_talk(talk, ("Anna", SAID["noise"]), ("Ruth", SAID["light"]), ("Anna", french))
    found = {}
    with serving(place.model, tmp_path) as (client, service), listening(service) as url:
        key = key_of(service, Scope.SUBMIT)
        monkeypatch.setenv("THEMES_KEY", key["authorization"].removeprefix("Bearer "))
        for more in ((), ("--with-facilitators",), ("--all-languages",)):
            assert run(["submit", str(talk), "--url", url, "--facilitator", "Ruth", *more]) == 0
            batch = f"/v1/batches/{capsys.readouterr().out.strip()}"
            problems = client.get(f"{batch}/problems", headers=key).json()["problems"]
            found[more] = (client.get(batch, headers=key).json()["n_comments"], {p["code"] for p in problems})
    assert found == {
        (): (1, {"facilitator_turn", "other_language"}),
        ("--with-facilitators",): (2, {"other_language"}),
        ("--all-languages",): (2, {"facilitator_turn"}),
    }
