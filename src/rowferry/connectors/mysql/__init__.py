"""MySQL and MariaDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rowferry.connectors.base import Capabilities, Connector, Server, Source, SourceRequest
from rowferry.connectors.mysql.server import MySqlServer
from rowferry.connectors.mysql.source import MySqlSource

if TYPE_CHECKING:
    from rowferry.config.connection import Connection


def _open_server(connection: Connection) -> Server:
    return MySqlServer(connection)


def _open_source(request: SourceRequest) -> Source:
    return MySqlSource(request)


CONNECTOR = Connector(
    name="mysql", capabilities=Capabilities(target=False), open_server=_open_server, open_source=_open_source
)
