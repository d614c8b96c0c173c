"""What a model folder gives away, what it refuses, what a killed training leaves: `make bench-model-safety`.

Planted strings: 200 in the training texts of two models, one with adapters and one fine-tuned in full, none of them in any byte. Damage: 500 bit flips and 50 swapped
files, none loads. Kills: training into place and publishing, killed at 30 random moments, leave folder and registry as they were.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.report import publish
from models.artefact import ArtefactError, read_artefact
from models.model import STARTER

THEMES: Final = Path(sys.executable).with_name("themes")
CORPUS: Final = Path(__file__).parents[1] / "training" / "starter" / "corpus.jsonl"
CODEBOOK: Final = Path(__file__).parents[1] / "models" / "codebooks" / "community_safety.yaml"
N_CANARIES, N_FLIPS, N_SWAPS, N_KILLS = 200, 500, 50, 30
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


def write_decisions(path: Path, n: int, canaries: list[str]) -> None:
    """Write the corpus's first comments as decisions, a planted string within each of the first ones."""
    lines = []
    for i, line in enumerate(CORPUS.read_text(encoding="utf-8").splitlines()[:n]):
        entry = json.loads(line)
        if i < len(canaries):
            entry["text"] = f"{entry['text']} Ask {canaries[i]} about it."
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


QUICK: Final = ("--full", "--hints", "own")
"""One fit a part, on few texts besides the decisions: what is killed need not be good."""


def train(decisions: Path, out: Path, *kind: str, seed: int = 0) -> list[str]:
    """Return the command that trains."""
    return [
        str(THEMES), "train", "--decisions", str(decisions), "--codebook", str(CODEBOOK), "--out", str(out),
        "--folds", "2", "--splits", "needed", "--seed", str(seed), *kind,
    ]  # fmt: skip


def traces(folder: Path, canaries: list[str]) -> int:
    """Return how many planted strings, or halves of them, occur in any file, in any of three encodings."""
    blob = b"\n".join(p.read_bytes() for p in sorted(folder.iterdir())).lower()
    needles = [(c, c[: len(c) // 2], c[len(c) // 2 :]) for c in canaries]
    return sum(
        any(part.encode(how) in blob for part in parts for how in ("utf-8", "utf-16-le", "utf-32-le"))
        for parts in needles
    )


def loaded_after_damage(model: Path, other: Path, work: Path, rng: np.random.Generator) -> tuple[int, int]:
    """Return how many folders with a flipped bit, and with a file of another model, were loaded all the same."""
    folder = Path(shutil.copytree(model, work / "damaged"))
    files = sorted(folder.iterdir())

    def loads() -> bool:
        try:
            read_artefact(folder)
        except ArtefactError:
            return False
        return True

    foreign = [p for p in files if (other / p.name).exists() and p.read_bytes() != (other / p.name).read_bytes()]
    flipped = swapped = 0
    for i in range(N_FLIPS):
        path = files[i % len(files)]
        good = path.read_bytes()
        bad = bytearray(good)
        bad[int(rng.integers(len(bad)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(bad))
        flipped += loads()
        path.write_bytes(good)
    for _ in range(N_SWAPS):
        some = list(rng.permutation(np.array(foreign, dtype=object))[: int(rng.integers(1, len(foreign)))])
        good_bytes = {p: p.read_bytes() for p in some}
        for path in some:
            path.write_bytes((other / path.name).read_bytes())
        swapped += loads()
        for path, data in good_bytes.items():
            path.write_bytes(data)
    assert loads()
    return flipped, swapped


def left_after_kills(work: Path, rng: np.random.Generator) -> int:
    """Return how many of the kills changed the registry or left a model folder that is neither the old nor the new one."""
    registry, out, decisions = work / "registry", work / "candidate", work / "few.jsonl"
    environment = {**os.environ, "THEMES_REGISTRY": str(registry), "OMP_NUM_THREADS": "2"}
    write_decisions(decisions, 60, [])
    began = time.perf_counter()
    subprocess.run(train(decisions, out, *QUICK), check=True, env=environment, capture_output=True)
    whole_s = time.perf_counter() - began
    publishing = [str(THEMES), "model", "publish", str(out), "--new-gold", "--gold", str(decisions)]
    subprocess.run(publishing, check=True, env=environment, capture_output=True)

    def state() -> tuple[dict[str, bytes], dict[str, bytes]]:
        return (
            {str(p.relative_to(registry)): p.read_bytes() for p in sorted(registry.rglob("*")) if p.is_file()},
            {p.name: p.read_bytes() for p in sorted(out.iterdir())},
        )

    before, changed = state(), 0
    for i in range(N_KILLS):
        process = subprocess.Popen(
            train(decisions, out, *QUICK, seed=i + 1),
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(float(rng.uniform(0.2, whole_s)))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        after = state()
        read_artefact(out)
        changed += after[0] != before[0] or (process.returncode != 0 and after[1] != before[1])
        before = (before[0], after[1])
    return changed


def main() -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        canaries = ["".join(rng.choice(list(_LETTERS), 14)) for _ in range(N_CANARIES)]
        write_decisions(work / "planted.jsonl", 600, canaries)
        began = time.perf_counter()
        subprocess.run(train(work / "planted.jsonl", work / "planted", "--adapters"), check=True, capture_output=True)
        took = time.perf_counter() - began
        subprocess.run(train(work / "planted.jsonl", work / "full", "--full"), check=True, capture_output=True)
        flipped, swapped = loaded_after_damage(work / "full", STARTER, work, rng)
        models = [work / "planted", work / "full"]
        figures: dict[str, float | str] = {
            "planted": N_CANARIES,
            "traces": sum(traces(model, canaries) for model in models),
            "artefact_mb": max(round(sum(p.stat().st_size for p in model.iterdir()) / 1e6, 2) for model in models),
            "bit_flips_loaded": flipped,
            "swapped_files_loaded": swapped,
            "training_600_s": round(took, 1),
            "kills": N_KILLS,
            "changed_by_kills": left_after_kills(work, rng),
        }
    bars = {
        "traces": ("<=", 0),
        "artefact_mb": ("<=", 10.0),
        "bit_flips_loaded": ("<=", 0),
        "swapped_files_loaded": ("<=", 0),
        "changed_by_kills": ("<=", 0),
    }
    publish("model_safety", figures, bars)


if __name__ == "__main__":
    main()
