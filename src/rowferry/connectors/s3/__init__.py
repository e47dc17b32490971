"""Object storage that speaks S3: the same files as in folders."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.s3.digest import open_digests
from rowferry.connectors.s3.recorder import open_recorder
from rowferry.connectors.s3.server import open_server
from rowferry.connectors.s3.source import open_source
from rowferry.connectors.s3.target import open_target

CONNECTOR = Connector(
    name="s3",
    capabilities=Capabilities(),
    open_server=open_server,
    open_source=open_source,
    open_target=open_target,
    open_digests=open_digests,
    open_recorder=open_recorder,
)
