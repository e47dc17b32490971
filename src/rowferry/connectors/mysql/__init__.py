"""MySQL and MariaDB."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.roles import role

CONNECTOR = Connector(
    name="mysql",
    capabilities=Capabilities(),
    open_server=role("rowferry.connectors.mysql.server:MySqlServer"),
    open_source=role("rowferry.connectors.mysql.source:MySqlSource"),
    open_target=role("rowferry.connectors.mysql.target:open_target"),
    open_digests=role("rowferry.connectors.mysql.digest:open_digests"),
    open_changes=role("rowferry.connectors.mysql.binlog.changes:BinlogChanges"),
    open_applier=role("rowferry.connectors.mysql.apply:open_applier"),
)
