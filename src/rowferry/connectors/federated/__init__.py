"""Queries over several sources: DuckDB computes them, the sources' own readers bring the rows."""

from __future__ import annotations

from rowferry.connectors.federated.source import open_source
from rowferry.connectors.federated.statement import named
from rowferry.connectors.members import Federation

FEDERATION = Federation(named=named, open=open_source)
