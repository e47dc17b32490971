"""PostgreSQL 10 and later: browsed and described by psycopg, read and written as Arrow."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.roles import role

CONNECTOR = Connector(
    name="postgresql",
    capabilities=Capabilities(schemas=True, echoes=True),
    open_server=role("rowferry.connectors.postgres.server:open_server"),
    open_source=role("rowferry.connectors.postgres.source:open_source"),
    open_target=role("rowferry.connectors.postgres.target:open_target"),
    open_digests=role("rowferry.connectors.postgres.digest:open_digests"),
    open_changes=role("rowferry.connectors.postgres.replication.source:open_changes"),
    open_applier=role("rowferry.connectors.postgres.apply:open_applier"),
)
