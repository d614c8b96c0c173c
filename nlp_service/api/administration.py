"""Routes of those who run the service: keys, the audit log, erasure, metrics."""

import html
from collections import Counter
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import HTMLResponse, Response

from nlp_service.api.metrics import MEDIA_TYPE
from nlp_service.api.names import Name
from nlp_service.api.permission import TheCaller, TheService
from nlp_service.api.problems import OwnKeyError
from nlp_service.erase_files import make_places
from nlp_service.erase_respondent import erase_respondent
from nlp_service.store.audit import read_entries
from nlp_service.store.batches import n_waiting_comments, open_runs
from nlp_service.store.keys import Key, KeyNotFoundError, Scope
from nlp_service.store.values import RunState
from nlp_service.store.workers import live_workers

router: Final = APIRouter()


class KeyRequest(BaseModel):
    """A key to be made."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "survey tool", "scopes": ["submit"], "days": 365}]}
    )

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=5)]
    consultation: Name | None = None
    days: Annotated[
        int | None, Field(ge=1, le=3650, strict=True, description="How long it is valid; for ever if left out.")
    ] = None


class KeyOut(BaseModel):
    """A key without its text."""

    id: str
    name: str
    scopes: list[Scope]
    consultation: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """A key with its text, which is shown this once."""

    key: str


class KeysOut(BaseModel):
    """All keys that the caller may see."""

    keys: list[KeyOut]


class AuditOut(BaseModel):
    """The latest entries, newest first."""

    entries: list[dict[str, Any]]


class ErasedOut(BaseModel):
    """What was erased."""

    found: bool = Field(
        description="False: nothing is kept under that id; what is left, and tasks that were deleted, is of an earlier erasure."
    )
    n_comments: int
    batches: list[str]
    n_lines: int = Field(description="Lines of decisions files, codings files and rounds; see THEMES_ERASE_FROM.")
    n_tasks: int = Field(description="Tasks in Label Studio.")
    models: list[str] = Field(description="Models of the registry that were trained on one of the comments.")
    models_unknown: list[str] = Field(description="Models of which that cannot be told.")
    left: list[str] = Field(description="What could not be erased yet: ask again. Empty once all is gone.")


@router.post("/v1/keys", status_code=201, summary="Make a key")
def make_key(given: KeyRequest, service: TheService, caller: TheCaller) -> NewKeyOut:
    """Make a key and return its text, which cannot be shown again."""
    where = caller.narrowed(given.consultation)
    lifetime = None if given.days is None else timedelta(days=given.days)
    key, text = service.keys.make_key(given.name, given.scopes, actor=caller.id, consultation=where, lifetime=lifetime)
    return NewKeyOut(**_key(key).model_dump(), key=text)


@router.get("/v1/keys", summary="Keys")
def keys(service: TheService, caller: TheCaller) -> KeysOut:
    """Return keys without their text; an admin of one consultation sees its keys alone."""
    seen = [k for k in service.keys.list_keys() if caller.consultation in (None, k.consultation)]
    return KeysOut(keys=[_key(k) for k in seen])


@router.delete("/v1/keys/{key}", summary="Revoke a key")
def revoke_key(key: str, service: TheService, caller: TheCaller) -> KeyOut:
    """Revoke a key; it opens nothing from now on. A key cannot revoke itself, so that nobody is locked out by mistake."""
    if caller.key is not None and caller.key.id == key:
        raise OwnKeyError(
            "the key that asks is the key to be revoked.",
            allowed="another admin key, or `themes key revoke` where the service runs.",
            next_step="revoke it with one of them.",
        )
    if not any(k.id == key and caller.consultation in (None, k.consultation) for k in service.keys.list_keys()):
        raise KeyNotFoundError("there is no key of that id.", allowed="the id of a key.", next_step="list the keys.")
    return _key(service.keys.revoke(key, actor=caller.id))


@router.get("/v1/audit", summary="Who did what, when")
def audit(service: TheService, _caller: TheCaller, limit: Annotated[int, Query(ge=1, le=1_000)] = 100) -> AuditOut:
    """Return the latest entries of the audit log."""
    found = read_entries(service.database, limit=limit)
    return AuditOut(
        entries=[
            {"at": e.at.isoformat(), "actor": e.actor, "did": e.did, "subject": e.subject, "details": e.details}
            for e in found
        ]
    )


@router.delete("/v1/respondents/{respondent:path}", summary="Erase a respondent")
def erase(
    respondent: str,
    service: TheService,
    caller: TheCaller,
    consultation: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> ErasedOut:
    """Erase all that a respondent said, with codings, decisions and tasks, in one consultation or in all that the key opens."""
    done = erase_respondent(
        service.database,
        respondent,
        consultation=caller.narrowed(consultation),
        actor=caller.id,
        places=make_places(service.settings),
    )
    return ErasedOut(
        found=done.is_found,
        n_comments=done.n_comments,
        batches=list(done.batches),
        n_lines=done.n_lines,
        n_tasks=done.n_tasks,
        models=list(done.learnt_from.models),
        models_unknown=list(done.learnt_from.unknown),
        left=list(done.left),
    )


@router.get("/metrics", summary="For Prometheus", response_class=Response)
def metrics(service: TheService, _caller: TheCaller) -> Response:
    """Return counts and times by route, and the state of the queue."""
    runs = Counter({RunState.QUEUED.value: 0, RunState.CODING.value: 0})
    runs.update(r.state.value for r in open_runs(service.database))
    n_workers = len(live_workers(service.database, silent_s=service.settings.silent_s))
    page = service.metrics.page(n_waiting=n_waiting_comments(service.database), runs=dict(runs), n_workers=n_workers)
    return Response(page, media_type=MEDIA_TYPE)


@router.get("/first-key", include_in_schema=False, response_class=HTMLResponse)
def first_key(service: TheService, token: str = "") -> HTMLResponse:
    """Return the page with the button that makes the first admin key."""
    if not service.first_link.fits(token):
        return _page("This link does not open any more", "<p>It opens once. Make a key with <code>themes key create</code>.</p>", 403)  # fmt: skip
    form = (
        '<form method="post" action="/first-key"><input type="hidden" name="token" '
        f'value="{html.escape(token, quote=True)}"><button>Make the admin key</button></form>'
    )
    return _page("Make the first key", f"<p>The key may do everything. It is shown once.</p>{form}", 200)


@router.post("/first-key", include_in_schema=False, response_class=HTMLResponse)
def make_first_key(service: TheService, token: Annotated[str, Form(max_length=200)] = "") -> HTMLResponse:
    """Make the first admin key and show it."""
    if not service.first_link.use(token):
        return _page("This link does not open any more", "<p>It opens once. Make a key with <code>themes key create</code>.</p>", 403)  # fmt: skip
    _, text = service.keys.make_key("first admin", [Scope.ADMIN], actor="first-link")
    return _page("The admin key", f"<p>Keep it safe; it is not shown again.</p><pre>{text}</pre>", 201)


def _page(title: str, body: str, status: int) -> HTMLResponse:
    policy = "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    content = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body><main><h1>{title}</h1>{body}</main></body></html>'
    return HTMLResponse(content, status, {"Content-Security-Policy": policy})


def _key(key: Key) -> KeyOut:
    return KeyOut(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        consultation=key.consultation,
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
    )
