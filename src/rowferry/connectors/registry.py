"""Which connector serves which engine; each is imported when it is first asked for."""

from __future__ import annotations

from functools import cache
from pkgutil import resolve_name

from rowferry.connectors.base import Connector
from rowferry.connectors.members import Federation
from rowferry.errors import InvalidInput

CONNECTORS = {
    "mysql": "rowferry.connectors.mysql:CONNECTOR",
    "postgresql": "rowferry.connectors.postgres:CONNECTOR",
    "files": "rowferry.connectors.files:CONNECTOR",
    "s3": "rowferry.connectors.s3:CONNECTOR",
}
"""Engine name (`Connection.engine`) to the place of its `Connector`."""


@cache
def connector(engine: str) -> Connector:
    """The connector of that engine; InvalidInput for one that there is none for."""
    if engine not in CONNECTORS:
        raise InvalidInput(f"There is no connector for {engine} yet; there are {', '.join(sorted(CONNECTORS))}.")
    found: Connector = resolve_name(CONNECTORS[engine])
    return found


FEDERATION = "rowferry.connectors.federated:FEDERATION"
"""The place of what runs queries over several sources."""


@cache
def federation() -> Federation:
    """What runs queries over several sources."""
    found: Federation = resolve_name(FEDERATION)
    return found
