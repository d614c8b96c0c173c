"""Closed answers stay with the respondent who gave them, typed, in the order of their options."""

from pathlib import Path

import pytest

from models.vocabulary import RespondentId
from nlp_service.ingest.answers import ClosedAnswers
from nlp_service.ingest.comments import ReadingOptions, read_comments
from nlp_service.ingest.roles import AnswerKind

SURVEY = """Response ID,What worries you most?,I feel safe,Priorities - Drugs,Priorities - Litter,Heard,Ward
R1,Dealers by the lifts every evening,Agree,Drugs,,Post;Online,North
R2,Nothing much to be honest with you,Strongly disagree,,Litter,Online,South
R3,,Don't know,Drugs,Litter,Post,North
R4,Speeding along the school road,Agree,,,Post;Library;Online,South
R4,A second row of the same id,Agree,,,Post,South
R5,The lights in the underpass are out,,,,Library;Online,North
"""


@pytest.fixture
def answers(tmp_path: Path) -> ClosedAnswers:
    path = tmp_path / "s.csv"
    path.write_text(SURVEY, encoding="utf-8")
    return read_comments([path], ReadingOptions(id_column="Response ID")).answers


def test_questions_have_kind_and_options_in_order(answers: ClosedAnswers) -> None:
    assert [(q.name, q.kind, q.options) for q in answers.questions] == [
        ("I feel safe", AnswerKind.ORDERED, ("Strongly disagree", "Agree", "Don't know")),
        ("Priorities", AnswerKind.MULTI, ("Drugs", "Litter")),
        ("Heard", AnswerKind.MULTI, ("Online", "Post", "Library")),
        ("Ward", AnswerKind.NOMINAL, ("North", "South")),
    ]
    assert answers.get_question("I feel safe").outside == ("Don't know",)
    assert [q.name for q in answers.questions if q.is_demographic] == ["Ward"]


def test_each_respondent_keeps_their_answers_and_blanks_are_not_answers(answers: ClosedAnswers) -> None:
    assert answers.of(RespondentId("R3")) == {
        "I feel safe": ("Don't know",),
        "Priorities": ("Drugs", "Litter"),
        "Heard": ("Post",),
        "Ward": ("North",),
    }
    assert "Priorities" not in answers.of(RespondentId("R5"))
    assert "I feel safe" not in answers.of(RespondentId("R5"))
    assert answers.of(None) == answers.of(RespondentId("nobody")) == {}


def test_a_question_can_be_crossed_by_respondent(answers: ClosedAnswers) -> None:
    assert answers.crossed("Priorities") == {"Drugs": ("R1", "R3"), "Litter": ("R2", "R3")}
    with pytest.raises(KeyError):
        answers.crossed("Colour")


def test_two_waves_join_into_one_question_in_order(tmp_path: Path) -> None:
    for name, said in (("a", ("Agree", "Disagree")), ("b", ("Strongly agree", "Disagree"))):
        rows = "".join(f"{i},The answer number {i} in words,{said[i % 2]}\n" for i in range(6))
        (tmp_path / f"{name}.csv").write_text("id,Worries,I feel safe\n" + rows)
    answers = read_comments([tmp_path / "a.csv", tmp_path / "b.csv"]).answers
    assert answers.get_question("I feel safe").options == ("Disagree", "Agree", "Strongly agree")
    assert answers.of(RespondentId("b:0")) == {"I feel safe": ("Strongly agree",)}
