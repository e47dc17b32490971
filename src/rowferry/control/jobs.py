"""Jobs for workers, out of a stream's config and the connections it names."""

from __future__ import annotations

from rowferry.config.settings import Settings
from rowferry.config.stream import StreamConfig
from rowferry.control.connections import Connections
from rowferry.pipeline.job import Job


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
        rejects=settings.data_dir.resolve() / "rejects" / stream_id,
    )
