"""Streams: what they do, and what they are told to do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse

from rowferry.api.answers import LogAnswer, StateAnswer, StatsAnswer, StreamAnswer, StreamList
from rowferry.api.given import Given
from rowferry.api.routing import Route
from rowferry.model.streams import StreamState
from rowferry.state.records import StreamRecord

router = APIRouter(prefix="/streams", tags=["Streams"], route_class=Route)

Level = Literal["debug", "info", "warn", "error"]
Statuses = Annotated[list[StreamState] | None, Query(description="Only those in one of these states.")]


@router.get("", response_model=StreamList, summary="List streams")
def find(
    services: Given,
    status: Statuses = None,
    config_id: Annotated[str | None, Query(alias="configId", description="Only those of this config.")] = None,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="The longest list; without it, all.")] = None,
) -> Response:
    """The streams, running and past, the newest first."""
    everything = services.streams.list()
    found = [
        record
        for record in everything
        if (status is None or record.status in status) and config_id in (None, record.config_id)
    ]
    items = [_document(record) for record in found[:limit]]
    return JSONResponse({"items": items, "total": len(everything), "filtered": len(found)})


@router.get("/{stream_id}", response_model=StreamAnswer, summary="Get a stream")
def get(services: Given, stream_id: str) -> Response:
    """Where the stream stands, and what became of the structure so far."""
    record = services.streams.get(stream_id)
    return JSONResponse({**_document(record), "report": services.store.findings.list(stream_id)})


@router.get("/{stream_id}/stats", response_model=StatsAnswer, summary="Get a stream's numbers")
def stats(services: Given, stream_id: str) -> Response:
    """State, counters and rates: of each end, of each worker, of each table."""
    return JSONResponse(services.streams.stats(stream_id))


@router.get("/{stream_id}/logs", response_model=list[LogAnswer], summary="Get a stream's log")
def logs(
    services: Given,
    stream_id: str,
    level: Annotated[Level | None, Query(description="Only entries of this level.")] = None,
    limit: Annotated[int, Query(ge=1, le=5000, description="The last so many.")] = 200,
) -> Response:
    """The stream's last log entries, the oldest first."""
    services.streams.get(stream_id)
    return JSONResponse([record.document for record in services.store.logs.recent(stream_id, level, limit)])


@router.post("/{stream_id}/pause", summary="Pause a stream")
def pause(services: Given, stream_id: str) -> StateAnswer:
    """Let the stream rest. It can be resumed, also after the server was started anew. 409 unless it is RUNNING."""
    services.streams.pause(stream_id)
    return _state(services, stream_id)


@router.post("/{stream_id}/resume", summary="Resume a stream")
def resume(services: Given, stream_id: str) -> StateAnswer:
    """Go on where the stream was paused or failed. 409 in any other state."""
    services.streams.resume(stream_id)
    return _state(services, stream_id)


@router.post("/{stream_id}/stop", summary="Stop a stream")
def stop(
    services: Given,
    stream_id: str,
    force: Annotated[bool, Query(description="Do not wait for the worker.")] = False,
) -> StateAnswer:
    """End the stream for good; it cannot be resumed. 409 when it has ended already."""
    services.streams.stop(stream_id, force)
    return _state(services, stream_id)


def _state(services: Given, stream_id: str) -> StateAnswer:
    return StateAnswer(id=stream_id, status=services.streams.get(stream_id).status)


def _document(record: StreamRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "configId": record.config_id,
        "name": record.name,
        "mode": record.mode,
        "status": record.status,
        "stage": record.stage,
        "created": record.created,
        "startedAt": _seconds(record.started_at),
        "finishedAt": _seconds(record.finished_at),
        "elapsed": record.elapsed,
        "error": record.error,
    }


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)
