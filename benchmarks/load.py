"""The service under load, on this machine: `python -m benchmarks.load`. Real server, real sockets."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import asyncio
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.made_comments import speed_comments
from benchmarks.report import publish
from benchmarks.speed import write_csv
from nlp_service.client import Client
from tests.running_service import THEMES, RunningService, running_service

N_ALONE, N_TOGETHER, N_IN_FLIGHT = 1_000, 1_000, 2_000


def served(folder: Path, *, workers: int = 0, scope: str = "") -> AbstractContextManager[RunningService]:
    """Return a service on a store of its own, with one coding process a worker."""
    more = {"jobs": "1", "requests_a_minute": "1000000"}
    return running_service(folder, workers=workers, scope=scope, options=["--quiet"], **more)


def quantile(values: list[float], q: int) -> float:
    """Return a percentile, in milliseconds."""
    return round(1000 * statistics.quantiles(values, n=100)[q - 1], 1)


def one_core_rate(folder: Path, texts: list[str]) -> float:
    """Return the texts a second of `themes code --jobs 1`, the time of a start without work taken off."""
    times = []
    for name, part in (("few", texts[:2]), ("all", texts)):
        write_csv(folder / f"{name}.csv", part)
        began = time.perf_counter()
        command = [THEMES, "code", folder / f"{name}.csv", "--out", folder / f"{name}.jsonl", "--quiet", "--jobs", "1"]
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return (len(texts) - 2) / (times[1] - times[0])


def batches(folder: Path, texts: list[str], rate: float) -> dict[str, Any]:
    """Return how soon a batch of 1,000 is begun, and how much longer one takes than its texts take `themes code` on one core."""
    folder.mkdir()
    write_csv(folder / "in.csv", texts)
    with (
        served(folder, workers=1, scope="submit") as service,
        Client(service.url, key=service.env["THEMES_KEY"]) as client,
    ):
        write_csv(folder / "few.csv", texts[:20])
        client.wait(client.submit(folder / "few.csv").id)
        began = time.perf_counter()
        batch = client.submit(folder / "in.csv")
        taken = time.perf_counter()
        while client.get(batch.id).state == "queued":
            time.sleep(0.02)
        coding = time.perf_counter()
        client.wait(batch.id)
        client.download(batch.id, folder / "out.jsonl")
        seconds = time.perf_counter() - began
    return {
        "batch_starts_after_s": round(coding - taken, 2),
        "batch_overhead": round(seconds * rate / len(texts) - 1, 3),
    }


def flood(url: str, texts: list[str]) -> list[tuple[int, Any]]:
    """Return what all_at_once returns."""
    return asyncio.run(all_at_once(url, texts))


async def all_at_once(url: str, texts: list[str]) -> list[tuple[int, Any]]:
    """Return the status and answer of each text, all sent before the first is answered."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=url, timeout=600, limits=limits) as client:

        async def one(text: str) -> tuple[int, Any]:
            answer = await client.post("/v1/classify", json={"texts": [text]})
            return answer.status_code, answer.json()

        return await asyncio.gather(*(one(t) for t in texts))


def main() -> None:
    texts = speed_comments(N_TOGETHER)
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rate = one_core_rate(folder, texts)
        with served(folder) as service:
            url, process = service.url, psutil.Process(service.process.pid)
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=64)
            with httpx.Client(base_url=url, timeout=600, limits=limits) as client:

                def ask(text: str) -> tuple[int, float, Any]:
                    began = time.perf_counter()
                    answer = client.post("/v1/classify", json={"texts": [text]})
                    return answer.status_code, time.perf_counter() - began, answer.json()

                for text in texts[:20]:
                    ask(text)
                alone = [ask(t) for t in texts[:N_ALONE]]
                seconds = [s for _, s, _ in alone]
                figures["alone_p50_ms"], figures["alone_p99_ms"] = quantile(seconds, 50), quantile(seconds, 99)
                began = time.perf_counter()
                with ThreadPoolExecutor(64) as pool:
                    together = list(pool.map(ask, texts))
                together_rate = len(texts) / (time.perf_counter() - began)
                figures["together_share_of_code"] = round(together_rate / rate, 3)
                figures["together_texts_per_s"], figures["code_texts_per_s"] = round(together_rate, 1), round(rate, 1)
                known = {t: a for t, (s, _, a) in zip(texts, together, strict=True) if s == httpx.codes.OK}
                figures["together_refused"] = sum(s != httpx.codes.OK for s, _, _ in together)
                figures["together_other_than_alone"] = sum(
                    known.get(t, a) != a for t, (_, _, a) in zip(texts, alone, strict=False)
                )

                before = (process.num_fds(), process.memory_info().rss)  # the pool of connections is full by now
                stop, health = threading.Event(), []

                def watch() -> None:
                    with httpx.Client(base_url=url, timeout=60) as other:
                        while not stop.wait(0.02):
                            start = time.perf_counter()
                            other.get("/health/live").raise_for_status()
                            health.append(time.perf_counter() - start)

                watcher = threading.Thread(target=watch)
                many = [texts[i % N_TOGETHER] for i in range(N_IN_FLIGHT)]
                with ProcessPoolExecutor(1, get_context("spawn")) as other_process:  # the watch shares no lock with it
                    other_process.submit(time.sleep, 0).result()
                    watcher.start()
                    answers = other_process.submit(flood, url, many).result()
                stop.set()
                watcher.join()
            statuses = Counter(s for s, _ in answers)
            figures["in_flight_statuses"] = {str(k): v for k, v in sorted(statuses.items())}
            figures["in_flight_other_statuses"] = sum(n for s, n in statuses.items() if s not in (200, 429, 503))
            figures["in_flight_wrong_answers"] = sum(
                s == httpx.codes.OK and t in known and a != known[t] for t, (s, a) in zip(many, answers, strict=True)
            )
            figures["health_p99_ms"] = quantile(health, 99)
            time.sleep(6)  # idle connections end after five seconds
            figures["more_fds_after"] = process.num_fds() - before[0]
            figures["more_mb_after"] = round((process.memory_info().rss - before[1]) / 1e6, 1)
        figures |= batches(folder / "batches", texts, rate)
    bars = {
        "batch_starts_after_s": ("<=", 1.0),
        "batch_overhead": ("<=", 0.15),
        "alone_p50_ms": ("<=", 20.0),
        "alone_p99_ms": ("<=", 80.0),
        "together_share_of_code": (">=", 0.8),
        "together_other_than_alone": ("<=", 0),
        "in_flight_other_statuses": ("<=", 0),
        "in_flight_wrong_answers": ("<=", 0),
        "health_p99_ms": ("<=", 100.0),
        "more_fds_after": ("<=", 20),
    }
    publish("load", figures, bars)


if __name__ == "__main__":
    main()
