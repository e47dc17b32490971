"""Folders of files: CSV, JSON Lines and Parquet."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.files.digest import open_digests
from rowferry.connectors.files.server import open_server
from rowferry.connectors.files.target import open_target

CONNECTOR = Connector(
    name="files",
    capabilities=Capabilities(source=False),
    open_server=open_server,
    open_target=open_target,
    open_digests=open_digests,
)
