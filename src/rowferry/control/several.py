"""Configs with several sources: their tables and queries, checked as far as that goes without opening a source."""

from __future__ import annotations

from collections.abc import Mapping

from rowferry.config.connection import Connection
from rowferry.config.stream import SourceConnection, StreamConfig
from rowferry.connectors.registry import connector, federation
from rowferry.errors import Detail, InvalidInput
from rowferry.pipeline.job import Job
from rowferry.pipeline.origins import aliases_of, members_of, queries_of


def misfits(config: StreamConfig, connections: Mapping[str, Connection]) -> list[Detail]:
    """What is wrong with the names of tables and with the queries, each with the aliases that there are."""
    aliases = aliases_of(config)
    if len(aliases) < 2:
        return []
    found: list[Detail] = []
    for at, part in enumerate(config.source.connections):
        path = f"source.connections.{at}"
        found += _tables(path, part, connections[part.connection_id], aliases)
        found += _queries(path, part, config, connections)
    return found


def _tables(path: str, part: SourceConnection, connection: Connection, aliases: list[str]) -> list[Detail]:
    """A name of two parts begins with the alias, or with the schema or database that the part reads from."""
    schemas = connector(connection.engine).capabilities.schemas
    own = part.schema_ if schemas else part.database
    return [
        Detail(
            f"{path}.tables.{number}.name",
            f"begins with {first}, which is neither the alias {part.alias} nor {own}: the aliases are "
            f"{', '.join(aliases)}; write {part.alias}.{first}.{rest} for a table of {first}",
        )
        for number, table in enumerate(part.tables)
        for first, point, rest in (table.name.partition("."),)
        if own and point and first not in (own, part.alias) and table.query is None
    ]


def _queries(
    path: str, part: SourceConnection, config: StreamConfig, connections: Mapping[str, Connection]
) -> list[Detail]:
    found = []
    for spec in queries_of(config, part):
        place = f"queries.{part.queries.index(spec)}" if spec in part.queries else "tables"
        try:
            federation().named(
                spec.query or "", members_of(Job(stream_id="", config=config, connections=dict(connections)))
            )
        except InvalidInput as error:
            found.append(Detail(f"{path}.{place}.query", f"({spec.name}) {error.message.rstrip('.')}"))
    return found
