"""Fine-tuning: the encoder, or low-rank adapters in it, and a linear head over the mean token vector, with torch and PEFT."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from models.artefact import Float16, Float32
from models.counts import counted
from models.tokens import MAX_WINDOW_TOKENS, IntArray
from models.weight_changes import CHANGE_GROUP, Change, pack_change
from models.weights import Base, EncoderWeightsError
from training.start import Start

EPOCHS: Final = 6
FULL_EPOCHS: Final = 4
MIN_STEPS: Final = 240
"""Small data are read more often, until so many updates are made, or `MAX_EPOCHS`."""
MAX_EPOCHS: Final = 40
_SORTED_BATCHES: Final = 16
SCALE: Final = 2
"""What the product of an adapter's two matrices is multiplied by."""
MIN_PIECE_COMMENTS: Final = 3
"""In full fine-tuning, a word piece in fewer comments keeps its input vector, and leaves no trace in it."""
MAX_FULL: Final = 12_000_000
"""An encoder with more numbers than this in its matrices gets adapters if nothing is said: half a byte each would make the model folder too large."""
_INPUTS: Final = "embeddings.word_embeddings.weight"


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Everything that shapes a fit. How it was chosen: docs/adr/0004 and 0007."""

    epochs: int | None = None
    """Times that many data are read; `n_epochs` if not given."""
    full: bool | None = None
    """Full fine-tuning of the encoder's matrices instead of low-rank adapters; `training.train` says if not given."""
    full_rate: float = 1e-4
    rank: int = 16
    adapter_rate: float = 1e-3
    head_rate: float = 5e-3
    batch_size: int = 16
    weight_decay: float = 0.01
    token_dropout: float = 0.1
    vector_dropout: float = 0.1
    warm_up: float = 0.06
    joined: float | None = None
    """Share of comments that are read with another one behind them, for the themes of both; `training.train` says if not given."""
    hints: Literal["all", "own"] = "all"
    """What the codebook says of a theme counts against all others too, phrase by phrase, and the head begins there (all), or its
    definition and examples count for that theme alone (own)."""
    n_averaged: int | None = None
    """Fits with other seeds whose weights are averaged; `training.train` says if not given."""
    n_folds: int | None = None
    """Held-out parts for calibration; `training.splits.find_n_folds` says if not given."""
    seed: int = 0
    n_threads: int = 2

    @property
    def n_epochs(self) -> int:
        """Return `epochs`, or what is usual for the kind of fit."""
        return self.epochs or (FULL_EPOCHS if self.full else EPOCHS)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What a fit gives: adapters or changes as `models.artefact.Tagger` has them, head (K, dim), head bias (K,)."""

    adapters: dict[str, tuple[Float16, Float16]]
    head: Float32
    head_bias: Float32
    changes: dict[str, Change] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """Where a fit stands."""

    done: int
    of: int
    loss: float
    seconds_left: float
    n_pieces: int = 0
    """Word pieces read so far in this fit, padding included: the work done, the same on every machine."""


def fit(
    start: Start,
    windows: Sequence[IntArray],
    truth: NDArray[np.bool_],
    settings: FitSettings,
    *,
    known: NDArray[np.bool_] | None = None,
    head_start: Float32 | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Fitted:
    """Return adapters, or changes of the encoder's weights, and a head fitted to windows.

    Parameters
    ----------
    start
        The encoder to begin with, and the biases of themes that are known already.
    windows
        Ids with boundary tokens, one array a comment.
    truth
        Decisions, shape (n, n_themes).
    known
        Where False, a decision is not known and does not count; shape (n, n_themes). All known if not given.
    head_start
        The head that the fit begins with, (n_themes, dim), if not one of zeros.

    Notes
    -----
    Hu et al. 2021 (LoRA) on every linear layer, alpha = 2 rank, or, with `settings.full`, the linear layers' own weights and the input
    vectors of word pieces. Binary cross-entropy over all known cells, AdamW with linear warm-up and decay. Dropping word pieces replaces the encoder's own dropout: it costs nothing and keeps
    attention on its fast path. Same seed and thread count, same bytes.
    """
    import torch  # noqa: PLC0415 -- a heavy library
    from transformers import AutoModel  # noqa: PLC0415

    torch.set_num_threads(settings.n_threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    base = start.base
    plain = (
        {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        if base.config.get("model_type") == "bert"
        else {}
    )
    encoder = AutoModel.from_pretrained(str(base.directory), local_files_only=True, dtype=torch.float32, **plain)
    if start.model_id is not None:
        encoder.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in start.tensors.items()}, strict=False)
    updated = _updates(encoder, start, windows, settings)
    encoder.train()
    n, n_themes = truth.shape
    known = np.ones_like(truth) if known is None else known
    counts = (truth & known).sum(axis=0) + 0.5
    rate = counts / (known.sum(axis=0) + 1.0)
    head = torch.nn.Linear(int(base.config["hidden_size"]), n_themes)
    torch.nn.init.zeros_(head.weight)
    if head_start is not None:
        head.weight.data = torch.from_numpy(head_start.copy())
    bias = np.where(start.known, start.bias, np.log(rate / (1 - rate)))
    head.bias.data = torch.tensor(bias, dtype=torch.float32)
    groups = [*updated.groups, {"params": list(head.parameters()), "lr": settings.head_rate}]
    trained = [p for group in groups for p in group["params"]]
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=bool(settings.full))
    per_epoch = math.ceil(n / settings.batch_size)
    epochs = min(MAX_EPOCHS, max(settings.n_epochs, math.ceil(MIN_STEPS / per_epoch)))
    total = epochs * per_epoch
    warm = max(1, round(settings.warm_up * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min(1.0, (s + 1) / warm) * max(0.0, 1 - s / total)
    )
    began, done, recent, n_pieces = time.monotonic(), 0, 0.0, 0
    for _ in range(epochs):
        for batch in _batches(_Rows(list(windows), truth, known), settings, rng):
            ids, mask = _padded(batch.windows, rng, settings.token_dropout, start.mask_id)
            attention = torch.from_numpy(mask)
            vectors = encoder(input_ids=updated.places(ids), attention_mask=attention).last_hidden_state
            weight = attention[..., None].float()
            pooled = (vectors * weight).sum(1) / weight.sum(1)
            scores = head(torch.nn.functional.dropout(pooled, settings.vector_dropout))
            target, counted = (torch.from_numpy(a.astype(np.float32)) for a in (batch.truth, batch.known))
            cells = torch.nn.functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
            loss = (cells * counted).sum() / counted.sum().clamp(min=1.0)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
            schedule.step()
            done += 1
            n_pieces += ids.size
            recent = 0.98 * recent + 0.02 * loss.item() if recent else loss.item()
            if progress is not None:
                progress(Step(done, total, recent, (time.monotonic() - began) / done * (total - done), n_pieces))
    weight, bias = (t.detach().numpy().copy() for t in (head.weight, head.bias))
    return Fitted(updated.adapters(), weight, bias, updated.changes())


def average(fits: Sequence[Fitted]) -> Fitted:
    """Return the fit whose weights are the mean of the fits' weights; ValueError for several that were fine-tuned in full.

    Wortsman et al. 2022 ("model soups"). The mean of products A B is one product: the As below one another, the Bs side by side.
    """
    if len(fits) == 1:
        return fits[0]
    if any(f.changes for f in fits):
        raise ValueError("only fits with adapters can be averaged")
    adapters = {
        module: (
            np.concatenate([f.adapters[module][0] for f in fits]),
            np.concatenate([f.adapters[module][1] / np.float16(len(fits)) for f in fits], axis=1),
        )
        for module in fits[0].adapters
    }
    head, bias = np.stack([f.head for f in fits]).mean(axis=0), np.stack([f.head_bias for f in fits]).mean(axis=0)
    return Fitted(adapters, head, bias)


def check_full(base: Base) -> None:
    """Raise EncoderWeightsError unless full fine-tuning knows this kind of encoder."""
    kind, dim = base.config.get("model_type"), int(base.config["hidden_size"])
    if kind != "bert" or dim % CHANGE_GROUP:
        raise EncoderWeightsError(
            f"the encoder {base.name} (type {kind}, {counted(dim, 'column')}) cannot be fine-tuned in full.",
            allowed=f"BERT-family encoders whose columns are a multiple of {CHANGE_GROUP}.",
            next_step="train with --adapters.",
        )


def prefers_full(base: Base) -> bool:
    """Return whether full fine-tuning suits an encoder and leaves a small model folder."""
    try:
        check_full(base)
    except EncoderWeightsError:
        return False
    matrices = (t for name, t in base.tensors.items() if name.startswith("encoder.") and t.ndim == 2)  # noqa: PLR2004
    return sum(t.size for t in matrices) <= MAX_FULL


def _updates(encoder: Any, start: Start, windows: Sequence[IntArray], settings: FitSettings) -> "_Updates":
    if not settings.full:
        return _LowRank(encoder, rank=settings.rank, rate=settings.adapter_rate)
    return _Full(encoder, start, windows, rate=settings.full_rate, weight_decay=settings.weight_decay)


class _Updates(Protocol):
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
        """Return what was added to each tensor of the base encoder, by the start's model and since."""
        ...


