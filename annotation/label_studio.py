"""Label Studio's HTTP API: the only module that speaks to it, and what it sends is plain dicts.

Its SDK is not used: it brings some forty packages into the service (a code formatter, an LLM client, image tools), and what is needed
here is a dozen requests. Every answer is checked before it is believed; an answer's text never reaches a message.
"""

import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import httpx

from models.counts import counted
from models.vocabulary import ThemesError

TIMEOUT_S: Final = 60.0
MAX_ANSWER_BYTES: Final = 500_000_000
BATCH_TASKS: Final = 250
BATCH_BYTES: Final = 4_000_000
_PAGE: Final = 100
_ANSWERS: Final = {
    401: "the token is not accepted",
    403: "the account is not allowed to do that",
    404: "there is nothing of that id",
}


class LabelStudioError(ThemesError):
    """Label Studio cannot be reached, refuses, or answers with something else than it should."""

    code = "label_studio_failed"


class NothingThereError(LabelStudioError):
    """Label Studio has nothing of that id."""


class LabelStudio:
    """A server, spoken to as one account. Use it in a `with` block.

    Parameters
    ----------
    url
        Where it is.
    token
        A legacy token, or a personal access token, which is exchanged for a short-lived one.
    timeout_s
        How long to wait for one answer, in seconds.
    """

    def __init__(self, url: str, token: str, *, timeout_s: float = TIMEOUT_S) -> None:
        if not url.startswith(("http://", "https://")):
            raise LabelStudioError(
                "the address of Label Studio is no http address.",
                allowed="http://… or https://….",
                next_step="check --url or THEMES_LABEL_STUDIO_URL.",
            )
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout_s)
        self._token = token
        if not _is_personal(token):
            self._http.headers["Authorization"] = f"Token {token}"

    def __enter__(self) -> "LabelStudio":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def who_am_i(self) -> str:
        """Return the account's e-mail address: whether the server is there and the token good."""
        return str(_mapping(self._call("GET", "/api/current-user/whoami")).get("email", ""))

    def find_projects(self, mark: str) -> list[dict[str, Any]]:
        """Return the projects whose description holds a mark, oldest first."""
        found: list[dict[str, Any]] = []
        page = 1
        while True:
            answer = _mapping(self._call("GET", "/api/projects", params={"page": page, "page_size": _PAGE}))
            listed = [_mapping(p) for p in _list(answer.get("results"))]
            found.extend(p for p in listed if mark in str(p.get("description")))
            if not answer.get("next") or not listed:
                return sorted(found, key=lambda p: _whole(p.get("id")))
            page += 1

    def make_project(self, settings: Mapping[str, Any]) -> int:
        """Return the id of a new project."""
        return _whole(_mapping(self._call("POST", "/api/projects", json=settings)).get("id"))

    def change_project(self, project: int, settings: Mapping[str, Any]) -> None:
        """Change some settings of a project."""
        self._call("PATCH", f"/api/projects/{project}", json=settings)

    def delete_project(self, project: int) -> None:
        """Delete a project with all that is in it."""
        self._call("DELETE", f"/api/projects/{project}")

    def import_tasks(self, project: int, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Add tasks to a project, some hundred at a time; each batch is taken whole or not at all."""
        batch: list[bytes] = []
        size = 0
        for task in tasks:
            line = json.dumps(task, ensure_ascii=True).encode()
            if batch and (len(batch) >= BATCH_TASKS or size + len(line) > BATCH_BYTES):
                self._import(project, batch)
                batch, size = [], 0
            batch.append(line)
            size += len(line)
        if batch:
            self._import(project, batch)

    def _import(self, project: int, batch: Sequence[bytes]) -> None:
        body = b"[" + b",".join(batch) + b"]"
        answer = _mapping(self._call("POST", f"/api/projects/{project}/import", content=body))
        if answer.get("task_count") != len(batch):
            raise _odd(f"of {counted(len(batch), 'task')} sent, it says that it took {answer.get('task_count')!r:.20}")

    def export(self, project: int) -> list[dict[str, Any]]:
        """Return all tasks of a project with their annotations, as Label Studio exports them.

        Raises
        ------
        LabelStudioError
            If the answer is no export, or holds a task of another project.
        """
        answer = self._call(
            "GET", f"/api/projects/{project}/export", params={"exportType": "JSON", "download_all_tasks": "true"}
        )
        tasks = [_mapping(t) for t in _list(answer)]
        foreign = sum(t.get("project") != project for t in tasks)
        if foreign:
            raise LabelStudioError(
                f"the export of project {project} holds {counted(foreign, 'task of another project', 'tasks of other projects')}.",
                allowed="the tasks of that project alone.",
                next_step="check that --url is the server the round was started on; nothing was taken.",
            )
        return tasks

    def delete_task(self, task: int) -> None:
        """Delete a task with its answers and suggestions."""
        self._call("DELETE", f"/api/tasks/{task}")

    def users(self) -> dict[int, str]:
        """Return the e-mail address of every account, by its id."""
        answer = self._call("GET", "/api/users")
        people = [_mapping(u) for u in _list(answer)]
        return {_whole(u.get("id")): str(u.get("email", "")) for u in people}

    def add_webhook(self, project: int, url: str, secret: str) -> None:
        """Let the server call an address, with a secret in its header, whenever something in a project changes.

        A project that calls the address already is left as it is.
        """
        there = _list(self._call("GET", "/api/webhooks/", params={"project": project}))
        if any(_mapping(w).get("url") == url for w in there):
            return
        wanted = {
            "project": project, "url": url, "send_payload": False, "send_for_all_actions": True, "is_active": True,
            "headers": {"Authorization": f"Bearer {secret}"},
        }  # fmt: skip
        self._call("POST", "/api/webhooks/", json=wanted)

    def add_ml_backend(self, project: int, url: str, secret: str) -> None:
        """Let the server ask a service for suggestions on the project's tasks; the secret is the password of user `themes`."""
        wanted = {
            "project": project, "url": url, "title": "themes", "auth_method": "BASIC_AUTH",
            "basic_auth_user": "themes", "basic_auth_pass": secret,
        }  # fmt: skip
        self._call("POST", "/api/ml/", json=wanted)

    def _call(self, method: str, path: str, **given: Any) -> Any:
        if _is_personal(self._token) and "Authorization" not in self._http.headers:
            answer = self._send("POST", "/api/token/refresh", json={"refresh": self._token})
            self._http.headers["Authorization"] = f"Bearer {_mapping(answer).get('access', '')}"
        return self._send(method, path, **given)

    def _send(self, method: str, path: str, **given: Any) -> Any:
        headers = {"Content-Type": "application/json"} if "content" in given else {}
        where = f"{method} {path}"
        try:
            with self._http.stream(method, path, headers=headers, **given) as response:
                body = bytearray()
                for part in response.iter_bytes():
                    body.extend(part)
                    if len(body) > MAX_ANSWER_BYTES:
                        raise _odd(f"the answer to {where} is larger than {MAX_ANSWER_BYTES} bytes")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LabelStudioError(
                f"Label Studio does not answer {where} ({type(error).__name__}).",
                allowed="a server that can be reached from here.",
                next_step="check --url and that the server runs, then give the same command again.",
            ) from error
        if not response.is_success:
            why = _ANSWERS.get(
                response.status_code, "a refusal" if response.is_client_error else "a failure of the server"
            )
            kind = NothingThereError if response.status_code == httpx.codes.NOT_FOUND else LabelStudioError
            raise kind(
                f"Label Studio answers {where} with {response.status_code}: {why}.",
                allowed="a server that does what it is asked.",
                next_step="check the token and the server's log, then give the same command again.",
            )
        if not body:
            return {}
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise _odd(f"the answer to {where} is no JSON") from error


def _is_personal(token: str) -> bool:
    return token.count(".") == 2  # noqa: PLR2004 -- the three parts of a JSON web token


def _odd(found: str) -> LabelStudioError:
    return LabelStudioError(
        f"{found}.",
        allowed="the answers of Label Studio 1.2x.",
        next_step="check that --url leads to a Label Studio and to nothing in front of it.",
    )


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _odd("an answer holds something else where an object should be")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise _odd("an answer holds something else where a list should be")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _odd("an answer holds something else where an id should be")
    return value
