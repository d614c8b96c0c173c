"""Runs as durable workflows: the one module that knows DBOS.

A run is a workflow, a chunk of its comments a step. DBOS keeps only ids and counts, as JSON; comments and codings are in
the store. A worker that dies leaves its workflows pending. Every worker beats by the database's clock, and one of them at
a time looks for workflows whose worker has gone silent, puts them back into the queue, and starts jobs that are missing.
"""

import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from dbos import DBOS, DBOSClient, DBOSConfig
from dbos._serialization import Serializer
from sqlalchemy import create_engine

from nlp_service.jobs.run_coder import RunCoder, patiently
from nlp_service.store.batches import find_run, open_runs, set_attempt, set_state
from nlp_service.store.database import IDLE_MS, Database, StoreGoneError, said_plainly
from nlp_service.store.values import RunId, RunRecord, RunState
from nlp_service.store.workers import beat, forget_silent, live_workers, sign_off, take_lease

QUEUE: Final = "runs"
WORKFLOW: Final = "code_run"
APPLICATION: Final = "themes"
APPLICATION_VERSION: Final = "1"
"""Of the workflow's form: a release that leaves the order of steps alone leaves this alone, and running batches go on."""
RUNS_AT_ONCE: Final = 4
"""Runs that a worker has in hand, so that a small one does not wait for a large one."""
POLL_S: Final = 0.2
MAX_ATTEMPTS: Final = 5
"""A run whose job ends in an error this often has failed."""
RECOVERY: Final = "recovery"
_LOST_STATES: Final = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_First = TypeVar("_First")
_log = logging.getLogger(__name__)


class JsonSerializer(Serializer):  # type: ignore[misc]
    """What DBOS keeps: ids and counts as JSON, and of an error its type alone."""

    def serialize(self, data: Any) -> str:
        """Return JSON."""
        return json.dumps(data, default=_nameless)

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805 -- the signature of what it stands in for
        """Return the value; an error comes back as a JobError."""
        value = json.loads(serialized_data)
        return JobError(value["error"]) if isinstance(value, dict) and set(value) == {"error"} else value

    def name(self) -> str:
        """Return the name that DBOS notes beside each value."""
        return "themes_json"


class JobError(Exception):
    """A step failed; the message is the type of error and nothing else."""


