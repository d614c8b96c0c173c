"""The fast adaptor: the BERT graph written in OpenVINO operations, straight from the checked tensors.

No torch, no export, no file: the model compiles in a quarter of a second. Two precisions: `f32` is exact to about
1e-6 of the reference; `int8` keeps weights in eight bits and quantises activations row by row (in groups of
`_GROUP` columns), so a row's result depends on that row alone. Its scores are close, not equal: the classifier
sends what lies near a threshold through `f32`.

A window is padded to the next of some forty lengths, whatever its company, and travels in a four of that length or alone:
its numbers are the same, to the last bit, in any company. One compiled model serves one caller at a time.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from models.encoder import FloatArray
from models.tokens import IntArray
from models.weights import Base, EncoderWeightsError, Float32

Precision = Literal["f32", "int8"]
_GROUP: Final = 128
_TOGETHER: Final = 4
"""Windows of one length in a call: larger batches are no faster, and each new shape costs 10 to 20 ms once."""
_STEPS: Final = ((64, 4), (128, 8), (256, 16))
"""Lengths to pad to: up to 64 tokens multiples of 4, and so on; beyond the last, its multiples."""
_HIDDEN: Final = -1e9
"""Added to the attention score of a padded place: its weight is then exactly 0."""
SMOOTHED: Final = ("qkv", "mix", "ffn", "out")
"""Where int8 evens out activations against weights: before query, key and value; before the attention's output; before
and after the feed-forward layer's activation."""


class OpenVinoEncoder:
    """A BERT-family encoder compiled for this CPU.

    Parameters
    ----------
    base, tensors
        The checked encoder and its tensors, adapters merged.
    precision
        `f32` or `int8`.
    smoothing
        For `int8`, by `{layer}.{place}`, place one of `SMOOTHED`: divisors, one for each input column, that move
        outliers from activations to weights (SmoothQuant, Xiao et al. 2023). Results in exact arithmetic are unchanged.
    n_threads
        Threads of one call. One process a core with one thread each is fastest for batches.
    """

    def __init__(
        self,
        base: Base,
        tensors: Mapping[str, Float32],
        *,
        precision: Precision = "f32",
        smoothing: Mapping[str, Float32] | None = None,
        n_threads: int = 1,
    ) -> None:
        if base.config.get("model_type") != "bert" or base.config.get("hidden_act") != "gelu":
            raise EncoderWeightsError(
                f"the fast adaptor cannot run the encoder {base.name} (type {base.config.get('model_type')}).",
                allowed="BERT-family encoders with absolute positions.",
                next_step="set THEMES_BACKEND=reference.",
            )
        import openvino as ov  # noqa: PLC0415 -- a heavy library, in this module only

        self.name = f"openvino-{precision}"
        self.dim = int(base.config["hidden_size"])
        options: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": n_threads,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # pinned, two processes would share the first core
            "INFERENCE_PRECISION_HINT": "f32",
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": _GROUP if precision == "int8" else 0,
            "SNIPPETS_MODE": "DISABLE",  # OpenVINO's fused attention is slower than its parts at these lengths
        }
        graph = _Graph(base.config, tensors, smoothing or {}, int8=precision == "int8").build()
        self._request = ov.Core().compile_model(graph, "CPU", options).create_infer_request()

    def encode(self, windows: Sequence[IntArray]) -> list[FloatArray]:
        """Return the token vectors of each window, in order, each of shape (n_tokens, dim)."""
        vectors: list[FloatArray | None] = [None] * len(windows)
        waiting: dict[int, list[int]] = {}
        for i, ids in enumerate(windows):
            length = _padded(len(ids))
            same = waiting.setdefault(length, [])
            same.append(i)
            if len(same) == _TOGETHER:
                self._encode_together(windows, same, length, vectors)
                same.clear()
        for length, same in waiting.items():
            for i in same:
                self._encode_together(windows, [i], length, vectors)
        return [v for v in vectors if v is not None]

    def _encode_together(
        self, windows: Sequence[IntArray], places: Sequence[int], length: int, vectors: list[FloatArray | None]
    ) -> None:
        ids = np.zeros((len(places), length), np.int32)
        hidden = np.full((len(places), 1, 1, length), _HIDDEN, np.float32)
        for row, i in enumerate(places):
            n = len(windows[i])
            ids[row, :n], hidden[row, ..., :n] = windows[i], 0.0
        rows = self._request.infer([ids, hidden], share_inputs=True, share_outputs=True)[0]
        for i, vector in zip(places, rows, strict=True):
            vectors[i] = vector[: len(windows[i])].copy()


