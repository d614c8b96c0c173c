"""Decisions are read line by line; parts never share a text; measures equal their definitions."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tokens import WordPieces
from models.vocabulary import Codebook, Comment, CommentId, DecidedComment, RespondentId, Theme, ThemeId, Verdict
from models.weight_changes import CHANGE_GROUP, pack_change
from models.weights import Base
from tests.conftest import THREE
from training.decisions import DecisionsError, find_doubts, leave_out, read_decisions
from training.evaluation import (
    bootstrap_intervals,
    coder_agreement,
    confusable_pairs,
    expected_calibration_error,
    metrics,
    theme_rates,
)
from training.finetune import FitSettings, Fitted, average
from training.held_out import (
    HEAD_START,
    _encoder,
    _head_of_hints,
    best_lexical_weight,
    cross_calibrated,
    make_data,
    other_splits,
)
from training.hints import make_phrases
from training.splits import MANY_COMMENTS, Split, find_n_folds, make_folds
from training.start import start_at_base
from training.suspects import find_suspects
from training.train import read_about

Write = Callable[[str, str], Path]


def line(i: int, **more: object) -> str:
    return json.dumps({"comment_id": str(i), "text": f"noise number {i}", "themes": ["noise"], **more}) + "\n"


def decided(i: int, text: str, *, group: str | None = None, source: str | None = None) -> DecidedComment:
    respondent = RespondentId(group) if group else None
    return DecidedComment(
        Comment(CommentId(str(i)), text, respondent=respondent), frozenset({ThemeId("noise")}), source
    )


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("not json\n", "not_json"),
        ("[1]\n", "not_an_object"),
        (line(99, text="  "), "empty_text"),
        (line(99, themes="noise"), "no_themes"),
        (line(99, themes=["zebra"]), "unknown_theme"),
        (line(3), "duplicate_id"),
        (line(3, themes=["theft"]), "conflicting_decisions"),
        (json.dumps({"text": "a", "themes": []}) + "\n", "blank_id"),
    ],
)
def test_a_bad_line_is_named_with_its_number_and_the_rest_is_read(lines_file: Write, bad: str, code: str) -> None:
    path = lines_file("d.jsonl", "".join(line(i) for i in range(9)) + bad)
    good, problems = read_decisions(path, THREE)
    assert len(good) == 9
    assert [(p.row, p.code) for p in problems] == [(10, code)]


def test_three_decisions_are_too_few(lines_file: Write) -> None:
    with pytest.raises(DecisionsError, match="holds 3 usable decisions"):
        read_decisions(lines_file("d.jsonl", "".join(line(i) for i in range(3))), THREE)


def test_two_coders_may_decide_one_comment(lines_file: Write) -> None:
    path = lines_file("d.jsonl", "".join(line(i, coder=c) for i in range(5) for c in ("a", "b")))
    assert len(read_decisions(path, THREE)[0]) == 10


def test_one_text_decided_in_two_ways_and_rare_themes_are_pointed_out(lines_file: Write) -> None:
    content = "".join(line(i) for i in range(10)) + line(10, text="Noise  number 4", themes=["theft"])
    good, problems = read_decisions(lines_file("d.jsonl", content), THREE)
    assert problems == []
    doubts = find_doubts(good, THREE)
    assert [(d.code, d.row) for d in doubts] == [
        ("conflicting_text", 11),
        ("few_positives", None),
        ("no_positives", None),
    ]
    assert "line 5" in doubts[0].found
    assert doubts[1].found.startswith("theft: 1 ")
    assert doubts[2].found.startswith("light: ")


def test_a_gold_set_takes_its_texts_and_respondents_out() -> None:
    gold = [decided(100, "Noise AT night", group="g1")]
    data = [decided(1, "noise at  night"), decided(2, "another", group="g1"), decided(3, "third", group="g2")]
    assert [d.comment.id for d in leave_out(data, gold)] == ["3"]


def test_suspects_are_the_decisions_that_were_turned_round() -> None:
    rng = np.random.default_rng(1)
    true = rng.random((400, 2)) < 0.4
    probabilities = np.where(true, 0.85, 0.15) + rng.uniform(-0.1, 0.1, true.shape)
    given = true.copy()
    turned = [(3, 0), (50, 0), (77, 1), (200, 1)]
    for cell in turned:
        given[cell] = ~given[cell]
        probabilities[cell] = 0.99 if true[cell] else 0.01
    nowhere = [(None, None)] * 400
    found = find_suspects([ThemeId("noise"), ThemeId("theft")], given, probabilities, nowhere)
    first = {(s.row, ("noise", "theft").index(s.theme)) for s in found[:4]}
    assert first == set(turned)
    assert all(s.decided == bool(given[s.row, ("noise", "theft").index(s.theme)]) for s in found)


def test_a_theme_with_few_positives_gives_no_suspects() -> None:
    given = np.zeros((50, 1), np.bool_)
    given[:4] = True
    assert find_suspects([ThemeId("noise")], given, np.full((50, 1), 0.9), [(None,)] * 50) == []


def test_coders_agree_as_the_definitions_say() -> None:
    def by(coder: str, i: int, *themes: str) -> DecidedComment:
        return DecidedComment(Comment(CommentId(str(i)), "x"), frozenset(map(ThemeId, themes)), coder=coder)

    ids = [ThemeId("noise"), ThemeId("theft")]
    assert coder_agreement([by("a", 1, "noise"), by("a", 2)], ids) is None
    same = coder_agreement([by("a", 1, "noise"), by("b", 1, "noise")], ids)
    assert same == {"n_pairs": 1, "micro_f1": 1.0, "exact_match": 1.0, "scott_pi": 1.0}
    half = coder_agreement([by("a", 1, "noise"), by("b", 1, "noise", "theft"), by("a", 2), by("b", 2)], ids)
    assert half is not None
    assert (half["micro_f1"], half["exact_match"]) == (0.6667, 0.5)
    assert half["scott_pi"] == round((0.75 - 0.53125) / (1 - 0.53125), 4)


def test_a_decided_comment_is_a_yes_or_no_for_every_theme() -> None:
    verdicts = {d.theme: d.verdict for d in decided(1, "x").decisions(THREE)}
    assert verdicts == {"noise": Verdict.YES, "theft": Verdict.NO, "light": Verdict.NO}


@given(st.lists(st.tuples(st.integers(0, 6), st.one_of(st.none(), st.integers(0, 4))), min_size=4, max_size=40))
def test_no_text_and_no_respondent_is_in_two_folds(rows: list[tuple[int, int | None]]) -> None:
    data = [decided(i, f"Text {t}!", group=None if g is None else f"g{g}") for i, (t, g) in enumerate(rows)]
    folds, made_by = make_folds(data, seed=1, n_folds=3)
    assert made_by == "text"
    for key in (lambda d: d.comment.text, lambda d: d.comment.respondent or d.comment.id):
        held: dict[str, set[int]] = {}
        for d, fold in zip(data, folds, strict=True):
            held.setdefault(str(key(d)), set()).add(int(fold))
        assert all(len(f) == 1 for f in held.values())


def test_a_stock_answer_ties_nobody_and_any_other_text_does() -> None:
    """Everybody says "nothing" once; only two respondents share another text."""
    data = [decided(2 * i, "Nothing", group=f"g{i}") for i in range(60)]
    data += [decided(2 * i + 1, f"t{i if i != 1 else 0}", group=f"g{i}") for i in range(60)]
    folds, _ = make_folds(data, seed=0, n_folds=3)
    assert np.ptp(np.bincount(folds)) <= 4
    of_group = {f"g{i}": {int(folds[i]), int(folds[60 + i])} for i in range(60)}
    assert all(len(held) == 1 for held in of_group.values())
    assert of_group["g0"] == of_group["g1"]


def test_the_head_of_few_comments_begins_at_the_definitions(base: Base) -> None:
    pieces = WordPieces(base.tokenizer_json)
    data = make_data([decided(0, "loud music"), decided(1, "a stolen bicycle")], THREE, pieces)
    head = _head_of_hints(start_at_base(base, pieces.mask_id, 3), data.hints, FitSettings(n_threads=1))
    np.testing.assert_allclose(np.linalg.norm(head, axis=1), HEAD_START, rtol=1e-5)
    own = head @ np.stack([w.mean(axis=0) for w in _encoder(base, base.tensors, FitSettings(n_threads=1)).encode([h.ids for h in data.hints.windows])]).T  # fmt: skip
    assert all(data.hints.truth[int(own[k].argmax()), k] for k in range(len(head)))


def test_phrases_are_what_stands_between_the_marks_of_a_definition_and_belong_to_one_theme() -> None:
    themes = (
        Theme(ThemeId("dogs"), "Dogs", "Fouling: barking, and biting (not cats); dangerous dogs, fear."),
        Theme(ThemeId("cats"), "Cats", "Yowling at night, fear.", cues=("kitten", "fear", "cats", "Yowling at night")),
    )
    assert make_phrases(Codebook("pets", "1", themes)) == [
        ("Dogs", 0),
        ("Fouling", 0),
        ("barking", 0),
        ("biting", 0),
        ("dangerous dogs", 0),
        ("Cats", 1),
        ("Yowling at night", 1),
        ("kitten", 1),
    ]


def test_what_the_codebook_says_is_one_theme_each(base: Base) -> None:
    data = make_data([decided(0, "loud music")], THREE, WordPieces(base.tokenizer_json))
    both = data.hints + data.phrases
    assert len(both.windows) == len(both.truth) == len(data.hints.windows) + len(data.phrases.windows)
    assert (both.truth.sum(axis=1) == 1).all()
    assert both.truth.any(axis=0).all()


def test_the_average_of_fits_has_the_mean_of_their_weights() -> None:
    rng = np.random.default_rng(0)

    def made() -> Fitted:
        a, b = rng.normal(size=(4, 6)).astype(np.float16), rng.normal(size=(5, 4)).astype(np.float16)
        return Fitted({"m": (a, b)}, rng.normal(size=(2, 6)).astype(np.float32), rng.normal(size=2).astype(np.float32))

    fits = [made() for _ in range(3)]
    mean = average(fits)
    a, b = mean.adapters["m"]
    assert (a.dtype, b.dtype, a.shape, b.shape) == (np.float16, np.float16, (12, 6), (5, 12))
    wanted = np.mean([f.adapters["m"][1].astype(float) @ f.adapters["m"][0] for f in fits], axis=0)
    np.testing.assert_allclose(b.astype(float) @ a, wanted, atol=5e-3)
    np.testing.assert_allclose(mean.head, np.mean([f.head for f in fits], axis=0), atol=1e-6)
    np.testing.assert_allclose(mean.head_bias, np.mean([f.head_bias for f in fits], axis=0), atol=1e-6)
    assert average(fits[:1]) is fits[0]


def test_fits_of_all_weights_are_not_averaged() -> None:
    change = pack_change(np.ones((1, CHANGE_GROUP), np.float32), np.zeros(1, np.int32))
    one = Fitted({}, np.zeros((1, 2), np.float32), np.zeros(1, np.float32), {"w": change})
    with pytest.raises(ValueError, match="adapters"):
        average([one, one])


def test_more_comments_need_fewer_held_out_parts() -> None:
    assert (find_n_folds(MANY_COMMENTS - 1), find_n_folds(MANY_COMMENTS)) == (4, 2)


def test_rates_at_random_are_those_of_blind_comments() -> None:
    rows = [DecidedComment(Comment(CommentId(str(i)), "x"), frozenset({ThemeId("noise")} if i < 6 else ()), blind=i % 2 == 1) for i in range(10)]  # fmt: skip
    assert theme_rates([replace(r, blind=None) for r in rows], [ThemeId("noise")]) is None
    assert theme_rates(rows, [ThemeId("noise")]) == {
        "n_blind": 5,
        "per_theme": {"noise": {"trained_on": 0.6, "blind": 0.6}},
    }


def test_whole_sources_are_held_out_when_there_are_enough() -> None:
    data = [decided(i, f"t{i}", source=f"s{i % 5}") for i in range(50)]
    folds, made_by = make_folds(data, seed=0)
    assert made_by == "source"
    assert len({(d.source, int(f)) for d, f in zip(data, folds, strict=True)}) == 5


def test_the_card_shows_every_split_that_the_data_allow() -> None:
    single = [decided(i, f"t{i}") for i in range(20)]
    assert other_splits(single, Split.TEXT) == []
    twice = [decided(i, f"t{i // 2}", source=f"s{i % 2}") for i in range(20)]
    assert [(s, tested) for s, tested, _ in other_splits(twice, Split.TEXT)] == [
        (Split.RANDOM, "a fifth"),
        (Split.SOURCE, "s0"),
        (Split.SOURCE, "s1"),
    ]
    assert [s for s, _, _ in other_splits(twice, Split.SOURCE)] == [Split.RANDOM, Split.TEXT]


def test_rare_themes_are_shared_out_evenly() -> None:
    rng = np.random.default_rng(0)
    names = ("noise", "theft", "light")
    data = []
    for i in range(400):
        themes = frozenset(ThemeId(t) for t, rate in zip(names, (0.5, 0.1, 0.03), strict=True) if rng.random() < rate)
        data.append(DecidedComment(Comment(CommentId(str(i)), f"text {i // 2}"), themes))
    for split in (Split.RANDOM, Split.TEXT):
        folds, made_by = make_folds(data, seed=0, n_folds=4, split=split)
        assert made_by is split
        assert np.ptp(np.bincount(folds)) <= 8
        for theme in names:
            spread = np.bincount(folds[[theme in d.themes for d in data]], minlength=4)
            assert np.ptp(spread) <= 2


def test_metrics_equal_scikit_learn() -> None:
    from sklearn.metrics import f1_score, hamming_loss

    rng = np.random.default_rng(0)
    truth, predicted = rng.random((200, 4)) < 0.3, rng.random((200, 4)) < 0.3
    result = metrics(list("abcd"), predicted, truth)
    assert result["micro_f1"] == round(f1_score(truth, predicted, average="micro"), 4)
    assert result["macro_f1"] == round(f1_score(truth, predicted, average="macro"), 4)
    assert result["samples_f1"] == round(f1_score(truth, predicted, average="samples", zero_division=1.0), 4)
    assert result["hamming_loss"] == round(hamming_loss(truth, predicted), 4)
    assert result["exact_match"] == round(float((truth == predicted).all(axis=1).mean()), 4)


def test_disputed_cells_count_for_nothing() -> None:
    truth, predicted = np.array([[True, False]]), np.array([[True, True]])
    counted = np.array([[True, False]])
    assert metrics(["a", "b"], predicted, truth, counted=counted)["micro_f1"] == 1.0


def test_calibration_error_is_zero_for_honest_and_large_for_boastful_probabilities() -> None:
    truth = np.array([True] * 3 + [False] * 7)
    assert expected_calibration_error(np.full(10, 0.3), truth) == pytest.approx(0.0)
    assert expected_calibration_error(np.full(10, 0.9), truth) == pytest.approx(0.6)


def test_the_interval_holds_the_score_and_narrows_with_more_groups() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((400, 3)) < 0.3
    predicted = truth ^ (rng.random((400, 3)) < 0.1)
    few = bootstrap_intervals(predicted[:50], truth[:50], [str(i) for i in range(50)])["micro_f1"]
    many = bootstrap_intervals(predicted, truth, [str(i) for i in range(400)])["micro_f1"]
    assert many[0] < metrics(list("abc"), predicted, truth)["micro_f1"] < many[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_every_overall_figure_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(1)
    truth = rng.random((300, 3)) < 0.3
    probabilities = np.clip(np.where(truth, 0.7, 0.2) + rng.normal(0, 0.2, truth.shape), 0, 1)
    predicted = probabilities >= 0.5
    figures = metrics(list("abc"), predicted, truth, probabilities=probabilities)
    intervals = bootstrap_intervals(predicted, truth, [str(i // 2) for i in range(300)], probabilities=probabilities)
    assert set(intervals) == {"micro_f1", "macro_f1", "samples_f1", "exact_match", "ece"}
    assert all(low < high for low, high in intervals.values())
    assert all(low <= figures[k] <= high for k, (low, high) in intervals.items() if k != "ece")
    assert intervals == bootstrap_intervals(predicted, truth, [str(i // 2) for i in range(300)], probabilities=probabilities)  # fmt: skip


def test_confusable_pairs_are_counted() -> None:
    truth = np.array([[True, False], [True, False], [False, True]])
    predicted = np.array([[False, True], [False, True], [False, True]])
    assert confusable_pairs(["a", "b"], predicted, truth) == [{"decided": "a", "coded": "b", "n": 2}]


def test_thresholds_never_see_the_rows_they_are_judged_on() -> None:
    """If the held-out rows' decisions change, their verdicts stay: nothing was chosen on them."""
    rng = np.random.default_rng(0)
    scores, folds = rng.normal(size=(300, 2)), np.arange(300) % 3
    truth = scores + rng.normal(size=(300, 2)) > 0.5
    before = cross_calibrated(scores, truth, folds)
    changed = truth.copy()
    changed[folds == 1] = ~changed[folds == 1]
    after = cross_calibrated(scores, changed, folds)
    assert (before.predicted[folds == 1] == after.predicted[folds == 1]).all()
    assert (before.probabilities[folds == 0] != after.probabilities[folds == 0]).any()


def test_useless_words_get_no_weight_and_telling_ones_do() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((600, 2)) < 0.4
    good = np.where(truth, 1.0, -1.0) + rng.normal(0, 1.5, truth.shape)
    assert best_lexical_weight(good, rng.normal(0, 8, truth.shape), truth) == 0.0
    assert best_lexical_weight(good, np.where(truth, 1.0, -1.0) + rng.normal(0, 1.5, truth.shape), truth) > 0.0


def test_about_takes_known_fields_alone(lines_file: Write) -> None:
    assert read_about(lines_file("a.yaml", "name: x\ndata: [made up]\n")).data == ("made up",)
    with pytest.raises(Exception, match="colour"):
        read_about(lines_file("b.yaml", "colour: red\n"))
