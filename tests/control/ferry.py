"""Streams that move no rows, but move from state to state as the real ones do."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rowferry.bus.messages import Ended
from rowferry.control.configs import Configs
from rowferry.control.fleet import Listener
from rowferry.control.stats import stats_document
from rowferry.errors import Conflict, NotFound
from rowferry.model.digests import Comparison, TableComparison
from rowferry.model.streams import ACTIVE, MOVES, Action, Stage, StreamState
from rowferry.pipeline.job import Job
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import StreamRecord
from rowferry.state.store import Store


class MemoryFeed:
    """Delivers what `publish` is given."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[dict[str, Any]], None]] = []

    def listen(self, deliver: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        self.listeners.append(deliver)
        return lambda: self.listeners.remove(deliver)

    def publish(self, entry: dict[str, Any]) -> None:
        for deliver in list(self.listeners):
            deliver(entry)


class MemoryMetrics:
    """One metric."""

    def render(self) -> bytes:
        return b"# TYPE rowferry_up gauge\nrowferry_up 1\n"


class MemoryHandle:
    """A worker that has ended."""

    def kill(self) -> None:
        """There is nothing to end."""


def launch_memory(job: Job, listener: Listener) -> MemoryHandle:
    """What a worker that compares would say, at once: one table, equal."""
    table = TableComparison("sakila.actor", "public.actor", equal=True, source_rows=200, target_rows=200, key=("id",))
    found = Comparison((table,), 0.25)
    listener.ended(job.stream_id, Ended(StreamState.FINISHED.value, 0.3, comparison=found.document()))
    return MemoryHandle()


class MemoryStreams:
    """Moves streams through `MOVES` in a real store."""

    def __init__(self, store: Store, configs: Configs) -> None:
        self._store = store
        self._configs = configs
        self.recovered = False
        self.shut_down = False

    def start(self, config_id: str) -> str:
        record, config = self._configs.get(config_id)
        active = [stream.id for stream in self._store.streams.list(config_id, ACTIVE)]
        if active:
            raise Conflict(
                f"{active[0]} of this config is active: stop it first.",
                extra={"field": "stream_state", "value": active, "message": "a stream is active"},
            )
        made = new_id("stream")
        self._store.streams.add(
            StreamRecord(
                id=made.id,
                config_id=config_id,
                name=config.name,
                config=record.document,
                mode=config.mode,
                status=StreamState.READY,
                stage=Stage.INIT,
                created=made.created,
            )
        )
        self._move(made.id, Action.START, started_at=time.time())
        return made.id

    def pause(self, stream_id: str) -> None:
        self._move(stream_id, Action.PAUSE)

    def resume(self, stream_id: str) -> None:
        self._move(stream_id, Action.RESUME)

    def stop(self, stream_id: str, force: bool = False) -> None:
        self._move(stream_id, Action.STOP, finished_at=time.time())

    def finish(self, stream_id: str, status: StreamState = StreamState.FINISHED, **fields: Any) -> None:
        """What a worker would say at its end."""
        self._store.streams.move(stream_id, {StreamState.RUNNING}, status, stage=Stage.FINISHED.value, **fields)

    def get(self, stream_id: str) -> StreamRecord:
        record = self._store.streams.get(stream_id) if has_id_shape("stream", stream_id) else None
        if record is None:
            raise NotFound("There is no stream with this id: GET /streams lists those there are.")
        return record

    def list(self) -> Sequence[StreamRecord]:
        return self._store.streams.list()

    def stats(self, stream_id: str) -> dict[str, Any]:
        return stats_document(self.get(stream_id))

    def validate(self, config_id: str) -> dict[str, Any]:
        self._configs.get(config_id)
        finding = {"severity": "warning", "table": "actor", "message": "a full-text index is left out", "item": "ft"}
        return {"ok": True, "tables": [{"name": "actor", "estimatedRows": 200}], "findings": [finding]}

    def recover(self) -> None:
        self.recovered = True

    def shutdown(self) -> None:
        self.shut_down = True

    def _move(self, stream_id: str, action: Action, **fields: Any) -> None:
        record = self.get(stream_id)
        to = MOVES[record.status].get(action)
        if to is None or not self._store.streams.move(stream_id, {record.status}, to, **fields):
            raise Conflict(f"{stream_id} is {record.status.value}: it cannot {action.value} now.")
