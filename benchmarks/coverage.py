"""How often intervals of shares hold the truth: `make bench-coverage`, or one part of it.

`--nhs`: on the NHS comments one trust's model meets the other trust, both ways: 300 draws of so many labels, for themes that 2 to 30 % raise
(and, apart, 0.5 to 2 %), beside hand labels alone and beside counting the model's tags. `--simulated`: consultations made by chance, 10,000
a cell (`--quick`: 1,000). `--clusters`: those in which people write several comments.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import sys
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.nhs import fit_product, truth_of
from benchmarks.nhs_data import read_nhs, trust_split
from benchmarks.report import publish
from models.prevalence import estimate_prevalence, wilson

Array = NDArray[np.float64]
DRAWS: Final = 300
LABELS: Final = (50, 100, 200, 400)
AT: Final = 200
A_CALL: Final = 250
SIMULATED: Final = 10_000


def drawn(n: int, n_labelled: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a random sample of rows."""
    labelled = np.zeros(n, np.bool_)
    labelled[rng.permutation(n)[:n_labelled]] = True
    return labelled


def judge(
    proxy: Array,
    truth: NDArray[np.bool_],
    n_labelled: int,
    draws: int,
    rng: np.random.Generator,
    *,
    ranks: bool = False,
) -> dict[str, Array]:
    """Return means over draws, each of shape (n_themes,): covered, error and width, ours and by labels alone."""
    n, k = proxy.shape
    share = truth.mean(axis=0)
    sums = {
        name: np.zeros(k)
        for name in ("covered", "error", "width", "plain_covered", "plain_error", "plain_width", "rank")
    }
    order = np.array([[(share > s).sum() + 1, (share >= s).sum()] for s in share])
    for _ in range(draws):
        labelled = drawn(n, n_labelled, rng)
        found = estimate_prevalence(proxy, truth, labelled, ranked=None if ranks else [], draws=200)
        low, high = (np.array([getattr(p, end) for p in found], np.float64) for end in ("low", "high"))
        sums["covered"] += (low - 1e-12 <= share) & (share <= high + 1e-12)
        sums["error"] += np.abs(np.array([p.share for p in found]) - share)
        sums["width"] += high - low
        hand = truth[labelled].mean(axis=0)
        low, high = wilson(hand, n_labelled / (1 - n_labelled / n))
        sums["plain_covered"] += (low <= share) & (share <= high)
        sums["plain_error"] += np.abs(hand - share)
        sums["plain_width"] += high - low
        if ranks:
            sums["rank"] += [p.rank_low <= b and a <= p.rank_high for p, (a, b) in zip(found, order, strict=True)]  # type: ignore[operator]
    return {name: total / draws for name, total in sums.items()}


def on_nhs() -> dict[str, Any]:
    """Measure on both trusts."""
    figures: dict[str, Any] = {}
    data = read_nhs()
    gathered: dict[str, list[Array]] = {}
    for train_on in ("NHFT", "NEAS"):
        inside, outside = trust_split(data, train_on)
        code, _ = fit_product(data, inside)
        verdicts, proxy = code([data.decided[int(i)].comment.text for i in outside])
        truth = truth_of(data, outside)
        share = truth.mean(axis=0)
        usual, rare = (share >= 0.02) & (share <= 0.30), (share >= 0.005) & (share < 0.02)  # noqa: PLR2004
        figures[f"{train_on}_themes"] = int(usual.sum())
        rng = np.random.default_rng(0)
        for n_labelled in LABELS:
            for name, chosen in (("", usual), ("rare_", rare)):
                found = judge(
                    proxy[:, chosen], truth[:, chosen], n_labelled, DRAWS, rng, ranks=n_labelled == AT and not name
                )
                for key, values in found.items():
                    gathered.setdefault(f"{name}{key}_{n_labelled}", []).append(values)
        low, high = wilson(verdicts.mean(axis=0), len(truth))
        tags = ((low <= share) & (share <= high))[usual]
        gathered.setdefault("tags_covered", []).append(tags.astype(float))
        gathered.setdefault("tags_error", []).append(np.abs(verdicts.mean(axis=0) - share)[usual])
    for key, parts in gathered.items():
        if "rank" in key and key != f"rank_{AT}":  # ranges of ranks are drawn there alone
            continue
        figures[key] = round(float(np.concatenate(parts).mean()), 4)
    figures["least_covered_200"] = round(float(np.concatenate(gathered[f"covered_{AT}"]).min()), 4)
    figures["error_saved"] = round(1 - figures[f"error_{AT}"] / figures[f"plain_error_{AT}"], 4)
    figures["width_saved"] = round(1 - figures[f"width_{AT}"] / figures[f"plain_width_{AT}"], 4)
    return figures


