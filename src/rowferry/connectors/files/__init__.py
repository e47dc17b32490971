"""Folders of files: CSV, JSON Lines and Parquet."""

from __future__ import annotations

from rowferry.connectors.base import Capabilities, Connector
from rowferry.connectors.roles import role

CONNECTOR = Connector(
    name="files",
    capabilities=Capabilities(),
    open_server=role("rowferry.connectors.files.server:open_server"),
    open_source=role("rowferry.connectors.files.source:open_source"),
    open_target=role("rowferry.connectors.files.target:open_target"),
    open_digests=role("rowferry.connectors.files.digest:open_digests"),
    open_recorder=role("rowferry.connectors.files.change_folder:open_recorder"),
)
