"""Object storage that speaks S3: the same files as in folders."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.s3.server import open_server
from rowferry.connectors.s3.target import open_target

CONNECTOR = Connector(
    name="s3",
    capabilities=Capabilities(source=False),
    open_server=open_server,
    open_target=open_target,
)
