"""What training adds to the encoder is stored small, comes back near, and fits or is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.artefact import ArtefactError, read_artefact, write_artefact
from models.lexical import N_BUCKETS
from models.model import build_classifier
from models.tokens import WordPieces
from models.weight_changes import CHANGE_GROUP, Change, merge_updates, pack_change
from models.weights import Base, EncoderWeightsError
from tests.conftest import make_artefact
from training.finetune import MIN_PIECE_COMMENTS, FitSettings, check_full, fit, prefers_full
from training.lexical_fit import in_eight_bits
from training.start import start_at_base

QUERY = "encoder.layer.0.attention.self.query.weight"
INPUTS = "embeddings.word_embeddings.weight"


def some_change(base: Base, name: str, rows: list[int]) -> Change:
    columns = base.tensors[name].shape[1]
    values = np.random.default_rng(5).normal(0, 0.01, (len(rows), columns)).astype(np.float32)
    return pack_change(values, np.array(rows, np.int32))


def test_four_bits_keep_a_change_to_half_a_step() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(0, 0.01, (7, 3 * CHANGE_GROUP)).astype(np.float32)
    values[2] = 0.0
    packed = pack_change(values, np.arange(7, dtype=np.int32))
    assert packed.codes.shape == (7, 3 * CHANGE_GROUP // 2)
    step = np.repeat(packed.steps.astype(np.float32), CHANGE_GROUP, axis=1)
    assert (np.abs(packed.values - values) <= 0.502 * step + 1e-9).all()
    assert not packed.values[2].any()
    assert np.linalg.norm(packed.values - values) < 0.12 * np.linalg.norm(values)


def test_a_change_is_added_to_its_rows_alone(base: Base) -> None:
    change = some_change(base, INPUTS, [5, 900])
    merged = merge_updates(base, {}, {INPUTS: change})
    added = merged[INPUTS] - base.tensors[INPUTS]
    assert np.flatnonzero(np.abs(added).max(axis=1)).tolist() == [5, 900]
    np.testing.assert_allclose(added[[5, 900]], change.values, atol=1e-6)
    assert merged[QUERY] is base.tensors[QUERY]


@pytest.mark.parametrize("wrong", ["no such tensor", "other columns", "row beyond the end"])
def test_a_change_of_another_encoder_is_refused(base: Base, wrong: str) -> None:
    name = "encoder.layer.99.x.weight" if wrong == "no such tensor" else QUERY
    change = some_change(base, QUERY, [0, 10_000 if wrong == "row beyond the end" else 1])
    if wrong == "other columns":
        change = Change(change.rows, change.codes[:, :32], change.steps[:, :1])
    with pytest.raises(EncoderWeightsError, match="does not fit"):
        merge_updates(base, {}, {name: change})


@pytest.mark.slow
def test_a_model_with_changes_codes_alike_before_and_after_it_was_written(base: Base, tmp_path: Path) -> None:
    plain = make_artefact(base)
    changes = {QUERY: some_change(base, QUERY, list(range(384))), INPUTS: some_change(base, INPUTS, [2000, 2001])}
    artefact = replace(plain, tagger=replace(plain.tagger, changes=changes))
    write_artefact(tmp_path / "m", artefact)
    texts = ["Noise every night from the pub", "Somebody took my bike", ""]
    before, after = (build_classifier(a).scores(texts) for a in (artefact, read_artefact(tmp_path / "m")))
    np.testing.assert_array_equal(before, after)
    assert np.abs(before - build_classifier(plain).scores(texts)).max() > 1e-4


@pytest.mark.parametrize(
    "broken",
    [
        "no step for a theme",
        "no step at all",
        "steps of another shape",
        "codes of another type",
        "lexical weights of another type",
    ],
)
def test_changes_that_do_not_fit_together_are_refused(base: Base, tmp_path: Path, broken: str) -> None:
    plain = make_artefact(base)
    step, lexical = plain.tagger.lexical_step, plain.tagger.lexical
    change = some_change(base, QUERY, [0, 1, 2])
    step = {"no step for a theme": step[:1], "no step at all": step[:0]}.get(broken, step)
    if broken == "lexical weights of another type":
        lexical = lexical.astype(np.float16)  # type: ignore[assignment]
    if broken == "steps of another shape":
        change = Change(change.rows, change.codes, change.steps[:2])
    if broken == "codes of another type":
        change = Change(change.rows, change.codes.astype(np.int16), change.steps)  # type: ignore[arg-type]
    tagger = replace(plain.tagger, lexical=lexical, lexical_step=step, changes={QUERY: change})
    write_artefact(tmp_path / "m", replace(plain, tagger=tagger))
    with pytest.raises(ArtefactError, match="do not fit together"):
        read_artefact(tmp_path / "m")


def test_eight_bits_keep_lexical_weights_to_half_a_step() -> None:
    weights = np.random.default_rng(2).normal(0, 1, (N_BUCKETS, 3)).astype(np.float32)
    weights[:, 1] = 0.0
    codes, step = in_eight_bits(weights)
    assert (np.abs(codes * step - weights) <= 0.501 * step).all()


@pytest.mark.slow
def test_training_the_encoder_itself_gives_the_same_twice_and_spares_rare_pieces(base: Base) -> None:
    pieces = WordPieces(base.tokenizer_json)
    texts = [f"noise at night, again and again {i % 3}" for i in range(20)] + [
        "zebras were stolen",
        "a theft of zebras",
    ]
    windows = [w[0].ids for w in pieces.windows(texts)]
    truth = np.array([[i < 20, i >= 20] for i in range(len(texts))])
    settings = FitSettings(full=True, epochs=2, n_threads=1, joined=0.0)
    first, second = (fit(start_at_base(base, pieces.mask_id, 2), windows, truth, settings) for _ in range(2))
    assert not first.adapters
    assert set(first.changes) >= {QUERY, INPUTS}
    for name, change in first.changes.items():
        np.testing.assert_array_equal(change.codes, second.changes[name].codes)
    times = np.bincount(np.concatenate([np.unique(w) for w in windows]), minlength=len(base.tensors[INPUTS]))
    rows = set(first.changes[INPUTS].rows.tolist())
    assert set(np.flatnonzero(times >= MIN_PIECE_COMMENTS).tolist()) <= rows
    assert not rows & set(np.flatnonzero((times > 0) & (times < MIN_PIECE_COMMENTS)).tolist())
    merged = merge_updates(base, first.adapters, first.changes)
    assert np.abs(merged[QUERY] - base.tensors[QUERY]).max() > 0


@pytest.mark.parametrize("config", [{"model_type": "mpnet"}, {"hidden_size": 100}])
def test_full_fine_tuning_refuses_an_encoder_that_it_does_not_know(base: Base, config: dict[str, object]) -> None:
    other = replace(base, config={**base.config, **config})
    assert prefers_full(base)
    assert not prefers_full(other)
    with pytest.raises(EncoderWeightsError, match="cannot be fine-tuned in full"):
        check_full(other)


def test_a_large_encoder_gets_adapters_if_nothing_is_said(base: Base) -> None:
    wide = np.zeros((4000, 4000), np.float32)
    assert not prefers_full(replace(base, tensors={**base.tensors, "encoder.layer.6.more.weight": wide}))