class JobQueue:
    """Starts and stops the jobs of runs, from any process. Safe to share between threads.

    Parameters
    ----------
    database
        The store; DBOS's tables lie in a file beside it, or in the schema "dbos" of its PostgreSQL database.
    """

    def __init__(self, database: Database) -> None:
        url = jobs_url(database)
        _quiet()
        _prepare(database)
        with said_plainly():
            DBOS.migrate(url)
        self._client = DBOSClient(system_database_url=url, serializer=JsonSerializer(), retry_connection_errors=False)

    def start(self, run: RunId, attempt: int = 0) -> None:
        """Put a run into the queue; once, however often it is said."""
        with said_plainly():
            self._client.enqueue(
                {
                    "workflow_name": WORKFLOW,
                    "queue_name": QUEUE,
                    "workflow_id": _workflow_id(run, attempt),
                    "app_version": APPLICATION_VERSION,
                    "application_name": APPLICATION,
                },
                run,
            )

    def cancel(self, run: RunId, attempt: int) -> None:
        """Take a run out of the queue, or have it stopped before its next chunk."""
        with said_plainly():
            self._client.cancel_workflow(_workflow_id(run, attempt))

    def pending(self) -> list[tuple[str, str]]:
        """Return the ids of workflows that a worker has in hand, each with its worker."""
        with said_plainly():
            found = self._client.list_workflows(status="PENDING", name=WORKFLOW, load_input=False, load_output=False)
        return [(w.workflow_id, str(w.executor_id)) for w in found]

    def state(self, run: RunId, attempt: int) -> str | None:
        """Return DBOS's word for where a job is, or None if there is none."""
        with said_plainly():
            found = self._client.list_workflows(
                workflow_ids=[_workflow_id(run, attempt)], load_input=False, load_output=False
            )
        return str(found[0].status) if found else None

    def put_back(self, workflow_id: str) -> None:
        """Put a workflow that lost its worker back into the queue; steps that are done stay done."""
        with said_plainly():
            self._client.resume_workflow(workflow_id, queue_name=QUEUE)

    def close(self) -> None:
        """Close all connections."""
        self._client.destroy()


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a worker beats, and when it counts as gone."""

    beat_s: float
    silent_s: float


class InHand:
    """Which workflows run in this process, and which only DBOS believes to. Safe to share between threads.

    When DBOS cannot write down what a step returned (the disk is full), the workflow's thread ends and the workflow stays pending
    under a worker that is alive.

    Parameters
    ----------
    silent_s
        Seconds after which a pending workflow that does not run is lost: before, it may be about to begin, or to end.
    """

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._since: dict[str, float] = {}

    @contextmanager
    def holding(self, workflow_id: str) -> Iterator[None]:
        """Say that a workflow runs, as long as the block does."""
        with self._lock:
            self._running.add(workflow_id)
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(workflow_id)

    def lost(self, pending: Iterable[str], now_s: float) -> list[str]:
        """Return the workflows that are pending under this worker and have not run for long; each is named once."""
        with self._lock:
            self._since = {w: self._since.get(w, now_s) for w in pending if w not in self._running}
            found = [w for w, since in self._since.items() if now_s - since >= self._silent_s]
            for workflow_id in found:
                del self._since[workflow_id]
        return found


class Worker:
    """One process that codes runs until it is told to stop. There can be any number on one store.

    Parameters
    ----------
    database, coder
        The store, and who codes its runs.
    rhythm
        Heartbeat.
    service_version
        Noted beside the heartbeat.
    """

    def __init__(self, database: Database, coder: RunCoder, rhythm: Rhythm, *, service_version: str) -> None:
        self.id = f"{socket.gethostname()[:30]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._database, self._coder, self._rhythm, self._version = database, coder, rhythm, service_version
        self._stop = threading.Event()
        self._busy, self._n_busy = threading.Condition(), 0
        self.in_hand = InHand(rhythm.silent_s)

    def run(self, *, ready: Callable[[], None] = lambda: None) -> None:
        """Code runs until `stop` is called; then return once the chunks in hand are done."""
        global _worker  # noqa: PLW0603 -- DBOS calls plain functions: they find the worker of their process here
        _worker = self
        patiently(self._beat)
        queue = patiently(lambda: JobQueue(self._database))
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": jobs_url(self._database),
            "application_version": APPLICATION_VERSION,
            "executor_id": self.id,
            "serializer": JsonSerializer(),
            "log_level": "CRITICAL",
            "run_migrations": False,
            "sys_db_idle_transaction_timeout_sec": IDLE_MS / 1000,
        }
        DBOS(config=config)
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=RUNS_AT_ONCE, polling_interval_sec=POLL_S, on_conflict="always_update")  # fmt: skip
        ready()
        while not self._stop.wait(self._rhythm.beat_s):
            try:
                self._beat()
                self._clear_up(queue)
            except StoreGoneError:
                continue  # the steps wait for the database too
            except Exception as error:  # noqa: BLE001 -- the worker's boundary: the next beat tries again
                _log.warning("clearing up failed: %s", type(error).__name__)
        with self._busy:
            self._busy.wait_for(lambda: self._n_busy == 0, timeout=self._rhythm.silent_s)
        sign_off(self._database, self.id)
        queue.close()

    def stop(self) -> None:
        """Begin no further chunk, and end."""
        self._stop.set()

    def step(self, work: Callable[[], _First]) -> _First:
        """Return what a step returns. Once the worker is stopping no step begins; the process ends around it."""
        with self._busy:
            while self._stop.is_set():
                self._busy.wait()  # for ever: the workflow is left pending, for another worker
            self._n_busy += 1
        try:
            return work()
        except Exception as error:  # noqa: BLE001 -- the worker step's boundary: what DBOS keeps holds no words
            _log.warning("a step failed: %s", type(error).__name__)
            raise JobError(type(error).__name__) from None
        finally:
            with self._busy:
                self._n_busy -= 1
                self._busy.notify_all()

    @property
    def coder(self) -> RunCoder:
        """Return who codes the runs."""
        return self._coder

    def _beat(self) -> None:
        beat(self._database, self.id, service_version=self._version)

    def _clear_up(self, queue: JobQueue) -> None:
        """Put what was lost here back into the queue, then the work of silent workers, and start jobs that are missing: one worker at a time."""
        pending = queue.pending()
        for workflow_id in self.in_hand.lost((w for w, worker in pending if worker == self.id), time.monotonic()):
            queue.put_back(workflow_id)
        if not take_lease(self._database, RECOVERY, self.id, seconds=self._rhythm.silent_s):
            return
        live = live_workers(self._database, silent_s=self._rhythm.silent_s)
        for workflow_id, worker in pending:
            if worker not in live:
                queue.put_back(workflow_id)
        for run in open_runs(self._database):
            _restart_if_lost(self._database, queue, run)
        forget_silent(self._database, silent_s=100 * self._rhythm.silent_s)


def _restart_if_lost(database: Database, queue: JobQueue, run: RunRecord) -> None:
    state = queue.state(run.id, run.attempt)
    if state is None:
        queue.start(run.id, run.attempt)
    elif state in _LOST_STATES or state == "SUCCESS":
        now = find_run(database, run.id)
        if now is None or now.state.is_final:
            return
        if run.attempt + 1 >= MAX_ATTEMPTS:
            set_state(database, run.id, RunState.FAILED, error="job_failed")
            return
        set_attempt(database, run.id, run.attempt + 1)
        queue.start(run.id, run.attempt + 1)


_worker: Worker | None = None


def _current() -> Worker:
    if _worker is None:
        raise RuntimeError("no worker runs in this process")
    return _worker


@DBOS.step(name="begin")  # type: ignore[untyped-decorator]
def _begin(run: str) -> int:
    worker = _current()
    return worker.step(lambda: worker.coder.begin(RunId(run)))


@DBOS.step(name="code")  # type: ignore[untyped-decorator]
def _code(run: str, chunk: int) -> int:
    worker = _current()
    return worker.step(lambda: worker.coder.code(RunId(run), chunk))


@DBOS.step(name="finish")  # type: ignore[untyped-decorator]
def _finish(run: str) -> None:
    worker = _current()
    worker.step(lambda: worker.coder.finish(RunId(run)))


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)  # type: ignore[untyped-decorator]
def _code_run(run: str) -> None:
    with _current().in_hand.holding(str(DBOS.workflow_id)):
        for chunk in range(_begin(run)):
            _code(run, chunk)
        _finish(run)


def jobs_url(database: Database) -> str:
    """Return where DBOS keeps its tables."""
    if database.file is not None:
        return f"sqlite:///{database.file.with_suffix('.jobs.db')}"
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _workflow_id(run: RunId, attempt: int) -> str:
    return f"{run}.{attempt}"


def _nameless(value: Any) -> Any:
    if isinstance(value, BaseException):
        return {"error": str(value) if isinstance(value, JobError) else type(value).__name__}
    raise TypeError(f"{type(value).__name__} is kept nowhere")


def _quiet() -> None:
    logging.getLogger("dbos").setLevel(logging.CRITICAL)


def _prepare(database: Database) -> None:
    """Set DBOS's own file to write-ahead logging, so that readers and a writer do not wait for one another; wait for a writer."""
    if database.file is None:
        return
    path = database.file.with_suffix(".jobs.db")
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 30, "isolation_level": None})
    with said_plainly(), engine.connect() as connection:
        for statement in ("PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", "ROLLBACK"):
            connection.exec_driver_sql(statement)
    engine.dispose()
    path.chmod(0o600)
