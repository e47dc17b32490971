"""The OpenAPI document: what FastAPI derives, and what holds for every route."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from rowferry.api.errors import TYPES, ErrorBody
from rowferry.api.gate import BY_QUERY, OPEN
from rowferry.api.routing import LONGEST_KEY

_DESCRIPTION = """Moves tables between MySQL, MariaDB, PostgreSQL and files.

Every request but a few carries the headers `X-API-Key` and `X-Install-ID`; both values stand on the Account page of
the app. A POST with an `Idempotency-Key` may be sent again: it acts once, and answers the same. Errors have one shape.
A field that is not known is an error that names it."""

_ERRORS = {
    400: ("The request is not right: `details` names every bad field.", "invalid_request"),
    401: ("Missing or wrong credentials.", "unauthenticated"),
    404: ("There is no such thing.", "not_found"),
    409: ("Right in itself, but not now.", "conflict"),
    500: ("A defect of the server, or of what it depends on.", "internal_error"),
    503: ("A server that this request needs does not answer.", "connection_failed"),
}
_SENTENCES = {
    400: "target.spec.db.schemaPolicy must be one of fail_if_exists, validate_existing.",
    401: "X-API-Key wrong: both are shown on the Account page.",
    404: "There is no stream with this id.",
    409: "stream_2t3HSWnLvjeOCuuVPsuJVUhawj2 is PAUSED: resume or stop it first.",
    500: "Something went wrong in the server: its log says more.",
    503: "The server at db.example.org, port 5432, does not answer.",
}
_DETAILS: dict[int, Any] = {
    400: [{"path": "target.spec.db.schemaPolicy", "message": "must be one of fail_if_exists, validate_existing"}],
    409: {"field": "stream_state", "value": ["stream_2t3HSWnLvjeOCuuVPsuJVUhawj2"], "message": "a stream is active"},
}
_SECURITY = {
    "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    "InstallId": {"type": "apiKey", "in": "header", "name": "X-Install-ID"},
    "ApiKeyInQuery": {"type": "apiKey", "in": "query", "name": "api_key"},
    "InstallIdInQuery": {"type": "apiKey", "in": "query", "name": "install_id"},
}
_BOTH: dict[str, list[str]] = {"ApiKey": [], "InstallId": []}
_BOTH_IN_QUERY: dict[str, list[str]] = {"ApiKeyInQuery": [], "InstallIdInQuery": []}

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A request that is sent again under the same key acts once and gets the first answer.",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[!-~]+$"},
}


def contract(app: FastAPI) -> dict[str, Any]:
    """The document, for the app's routes."""
    document = get_openapi(
        title="Rowferry",
        version=version("rowferry"),
        summary="Moves tables, once or for good.",
        description=_DESCRIPTION,
        routes=app.routes,
        servers=[{"url": "/api/v1"}],
        separate_input_output_schemas=False,
    )
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    _, errors = models_json_schema([(ErrorBody, "validation")], ref_template="#/components/schemas/{model}")
    schemas.update(errors["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = _SECURITY
    for path, item in document["paths"].items():
        for method, operation in item.items():
            _complete(path, method, operation)
    return document


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    responses.pop("422", None)
    for status in _possible_errors(path, method):
        responses.setdefault(str(status), _error(status))
    for response in responses.values():
        response.setdefault("headers", {})["X-Request-ID"] = {
            "description": "Names the request in the server's log; a client may choose it.",
            "schema": {"type": "string"},
        }
    if method == "post":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    if path in OPEN:
        operation["security"] = []
    else:
        operation["security"] = [_BOTH, _BOTH_IN_QUERY] if path in BY_QUERY else [_BOTH]


def _possible_errors(path: str, method: str) -> list[int]:
    absent = {401} if path in OPEN else set()
    if "{" not in path and method == "get":
        absent |= {404}
    if method == "get":
        absent |= {409}
    return [status for status in _ERRORS if status not in absent]


def _error(status: int) -> dict[str, Any]:
    description, code = _ERRORS[status]
    example = {
        "error": _SENTENCES[status],
        "code": code,
        "type": TYPES[status],
        "details": _DETAILS.get(status, []),
        "requestId": "8f14e45fceea467f9b1c2f0d3a5b7c9e",
    }
    content = {"schema": {"$ref": "#/components/schemas/ErrorBody"}, "example": example}
    return {"description": description, "content": {"application/json": content}}
