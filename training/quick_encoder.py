"""What the quick encoder needs: where to smooth, and how near a threshold its word is not enough."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from models.artefact import Float32
from models.encoder_openvino import SMOOTHED
from models.tokens import IntArray
from models.weights import Base

STRENGTH: Final = 0.4
QUANTILE: Final = 0.99
_FEEDS: Final = {
    "qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "mix": ("attention.output.dense",),
    "ffn": ("intermediate.dense",),
    "out": ("output.dense",),
}


def fit_smoothing(base: Base, tensors: Mapping[str, Float32], windows: Sequence[IntArray]) -> dict[str, Float32]:
    """Return divisors by `{layer}.{place}` that even out activations against weights.

    Xiao et al. 2023 (SmoothQuant): s = a^alpha / w^(1 - alpha) for each column, from the 99 % quantile of the
    activation's size over tokens and the largest weight it meets; scaled to geometric mean 1. `windows` should be some
    hundred typical ones. Encoders other than BERT get none.
    """
    if base.config.get("model_type") != "bert":
        return {}
    import torch  # noqa: PLC0415
    from transformers import AutoModel  # noqa: PLC0415

    model = AutoModel.from_pretrained(str(base.directory), local_files_only=True, dtype=torch.float32)
    model.load_state_dict({k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in tensors.items()}, strict=False)
    model.eval()
    seen: dict[str, list[Float32]] = {}
    hooks = []
    for layer in range(int(base.config["num_hidden_layers"])):
        for key in SMOOTHED:
            module = model.get_submodule(f"encoder.layer.{layer}.{_FEEDS[key][0]}")
            store = seen.setdefault(f"{layer}.{key}", [])
            hooks.append(
                module.register_forward_pre_hook(lambda _m, args, store=store: store.append(np.abs(args[0][0].numpy())))
            )
    with torch.inference_mode():
        for ids in windows:
            model(input_ids=torch.from_numpy(ids.astype(np.int64))[None])
    for hook in hooks:
        hook.remove()
    smoothing: dict[str, Float32] = {}
    for name, sizes in seen.items():
        number, key = name.split(".")
        active = np.maximum(np.quantile(np.concatenate(sizes), QUANTILE, axis=0), 1e-3)
        weight = np.max(
            [np.abs(tensors[f"encoder.layer.{number}.{f}.weight"]).max(axis=0) for f in _FEEDS[key]], axis=0
        )
        divisor = active**STRENGTH / np.maximum(weight, 1e-6) ** (1 - STRENGTH)
        smoothing[name] = (divisor / np.exp(np.log(divisor).mean())).astype(np.float32)
    return smoothing