def simulated(times: int) -> dict[str, Any]:
    """Measure on consultations with a useless, a middling and a perfect model."""
    rng = np.random.default_rng(1)
    cells: dict[tuple[float, int, int, str], float] = {}
    widths: list[float] = []
    for n in (200, 2_000, 20_000):
        for n_labelled in (25, 50, 100, 400):
            if n_labelled >= n:
                continue
            for share in (0.005, 0.02, 0.05, 0.1, 0.3, 0.6):
                for model, skill in (("useless", 0.0), ("middling", 0.5), ("perfect", 1.0)):
                    covered, ours, plain, calls = 0.0, 0.0, 0.0, max(1, times // A_CALL)
                    for _ in range(calls):
                        truth = rng.random((n, A_CALL)) < share
                        proxy = skill * truth + (1 - skill) * rng.random((n, A_CALL)) * min(1.0, 2 * share)
                        found = judge(proxy, truth, n_labelled, 1, rng)
                        covered += found["covered"].mean() / calls
                        ours, plain = ours + found["width"].mean(), plain + found["plain_width"].mean()
                    cells[share, n_labelled, n, model] = covered
                    if model == "useless":
                        widths.append(ours / plain)
    enough = {cell: v for cell, v in cells.items() if cell[1] >= 50}  # noqa: PLR2004
    return {
        **summed_up(enough),
        "simulated_a_cell": max(1, times // A_CALL) * A_CALL,
        "useless_model_widens_by": round(max(widths) - 1, 4),
    }


def summed_up(cells: dict[tuple[float, int, int, str], float]) -> dict[str, Any]:
    """Return what the parts of simulations in which intervals held the truth come to; the lowest are printed."""
    order = sorted(cells, key=lambda c: cells[c])
    for cell in order[:12]:
        print("share, labels, respondents, model", cell, round(cells[cell], 4))
    imperfect = [v for cell, v in cells.items() if cell[3] != "perfect"]
    return {
        "cells": len(cells),
        "mean_covered": round(float(np.mean(list(cells.values()))), 4),
        "least_covered": round(cells[order[0]], 4),
        "least_covered_at": str(order[0]),
        "cells_under_94": int(sum(v < 0.94 for v in cells.values())),  # noqa: PLR2004
        "most_covered": round(cells[order[-1]], 4),
        "cells_over_99": int(sum(v > 0.99 for v in cells.values())),  # noqa: PLR2004
        "cells_over_99_without_a_perfect_model": int(sum(v > 0.99 for v in imperfect)),  # noqa: PLR2004
    }


def clustered(times: int) -> dict[str, Any]:
    """Measure where people write one to three comments and those who write more raise a theme more often; people are drawn with all they wrote."""
    rng = np.random.default_rng(2)
    cells: dict[tuple[float, int, int, str], float] = {}
    errors, plain_errors = [], []
    for n in (200, 2_000, 20_000):
        for n_labelled in (50, 100, 400):
            if n_labelled >= n:
                continue
            for share in (0.005, 0.02, 0.05, 0.1, 0.3):
                for model, skill in (("useless", 0.0), ("middling", 0.5), ("perfect", 1.0)):
                    covered, calls = 0.0, max(1, times // A_CALL)
                    for _ in range(calls):
                        n_comments = rng.choice([1, 2, 3], n, p=[0.7, 0.2, 0.1])
                        truth = rng.random((n, A_CALL)) < share * n_comments[:, None] / 1.4
                        proxy = skill * truth + (1 - skill) * rng.random((n, A_CALL)) * min(1.0, 2 * share)
                        labelled = drawn(n, n_labelled, rng)
                        found = estimate_prevalence(proxy, truth, labelled, n_comments=n_comments, ranked=[], draws=200)
                        low, high = (np.array([getattr(p, end) for p in found], np.float64) for end in ("low", "high"))
                        true = truth.mean(axis=0)
                        covered += ((low - 1e-12 <= true) & (true <= high + 1e-12)).mean() / calls
                        errors.append(np.abs(np.array([p.share for p in found]) - true).mean())
                        plain_errors.append(np.abs(truth[labelled].mean(axis=0) - true).mean())
                    cells[share, n_labelled, n, model] = covered
    return {
        **summed_up(cells),
        "simulated_a_cell": max(1, times // A_CALL) * A_CALL,
        "error_as_part_of_that_of_labels_alone": round(float(np.mean(errors) / np.mean(plain_errors)), 4),
    }


def main() -> None:
    chosen = [part for part in ("simulated", "clusters", "nhs") if f"--{part}" in sys.argv]
    times = SIMULATED // 10 if "--quick" in sys.argv else SIMULATED
    if not chosen or "simulated" in chosen:
        bars: dict[str, tuple[str, float]] = {
            "least_covered": (">=", 0.94),
            "most_covered": ("<=", 0.99),
            "useless_model_widens_by": ("<=", 0.03),
        }
        publish("coverage_simulated", simulated(times), bars)
    if not chosen or "clusters" in chosen:
        publish("coverage_clusters", clustered(times), {"least_covered": (">=", 0.94)})
    if not chosen or "nhs" in chosen:
        bars = {
            "covered_200": (">=", 0.94),
            "least_covered_200": (">=", 0.90),
            "error_saved": (">=", 0.10),
            "width_saved": (">=", 0.12),
            "rank_200": (">=", 0.95),
        }
        publish("coverage", on_nhs(), bars)


if __name__ == "__main__":
    main()
