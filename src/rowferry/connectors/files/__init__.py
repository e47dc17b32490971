"""Folders of files: CSV, JSON Lines and Parquet."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.files.change_folder import open_recorder
from rowferry.connectors.files.digest import open_digests
from rowferry.connectors.files.server import open_server
from rowferry.connectors.files.source import open_source
from rowferry.connectors.files.target import open_target

CONNECTOR = Connector(
    name="files",
    capabilities=Capabilities(),
    open_server=open_server,
    open_source=open_source,
    open_target=open_target,
    open_digests=open_digests,
    open_recorder=open_recorder,
)
