"""Weights: respondents match every stated margin, and an interval pays for it."""

from pathlib import Path

import numpy as np
import pytest

from models.prevalence import estimate_prevalence
from models.vocabulary import RespondentId
from nlp_service.ingest.answers import ClosedAnswers, ClosedQuestion
from nlp_service.ingest.roles import AnswerKind
from nlp_service.weights import MarginsError, rake, read_margins


def answers(n: int = 200, seed: int = 0) -> tuple[ClosedAnswers, list[str]]:
    rng = np.random.default_rng(seed)
    people = [f"p{i}" for i in range(n)]
    of = {
        RespondentId(p): {"Ward": (str(rng.choice(["North", "South"], p=[0.8, 0.2])),)}
        | ({"Age": (str(rng.choice(["young", "old"])),)} if rng.random() < 0.9 else {})
        for p in people
    }
    questions = tuple(
        ClosedQuestion(q, AnswerKind.NOMINAL, o) for q, o in (("Ward", ("North", "South")), ("Age", ("young", "old")))
    )
    return ClosedAnswers(questions, of), people


def share(given: ClosedAnswers, people: list[str], weights: np.ndarray, question: str, option: str) -> float:
    told = [given.of(RespondentId(p)).get(question, ()) for p in people]
    return sum(w for w, t in zip(weights, told, strict=True) if option in t) / sum(w for w, t in zip(weights, told, strict=True) if t)  # fmt: skip


def test_the_respondents_match_every_margin() -> None:
    given, people = answers()
    found = rake({"Ward": {"North": 0.5, "South": 0.5}, "Age": {"young": 0.3, "old": 0.7}}, given, people)
    assert share(given, people, found.values, "Ward", "South") == pytest.approx(0.5, abs=1e-6)
    assert share(given, people, found.values, "Age", "old") == pytest.approx(0.7, abs=1e-6)
    assert found.values.mean() == pytest.approx(1.0)
    assert "200 people count like" in found.note


def test_equal_weights_change_nothing() -> None:
    rng = np.random.default_rng(1)
    truth, labelled = rng.random((300, 4)) < 0.3, np.arange(300) % 3 == 0
    proxy = 0.6 * truth + 0.4 * rng.random((300, 4))
    plain = estimate_prevalence(proxy, truth, labelled)
    weighted = estimate_prevalence(proxy, truth, labelled, weights=np.full(300, 2.5))
    for a, b in zip(plain, weighted, strict=True):
        assert (a.share, a.low, a.high) == pytest.approx((b.share, b.low, b.high))
        assert (a.rank_low, a.rank_high) == (b.rank_low, b.rank_high)


def test_weighted_intervals_hold_the_weighted_share() -> None:
    rng = np.random.default_rng(2)
    held = widths = plain_widths = 0.0
    times, n, m = 400, 600, 120
    for _ in range(times):
        group = rng.random(n) < 0.25
        truth = (rng.random(n) < np.where(group, 0.6, 0.2))[:, None]
        proxy = (0.5 * truth[:, 0] + 0.5 * rng.random(n))[:, None]
        weights = np.where(group, 2.0, 2 / 3)
        labelled = np.zeros(n, bool)
        labelled[rng.permutation(n)[:m]] = True
        (found,) = estimate_prevalence(proxy, truth, labelled, weights=weights, draws=2)
        (plain,) = estimate_prevalence(proxy, truth, labelled, draws=2)
        true = float(weights @ truth[:, 0] / weights.sum())
        held += (found.low or 0) <= true <= (found.high or 0)
        widths += (found.high or 0) - (found.low or 0)
        plain_widths += (plain.high or 0) - (plain.low or 0)
    assert 0.92 <= held / times <= 0.99
    assert widths > plain_widths


@pytest.mark.parametrize(
    "text",
    ["", "[]", "Ward: 3", "Ward: {}", "Ward: {North: 0.5, South: 0.2}", "Ward: {North: 1.1, South: -0.1}", "Ward: {North: x}", "a: [", "Ward: {North: .nan}"],
)  # fmt: skip
def test_what_states_no_shares_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    with pytest.raises(MarginsError):
        read_margins(path)


def test_per_cent_are_shares_too(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("Ward: {North: 40, South: 60}")
    assert read_margins(path) == {"Ward": {"North": 0.4, "South": 0.6}}


@pytest.mark.parametrize("margins", [{"Tenure": {"rent": 1.0}}, {"Ward": {"North": 0.5, "West": 0.5}}])
def test_margins_that_nobody_can_match_are_refused(margins: dict[str, dict[str, float]]) -> None:
    given, people = answers()
    with pytest.raises(MarginsError):
        rake(margins, given, people)


def test_margins_that_contradict_each_other_are_refused() -> None:
    people = ["a", "b"]
    of = {RespondentId(p): {"Ward": (w,), "Age": (a,)} for p, w, a in (("a", "North", "young"), ("b", "South", "old"))}
    questions = tuple(
        ClosedQuestion(q, AnswerKind.NOMINAL, o) for q, o in (("Ward", ("North", "South")), ("Age", ("young", "old")))
    )
    with pytest.raises(MarginsError):
        rake(
            {"Ward": {"North": 0.5, "South": 0.5}, "Age": {"young": 0.9, "old": 0.1}},
            ClosedAnswers(questions, of),
            people,
        )