class _LowRank:
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
        import torch  # noqa: PLC0415

        return torch.from_numpy(ids)

    def adapters(self) -> dict[str, tuple[Float16, Float16]]:
        found: dict[str, tuple[Float16, Float16]] = {}
        for name, module in self._model.get_base_model().named_modules():
            if hasattr(module, "lora_A") and "default" in module.lora_A:
                a = module.lora_A["default"].weight.detach().numpy()
                b = module.lora_B["default"].weight.detach().numpy() * SCALE
                found[name] = (a.astype(np.float16), b.astype(np.float16))
        return found

    def changes(self) -> dict[str, Change]:
        return {}


class _Full:
    """The matrices of every linear layer, and the input vectors of the word pieces that occur.

    The input table shrinks to those pieces while it is trained: the rest would only cost time.
    """

    def __init__(
        self, encoder: Any, start: Start, windows: Sequence[IntArray], *, rate: float, weight_decay: float
    ) -> None:
        import torch  # noqa: PLC0415

        self._start = start
        times = np.zeros(len(start.tensors[_INPUTS]), np.int64)
        for window in windows:
            times[np.unique(window)] += 1
        times[start.mask_id] = max(len(windows), times[start.mask_id])
        times[0] = max(1, times[0])  # what short windows are padded with
        self._pieces = np.flatnonzero(times).astype(np.int32)
        self._place = np.searchsorted(self._pieces, np.arange(len(times)))
        self._often = times[self._pieces] >= MIN_PIECE_COMMENTS
        rows = torch.from_numpy(start.tensors[_INPUTS][self._pieces])
        table = torch.nn.Embedding.from_pretrained(rows, freeze=False)
        often = torch.from_numpy(self._often[:, None].astype(np.float32))
        table.weight.register_hook(lambda gradient: gradient * often)
        encoder.requires_grad_(False)
        encoder.set_input_embeddings(table)
        self._inputs = table.weight
        self._matrices = {
            f"{name}.weight": module.weight.requires_grad_(True)
            for name, module in encoder.named_modules()
            if isinstance(module, torch.nn.Linear) and "pooler" not in name
        }
        self.groups = [
            {"params": list(self._matrices.values()), "lr": rate, "weight_decay": weight_decay},
            {"params": [self._inputs], "lr": rate, "weight_decay": 0.0},
        ]

    def places(self, ids: NDArray[np.int64]) -> Any:
        import torch  # noqa: PLC0415

        return torch.from_numpy(self._place[ids])

    def adapters(self) -> dict[str, tuple[Float16, Float16]]:
        return {}

    def changes(self) -> dict[str, Change]:
        found: dict[str, Change] = {}
        for name, weight in self._matrices.items():
            change = weight.detach().numpy() - self._start.base.tensors[name]
            found[name] = pack_change(change, np.arange(len(change), dtype=np.int32))
        inputs = self._start.tensors[_INPUTS].copy()
        inputs[self._pieces[self._often]] = self._inputs.detach().numpy()[self._often]
        change = inputs - self._start.base.tensors[_INPUTS]
        rows = np.flatnonzero(change.any(axis=1)).astype(np.int32)
        return {**found, _INPUTS: pack_change(change[rows], rows)}


