"""Fine-tuning: the encoder, or low-rank adapters in it, and a linear head over the mean token vector, with torch and PEFT."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.artefact import Float16, Float32
from models.tokens import MAX_WINDOW_TOKENS, IntArray
from models.weights import Base, Change
from training.updates import LowRank, Updates, Whole

EPOCHS: Final = 6
WHOLE_EPOCHS: Final = 4
MIN_STEPS: Final = 240
"""Small data are read more often, until so many updates are made, or `MAX_EPOCHS`."""
MAX_EPOCHS: Final = 40
_SORTED_BATCHES: Final = 16


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Everything that shapes a fit. Chosen on held-out registers of the starter corpus; see docs/adr/0004."""

    epochs: int | None = None
    """Times that many data are read; `EPOCHS` and `WHOLE_EPOCHS` say if not given."""
    whole: bool | None = None
    """Train the encoder's own weights instead of low-rank adapters; `training.train` says if not given."""
    whole_rate: float = 1e-4
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
    n_folds: int | None = None
    """Held-out parts for calibration; `training.splits.find_n_folds` says if not given."""
    seed: int = 0
    n_threads: int = 2


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
    base: Base,
    mask_id: int,
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
    base
        The checked base encoder.
    mask_id
        Id of the word piece that stands in for dropped ones.
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
    Hu et al. 2021 (LoRA) on every linear layer, alpha = 2 rank, or, with `settings.whole`, the linear layers' own weights and the input
    vectors of word pieces. Binary cross-entropy over all known cells, AdamW with linear warm-up and decay. Dropping word pieces replaces the encoder's own dropout: it costs nothing and keeps
    attention on its fast path. Same seed and thread count, same bytes.
    """
    import torch  # noqa: PLC0415 -- a heavy library, in this module only
    from transformers import AutoModel  # noqa: PLC0415

    torch.set_num_threads(settings.n_threads)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(settings.seed)
    rng = np.random.default_rng(settings.seed)
    plain = (
        {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
        if base.config.get("model_type") == "bert"
        else {}
    )
    encoder = AutoModel.from_pretrained(str(base.directory), local_files_only=True, dtype=torch.float32, **plain)
    updated = _updates(encoder, base, mask_id, windows, settings)
    encoder.train()
    n, n_themes = truth.shape
    known = np.ones_like(truth) if known is None else known
    counts = (truth & known).sum(axis=0) + 0.5
    rate = counts / (known.sum(axis=0) + 1.0)
    head = torch.nn.Linear(int(base.config["hidden_size"]), n_themes)
    torch.nn.init.zeros_(head.weight)
    if head_start is not None:
        head.weight.data = torch.from_numpy(head_start.copy())
    head.bias.data = torch.tensor(np.log(rate / (1 - rate)), dtype=torch.float32)
    groups = [*updated.groups, {"params": list(head.parameters()), "lr": settings.head_rate}]
    trained = [p for group in groups for p in group["params"]]
    optimiser = torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=bool(settings.whole))
    per_epoch = math.ceil(n / settings.batch_size)
    wanted = settings.epochs or (WHOLE_EPOCHS if settings.whole else EPOCHS)
    epochs = min(MAX_EPOCHS, max(wanted, math.ceil(MIN_STEPS / per_epoch)))
    total = epochs * per_epoch
    warm = max(1, round(settings.warm_up * total))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda s: min(1.0, (s + 1) / warm) * max(0.0, 1 - s / total)
    )
    began, done, recent, n_pieces = time.monotonic(), 0, 0.0, 0
    for _ in range(epochs):
        for batch in _batches(_Rows(list(windows), truth, known), settings, rng):
            ids, mask = _padded(batch.windows, rng, settings.token_dropout, mask_id)
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


def _updates(encoder: Any, base: Base, mask_id: int, windows: Sequence[IntArray], settings: FitSettings) -> Updates:
    if not settings.whole:
        return LowRank(encoder, rank=settings.rank, rate=settings.adapter_rate)
    decay = settings.weight_decay
    return Whole(encoder, base, windows, mask_id=mask_id, rate=settings.whole_rate, weight_decay=decay)


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
