"""What an export comes to: the last word of each coder, whatever else is in it."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from annotation.display import Swap, make_display
from annotation.interface import NONE, UNSURE
from annotation.round import (
    Kind,
    Round,
    RoundError,
    Suggested,
    decision_line,
    make_round,
    read_export,
    round_document,
    round_from_document,
    settle,
    stored_task,
    task_document,
)
from models.vocabulary import Comment, CommentId, RespondentId, Segment, ThemeId
from nlp_service.round_folder import find_round, read_round, with_adjudication, write_round
from tests.conftest import THREE
from training.decisions import read_decisions

USERS = {1: "admin@x", 2: "ann@x", 3: "bob@x"}


def comment(i: int, text: str | None = None) -> Comment:
    return Comment(
        CommentId(f"c{i}"), text or f"Comment number {i}, about the street.", None, RespondentId(f"p{i // 2}")
    )


@pytest.fixture
def plan() -> Round:
    some = Suggested(
        ((ThemeId("light"), 0.8, (Segment(0, 7),)),), ((ThemeId("theft"), 0.4),), ((ThemeId("noise"), 0.1),)
    )
    blind = [(c, make_display(c.text), some) for c in (comment(0), comment(1))]
    assisted = [(c, make_display(c.text), some) for c in (comment(2), comment(3, "First.\r\nAnn Smith, twice."))]
    return make_round(
        blind=blind, assisted=assisted, codebook=THREE, model="m-1", coders=2, overlap=0.5, seed=1, shows_question=False
    )


def annotation(
    id_: int, who: int | None, *choices: str, at: str = "2026-01-01T10:00:00Z", **more: Any
) -> dict[str, Any]:
    result: list[dict[str, Any]] = [
        {"from_name": "themes", "to_name": "text", "type": "choices", "value": {"choices": list(choices)}}
    ]
    given = {
        "id": id_,
        "completed_by": who,
        "updated_at": at,
        "lead_time": 12.34,
        "was_cancelled": False,
        "result": result,
    }
    return given | more


def export_of(plan: Round, kind: Kind, *annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    documents = [task_document(plan, t) for t in plan.of(kind)]
    return [{**d, "project": 1, "annotations": a} for d, a in zip(documents, [*annotations, [], []], strict=False)]


def codes(plan: Round, kind: Kind, export: list[dict[str, Any]]) -> list[str]:
    return [p.code for p in read_export(plan.of(kind), THREE, export, USERS).problems]


def test_the_same_plan_is_the_same_round_and_comes_back_from_its_folder(plan: Round, tmp_path: Path) -> None:
    assert len({t.key for t in plan.tasks}) == 4
    stored = [json.loads(json.dumps(stored_task(t))) for t in plan.tasks]
    assert round_from_document(json.loads(json.dumps(round_document(plan))), stored) == plan
    write_round(tmp_path / "r", plan.with_project(Kind.BLIND, 7))
    again = read_round(tmp_path / "r")
    assert again.find_project(Kind.BLIND) == 7
    assert again.tasks == plan.tasks
    assert find_round(tmp_path / "none") is None
    (tmp_path / "r" / "tasks.jsonl").write_text("{}\n")
    with pytest.raises(RoundError, match="not whole"):
        read_round(tmp_path / "r")


def test_what_is_sent_holds_no_id_of_a_person_and_blind_tasks_no_suggestion(plan: Round) -> None:
    blind, assisted = plan.of(Kind.BLIND), plan.of(Kind.ASSISTED)
    assert set(task_document(plan, blind[0])) == {"data"}
    assert set(task_document(plan, blind[0])["data"]) == {"key", "text"}
    sent = task_document(plan, assisted[1])
    assert sent["data"]["suggested"] == "Light 80 %. Not ticked, but possible: Theft 40 %."
    assert sent["predictions"][0]["result"][1]["value"]["text"] == "First.\n"
    assert "c3" not in json.dumps(sent)
    assert "p1" not in json.dumps(sent)


def test_the_last_word_counts_and_the_order_of_the_export_does_not(plan: Round) -> None:
    first = annotation(10, 2, "noise", at="2026-01-01T10:00:00Z")
    later = annotation(9, 2, "theft", at="2026-01-01T10:00:01Z")
    other = annotation(11, 3, NONE)
    export = export_of(plan, Kind.BLIND, [first, later, other])
    pulled = read_export(plan.of(Kind.BLIND), THREE, export, USERS)
    assert [(a.coder, a.themes) for a in pulled.answers] == [("ann@x", {"theft"}), ("bob@x", frozenset())]
    assert [p.code for p in pulled.problems] == ["replaced_answer"]
    assert pulled.answers[0].seconds == 12.3
    turned = [{**t, "annotations": t["annotations"][::-1]} for t in export[::-1]]
    assert read_export(plan.of(Kind.BLIND), THREE, turned, USERS).answers == pulled.answers


def test_skips_and_unsure_are_no_decisions(plan: Round) -> None:
    export = export_of(
        plan, Kind.BLIND, [annotation(1, 2, "noise", was_cancelled=True)], [annotation(2, 3, UNSURE, "noise")]
    )
    answers = read_export(plan.of(Kind.BLIND), THREE, export, USERS).answers
    assert [(a.themes, a.why, a.tentative) for a in answers] == [
        (None, "skipped", frozenset()),
        (None, "unsure", {"noise"}),
    ]


def test_a_later_skip_takes_an_answer_back(plan: Round) -> None:
    export = export_of(
        plan,
        Kind.BLIND,
        [annotation(1, 2, "noise"), annotation(2, 2, was_cancelled=True, at="2026-01-02T10:00:00Z")],
    )
    assert [a.why for a in read_export(plan.of(Kind.BLIND), THREE, export, USERS).answers] == ["skipped"]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (annotation(1, 2, "arson"), "unknown_theme"),
        (annotation(1, 2, "noise", NONE), "unclear_answer"),
        (annotation(1, 2), "unclear_answer"),
        (annotation(1, None, "noise"), "no_coder"),
        (annotation(1, 2, result="x"), "malformed_answer"),
        (annotation(1, 2, result=[{"from_name": "themes", "value": 3}]), "malformed_answer"),
        ({"completed_by": 2, "result": []}, "malformed_answer"),
    ],
)
def test_an_answer_that_cannot_be_taken_is_a_problem_and_no_decision(
    plan: Round, bad: dict[str, Any], code: str
) -> None:
    export = export_of(plan, Kind.BLIND, [bad], [annotation(5, 3, "light")])
    pulled = read_export(plan.of(Kind.BLIND), THREE, export, USERS)
    assert [p.code for p in pulled.problems] == [code]
    assert [a.themes for a in pulled.answers] == [{"light"}]


def test_foreign_changed_and_missing_tasks_are_problems(plan: Round) -> None:
    export = export_of(plan, Kind.BLIND, [annotation(1, 2, "noise")], [annotation(2, 2, "noise")])
    export[0]["data"]["text"] = "Something else"
    export[1]["data"]["key"] = "forged"
    export.append({"id": 3})
    assert codes(plan, Kind.BLIND, export) == ["changed_task", "unplanned_task", "unplanned_task", "missing_task"]
    assert read_export(plan.of(Kind.BLIND), THREE, export, USERS).answers == ()


def test_a_task_that_was_imported_twice_is_one_task(plan: Round) -> None:
    export = export_of(plan, Kind.BLIND, [annotation(1, 2, "noise")])
    again = [{**t, "annotations": [annotation(9, 3, "noise")]} for t in export[:1]]
    pulled = read_export(plan.of(Kind.BLIND), THREE, [*again, *export], USERS)
    assert [a.coder for a in pulled.answers] == ["ann@x", "bob@x"]
    assert pulled.problems == ()


def test_marks_come_back_on_the_comment_as_it_came_in(plan: Round) -> None:
    def mark(start: object, end: object, label: str = "noise") -> dict[str, Any]:
        return {"from_name": "evidence", "type": "labels", "value": {"start": start, "end": end, "labels": [label]}}

    marked = annotation(1, 2, "noise")
    marked["result"] += [
        mark(7, 16),
        mark("0", "6"),
        mark(0, 99),
        mark(True, 3),
        mark(0, 3, "arson"),
        mark(0, 3, "light"),
    ]
    export = export_of(plan, Kind.ASSISTED, [], [marked])
    pulled = read_export(plan.of(Kind.ASSISTED), THREE, export, USERS)
    text = plan.of(Kind.ASSISTED)[1].comment.text
    assert [s.of(text) for s in dict(pulled.answers[0].evidence)[ThemeId("noise")]] == ["First.", "Ann Smith"]
    assert dict(pulled.answers[0].evidence).keys() == {"noise"}
    assert [p.code for p in pulled.problems] == ["bad_evidence"] * 3


def test_redacted_words_are_not_sent_and_marks_on_them_come_back_whole(plan: Round) -> None:
    c = comment(5, "Ann Smith shouts")
    redacted = make_display(c.text, (Swap(0, 9, "[NAME]"),))
    one = make_round(
        blind=[(c, redacted, Suggested())], assisted=[], codebook=THREE, model="m", coders=1, overlap=0, seed=0
    )
    assert "Smith" not in json.dumps(task_document(one, one.tasks[0]))
    marked = annotation(1, 2, "noise")
    marked["result"].append({"from_name": "evidence", "value": {"start": 3, "end": 13, "labels": ["noise"]}})
    pulled = read_export(one.tasks, THREE, export_of(one, Kind.BLIND, [marked]), USERS)
    assert dict(pulled.answers[0].evidence)[ThemeId("noise")] == (Segment(0, 16),)


def test_a_decision_says_who_when_how_and_what_was_suggested(plan: Round, tmp_path: Path) -> None:
    export = export_of(plan, Kind.ASSISTED, [annotation(1, 2, "noise", "light")])
    answer = read_export(plan.of(Kind.ASSISTED), THREE, export, USERS).answers[0]
    line = decision_line(plan, answer)
    assert line == {
        "comment_id": "c2", "text": comment(2).text, "themes": ["light", "noise"], "group": "p1", "coder": "ann@x",
        "blind": False, "kind": "assisted", "decided_at": "2026-01-01T10:00:00+00:00", "seconds": 12.3,
        "suggested": {"light": 0.8}, "model": "m-1", "codebook": "flat@1", "round": plan.id, "key": answer.task.key,
    }  # fmt: skip
    (tmp_path / "d.jsonl").write_text(json.dumps(line) + "\n")
    decided, problems = read_decisions(tmp_path / "d.jsonl", THREE, at_least=1)
    assert problems == []
    assert decided[0].blind is False


def test_agreement_settles_disagreement_opens_and_the_third_project_closes(plan: Round, tmp_path: Path) -> None:
    export = export_of(
        plan,
        Kind.BLIND,
        [annotation(1, 2, "noise"), annotation(2, 3, "noise")],
        [annotation(3, 2, "noise", "light"), annotation(4, 3, "light")],
    )
    answers = read_export(plan.of(Kind.BLIND), THREE, export, USERS).answers
    settled = settle(plan, answers, ())
    assert (settled.n_agreed, settled.n_adjudicated, len(settled.open)) == (1, 0, 1)
    assert settled.lines[0]["coder"] == "ann@x + bob@x"
    assert [h["coder"] for h in settled.lines[0]["history"]] == ["ann@x", "bob@x"]
    third = settled.open[0]
    assert third.blind is True
    whole = with_adjudication(plan, settled.open)
    sent = task_document(whole, third)
    assert sent["data"]["sides"] == "All: Light\nCoder 1: Noise\nCoder 2: nothing more"
    assert "ann@x" not in json.dumps(sent)
    write_round(tmp_path / "r", plan)
    write_round(tmp_path / "r", whole)
    assert read_round(tmp_path / "r").of(Kind.ADJUDICATION) == (third,)
    assert with_adjudication(whole, [replace(third, sides=())]) == whole

    outcome = read_export(
        (third,), THREE, export_of(whole, Kind.ADJUDICATION, [annotation(9, 1, "light")]), USERS
    ).answers
    final = settle(plan, answers, outcome)
    assert (final.n_agreed, final.n_adjudicated, final.open) == (1, 1, ())
    line = final.lines[1]
    assert (line["coder"], line["themes"], line["blind"]) == ("adjudicated", ["light"], True)
    assert [(h["coder"], h["themes"]) for h in line["history"]] == [
        ("ann@x", ["light", "noise"]),
        ("bob@x", ["light"]),
        ("admin@x", ["light"]),
    ]


def test_one_unsure_coder_opens_a_comment(plan: Round) -> None:
    export = export_of(
        plan, Kind.BLIND, [annotation(1, 2, UNSURE)], [annotation(2, 2, "noise"), annotation(3, 3, UNSURE)]
    )
    settled = settle(plan, read_export(plan.of(Kind.BLIND), THREE, export, USERS).answers, ())
    assert [t.comment.id for t in settled.open] == ["c0", "c1"]
    assert settled.lines == ()


def test_a_comment_twice_is_refused() -> None:
    c = (comment(1), make_display("x"), Suggested())
    with pytest.raises(RoundError, match="twice"):
        make_round(blind=[c, c], assisted=[], codebook=THREE, model="m", coders=1, overlap=0, seed=0)
