"""Everything that is logged, as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from rowferry.api.given import Given
from rowferry.api.routing import Route
from rowferry.control.services import LogFeed

router = APIRouter(prefix="/logs", tags=["Logs"], route_class=Route)

HEARTBEAT_SECONDS = 10.0
_WAITING = 1000
"""How many entries wait for a slow listener; beyond that the oldest are left out."""

_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events named `log` and `sql`, their data one JSON object each, and a heartbeat as a comment.",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class EventStream(StreamingResponse):
    """Server-sent events."""

    media_type = "text/event-stream"


@router.get("/stream", response_class=EventStream, responses=_EVENTS, summary="Listen to the log")
async def stream(services: Given) -> EventStream:
    """Server-sent events. Browsers send no headers here: the session's cookie, or `?api_key=&install_id=`, will do."""
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return EventStream(events(services.feed), headers=headers)


async def events(feed: LogFeed, heartbeat: float = HEARTBEAT_SECONDS) -> AsyncIterator[str]:
    """The feed as server-sent events, beginning with a comment; a heartbeat comes when nothing else does."""
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[dict[str, Any]] = asyncio.Queue(_WAITING)

    def queue(entry: dict[str, Any]) -> None:
        if waiting.full():
            waiting.get_nowait()
        waiting.put_nowait(entry)

    def deliver(entry: dict[str, Any]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            loop.call_soon_threadsafe(queue, entry)

    end = feed.listen(deliver)
    try:
        yield ": listening\n\n"
        while True:
            try:
                entry = await asyncio.wait_for(waiting.get(), heartbeat)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            name = "sql" if entry.get("category") == "sql" else "log"
            yield f"event: {name}\ndata: {json.dumps(entry, separators=(',', ':'), default=str)}\n\n"
    finally:
        end()
