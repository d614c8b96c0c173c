"""Every refusal as a problem document (RFC 9457): a stable code, what was found, what is allowed, what to do next; never a sent text."""

import json
from typing import Any

from starlette.responses import Response


def problem(
    status: int, code: str, title: str, *, allowed: str = "", next_step: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:  # fmt: skip
    """Return a response with media type application/problem+json."""
    document = {"type": f"about:themes#{code}", "status": status, "code": code, "title": title}
    document |= {"allowed": allowed} if allowed else {}
    document |= {"next_step": next_step} if next_step else {}
    content = json.dumps(document | more, ensure_ascii=False).encode()
    return Response(content, status, headers, media_type="application/problem+json")
