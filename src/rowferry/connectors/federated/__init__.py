"""Queries over several sources: DuckDB computes them, the sources' own readers bring the rows."""

from __future__ import annotations

from rowferry.connectors.members import Federation
from rowferry.connectors.roles import role

FEDERATION = Federation(
    named=role("rowferry.connectors.federated.statement:named"),
    open=role("rowferry.connectors.federated.source:open_source"),
)
