"""Every error as the one body that clients get."""

from __future__ import annotations

import logging
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.routing import Match

from rowferry.api.validation import bad_fields
from rowferry.config.wording import sentence
from rowferry.errors import Conflict, InvalidInput, NotFound, RowferryError

TYPES = {
    400: "validation_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "method_not_allowed_error",
    409: "conflict_error",
    500: "server_error",
    503: "unavailable_error",
}
"""Status to the family that `type` names."""

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_LOG = logging.getLogger("rowferry.api")


class FieldError(BaseModel):
    """One thing that is wrong in what was sent."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(description="Where, such as target.spec.db.schema; a header or query parameter by its name.")
    message: str = Field(description="What is wrong there.")


class StateDetails(BaseModel):
    """What stands in the way of a request that is right in itself: streams, by their identifiers, or a state."""

    field: str = Field(examples=["stream_state", "status"])
    value: list[str] | str
    message: str


class ErrorBody(BaseModel):
    """The one shape of every error."""

    model_config = ConfigDict(extra="forbid")

    error: str = Field(description="One sentence for a person.")
    code: str = Field(description="One word for a machine.", examples=["invalid_request", "not_found", "conflict"])
    type: str = Field(description="The family of the error.", examples=sorted(set(TYPES.values())))
    details: list[FieldError] | StateDetails = Field(description="The fields that are wrong, or what is in the way.")
    requestId: str = Field(description="Also in the header X-Request-ID, and in the server's log.")  # noqa: N815


def error_response(error: RowferryError, request_id: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response to a request that failed with `error`."""
    return _respond(error.policy.status, error.policy.code, error, request_id, headers)


def unexpected_response(request_id: str) -> JSONResponse:
    """The response to a request that met a defect: it says nothing about the inside."""
    error = RowferryError(f"Something went wrong in the server: its log says more under request {request_id}.")
    return error_response(error, request_id)


def install_handlers(app: FastAPI) -> None:
    """Turn exceptions into responses, here and nowhere else."""
    app.add_exception_handler(RowferryError, _on_rowferry_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def request_id_of(request: Request) -> str:
    """The request's identifier, as `Tracing` gave it."""
    return cast(str, request.state.request_id)


def _respond(
    status: int, code: str, error: RowferryError, request_id: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    details: Any = error.extra or [{"path": detail.path, "message": detail.message} for detail in error.details]
    body = {
        "error": error.message,
        "code": code,
        "type": TYPES.get(status, "server_error"),
        "details": details,
        "requestId": request_id,
    }
    return JSONResponse(body, status, headers)


def _on_rowferry_error(request: Request, error: Exception) -> JSONResponse:
    known = cast(RowferryError, error)
    if known.policy.status >= 500:
        _LOG.warning("%r failed: %s (request %s)", request.url.path, known.message, request_id_of(request))
    return error_response(known, request_id_of(request))


def _on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    invalid = cast(RequestValidationError, error)
    details = bad_fields(invalid.errors(), getattr(request.scope.get("route"), "body_field", None), invalid.body)
    return error_response(InvalidInput(sentence(details), details=details), request_id_of(request))


def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    known = cast(HTTPException, error)
    place = f"{request.method} {request.url.path}"
    if known.status_code == 404:
        return error_response(
            NotFound(f"There is no {place}: /api/v1/docs lists what there is."), request_id_of(request)
        )
    if known.status_code == 405:
        allowed = _allowed_methods(request)
        method = Conflict(f"{place} is not possible: this address takes {allowed}.")
        return _respond(405, "method_not_allowed", method, request_id_of(request), {"Allow": allowed})
    if known.status_code < 500:
        return error_response(InvalidInput("The request cannot be read: check its body."), request_id_of(request))
    return unexpected_response(request_id_of(request))


def _allowed_methods(request: Request) -> str:
    routes = request.app.router.routes
    scope = {key: value for key, value in request.scope.items() if key not in ("route", "endpoint", "path_params")}
    return ", ".join(
        method
        for method in _METHODS
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    )
