"""The service from Python: `Client` for plain code, `AsyncClient` for asyncio; both typed, both over httpx.

>>> client = Client("http://127.0.0.1:8765", key="themes_…")  # doctest: +SKIP
>>> batch = client.submit(Path("survey.csv"), consultation="Wave 3")  # doctest: +SKIP
>>> client.download(client.wait(batch.id).id, Path("coded.csv"))  # doctest: +SKIP
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypedDict, Unpack

import httpx

from models.vocabulary import Segment, ThemesError
from nlp_service.ingest.mapping import ColumnMapping, mapping_to_json

TIMEOUT_S: Final = 120.0
TRIES: Final = 6
"""Calls that are turned away for now, or whose connection fails, are made again so many times in all."""
WAIT_MAX_S: Final = 30.0
POLL_S: Final = 1.0
MEDIA_TYPES: Final = {
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".parquet": "application/vnd.apache.parquet",
}
_LATER: Final = frozenset({429, 503})
_IN_FLIGHT: Final = 409


class ServiceError(ThemesError):
    """The service refused; `code` and `status` are those of its problem document."""

    code = "service_refused"

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", self.code))
        super().__init__(
            str(problem.get("title", f"the service answered {status}.")),
            allowed=str(problem.get("allowed", "")),
            next_step=str(problem.get("next_step", f"see {problem.get('type', 'docs/reference/errors.md')}.")),
        )


class ServiceUnreachableError(ThemesError):
    """Nothing answers at the service's address."""

    code = "service_unreachable"


class BatchFailedError(ThemesError):
    """The batch was cancelled or failed."""

    code = "batch_failed"


