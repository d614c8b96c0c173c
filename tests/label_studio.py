"""A person at Label Studio, speaking its HTTP API as the pages do."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from annotation.label_studio_server import Account
from models.vocabulary import Segment


class Person:
    """One account; every call raises if the server refuses it."""

    def __init__(self, url: str, account: Account) -> None:
        self.email = account.email
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Token {account.token}"}, timeout=60)

    def close(self) -> None:
        self._http.close()

    def tasks(self, project: int) -> list[dict[str, Any]]:
        return list(
            self._call(
                "GET", f"/api/projects/{project}/export", params={"exportType": "JSON", "download_all_tasks": "true"}
            )
        )

    def next_task(self, project: int) -> dict[str, Any]:
        return dict(self._call("GET", f"/api/projects/{project}/next"))

    def predictions(self, project: int) -> list[dict[str, Any]]:
        return list(self._call("GET", "/api/predictions/", params={"project": project}))

    def project(self, project: int) -> dict[str, Any]:
        return dict(self._call("GET", f"/api/projects/{project}"))

    def projects(self) -> list[dict[str, Any]]:
        return list(self._call("GET", "/api/projects", params={"page_size": 1000})["results"])

    def webhooks(self, project: int) -> list[dict[str, Any]]:
        return list(self._call("GET", "/api/webhooks/", params={"project": project}))

    def answer(
        self,
        task: int,
        themes: Sequence[str],
        *,
        marks: Mapping[str, Segment] | None = None,
        seconds: float = 10.0,
        missing: str = "",
    ) -> int:
        document = {"result": result_of(themes, marks or {}, missing), "lead_time": seconds}
        return int(self._call("POST", f"/api/tasks/{task}/annotations/", json=document)["id"])

    def skip(self, task: int) -> int:
        return int(
            self._call("POST", f"/api/tasks/{task}/annotations/", json={"result": [], "was_cancelled": True})["id"]
        )

    def change(self, annotation: int, themes: Sequence[str]) -> None:
        self._call("PATCH", f"/api/annotations/{annotation}/", json={"result": result_of(themes, {}, "")})

    def delete(self, annotation: int) -> None:
        self._call("DELETE", f"/api/annotations/{annotation}/")

    def delete_task(self, task: int) -> None:
        self._call("DELETE", f"/api/tasks/{task}/")

    def send(self, method: str, path: str, document: Any) -> Any:
        return self._call(method, path, json=document)

    def _call(self, method: str, path: str, **given: Any) -> Any:
        response = self._http.request(method, path, **given).raise_for_status()
        return response.json() if response.content else {}


def result_of(themes: Sequence[str], marks: Mapping[str, Segment], missing: str) -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = [
        {"from_name": "themes", "to_name": "text", "type": "choices", "value": {"choices": list(themes)}}
    ]
    for label, s in marks.items():
        value = {"start": s.start, "end": s.end, "labels": [label]}
        result.append({"from_name": "evidence", "to_name": "text", "type": "labels", "value": value})
    if missing:
        result.append({"from_name": "missing", "to_name": "text", "type": "textarea", "value": {"text": [missing]}})
    return result
