"""A page for each code: what it means and what to do next. The `type` of a problem document leads there."""

import html
import re
from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote

from fastapi import APIRouter, Path
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse

from nlp_service.error_codes import ErrorCode, find_error_codes

PREFIX: Final = "/errors"
router: Final = APIRouter()
_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def page_address(code: str) -> str:
    """Return where a code's page is, relative to the service."""
    return f"{PREFIX}/{quote(code, safe='')}"


@router.get(f"{PREFIX}/{{code}}", summary="What a code means", response_class=HTMLResponse)
def error_page(code: Annotated[str, Path(max_length=100)]) -> HTMLResponse:
    """Return the page of a code, which the `type` of problem documents names."""
    found = find_error_codes(code)
    if not found:
        raise HTTPException(404)
    return HTMLResponse(_page(code, found), headers={"Content-Security-Policy": _POLICY})


def _page(code: str, found: Sequence[ErrorCode]) -> str:
    title = html.escape(code)
    parts = "".join(_part(c) for c in found)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title></head><body><main><h1><code>{title}</code></h1>{parts}</main></body></html>"
    )


def _part(c: ErrorCode) -> str:
    facts = [("Meaning", _in_html(c.meaning)), ("What to do next", _in_html(c.next_step))]
    if c.statuses:
        facts.insert(1, ("Status of the service's answer", ", ".join(map(str, c.statuses))))
    if c.exit_code is not None:
        facts.insert(1, ("Exit code of the command", str(c.exit_code)))
    listed = "".join(f"<dt>{name}</dt><dd>{said}</dd>" for name, said in facts)
    return f"<section><h2>{_in_html(c.place.heading)}</h2><dl>{listed}</dl></section>"


def _in_html(said: str) -> str:
    """Return words in which `code` is marked, and links, which lead to files beside the reference, are plain."""
    plain = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", said)
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(plain, quote=False))