@dataclass(frozen=True, slots=True)
class CodedTheme:
    """A theme on a text."""

    theme: str
    label: str
    probability: float
    evidence: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class CodedText:
    """What is said of one text."""

    themes: tuple[CodedTheme, ...]
    unsure: tuple[str, ...]
    probabilities: Mapping[str, float]
    model: str
    codebook: str


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """Where a batch is."""

    id: str
    consultation: str
    state: str
    n_rows: int
    n_comments: int
    n_problems: int
    n_done: int
    n_not_codable: int
    model: str
    codebook: str
    error: str | None
    waits_for: str | None = None
    """What must come before the batch gets on: `worker`, `room` on the database's disk, or nothing that is known of."""

    @property
    def is_over(self) -> bool:
        """Return whether nothing more will happen."""
        return self.state in ("done", "cancelled", "failed")


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is called when a run ends."""

    id: str
    url: str
    consultation: str | None
    secret: str | None = None
    """What its calls are signed with; only there when it has just been made."""


class SubmitOptions(TypedDict, total=False):
    """What may be said of a file that is handed in, named as the route names it."""

    consultation: str | None
    text: Sequence[str]
    """Columns with open answers."""
    id: str | None
    """Column that names each row."""
    role: Sequence[str]
    """Roles of columns, each as `COL=ROLE`."""
    mapping: ColumnMapping | None
    """Roles saved from another wave, as `read_mapping` reads them."""
    sheet: str | None
    facilitator: Sequence[str]
    """Who leads the workshop."""
    with_facilitators: bool
    """Code their turns too."""
    all_languages: bool
    """Code comments that seem not to be in English too."""
    model: str | None


@dataclass(frozen=True, slots=True)
class _Call:
    """A call to make: what both clients share."""

    method: str
    path: str
    params: Mapping[str, Any] | None = None
    json: Any = None
    headers: Mapping[str, str] | None = None
    file: Path | None = None
    fields: Mapping[str, str] | None = None
    """Of the form that the file goes in."""

    def arguments(self) -> dict[str, Any]:
        given: dict[str, Any] = {"params": self.params, "json": self.json, "headers": self.headers}
        if self.file is not None:
            given |= {"files": {"file": (self.file.name, self.file.read_bytes())}, "data": self.fields}
        return {k: v for k, v in given.items() if v is not None}


class Client:
    """The service, for plain code. Close it, or use it in a `with` block.

    Parameters
    ----------
    url
        Where the service listens.
    key
        An API key; None where the service asks for none.
    transport
        Another way to send than over the network.
    """

    def __init__(self, url: str, *, key: str | None = None, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=url, headers=_headers(key), timeout=TIMEOUT_S, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def classify(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        codebook: str | None = None,
        consultation: str | None = None,
    ) -> list[CodedText]:
        """Return a coding for each text, in order, by the model or the codebook named. ServiceError, ServiceUnreachableError."""
        return _coded(self._send(_classify(texts, model, codebook, consultation)).json())

    def submit(self, path: Path, *, idempotency_key: str | None = None, **how: Unpack[SubmitOptions]) -> BatchStatus:
        """Hand in a file and return its batch; sent again by itself where the connection fails, and taken once.

        Parameters
        ----------
        path
            The file.
        idempotency_key
            What makes another call the same one; a new key if not given.
        **how
            What is said of the file, as in `SubmitOptions`.
        """
        return _status(self._send(_submit(path, idempotency_key, how)).json())

    def get(self, batch: str) -> BatchStatus:
        """Return where a batch is."""
        return _status(self._send(_Call("GET", f"/v1/batches/{batch}")).json())

    def batches(self, *, consultation: str | None = None) -> list[BatchStatus]:
        """Return batches, newest first."""
        params = {"consultation": consultation} if consultation else {}
        return [_status(b) for b in self._send(_Call("GET", "/v1/batches", params)).json()["batches"]]

    def wait(
        self, batch: str, *, progress: Callable[[BatchStatus], None] | None = None, poll_s: float = POLL_S
    ) -> BatchStatus:
        """Return a batch once it is done; BatchFailedError if it ends in another way."""
        while True:
            now = self.get(batch)
            if progress is not None:
                progress(now)
            if now.is_over:
                return _done(now)
            time.sleep(poll_s)

    def codings(self, batch: str) -> Iterator[dict[str, Any]]:
        """Yield the codings that are there, each as a line of a codings file."""
        after: int | None = -1
        while after is not None:
            page = self._send(_Call("GET", f"/v1/batches/{batch}/codings", {"after": after})).json()
            yield from page["codings"]
            after = page["next_after"]

    def download(self, batch: str, out: Path) -> None:
        """Write the codings of a batch that is done, in the format of the extension: .jsonl, .csv, .xlsx or .parquet."""
        call = _download(batch, out)
        with self._http.stream(call.method, call.path, **call.arguments()) as answer:
            if answer.is_error:
                answer.read()
            _checked(answer)
            with out.open("wb") as file:
                for piece in answer.iter_bytes():
                    file.write(piece)

    def problems(self, batch: str) -> list[dict[str, Any]]:
        """Return what could not be read or coded."""
        found: list[dict[str, Any]] = self._send(_Call("GET", f"/v1/batches/{batch}/problems")).json()["problems"]
        return found

    def disclosures(self, batch: str) -> list[dict[str, Any]]:
        """Return the comments of a batch that is done that may disclose harm, for a person to read first: ids and rows, no words."""
        call = _Call("GET", f"/v1/batches/{batch}/disclosures")
        found: list[dict[str, Any]] = self._send(call).json()["disclosures"]
        return found

    def cancel(self, batch: str) -> BatchStatus:
        """Stop a batch before its next chunk."""
        return _status(self._send(_Call("POST", f"/v1/batches/{batch}/cancel")).json())

    def delete(self, batch: str) -> None:
        """Delete a batch with all it holds."""
        self._send(_Call("DELETE", f"/v1/batches/{batch}"))

    def make_webhook(self, url: str, *, consultation: str | None = None) -> Webhook:
        """Return a new webhook with its secret, which cannot be had again. If the connection fails, look for one too many."""
        return _webhook(self._send(_make_webhook(url, consultation)).json())

    def webhooks(self) -> list[Webhook]:
        """Return the webhooks that the key sees, oldest first."""
        return [_webhook(w) for w in self._send(_Call("GET", "/v1/webhooks")).json()["webhooks"]]

    def deliveries(self, webhook: str) -> list[dict[str, Any]]:
        """Return what a webhook was told lately, newest first, and how far that has come."""
        call = _Call("GET", f"/v1/webhooks/{webhook}/deliveries")
        found: list[dict[str, Any]] = self._send(call).json()["deliveries"]
        return found

    def delete_webhook(self, webhook: str) -> None:
        """Delete a webhook: it is called no more."""
        self._send(_Call("DELETE", f"/v1/webhooks/{webhook}"))

    def _send(self, call: _Call) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            try:
                answer = self._http.request(call.method, call.path, **call.arguments())
            except httpx.TransportError as error:
                wait_s = _wait_or_raise(call, tries, error)
            else:
                again = _again_in(answer, tries)
                if again is None:
                    return _checked(answer)
                wait_s = again
            time.sleep(wait_s)
        raise AssertionError("the last try returns or raises")


class AsyncClient:
    """The service, for asyncio: the calls of `Client` but those about webhooks, awaited."""

    def __init__(self, url: str, *, key: str | None = None, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(key), timeout=TIMEOUT_S, transport=transport)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def classify(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        codebook: str | None = None,
        consultation: str | None = None,
    ) -> list[CodedText]:
        """Return a coding for each text, in order, as `Client.classify` does."""
        return _coded((await self._send(_classify(texts, model, codebook, consultation))).json())

    async def submit(
        self, path: Path, *, idempotency_key: str | None = None, **how: Unpack[SubmitOptions]
    ) -> BatchStatus:
        """Hand in a file and return its batch, as `Client.submit` does."""
        return _status((await self._send(_submit(path, idempotency_key, how))).json())

    async def get(self, batch: str) -> BatchStatus:
        """Return where a batch is."""
        return _status((await self._send(_Call("GET", f"/v1/batches/{batch}"))).json())

    async def wait(self, batch: str, *, poll_s: float = POLL_S) -> BatchStatus:
        """Return a batch once it is done; BatchFailedError if it ends in another way."""
        while not (now := await self.get(batch)).is_over:
            await asyncio.sleep(poll_s)
        return _done(now)

    async def batches(self, *, consultation: str | None = None) -> list[BatchStatus]:
        """Return batches, newest first."""
        params = {"consultation": consultation} if consultation else {}
        return [_status(b) for b in (await self._send(_Call("GET", "/v1/batches", params))).json()["batches"]]

    async def codings(self, batch: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the codings that are there, each as a line of a codings file."""
        after: int | None = -1
        while after is not None:
            page = (await self._send(_Call("GET", f"/v1/batches/{batch}/codings", {"after": after}))).json()
            for coding in page["codings"]:
                yield coding
            after = page["next_after"]

    async def problems(self, batch: str) -> list[dict[str, Any]]:
        """Return what could not be read or coded."""
        answer = await self._send(_Call("GET", f"/v1/batches/{batch}/problems"))
        found: list[dict[str, Any]] = answer.json()["problems"]
        return found

    async def disclosures(self, batch: str) -> list[dict[str, Any]]:
        """Return the comments for a person to read first, as `Client.disclosures` does."""
        answer = await self._send(_Call("GET", f"/v1/batches/{batch}/disclosures"))
        found: list[dict[str, Any]] = answer.json()["disclosures"]
        return found

    async def cancel(self, batch: str) -> BatchStatus:
        """Stop a batch before its next chunk."""
        return _status((await self._send(_Call("POST", f"/v1/batches/{batch}/cancel"))).json())

    async def delete(self, batch: str) -> None:
        """Delete a batch with all it holds."""
        await self._send(_Call("DELETE", f"/v1/batches/{batch}"))

    async def download(self, batch: str, out: Path) -> None:
        """Write the codings of a batch that is done, in the format of the extension."""
        content = (await self._send(_download(batch, out))).content
        await asyncio.to_thread(out.write_bytes, content)

    async def _send(self, call: _Call) -> httpx.Response:
        for tries in range(1, TRIES + 1):
            try:
                answer = await self._http.request(call.method, call.path, **call.arguments())
            except httpx.TransportError as error:
                wait_s = _wait_or_raise(call, tries, error)
            else:
                again = _again_in(answer, tries)
                if again is None:
                    return _checked(answer)
                wait_s = again
            await asyncio.sleep(wait_s)
        raise AssertionError("the last try returns or raises")


