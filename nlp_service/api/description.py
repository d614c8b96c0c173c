"""The OpenAPI description: what FastAPI derives from the routes, and beside it who may call them and every refusal."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import compile_path

from nlp_service.api.parameters import PREFIX
from nlp_service.api.permission import ACCESS
from nlp_service.api.problems import Problem

PROBLEM_TYPE: Final = "application/problem+json"
_SAID: Final = {
    400: "The body is no JSON.",
    401: "There is no key, or it is unknown, revoked or past its end.",
    403: "The key does not open this.",
    404: "There is nothing of that name.",
    406: "None of the media types in Accept can be given.",
    408: "The body stopped coming.",
    409: "It cannot be done as things stand.",
    413: "The body is too large.",
    421: "The Host header names another machine.",
    422: "What was sent cannot be used.",
    429: "Too many requests with this key; Retry-After says when to come back.",
    503: "Too many callers, or the database does not answer; Retry-After says when to come back.",
}
_MAY_NAME_MODELS: Final = frozenset({("POST", "/v1/batches"), ("POST", "/v1/classify"), ("GET", "/v1/codebook")})
_CONFLICTS: Final = frozenset(
    {
        ("POST", "/v1/classify"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/batches/{batch}/codings"),
        ("GET", "/v1/batches/{batch}/disclosures"),
        ("POST", "/v1/batches/{batch}/runs"),
        ("GET", "/v1/codebook"),
        ("POST", "/v1/models"),
        ("GET", "/v1/models/{model}"),
        ("GET", "/v1/models/{model}/card"),
        ("PUT", "/v1/consultations/{consultation}/pin"),
        ("DELETE", "/v1/consultations/{consultation}/pin"),
        ("POST", "/v1/codebooks/{codebook}/rollback"),
        ("DELETE", "/v1/keys/{key}"),
        ("POST", "/v1/webhooks"),
    }
)


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document; every refusal is a problem document."""
    document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}}
    needs = {(method, compile_path(path)[1]): need for (method, path), need in ACCESS.items()}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = (method.upper(), path)
            is_open = needs.get(name) == "anyone"
            if not is_open:
                operation["security"] = [{"key": []}]
            for status in _refusals(name, operation, is_open=is_open):
                content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
                operation["responses"][str(status)] = {"description": _SAID[status], "content": content}
    return document


def _refusals(name: tuple[str, str], operation: dict[str, Any], *, is_open: bool) -> list[int]:
    out = [421, 503]
    if not is_open:
        out += [401, 403, 429]
    if "requestBody" in operation:
        out += [400, 408, 413]
    if name[1].startswith(PREFIX) or "requestBody" in operation or "422" in operation["responses"]:
        out.append(422)
    if "{" in name[1] or name in _MAY_NAME_MODELS:
        out.append(404)
    if name in _CONFLICTS:
        out.append(409)
    if name[1].endswith("/codings"):
        out.append(406)
    return out
