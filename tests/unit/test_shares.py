"""`themes shares`: respondents are counted once, bad files are refused whole, blind decisions alone are a sample."""

import json
from pathlib import Path

import numpy as np
import pytest

from nlp_service.cli.main import run
from nlp_service.estimate_shares import CodingsError, estimate_shares, read_codings

BOOK = """id: flat
version: '1'
themes:
  - {id: public, label: Public place, definition: Outside.}
  - {id: noise, label: Noise, definition: Loud sounds., parent: public}
  - {id: light, label: Light, definition: Lamps., parent: public}
  - {id: theft, label: Theft, definition: Things taken., parent: home}
  - {id: home, label: Home, definition: Indoors.}
"""


def coding(comment_id: str, noise: float, light: float, theft: float, **more: object) -> str:
    probabilities = {"noise": noise, "light": light, "theft": theft}
    return json.dumps(
        {"comment_id": comment_id, "themes": [], "unsure": [], "probabilities": probabilities, "model": "m", "codebook": "flat@1", **more}
    )  # fmt: skip


def decision(comment_id: str, *themes: str, **more: object) -> str:
    return json.dumps({"comment_id": comment_id, "text": "words", "themes": list(themes), **more})


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines, decided = [], []
    for i in range(200):
        themes = [t for t, rate in (("noise", 0.5), ("light", 0.3), ("theft", 0.1)) if rng.random() < rate]
        sure = {t: 0.8 if t in themes else 0.1 for t in ("noise", "light", "theft")}
        lines.append(coding(f"c{i}", **sure))
        if i < 60:
            decided.append(decision(f"c{i}", *themes, blind=True))
        elif i < 80:
            decided.append(decision(f"c{i}", "noise", "light", "theft", blind=False))
    (tmp_path / "codings.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "decisions.jsonl").write_text("\n".join(decided) + "\n")
    (tmp_path / "book.yaml").write_text(BOOK)
    return tmp_path


def test_the_command_writes_a_line_for_each_theme_of_both_levels(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["shares", "--codings", str(place / "codings.jsonl"), "--decisions", str(place / "decisions.jsonl")]
    assert run([*arguments, "--codebook", str(place / "book.yaml"), "--out", str(place / "s.json")]) == 0
    lines = {line["theme"]: line for line in json.loads((place / "s.json").read_text())}
    assert list(lines) == ["public", "noise", "light", "theft", "home"]
    contract = {
        "theme",
        "share",
        "low",
        "high",
        "rank_low",
        "rank_high",
        "method",
        "n_labelled",
        "n_comments",
    }
    assert all(set(line) >= contract for line in lines.values())
    assert all(line["n_labelled"] == 60 for line in lines.values())
    assert lines["theft"]["share"] == lines["home"]["share"]
    raised = (
        sum(json.loads(c)["probabilities"]["noise"] > 0.5 for c in (place / "codings.jsonl").read_text().splitlines())
        / 200
    )
    assert lines["noise"]["low"] < raised < lines["noise"]["high"]
    assert lines["public"]["share"] > lines["noise"]["share"]
    assert (lines["theft"]["rank_low"], lines["theft"]["rank_high"]) == (3, 3)
    shown = capsys.readouterr()
    assert "20 decisions that are not blind were left out" in shown.err
    assert "200 respondents, 200 comments, 60 labelled" in shown.out


def test_without_labels_there_is_no_interval(place: Path) -> None:
    found = estimate_shares(place / "codings.jsonl", None, place / "s.json")
    assert {line["method"] for line in found.lines} == {"model_only"}
    assert all(line["low"] is None and line["why"] for line in found.lines)


def test_a_person_with_several_comments_counts_once(tmp_path: Path) -> None:
    lines = [coding(f"{p}/{q}", 0.9 if q == 1 else 0.1, 0.1, 0.1, respondent=f"r{p}") for p in range(30) for q in (1, 2)]  # fmt: skip
    decided = [decision(f"{p}/{q}", *(["noise"] if q == 1 else []), blind=True) for p in range(30) for q in (1, 2)]
    (tmp_path / "c.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "d.jsonl").write_text("\n".join(decided[:40]) + "\n")
    half = estimate_shares(tmp_path / "c.jsonl", tmp_path / "d.jsonl", tmp_path / "s.json").lines[0]
    assert (half["n_respondents"], half["n_labelled"], half["n_comments"]) == (30, 20, 60)
    assert half["share"] == pytest.approx(1.0)
    (tmp_path / "d.jsonl").write_text("\n".join(decided) + "\n")
    whole = estimate_shares(tmp_path / "c.jsonl", tmp_path / "d.jsonl", tmp_path / "s.json").lines[0]
    assert (whole["share"], whole["method"]) == (1.0, "census")


@pytest.mark.parametrize(("read_twice", "is_said"), [(0, True), (3, True), (4, False), (20, False)])
def test_it_is_said_if_people_with_several_comments_were_hardly_read(
    tmp_path: Path, read_twice: int, is_said: bool
) -> None:
    """Of 100 people 20 wrote twice; of 40 read in full, eight should have."""
    once, twice = [f"a{i}" for i in range(80)], [f"b{i}" for i in range(20)]
    written = [(who, f"{who}-{n}") for who in (*once, *twice) for n in range(2 if who in twice else 1)]
    read = {*once[: 40 - read_twice], *twice[:read_twice]}
    coded = [coding(c, 0.5, 0.5, 0.5, respondent=who) for who, c in written]
    (tmp_path / "c.jsonl").write_text("\n".join(coded) + "\n")
    decided = [decision(c, "noise", blind=True) for who, c in written if who in read]
    (tmp_path / "d.jsonl").write_text("\n".join(decided) + "\n")
    (tmp_path / "book.yaml").write_text(BOOK)
    shares = estimate_shares(
        tmp_path / "c.jsonl", tmp_path / "d.jsonl", tmp_path / "s.json", codebook=tmp_path / "book.yaml"
    )
    assert any("20% of respondents wrote several comments" in note for note in shares.notes) == is_said


def test_decisions_on_other_comments_and_second_coders_are_listed(place: Path) -> None:
    extra = [decision("elsewhere", "noise", blind=True), decision("c1", "noise", blind=True, coder="b")]
    with (place / "decisions.jsonl").open("a") as file:
        file.write("\n".join(extra) + "\n")
    found = estimate_shares(place / "codings.jsonl", place / "decisions.jsonl", place / "s.json")
    assert [p.code for p in found.problems] == ["not_coded", "second_coder"]
    assert found.lines[0]["n_labelled"] == 60


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("", "no codings"),
        ("{", "line 1 is no coding"),
        ("[]", "line 1 is no coding"),
        ('{"comment_id": "a"}', "line 1 is no coding"),
        (coding("a", 1.5, 0, 0), "outside 0 to 1"),
        (coding("a", 0, 0, 0) + "\n" + coding("a", 0, 0, 0), "occurs twice"),
        (coding("a", 0, 0, 0) + "\n" + coding("b", 0, 0, 0).replace('"m"', '"other"'), "mixes 2 models"),
        (coding("a", 0, 0, 0) + "\n" + coding("b", 0, 0, 0).replace("theft", "arson"), "line 2 has other themes"),
        (coding("a", float("nan"), 0, 0), "outside 0 to 1"),
    ],
)
def test_what_is_no_codings_file_is_refused(tmp_path: Path, line: str, found: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(CodingsError, match=found):
        read_codings(path)
    assert run(["shares", "--codings", str(path), "--out", str(tmp_path / "s.json")]) == 3
    assert not (tmp_path / "s.json").exists()


def test_another_codebook_than_the_codings_is_refused(place: Path) -> None:
    (place / "other.yaml").write_text(BOOK.replace("theft", "arson"))
    with pytest.raises(CodingsError, match="are not those of"):
        estimate_shares(place / "codings.jsonl", None, place / "s.json", codebook=place / "other.yaml")


def test_turns_of_workshops_are_no_respondents(place: Path) -> None:
    plain = estimate_shares(place / "codings.jsonl", None, place / "s.json", codebook=place / "book.yaml")
    with (place / "codings.jsonl").open("a") as file:
        file.writelines(
            coding(f"talk:turn-{i}", 1.0, 1.0, 1.0, respondent="talk:Anna", session="talk") + "\n" for i in range(50)
        )
    mixed = estimate_shares(place / "codings.jsonl", None, place / "s.json", codebook=place / "book.yaml")
    assert mixed.lines == plain.lines
    assert any("50 turns of workshops were left out" in note for note in mixed.notes)
    (place / "codings.jsonl").write_text(coding("talk:turn-1", 1.0, 1.0, 1.0, session="talk") + "\n")
    with pytest.raises(CodingsError):
        estimate_shares(place / "codings.jsonl", None, place / "s.json", codebook=place / "book.yaml")
