"""What a fit may change in the encoder: low-rank adapters put into it (PEFT), or its own weights."""

from collections.abc import Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.artefact import Float16
from models.tokens import IntArray
from models.weights import CHANGE_GROUP, Base, Change, pack_change

SCALE: Final = 2
"""What the product of an adapter's two matrices is multiplied by."""
MIN_PIECE_COMMENTS: Final = 3
"""A word piece in fewer comments keeps its input vector, and leaves no trace in it."""
_INPUTS: Final = "embeddings.word_embeddings.weight"


class Updates(Protocol):
    """The part of an encoder that is trained."""

    groups: list[dict[str, Any]]
    """Parameters and rates, as torch's optimisers take them."""

    def places(self, ids: NDArray[np.int64]) -> Any:
        """Return a tensor of the places of word pieces in the encoder's input table, same shape."""
        ...

    def adapters(self) -> dict[str, tuple[Float16, Float16]]:
        """Return each module's A and B, the scale within B."""
        ...

    def changes(self) -> dict[str, Change]:
        """Return what was added to each tensor."""
        ...


class LowRank:
    """Adapters of rank `rank` in every linear layer."""

    def __init__(self, encoder: Any, *, rank: int, rate: float) -> None:
        from peft import LoraConfig, get_peft_model  # noqa: PLC0415

        config = LoraConfig(
            r=rank,
            lora_alpha=SCALE * rank,
            target_modules="all-linear",
            exclude_modules=r".*pooler.*",
            bias="none",
        )
        self._model = get_peft_model(encoder, config)
        self.groups = [{"params": [p for p in self._model.parameters() if p.requires_grad], "lr": rate}]

    def places(self, ids: NDArray[np.int64]) -> Any:
        """As in `Updates`."""
        import torch  # noqa: PLC0415

        return torch.from_numpy(ids)

    def adapters(self) -> dict[str, tuple[Float16, Float16]]:
        """As in `Updates`."""
        found: dict[str, tuple[Float16, Float16]] = {}
        for name, module in self._model.get_base_model().named_modules():
            if hasattr(module, "lora_A") and "default" in module.lora_A:
                a = module.lora_A["default"].weight.detach().numpy()
                b = module.lora_B["default"].weight.detach().numpy() * SCALE
                found[name] = (a.astype(np.float16), b.astype(np.float16))
        return found

    def changes(self) -> dict[str, Change]:
        """As in `Updates`."""
        return {}


class Whole:
    """The matrices of every linear layer, and the input vectors of the word pieces that occur.

    The input table shrinks to those pieces while it is trained: the rest would only cost time.
    """

    def __init__(
        self, encoder: Any, base: Base, windows: Sequence[IntArray], *, mask_id: int, rate: float, weight_decay: float
    ) -> None:
        import torch  # noqa: PLC0415

        self._base = base
        times = np.zeros(len(base.tensors[_INPUTS]), np.int64)
        for window in windows:
            times[np.unique(window)] += 1
        times[mask_id] = max(len(windows), times[mask_id])
        times[0] = max(1, times[0])  # what short windows are padded with
        self._pieces = np.flatnonzero(times).astype(np.int32)
        self._place = np.searchsorted(self._pieces, np.arange(len(times)))
        self._often = times[self._pieces] >= MIN_PIECE_COMMENTS
        rows = torch.from_numpy(base.tensors[_INPUTS][self._pieces])
        table = torch.nn.Embedding.from_pretrained(rows, freeze=False)
        often = torch.from_numpy(self._often[:, None].astype(np.float32))
        table.weight.register_hook(lambda gradient: gradient * often)
        encoder.requires_grad_(False)
        encoder.set_input_embeddings(table)
        self._inputs = table.weight
        self._matrices = {
            f"{name}.weight": module.weight.requires_grad_(True)
            for name, module in encoder.named_modules()
            if isinstance(module, torch.nn.Linear) and "pooler" not in name and not module.in_features % CHANGE_GROUP
        }
        self.groups = [
            {"params": list(self._matrices.values()), "lr": rate, "weight_decay": weight_decay},
            {"params": [self._inputs], "lr": rate, "weight_decay": 0.0},
        ]

    def places(self, ids: NDArray[np.int64]) -> Any:
        """As in `Updates`."""
        import torch  # noqa: PLC0415

        return torch.from_numpy(self._place[ids])

    def adapters(self) -> dict[str, tuple[Float16, Float16]]:
        """As in `Updates`."""
        return {}

    def changes(self) -> dict[str, Change]:
        """As in `Updates`."""
        found: dict[str, Change] = {}
        for name, weight in self._matrices.items():
            change = weight.detach().numpy() - self._base.tensors[name]
            found[name] = pack_change(change, np.arange(len(change), dtype=np.int32))
        rows = self._pieces[self._often]
        change = self._inputs.detach().numpy()[self._often] - self._base.tensors[_INPUTS][rows]
        return {**found, _INPUTS: pack_change(change, rows)}


def n_trained_whole(base: Base) -> int:
    """Return how many numbers the linear layers of an encoder hold."""
    tensors = base.tensors.items()
    return sum(t.size for name, t in tensors if name.startswith("encoder.") and t.ndim == 2)  # noqa: PLR2004
