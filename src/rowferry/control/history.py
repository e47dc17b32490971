"""The runs that a config has behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.control.configs import Configs
from rowferry.control.stats import stats_document
from rowferry.errors import Conflict, NotFound
from rowferry.model.findings import Severity
from rowferry.model.streams import ACTIVE, TERMINAL, StreamState
from rowferry.state.ids import has_id_shape
from rowferry.state.records import StreamRecord
from rowferry.state.store import Store

_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True)
class Run:
    """A past run. Its identifier is its stream's; `data_size` is words, such as "9.1 MB".

    `findings`: how many of each severity its report has.
    """

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
    findings: Mapping[str, int]


class History:
    """Past runs. Active streams are never listed nor removed here."""

    def __init__(self, store: Store, configs: Configs) -> None:
        self._store = store
        self._configs = configs

    def runs(self, config_id: str) -> Sequence[Run]:
        """The config's past runs, the newest first."""
        self._configs.get(config_id)
        records = self._store.streams.list(config_id, TERMINAL)
        counts = self._store.findings.counts([record.id for record in records])
        return [_run(record, counts.get(record.id, {})) for record in records]

    def run(self, config_id: str, run_id: str) -> tuple[Run, Sequence[Mapping[str, Any]]]:
        """One past run with its report; Conflict while it is active."""
        record = self._record(config_id, run_id)
        if record.status in ACTIVE:
            raise Conflict(f"The run is {record.status.value}: GET /streams/{run_id} has what it found so far.")
        report = self._store.findings.list(run_id)
        return _run(record, Counter(finding["severity"] for finding in report)), report

    def delete(self, config_id: str, run_id: str) -> None:
        """Forget one run with its log; Conflict while it is active."""
        record = self._record(config_id, run_id)
        if record.status in ACTIVE or not self._store.streams.discard([run_id], TERMINAL):
            raise Conflict(f"The run is {record.status.value}: stop it first.")

    def clear(self, config_id: str) -> int:
        """Forget all past runs of the config; how many they were."""
        self._configs.get(config_id)
        past = [record.id for record in self._store.streams.list(config_id, TERMINAL)]
        return len(self._store.streams.discard(past, TERMINAL))

    def _record(self, config_id: str, run_id: str) -> StreamRecord:
        self._configs.get(config_id)
        record = self._store.streams.get(run_id) if has_id_shape("stream", run_id) else None
        if record is None or record.config_id != config_id:
            raise NotFound("This config has no run with this id: GET its history to see those it has.")
        return record


def _run(record: StreamRecord, findings: Mapping[str, int]) -> Run:
    stats = stats_document(record)
    target = stats["target"]
    return Run(
        id=record.id,
        config_id=record.config_id,
        stream_id=record.id,
        timestamp=record.created,
        duration_ms=round(record.elapsed * 1000),
        status=record.status,
        data_size=_size(target["dataSize"]),
        rows_inserted=target["counter"],
        rows_skipped=stats["source"]["failedEvents"],
        error_message=record.error.get("error") if record.error else None,
        findings={severity.value: findings.get(severity, 0) for severity in Severity},
    )


def _size(size: float) -> str:
    unit = 0
    while size >= 1000 and unit < len(_UNITS) - 1:
        size /= 1000
        unit += 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
