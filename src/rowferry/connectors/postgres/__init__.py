"""PostgreSQL 10 and later: browsed and described by psycopg, read and written as Arrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rowferry.config.connection import Connection
from rowferry.connectors.base import (
    Capabilities,
    Connector,
    DigestRequest,
    Digests,
    PlannedTable,
    Server,
    Source,
    SourceRequest,
    Target,
    TargetRequest,
)

if TYPE_CHECKING:
    from rowferry.connectors.changes import Applier, ChangeSource, ChangesRequest


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


def _open_changes(request: ChangesRequest) -> ChangeSource:
    from rowferry.connectors.postgres.replication.source import open_changes  # noqa: PLC0415 - as above

    return open_changes(request)


def _open_applier(request: TargetRequest, tables: Sequence[PlannedTable]) -> Applier:
    from rowferry.connectors.postgres.apply import open_applier  # noqa: PLC0415 - each role when it is first wanted

    return open_applier(request, tables)


CONNECTOR = Connector(
    name="postgresql",
    capabilities=Capabilities(schemas=True, echoes=True),
    open_server=_open_server,
    open_source=_open_source,
    open_target=_open_target,
    open_digests=_open_digests,
    open_changes=_open_changes,
    open_applier=_open_applier,
)
"""The engine's entry in the registry; each role is imported when it is first opened."""