def _padded(length: int) -> int:
    """Return the length that a window of this many tokens is padded to."""
    step = next((step for limit, step in _STEPS if length <= limit), _STEPS[-1][1])
    return -(-length // step) * step


class _Graph:
    """Writes the encoder's operations; Devlin et al. 2018, with Hugging Face's names for the tensors."""

    def __init__(
        self, config: Mapping[str, Any], tensors: Mapping[str, Float32], smoothing: Mapping[str, Float32], *, int8: bool
    ) -> None:
        import openvino.opset13 as op  # noqa: PLC0415

        self._op, self._tensors, self._smoothing, self._int8 = op, tensors, smoothing, int8
        self._n_layers, self._heads = int(config["num_hidden_layers"]), int(config["num_attention_heads"])
        self._dim, self._eps = int(config["hidden_size"]), float(config["layer_norm_eps"])

    def build(self) -> Any:
        import openvino as ov  # noqa: PLC0415

        op = self._op
        ids = op.parameter([-1, -1], np.int32, name="ids")
        hidden = op.parameter([-1, 1, 1, -1], np.float32, name="hidden")
        axis = op.constant(np.int32(0))
        length = op.gather(op.shape_of(ids, "i32"), op.constant(np.int32(1)), axis)
        places = op.range(op.constant(np.int32(0)), length, op.constant(np.int32(1)), "i32")
        t = self._tensors
        position = t["embeddings.position_embeddings.weight"] + t["embeddings.token_type_embeddings.weight"][0]
        x = op.gather(self._constant(t["embeddings.word_embeddings.weight"]), ids, axis)
        x = self._norm(op.add(x, op.gather(self._constant(position), places, axis)), "embeddings.LayerNorm")
        for layer in range(self._n_layers):
            x = self._layer(x, layer, hidden)
        return ov.Model([x], [ids, hidden], "encoder")

    def _layer(self, x: Any, layer: int, hidden_places: Any) -> Any:
        op, at = self._op, f"encoder.layer.{layer}."
        split = op.constant(np.array([0, 0, self._heads, self._dim // self._heads], np.int32))
        swap = op.constant(np.array([0, 2, 1, 3], np.int32))
        inside, scale = self._smooth(x, f"{layer}.qkv")
        query, key, value = (
            op.transpose(op.reshape(self._linear(inside, f"{at}attention.self.{name}", scale), split, True), swap)
            for name in ("query", "key", "value")
        )
        mixed = op.transpose(op.scaled_dot_product_attention(query, key, value, hidden_places), swap)
        mixed = op.reshape(mixed, op.constant(np.array([0, 0, self._dim], np.int32)), True)
        mixed, scale = self._smooth(mixed, f"{layer}.mix")
        attended = self._linear(mixed, f"{at}attention.output.dense", scale)
        x = self._norm(op.add(x, attended), f"{at}attention.output.LayerNorm")
        inside, scale = self._smooth(x, f"{layer}.ffn")
        hidden = op.gelu(self._linear(inside, f"{at}intermediate.dense", scale), "erf")
        hidden, scale = self._smooth(hidden, f"{layer}.out")
        return self._norm(op.add(x, self._linear(hidden, f"{at}output.dense", scale)), f"{at}output.LayerNorm")

    def _constant(self, array: Float32) -> Any:
        return self._op.constant(np.ascontiguousarray(array, dtype=np.float32))

    def _norm(self, x: Any, key: str) -> Any:
        op = self._op
        unit = op.mvn(x, op.constant(np.array([-1], np.int32)), True, self._eps, "inside_sqrt")
        scaled = op.multiply(unit, self._constant(self._tensors[f"{key}.weight"]))
        return op.add(scaled, self._constant(self._tensors[f"{key}.bias"]))

    def _smooth(self, x: Any, key: str) -> tuple[Any, Float32 | None]:
        divisor = self._smoothing.get(key) if self._int8 else None
        if divisor is None:
            return x, None
        return self._op.multiply(x, self._constant((1.0 / divisor).astype(np.float32))), divisor

    def _linear(self, x: Any, key: str, scale: Float32 | None = None) -> Any:
        op = self._op
        weight = self._tensors[f"{key}.weight"]
        if scale is not None:
            weight = weight * scale
        if self._int8:
            step = np.abs(weight).max(axis=1, keepdims=True) / 127.0
            whole = op.convert(op.constant(np.rint(weight / step).astype(np.int8)), "f32")
            matrix = op.multiply(whole, self._constant(step))
        else:
            matrix = self._constant(weight)
        return op.add(op.matmul(x, matrix, False, True), self._constant(self._tensors[f"{key}.bias"]))
