"""Connections, and what lies behind them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import JSONResponse

from rowferry.api.answers import (
    ConnectionAnswer,
    ConnectionList,
    DatabaseAnswer,
    PingAnswer,
    PingFailed,
    SchemaAnswer,
    Success,
)
from rowferry.api.documents import ConnectionBody
from rowferry.api.errors import request_id_of
from rowferry.api.examples import CONNECTIONS
from rowferry.api.given import ConfirmDelete, Given, Search
from rowferry.api.routing import Route
from rowferry.api.structure import MetadataAnswer, OverviewAnswer, metadata, overview, summary
from rowferry.control.catalog import Scope
from rowferry.errors import ConnectionFailed, Detail, InvalidInput
from rowferry.state.records import ConnectionRecord

router = APIRouter(prefix="/connections", tags=["Connections"], route_class=Route)

Written = Annotated[ConnectionBody, Body(openapi_examples=CONNECTIONS)]
Name = Annotated[str, Body(media_type="text/plain", examples=["reports"])]
Refresh = Annotated[bool, Query(description="Ask the server anew, whatever is remembered.")]


def _scope(
    connection_id: str,
    database: str,
    schemas: Annotated[list[str] | None, Query(description="Only these schemas; may be repeated.")] = None,
    include_system: Annotated[
        bool, Query(alias="include_system", description="Also what belongs to the server itself.")
    ] = False,
) -> Scope:
    if any("\x00" in name for name in (database, *(schemas or ()))):
        raise InvalidInput("A name of a database or schema must not contain a NUL character.")
    return Scope(connection_id, database, tuple(schemas or ()), include_system)


Looked = Annotated[Scope, Depends(_scope)]

_PING: dict[int | str, dict[str, Any]] = {
    503: {"model": PingFailed, "description": "The far end does not answer, or does not let us in."}
}
_CACHE: dict[int | str, dict[str, Any]] = {
    200: {
        "headers": {
            "X-Cache": {
                "description": "HIT: up to 30 seconds old. MISS: asked just now.",
                "schema": {"type": "string", "enum": ["HIT", "MISS"]},
            }
        }
    }
}


@router.post("", response_model=ConnectionAnswer, summary="Save a connection")
def create(services: Given, body: Written) -> Response:
    """Save a connection, in its flat form, nested under `spec`, or with a `storage_config`."""
    return JSONResponse(_document(services.connections.create(body.connection())))


@router.get("", response_model=ConnectionList, summary="List connections")
def find(services: Given, search: Search) -> Response:
    """The connections, the oldest first."""
    page = services.connections.list(search)
    items = [_document(record) for record in page.items]
    return JSONResponse({"items": items, "total": page.total, "filtered": len(items), "search": search})


@router.post("/test", response_model=PingAnswer, responses=_PING, summary="Test a connection without saving it")
def test(services: Given, body: Written, request: Request) -> Response:
    """Connect once. With the `id` of a saved connection, secrets that are left out are taken from there."""
    try:
        services.connections.test(body.connection(), body.id)
    except ConnectionFailed as error:
        return _failed(error, request)
    return JSONResponse({"ping": "ok"})


@router.get("/{connection_id}", response_model=ConnectionAnswer, summary="Get a connection")
def get(services: Given, connection_id: str) -> Response:
    """The connection, without its secrets."""
    return JSONResponse(_document(services.connections.get(connection_id)))


@router.put("/{connection_id}", response_model=ConnectionAnswer, summary="Change a connection")
def update(services: Given, connection_id: str, body: Written) -> Response:
    """Replace the connection. Secrets that are left out stay; `id` and `created` cannot be changed."""
    refuse_other_identity(services.connections.get(connection_id), body.id, body.created)
    return JSONResponse(_document(services.connections.update(connection_id, body.connection())))


@router.delete("/{connection_id}", status_code=204, summary="Delete a connection")
def delete(services: Given, connection_id: str, confirm: ConfirmDelete) -> None:
    """Delete the connection; 409 while an active stream uses it. Configs that name it stay, but cannot start."""
    services.connections.delete(connection_id)


@router.put("/{connection_id}/clone", response_model=ConnectionAnswer, summary="Clone a connection")
def clone(services: Given, connection_id: str) -> Response:
    """Save a second connection like this one, its secrets included."""
    return JSONResponse(_document(services.connections.clone(connection_id)))


@router.post("/{connection_id}/ping", response_model=PingAnswer, responses=_PING, summary="Test a saved connection")
def ping(services: Given, connection_id: str, request: Request) -> Response:
    """Connect once."""
    try:
        services.connections.ping(connection_id)
    except ConnectionFailed as error:
        return _failed(error, request)
    return JSONResponse({"ping": "ok"})


@router.get("/{connection_id}/databases", summary="List databases")
def databases(services: Given, connection_id: str) -> list[DatabaseAnswer]:
    """The databases with their schemas; of a files connection its folders."""
    return [
        DatabaseAnswer(
            name=database.name,
            is_system=database.system,
            schemas=[SchemaAnswer(name=schema.name, is_system=schema.system) for schema in database.schemas],
        )
        for database in services.catalog.databases(connection_id)
    ]


@router.post("/{connection_id}/databases", summary="Create a database")
def create_database(services: Given, connection_id: str, name: Name) -> Success:
    """Create a database; the body is its bare name, as text."""
    services.catalog.create_database(connection_id, name)
    return Success()


@router.post("/{connection_id}/databases/{database}/schemas", summary="Create a schema")
def create_schema(services: Given, connection_id: str, database: str, name: Name) -> Success:
    """Create a schema in a database; the body is its bare name, as text."""
    services.catalog.create_schema(connection_id, database, name)
    return Success()


@router.get("/{connection_id}/databases/{database}/tables", summary="List tables")
def tables(services: Given, scope: Looked) -> list[str]:
    """The names of the tables: "schema.table" where the engine has schemas."""
    return services.catalog.tables(scope)


@router.get("/{connection_id}/databases/{database}/views", summary="List views")
def views(services: Given, scope: Looked) -> list[str]:
    """The names of the views."""
    return services.catalog.views(scope)


@router.get(
    "/{connection_id}/databases/{database}/meta",
    response_model=MetadataAnswer,
    responses=_CACHE,
    summary="Get a database's structure",
)
def meta(
    services: Given,
    scope: Looked,
    refresh: Refresh = False,
    short: Annotated[bool, Query(alias="summary", description="Names and counts alone.")] = False,
) -> Response:
    """Tables with their columns, keys and indexes, and the names of the views."""
    seen = services.catalog.structure(scope, refresh)
    content = (summary if short else metadata)(scope.database, seen.value)
    return JSONResponse(content, headers={"X-Cache": "HIT" if seen.cached else "MISS"})


@router.get(
    "/{connection_id}/databases/{database}/overview",
    response_model=OverviewAnswer,
    responses=_CACHE,
    summary="Get a database's sizes",
)
def overview_of(services: Given, scope: Looked, refresh: Refresh = False) -> Response:
    """How many tables there are, and which are the largest."""
    seen = services.catalog.structure(scope, refresh)
    return JSONResponse(overview(seen.value), headers={"X-Cache": "HIT" if seen.cached else "MISS"})


def refuse_other_identity(record: Any, given_id: str | None, given_created: int | None) -> None:
    """InvalidInput when a document that is sent back names another identifier or time than its own."""
    pairs = (("id", given_id, record.id), ("created", given_created, record.created))
    details = [Detail(path, "cannot be changed") for path, given, own in pairs if given not in (None, own)]
    if details:
        raise InvalidInput(f"{details[0].path} cannot be changed.", details=details)


def _document(record: ConnectionRecord) -> dict[str, Any]:
    first = {"id": record.id, "name": record.name, "type": record.type, "created": record.created}
    return {**first, "databasesInfo": [], **record.document}


def _failed(error: ConnectionFailed, request: Request) -> Response:
    body = {"ping": "failed", "error": error.message, "code": error.policy.code, "requestId": request_id_of(request)}
    return JSONResponse(body, error.policy.status)
