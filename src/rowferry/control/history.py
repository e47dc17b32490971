"""The runs that a config has behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rowferry.control.configs import Configs
from rowferry.control.stats import stats_document
from rowferry.errors import Conflict, NotFound
from rowferry.model.streams import ACTIVE, TERMINAL, StreamState
from rowferry.state.ids import has_id_shape
from rowferry.state.records import StreamRecord
from rowferry.state.store import Store

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Run:
    """A past run. Its identifier is its stream's; `data_size` is words, such as "9.1 MB"."""

    id: str
    config_id: str
    stream_id: str
    timestamp: int
    duration_ms: int
    status: StreamState
    data_size: str
    rows_inserted: int
    rows_skipped: int
    error_message: str | None


class History:
    """Past runs. Active streams are never listed nor removed here."""

    def __init__(self, store: Store, configs: Configs) -> None:
        self._store = store
        self._configs = configs

    def runs(self, config_id: str) -> Sequence[Run]:
        """The config's past runs, the newest first."""
        self._configs.get(config_id)
        return [_run(record) for record in self._store.streams.list(config_id, TERMINAL)]

    def delete(self, config_id: str, run_id: str) -> None:
        """Forget one run with its log; Conflict while it is active."""
        self._configs.get(config_id)
        record = self._store.streams.get(run_id) if has_id_shape("stream", run_id) else None
        if record is None or record.config_id != config_id:
            raise NotFound("This config has no run with this id: GET its history to see those it has.")
        if record.status in ACTIVE or not self._store.streams.discard([run_id], TERMINAL):
            raise Conflict(f"The run is {record.status.value}: stop it first.")

    def clear(self, config_id: str) -> int:
        """Forget all past runs of the config; how many they were."""
        self._configs.get(config_id)
        past = [record.id for record in self._store.streams.list(config_id, TERMINAL)]
        return len(self._store.streams.discard(past, TERMINAL))


def _run(record: StreamRecord) -> Run:
    target = stats_document(record)["target"]
    return Run(
        id=record.id,
        config_id=record.config_id,
        stream_id=record.id,
        timestamp=record.created,
        duration_ms=round(record.elapsed * 1000),
        status=record.status,
        data_size=_size(target["dataSize"]),
        rows_inserted=target["counter"],
        rows_skipped=target["failedEvents"],
        error_message=record.error.get("error") if record.error else None,
    )


def _size(size: float) -> str:
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
