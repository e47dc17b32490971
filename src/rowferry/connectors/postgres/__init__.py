"""PostgreSQL 10 and later: browsed and described by psycopg, read and written as Arrow."""

from __future__ import annotations

from rowferry.config.connection import Connection
from rowferry.connectors.base import (
    Capabilities,
    Connector,
    DigestRequest,
    Digests,
    Server,
    Source,
    SourceRequest,
    Target,
    TargetRequest,
)


def _open_server(connection: Connection) -> Server:
    from rowferry.connectors.postgres.server import open_server  # noqa: PLC0415 - each role when it is first wanted

    return open_server(connection)


def _open_source(request: SourceRequest) -> Source:
    from rowferry.connectors.postgres.source import open_source  # noqa: PLC0415 - each role when it is first wanted

    return open_source(request)


def _open_target(request: TargetRequest) -> Target:
    from rowferry.connectors.postgres.target import open_target  # noqa: PLC0415 - each role when it is first wanted

    return open_target(request)


def _open_digests(request: DigestRequest) -> Digests:
    from rowferry.connectors.postgres.digest import open_digests  # noqa: PLC0415 - each role when it is first wanted

    return open_digests(request)


CONNECTOR = Connector(
    name="postgresql",
    capabilities=Capabilities(schemas=True, source=True, target=True),
    open_server=_open_server,
    open_source=_open_source,
    open_target=_open_target,
    open_digests=_open_digests,
)
"""The engine's entry in the registry; each role is imported when it is first opened."""
