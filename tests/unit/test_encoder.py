"""Adaptors agree, company changes nothing, and no weights are loaded unchecked."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from models.encoder_openvino import OpenVinoEncoder
from models.tokens import WordPieces
from models.weight_changes import merge_updates
from models.weights import DEFAULT_BASE, Base, EncoderWeightsError, read_base

TEXTS = ["Lights out", "Dealers by the lifts every night, nobody comes.", "", "😀 noise", "word " * 400, "More police"]


@pytest.fixture(scope="module")
def windows(base: Base) -> list[np.ndarray]:
    return [w.ids for group in WordPieces(base.tokenizer_json).windows(TEXTS) for w in group]


@pytest.mark.parametrize("precision", ["f32", "int8"])
def test_company_changes_no_bit_of_a_window(base: Base, windows: list[np.ndarray], precision: str) -> None:
    encoder = OpenVinoEncoder(base, base.tensors, precision=precision)  # type: ignore[arg-type]
    together = encoder.encode(windows * 3)
    for i, window in enumerate(windows):
        alone = encoder.encode([window])[0]
        assert all((alone == together[i + k * len(windows)]).all() for k in range(3))
        assert alone.shape == (len(window), encoder.dim)


def test_eight_bits_stay_near_single_precision(base: Base, windows: list[np.ndarray]) -> None:
    exact = OpenVinoEncoder(base, base.tensors).encode(windows)
    quick = OpenVinoEncoder(base, base.tensors, precision="int8").encode(windows)
    for a, b in zip(exact, quick, strict=True):
        x, y = a.mean(axis=0), b.mean(axis=0)
        assert float(x @ y / np.linalg.norm(x) / np.linalg.norm(y)) > 0.98


@pytest.mark.slow
def test_the_fast_adaptor_is_the_reference_to_rounding(base: Base, windows: list[np.ndarray]) -> None:
    from models.encoder_reference import ReferenceEncoder

    rng = np.random.default_rng(0)
    module = "encoder.layer.3.output.dense"
    adapters = {
        module: (rng.normal(0, 0.1, (2, 1536)).astype(np.float16), rng.normal(0, 0.1, (384, 2)).astype(np.float16))
    }
    tensors = merge_updates(base, adapters, {})
    reference = ReferenceEncoder(base, tensors).encode(windows)
    fast = OpenVinoEncoder(base, tensors).encode(windows)
    plain = OpenVinoEncoder(base, base.tensors).encode(windows)
    for a, b, c in zip(reference, fast, plain, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-4)
        assert np.abs(a - c).max() > 1e-2


def test_changed_weights_are_not_loaded(base: Base, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base.directory, tmp_path / "encoder"))
    assert read_base(str(folder), base.digests).digests == base.digests
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-5] ^= 1
    (folder / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(EncoderWeightsError, match=r"model\.safetensors .* SHA-256"):
        read_base(str(folder), base.digests)


def test_an_encoder_that_is_not_here_is_not_fetched() -> None:
    with pytest.raises(EncoderWeightsError, match="no encoder 'nobody/nothing' on this machine"):
        read_base("nobody/nothing")


def test_the_default_needs_no_network_and_is_pinned(base: Base) -> None:
    assert base.digests["model.safetensors"] == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert base.name == DEFAULT_BASE


def test_an_adapter_for_another_encoder_is_refused(base: Base) -> None:
    wrong = {"encoder.layer.0.output.dense": (np.zeros((2, 3), np.float16), np.zeros((4, 2), np.float16))}
    with pytest.raises(EncoderWeightsError, match="does not fit"):
        merge_updates(base, wrong, {})


def test_the_fast_adaptor_says_what_it_cannot_run(base: Base) -> None:
    other = Base("other", base.directory, {}, b"", {**base.config, "model_type": "mpnet"}, {})
    with pytest.raises(EncoderWeightsError, match="THEMES_BACKEND=reference"):
        OpenVinoEncoder(other, {})
