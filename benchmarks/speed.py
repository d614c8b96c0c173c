"""Speed against sentence-transformers in the same run on this machine: `make bench-speed` (about six minutes)."""

import csv
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import psutil

from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from models.model import Backend, load_model

N, MANY, N_COMPARED = 10_000, 100_000, 10_000
THEMES = Path(sys.executable).with_name("themes")


def write_csv(path: Path, texts: list[str], *, first: int = 0) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(["id", "text"])
        out.writerows((f"c{i}", t) for i, t in enumerate(texts, first))


def timed_code(source: Path, out: Path) -> tuple[float, float]:
    """Return seconds and peak memory in MB of `themes code`: all processes, pages that they share counted once (PSS)."""
    began, peak, done = time.perf_counter(), 0.0, threading.Event()
    process = subprocess.Popen([THEMES, "code", source, "--out", out, "--quiet"], stderr=subprocess.DEVNULL)

    def watch() -> None:
        nonlocal peak
        root = psutil.Process(process.pid)
        while not done.wait(0.5):
            try:
                family = [root, *root.children(recursive=True)]
                peak = max(peak, sum(p.memory_full_info().pss for p in family) / 1e6)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert process.wait() == 0
    seconds = time.perf_counter() - began
    done.set()
    watcher.join()
    return seconds, peak


def encode_alone(texts: list[str]) -> float:
    """Return the seconds of SentenceTransformer.encode on all cores, model loaded and warm before the clock starts."""
    code = (
        "import sys,time,csv,torch\n"
        "from sentence_transformers import SentenceTransformer\n"
        "from models.weights import find_base_directory\n"
        "torch.set_num_threads(int(sys.argv[2]))\n"
        "texts=[r['text'] for r in csv.DictReader(open(sys.argv[1],encoding='utf-8',newline=''))]\n"
        "m=SentenceTransformer(str(find_base_directory('all-MiniLM-L6-v2')),device='cpu')\n"
        "m.encode(texts[:64])\n"
        "t=time.perf_counter(); m.encode(texts); print(time.perf_counter()-t)\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "texts.csv"
        write_csv(path, texts)
        cores = str(len(os.sched_getaffinity(0)))
        env = {**os.environ, "OMP_NUM_THREADS": cores}
        done = subprocess.run(
            [sys.executable, "-c", code, path, cores], capture_output=True, text=True, check=True, env=env
        )
    return float(done.stdout.split()[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = speed_comments(N)
        write_csv(folder / "ten.csv", texts)
        first, _ = timed_code(folder / "ten.csv", folder / "ten.xlsx")
        reference = encode_alone(texts)
        second, peak_ten = timed_code(folder / "ten.csv", folder / "ten.xlsx")
        seconds = min(first, second)
        figures: dict[str, float | str] = {
            "comments": N,
            "mean_words": round(float(np.mean([len(t.split()) for t in texts])), 1),
            "sentence_transformers_encode_s": round(reference, 2),
            "themes_code_s": round(seconds, 2),
            "times_faster": round(reference / seconds, 2),
            "peak_mb_10k": round(peak_ten),
        }
        figures.update(latency(texts[:300]))
        figures.update(differences(texts[:N_COMPARED]))
        if "--quick" not in sys.argv:
            write_csv(folder / "many.csv", speed_comments(MANY, seed=1))
            long, peak = timed_code(folder / "many.csv", folder / "many.xlsx")
            figures["themes_code_100k_s"] = round(long, 1)
            figures["ratio_100k_to_10k"] = round(long / seconds, 2)
            figures["peak_mb_100k"] = round(peak)
    bars = {
        "times_faster": (">=", 2.5),
        "latency_p50_ms": ("<=", 15.0),
        "differing_percent": ("<=", 0.3),
        "ratio_100k_to_10k": ("<=", 10.5),
        "peak_mb_100k": ("<=", 2000.0),
    }
    publish("speed", figures, {k: v for k, v in bars.items() if k in figures})


def latency(texts: list[str]) -> dict[str, float]:
    classifier = load_model()
    list(classifier.code_texts(texts[:20]))
    took = []
    for text in texts:
        began = time.perf_counter()
        list(classifier.code_texts([text]))
        took.append(1000 * (time.perf_counter() - began))
    return {
        "latency_p50_ms": round(float(np.median(took)), 2),
        "latency_p99_ms": round(float(np.quantile(took, 0.99)), 2),
    }


def differences(texts: list[str]) -> dict[str, float]:
    """Return how many comments get other themes from the fast backend than from the reference."""
    distinct = sorted(set(texts), key=len)
    fast, reference = load_model(backend=Backend.FAST), load_model(backend=Backend.REFERENCE)
    a = [c.coded for c in fast.code_texts(distinct)]
    b = [c.coded for c in reference.code_texts(distinct)]
    n = sum(x != y for x, y in zip(a, b, strict=True))
    return {
        "compared": len(distinct),
        "differing": n,
        "differing_percent": round(100 * n / len(distinct), 3),
        "read_twice_percent": round(100 * fast.n_read_twice / len(distinct), 1),
    }


if __name__ == "__main__":
    main()
