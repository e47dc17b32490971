"""Streams to look at."""

from __future__ import annotations

import time

from rowferry.control.services import Services
from rowferry.model.streams import Mode, Stage, StreamState
from rowferry.state.ids import new_id
from rowferry.state.records import StreamRecord


def add_streams(services: Services, streams: dict[str, StreamState]) -> None:
    for name, state in streams.items():
        made = new_id("stream")
        services.store.streams.add(
            StreamRecord(
                id=made.id,
                config_id=new_id("config").id,
                name=name,
                config={},
                mode=Mode.CONVERT,
                status=state,
                stage=Stage.DATA_TRANSFER,
                created=made.created,
                started_at=time.time(),
                error={"error": "<b>No room</b> is left on the target.", "code": "target_full", "advice": ""}
                if state is StreamState.FAILED
                else None,
            )
        )