@dataclass(frozen=True, slots=True)
class _Rows:
    """Windows with their decisions, and which of those are known; both (n, n_themes)."""

    windows: list[IntArray]
    truth: NDArray[np.bool_]
    known: NDArray[np.bool_]


def _batches(data: _Rows, settings: FitSettings, rng: np.random.Generator) -> Iterator[_Rows]:
    """Yield an epoch's batches: random, some comments with another behind them, of like length within a batch."""
    size = settings.batch_size
    order = rng.permutation(len(data.windows))
    batches: list[_Rows] = []
    for start in range(0, len(order), size * _SORTED_BATCHES):
        block = _joined(data, order[start : start + size * _SORTED_BATCHES], settings.joined or 0.0, rng)
        by_length = sorted(range(len(block.windows)), key=lambda i: len(block.windows[i]))
        for at in range(0, len(by_length), size):
            rows = by_length[at : at + size]
            batches.append(_Rows([block.windows[i] for i in rows], block.truth[rows], block.known[rows]))
    for i in rng.permutation(len(batches)):
        yield batches[int(i)]


def _joined(data: _Rows, rows: NDArray[np.intp], share: float, rng: np.random.Generator) -> _Rows:
    """Return rows, some of them with another behind them: the themes of both, known where both are."""
    windows, truth, known = data.windows, data.truth, data.known
    texts, true, counted = [windows[int(i)] for i in rows], truth[rows].copy(), known[rows].copy()
    for place, row in enumerate(map(int, rows)):
        other = int(rng.integers(len(windows)))
        if rng.random() < share and len(windows[row]) + len(windows[other]) <= MAX_WINDOW_TOKENS // 2:
            texts[place] = np.concatenate((windows[row][:-1], windows[other][1:]))
            true[place] |= truth[other]
            counted[place] = (known[row] & known[other]) | (true[place] & (known[row] | known[other]))
    return _Rows(texts, true, counted)


def _padded(
    windows: Sequence[IntArray], rng: np.random.Generator, dropout: float, mask_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    longest = max(len(w) for w in windows)
    ids = np.zeros((len(windows), longest), dtype=np.int64)
    mask = np.zeros((len(windows), longest), dtype=np.int64)
    for row, window in enumerate(windows):
        dropped = rng.random(len(window)) < dropout
        dropped[[0, -1]] = False
        ids[row, : len(window)] = np.where(dropped, mask_id, window)
        mask[row, : len(window)] = 1
    return ids, mask
