"""A fit that goes on from a trained model begins exactly where that model stands, and only where figures stay honest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artefact import STARTER, Artefact, read_artefact, write_artefact
from models.model import Backend, build_classifier
from models.tokens import WordPieces
from models.trained_on import count_marked, make_marks
from models.vocabulary import Codebook, Comment, CommentId, DecidedComment, Theme, ThemeId
from models.weight_changes import merge_updates
from models.weights import DEFAULT_BASE, Base
from nlp_service.find_start import find_start
from tests.conftest import THREE, make_artefact
from training.finetune import FitSettings, fit
from training.start import Start, StartError, start_at_base, start_at_model, usual_start
from training.train import train

KEY = "ab" * 32
SEEN = ("c1", "The lamp on our path is out again.")
MORE = Codebook("more", "1", (THREE.themes[2], Theme(ThemeId("parks"), "Parks", "About parks."), THREE.themes[0]))


def decided(text: str, *themes: str, comment_id: str = "d1") -> DecidedComment:
    return DecidedComment(Comment(CommentId(comment_id), text), frozenset(map(ThemeId, themes)))


def write(folder: Path, artefact: Artefact, *, invented: bool = True) -> Artefact:
    card = {"data_sha256": KEY, **({"invented": True} if invented else {})}
    write_artefact(folder, replace(artefact, card=card, trained_on=make_marks([SEEN], key=KEY)))
    return read_artefact(folder)


@pytest.fixture
def model(base: Base, tmp_path: Path) -> Artefact:
    plain = make_artefact(base)
    calibration = replace(plain.calibration, scale=np.array([0.7, 1.3, 1.0]), bias=np.array([-0.4, 0.2, 0.1]))
    return write(tmp_path / "begun", replace(plain, calibration=calibration))


def begin(model: Artefact, base: Base, codebook: Codebook = MORE, seen: Sequence[DecidedComment] = ()) -> Start:
    return start_at_model(model, base, WordPieces(base.tokenizer_json).mask_id, codebook, seen)


def test_a_start_says_what_its_model_says_in_log_odds(base: Base, model: Artefact) -> None:
    texts = ["Loud music all night, no sleep.", "My bike was stolen", "dark"]
    start = begin(model, base)
    exact = build_classifier(model, backend=Backend.EXACT)
    wanted = model.calibration.logits(exact.scores(texts))
    pieces = WordPieces(base.tokenizer_json)
    windows = [w[0] for w in pieces.windows(texts)]
    vectors = np.stack([v.mean(axis=0) for v in exact._encoder.encode([w.ids for w in windows])])
    found = vectors @ start.head.T + start.bias + start.lexical_scores(windows)
    assert start.known.tolist() == [True, False, True]
    np.testing.assert_allclose(found[:, [0, 2]], wanted[:, [2, 0]], rtol=1e-4, atol=1e-4)
    assert not found[:, 1].any()


@pytest.mark.slow
def test_a_fit_without_a_rate_gives_the_start_back(base: Base, model: Artefact) -> None:
    start = begin(model, base)
    windows = [w[0].ids for w in WordPieces(base.tokenizer_json).windows(["music at night"] * 4 + ["dark path"] * 4)]
    truth = np.array([[False, False, True]] * 4 + [[True, False, False]] * 4)
    still = FitSettings(full=True, full_rate=0.0, head_rate=0.0, epochs=1, n_threads=1)
    fitted = fit(start, windows, truth, still, head_start=start.head)
    np.testing.assert_allclose(fitted.head, start.head)
    np.testing.assert_allclose(fitted.head_bias[[0, 2]], start.bias[[0, 2]])
    merged = merge_updates(base, fitted.adapters, fitted.changes)
    for name, tensor in start.tensors.items():
        added = np.abs(tensor - base.tensors[name]).max()
        np.testing.assert_allclose(merged[name], tensor, atol=float(added) / 7 + 1e-6)  # four bits keep half a step


def test_a_start_that_would_make_figures_dishonest_is_refused(base: Base, model: Artefact, tmp_path: Path) -> None:
    own = [decided(SEEN[1], "light", comment_id=SEEN[0]), decided("Too loud.", "noise")]
    with pytest.raises(StartError, match="learnt from 1 of the decided comments"):
        begin(model, base, seen=own)
    assert begin(model, base, seen=own[1:]).model_id == model.model_id
    residents = write(tmp_path / "residents", make_artefact(base), invented=False)
    with pytest.raises(StartError, match="learnt from residents' comments"):
        begin(residents, base)


def test_a_start_that_does_not_fit_is_refused(base: Base, model: Artefact) -> None:
    other = Codebook("parks", "1", (MORE.themes[1],))
    with pytest.raises(StartError, match="has none of the codebook's themes"):
        begin(model, base, other)
    with pytest.raises(StartError, match="was trained on the encoder all-MiniLM-L6-v2, not on"):
        begin(model, replace(base, name="another", digests={"model.safetensors": "0"}))


def test_adapters_do_not_go_on_from_a_model(model: Artefact, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="adapters were asked for"):
        train([decided("Too loud.", "noise")], MORE, tmp_path / "m", settings=FitSettings(full=False), start=model)
    assert not (tmp_path / "m").exists()


def test_the_starter_model_is_the_usual_start_of_codebooks_like_its_own(tmp_path: Path) -> None:
    book = read_artefact(STARTER).codebook
    found = usual_start(book, DEFAULT_BASE)
    assert found is not None
    assert found.model_id == read_artefact(STARTER).model_id
    half = book.codable[: len(THREE.themes)]
    assert usual_start(Codebook("own", "1", (*half, *THREE.themes)), DEFAULT_BASE) is not None
    assert usual_start(Codebook("own", "1", (*half[1:], *THREE.themes)), DEFAULT_BASE) is None
    assert usual_start(book, "another-encoder") is None
    assert find_start("none", book, DEFAULT_BASE, tmp_path) is None
    named = find_start("starter", THREE, DEFAULT_BASE, tmp_path)
    assert named is not None
    assert named.model_id == found.model_id


def test_the_base_encoder_knows_no_theme(base: Base) -> None:
    start = start_at_base(base, WordPieces(base.tokenizer_json).mask_id, 2)
    assert start.model_id is None
    assert not start.known.any()
    windows = [w[0] for w in WordPieces(base.tokenizer_json).windows(["dark"])]
    np.testing.assert_array_equal(start.lexical_scores(windows), np.zeros((1, 2)))


@pytest.mark.slow
def test_training_goes_on_from_a_model_and_says_so(base: Base, model: Artefact, tmp_path: Path) -> None:
    own = [
        decided(f"{text} {place}", theme, comment_id=f"{theme}{i}")
        for theme, text in (
            ("noise", "Music at night in"),
            ("light", "No lamp works on"),
            ("parks", "We love the park by"),
        )
        for i, place in enumerate(("the square", "our road", "Mill Lane", "the canal"))
    ]
    settings = FitSettings(n_folds=2, n_threads=1)
    first, second = (train(own, MORE, tmp_path / name, settings=settings, start=model) for name in ("a", "b"))
    assert first.model_id == second.model_id
    assert first.facts["start"] == {"model": model.model_id, "n_known": 2, "lexical": True}
    assert first.facts["settings"]["full"]
    made = read_artefact(tmp_path / "a")
    assert f"going on from the model {model.model_id}" in made.card_text
    assert "knew 2 of the themes before" in made.card_text
    assert made.trained_on is not None
    assert count_marked(made.trained_on, (d.written for d in own), key=made.card["data_sha256"]) == len(own)
    before, after = model.tagger.lexical_weights, made.tagger.lexical_weights
    np.testing.assert_allclose(after[:, 0], before[:, 2], atol=0.75 * float(made.tagger.lexical_step[0]))
    codings = list(build_classifier(made).code_texts(["The music on our road", "The park by the canal"]))
    assert [c.coded for c in codings] == [(2,), (1,)]
    with pytest.raises(StartError, match="learnt from residents' comments"):
        train(own, MORE, tmp_path / "c", settings=settings, start=made)
    assert not (tmp_path / "c").exists()
