"""Jobs for workers, out of a stream's config and the connections it names."""

from __future__ import annotations

from contextlib import closing

from rowferry.config.connection import Connection
from rowferry.config.settings import Settings
from rowferry.config.stream import SourceConnection, StreamConfig
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.registry import connector
from rowferry.control.connections import Connections
from rowferry.pipeline.job import Job


def table_names(connection: Connection, part: SourceConnection) -> list[str]:
    """The names of the tables that a source of files has."""
    opener = connector(connection.engine).open_source
    if opener is None:
        return []
    with closing(opener(SourceRequest(connection, part.database, part.schema_, part.files, s3=part.s3))) as source:
        return [table.name.name for table in source.tables([])]


def make_job(
    connections: Connections, settings: Settings, stream_id: str, config: StreamConfig, elapsed: float = 0.0
) -> Job:
    """The stream's assignment; NotFound when a connection is gone."""
    ids = {part.connection_id for part in config.source.connections} | {config.target.id}
    found = {connection_id: connections.resolve(connection_id) for connection_id in sorted(ids)}
    return Job(
        stream_id=stream_id,
        config=config,
        connections=found,
        elapsed=elapsed,
        workers=settings.workers,
        roots=tuple(map(str, settings.files.folders or ())),
        rejects=str(settings.data_dir.resolve() / "rejects" / stream_id),
    )