def _headers(key: str | None) -> dict[str, str]:
    return {} if key is None else {"authorization": f"Bearer {key}"}


def _classify(texts: Sequence[str], model: str | None, codebook: str | None, consultation: str | None) -> _Call:
    named = {"model": model, "codebook": codebook, "consultation": consultation}
    body: dict[str, Any] = {"texts": list(texts), **{k: v for k, v in named.items() if v is not None}}
    return _Call("POST", "/v1/classify", json=body)


def _submit(path: Path, idempotency_key: str | None, how: SubmitOptions) -> _Call:
    mapping = how.get("mapping")
    params = {k: v for k, v in how.items() if k != "mapping" and v not in (None, (), [])}
    fields = None if mapping is None else {"mapping": mapping_to_json(mapping)}
    headers = {"idempotency-key": idempotency_key or uuid.uuid4().hex}
    return _Call("POST", "/v1/batches", params, headers=headers, file=path, fields=fields)


def _make_webhook(url: str, consultation: str | None) -> _Call:
    return _Call("POST", "/v1/webhooks", json={"url": url} | ({"consultation": consultation} if consultation else {}))


def _webhook(body: Mapping[str, Any]) -> Webhook:
    return Webhook(body["id"], body["url"], body["consultation"], body.get("secret"))


def _download(batch: str, out: Path) -> _Call:
    kind = MEDIA_TYPES.get(out.suffix.lower())
    if kind is None:
        raise ServiceError(0, {"code": "output_refused", "title": f"{out.name} names no output format.", "allowed": ", ".join(MEDIA_TYPES) + ".", "next_step": "change the extension."})  # fmt: skip
    return _Call("GET", f"/v1/batches/{batch}/codings", headers={"accept": kind})


