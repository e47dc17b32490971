"""The server's counters and gauges, in Prometheus's words."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Metrics:
    """One registry a server. The names without prefix are those that dashboards of such systems already use."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._read = self._gauge("source_events_in", "Rows read by a stream.", "streamID")
        self._written = self._gauge("target_events_out", "Rows a stream has written for good.", "streamID")
        self._source_seconds = self._gauge("source_duration_seconds", "Seconds a stream ran.", "status", "streamID")
        self._target_seconds = self._gauge("target_duration_seconds", "Seconds a stream ran.", "status", "streamID")
        self._lag = self._gauge("rowferry_lag_seconds", "How far what is applied is behind its source.", "streamID")
        self._behind = self._gauge("rowferry_lag_bytes", "Bytes of a source's log still to be applied.", "streamID")
        self._streams = self._gauge("rowferry_streams", "Streams by state.", "state")
        self._restarts = Counter(
            "rowferry_worker_restarts", "Workers that died and were started again.", registry=self._registry
        )

    def stream(self, stream_id: str, status: str, read: int, written: int, elapsed: float) -> None:
        """Where a stream stands: rows read and written, seconds run."""
        self._read.labels(stream_id).set(read)
        self._written.labels(stream_id).set(written)
        for gauge in (self._source_seconds, self._target_seconds):
            gauge.labels(status, stream_id).set(elapsed)

    def lag(self, stream_id: str, seconds: float | None, size: int | None) -> None:
        """How far a stream that follows a log is behind it; None where that is not known."""
        for gauge, value in ((self._lag, seconds), (self._behind, size)):
            if value is not None:
                gauge.labels(stream_id).set(value)

    def states(self, counts: Mapping[str, int]) -> None:
        """How many streams are in each state."""
        for state, count in counts.items():
            self._streams.labels(state).set(count)

    def restarted(self) -> None:
        """A worker died and another took over."""
        self._restarts.inc()

    def render(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)
