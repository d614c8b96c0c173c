"""What Prometheus reads at /metrics: counts and times by route, and the state of the queue; no words, no ids."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.08, 0.2, 0.5, 1, 2, 5, 20, 60)
MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route")
        self._requests = Counter("themes_requests", "Requests answered.", (*labels, "status"), registry=self._registry)
        self._seconds = Histogram(
            "themes_request_seconds", "Time until the answer began.", labels, buckets=_SECONDS, registry=self._registry
        )
        self._waiting = Gauge("themes_waiting_comments", "Comments that wait to be coded.", registry=self._registry)
        self._runs = Gauge("themes_open_runs", "Runs that are not over.", ("state",), registry=self._registry)
        self._workers = Gauge("themes_live_workers", "Workers heard of lately.", registry=self._registry)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def page(self, *, n_waiting: int, runs: dict[str, int], n_workers: int) -> bytes:
        """Return the page for Prometheus."""
        self._waiting.set(n_waiting)
        self._workers.set(n_workers)
        for state, n in runs.items():
            self._runs.labels(state).set(n)
        return generate_latest(self._registry)