def _wait_or_raise(call: _Call, tries: int, error: httpx.TransportError) -> float:
    if tries == TRIES:
        raise ServiceUnreachableError(
            f"nothing answers a {call.method} ({type(error).__name__}).",
            allowed="a service that listens.",
            next_step="start it with `themes serve`, or check the address.",
        ) from error
    return float(min(WAIT_MAX_S, 0.25 * 2**tries))


def _again_in(answer: httpx.Response, tries: int) -> float | None:
    """Return the seconds until the call is made again, or None where it is answered for good."""
    is_later = answer.status_code in _LATER or (answer.status_code == _IN_FLIGHT and "retry-after" in answer.headers)
    if not is_later or tries == TRIES:
        return None
    said = answer.headers.get("retry-after", "1")
    return min(WAIT_MAX_S, float(said) if said.isdigit() else 1.0)


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    raise ServiceError(answer.status_code, problem if isinstance(problem, dict) else {})


def _coded(body: Mapping[str, Any]) -> list[CodedText]:
    return [
        CodedText(
            tuple(
                CodedTheme(
                    t["theme"],
                    t["label"],
                    t["probability"],
                    tuple(Segment(e["start"], e["end"]) for e in t["evidence"]),
                )
                for t in one["themes"]
            ),
            tuple(one["unsure"]),
            one["probabilities"],
            body["model"],
            body["codebook"],
        )
        for one in body["codings"]
    ]


def _status(body: Mapping[str, Any]) -> BatchStatus:
    run = body["run"]
    return BatchStatus(
        body["id"],
        body["consultation"],
        run["state"],
        body["n_rows"],
        body["n_comments"],
        body["n_problems"],
        run["n_done"],
        run["n_problems"],
        run["model"],
        run["codebook"],
        run["error"],
        run.get("waits_for"),
    )


def _done(batch: BatchStatus) -> BatchStatus:
    if batch.state != "done":
        raise BatchFailedError(
            f"the batch is {batch.state}" + (f" ({batch.error})." if batch.error else "."),
            allowed="a batch that is done.",
            next_step="see docs/reference/errors.md, or code it again.",
        )
    return batch
