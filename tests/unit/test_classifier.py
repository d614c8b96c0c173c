"""Codings are the same in any company, evidence is real, nothing is forced."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.artefact import STARTER
from models.classifier import Classifier
from models.model import Backend, ModelNotFoundError, build_classifier, load_model
from models.text import make_segments
from models.vocabulary import Comment, CommentId, Verdict
from models.weights import Base
from tests.conftest import make_artefact

TEXTS = [
    "Dealers by the lifts every night. The lights have been out since May, and the noise from number 9 never stops.",
    "",
    "\u200b",
    "MORE POLICE!!!",
    "I've no complaints.\nThe wardens are lovely.\n- but the bins\n- and the rats",
    "My bike was stolen, the lock cut clean through. " * 40,
    "naïve café “quotes” 👮🏽‍♀️ on the beat – please",
]


@pytest.fixture(scope="module")
def small(small_model: Path) -> Classifier:
    return load_model(str(small_model))


@pytest.fixture(scope="module")
def starter() -> Classifier:
    return load_model()


@pytest.mark.slow
def test_batch_size_and_order_change_nothing(starter: Classifier) -> None:
    whole = list(starter.code_texts(TEXTS * 2, batch_size=64))
    for size in (1, 3):
        for a, b in zip(whole, starter.code_texts(TEXTS * 2, batch_size=size), strict=True):
            assert (a.probabilities == b.probabilities).all()
            assert (a.coded, a.unsure, a.evidence) == (b.coded, b.unsure, b.evidence)
    backwards = list(starter.code_texts(TEXTS[::-1]))[::-1]
    assert all((a.probabilities == b.probabilities).all() for a, b in zip(whole, backwards, strict=False))


def test_evidence_consists_of_whole_segments_of_the_text(starter: Classifier) -> None:
    for text, coding in zip(TEXTS, starter.code_texts(TEXTS), strict=True):
        segments = set(make_segments(text))
        assert len(coding.evidence) == len(coding.coded)
        for evidence in coding.evidence:
            assert bool(evidence) == bool(segments)
            assert set(evidence) <= segments
            assert list(evidence) == sorted(evidence)


@settings(deadline=None, max_examples=30)
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_any_text_is_coded_and_its_evidence_is_in_it(small: Classifier, text: str) -> None:
    (coding,) = small.code_texts([text])
    assert ((coding.probabilities >= 0) & (coding.probabilities <= 1)).all()
    for evidence in coding.evidence:
        assert all(0 <= s.start < s.end <= len(text) for s in evidence)


def test_nothing_is_forced_on_a_comment_without_a_theme(starter: Classifier) -> None:
    codings = list(
        starter.code_texts(["Our library opens at nine on Saturdays.", "The new bus timetable suits me well."])
    )
    for coding in codings:
        assert all(starter.codebook.codable[k].residual for k in coding.coded)


def test_evidence_is_what_the_score_loses_most_without(base: Base) -> None:
    """Against the definition: take each segment's vectors out of the mean, one by one, and score again."""
    text = TEXTS[0]
    artefact = make_artefact(base)
    plain = replace(artefact, tagger=replace(artefact.tagger, lexical=np.zeros((0, 3), np.int8)))
    classifier = build_classifier(
        replace(plain, calibration=replace(plain.calibration, threshold=np.full(3, 1e-9))), backend=Backend.EXACT
    )
    (coding,) = classifier.code_texts([text])
    assert coding.coded == (0, 1, 2)
    (read,) = classifier._read(classifier._word_pieces.windows([text]), classifier._encoder)
    segments, (window,) = make_segments(text), read.windows
    holder = np.array(
        [-1, *(next(i for i, s in enumerate(segments) if s.start <= t < s.end) for t in window.starts), -1]
    )
    for k in range(3):
        head = artefact.tagger.head[k]
        whole = float(read.vectors[0].mean(axis=0) @ head)
        lost = [whole - float(read.vectors[0][holder != s].mean(axis=0) @ head) for s in range(len(segments))]
        best = max(lost)
        expected = [s for s, loss in zip(segments, lost, strict=True) if loss >= best / 2]
        assert list(coding.evidence[k]) == expected


@pytest.mark.slow
def test_a_second_reading_decides_near_thresholds(base: Base) -> None:
    texts = [f"{t} {i}" for i in range(8) for t in TEXTS if t.strip()]
    exact = build_classifier(make_artefact(base, margin=50.0), backend=Backend.EXACT)
    twice = build_classifier(make_artefact(base, margin=50.0))
    for a, b in zip(exact.code_texts(texts), twice.code_texts(texts), strict=True):
        assert (a.probabilities == b.probabilities).all()
    assert twice.n_read_twice == len(texts)
    once = build_classifier(make_artefact(base, margin=0.0))
    list(once.code_texts(texts))
    assert once.n_read_twice == 0


def test_suggestions_cover_every_codable_theme(starter: Classifier) -> None:
    comment = Comment(CommentId("1"), TEXTS[0])
    (coding,) = starter.code_texts([comment.text])
    suggestions = starter.suggest(comment, coding)
    assert [s.theme for s in suggestions] == [t.id for t in starter.codebook.codable]
    unsure = {s.theme for s in suggestions if s.verdict is Verdict.UNSURE}
    assert unsure == {starter.codebook.codable[k].id for k in coding.unsure}


def test_a_coded_comment_carries_model_and_codebook(starter: Classifier) -> None:
    (coded,) = starter.code([Comment(CommentId("x"), TEXTS[0])])
    assert coded.comment_id == "x"
    assert coded.model == starter.artefact.model_id
    assert coded.codebook == starter.codebook.ref
    assert [t for t, _ in coded.probabilities] == [t.id for t in starter.codebook.codable]
    assert all(p == round(p, 4) for _, p in coded.probabilities)


def test_a_model_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="there is no model"):
        load_model(str(tmp_path / "none"))
    assert STARTER.is_dir()


@pytest.mark.slow
def test_a_fallback_codes_one_theme_as_unsure_and_nothing_on_an_empty_text(small_model: Path) -> None:
    artefact = load_model(str(small_model)).artefact
    strict = replace(artefact.calibration, threshold=np.array([0.8, 0.9, 0.9]))
    plain = build_classifier(replace(artefact, calibration=strict))
    ready = build_classifier(replace(artefact, calibration=replace(strict, fallback=1e-6)))
    n_fallen = 0
    for text, before, after in zip(TEXTS, plain.code_texts(TEXTS), ready.code_texts(TEXTS), strict=True):
        if before.coded or not make_segments(text):
            assert (after.coded, after.unsure, after.evidence) == (
                before.coded,
                before.unsure,
                before.evidence,
            )
            continue
        n_fallen += 1
        assert after.coded == (int(after.probabilities.argmax()),)
        assert set(after.coded) <= set(after.unsure)
        assert after.evidence[0]
    assert n_fallen
