"""Object storage that speaks S3: the same files as in folders."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.roles import role

CONNECTOR = Connector(
    name="s3",
    capabilities=Capabilities(),
    open_server=role("rowferry.connectors.s3.server:open_server"),
    open_source=role("rowferry.connectors.s3.source:open_source"),
    open_target=role("rowferry.connectors.s3.target:open_target"),
    open_digests=role("rowferry.connectors.s3.digest:open_digests"),
    open_recorder=role("rowferry.connectors.s3.recorder:open_recorder"),
)
