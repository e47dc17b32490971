"""MySQL and MariaDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from rowferry.connectors.mysql.server import MySqlServer
from rowferry.connectors.mysql.source import MySqlSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rowferry.config.connection import Connection
    from rowferry.connectors.base import PlannedTable
    from rowferry.connectors.changes import Applier, ChangeSource, ChangesRequest


def _open_server(connection: Connection) -> Server:
    return MySqlServer(connection)


def _open_source(request: SourceRequest) -> Source:
    return MySqlSource(request)


def _open_target(request: TargetRequest) -> Target:
    from rowferry.connectors.mysql.target import open_target  # noqa: PLC0415 - each role when it is first wanted

    return open_target(request)


def _open_digests(request: DigestRequest) -> Digests:
    from rowferry.connectors.mysql.digest import open_digests  # noqa: PLC0415 - browsing needs no Arrow and no driver

    return open_digests(request)


def _open_changes(request: ChangesRequest) -> ChangeSource:
    from rowferry.connectors.mysql.binlog.changes import BinlogChanges  # noqa: PLC0415 - see above

    return BinlogChanges(request)


def _open_applier(request: TargetRequest, tables: Sequence[PlannedTable]) -> Applier:
    from rowferry.connectors.mysql.apply import open_applier  # noqa: PLC0415 - only what follows a log needs it

    return open_applier(request, tables)


CONNECTOR = Connector(
    name="mysql",
    capabilities=Capabilities(),
    open_server=_open_server,
    open_source=_open_source,
    open_target=_open_target,
    open_digests=_open_digests,
    open_changes=_open_changes,
    open_applier=_open_applier,
)
