"""Streams as rows of the overview."""

from __future__ import annotations

from typing import Any

from rowferry.control.services import StreamControl
from rowferry.errors import NotFound
from rowferry.model.streams import StreamState
from rowferry.state.records import StreamRecord

SHOWN = 50

_WORDS = {
    StreamState.READY: ("Ready", "quiet"),
    StreamState.RUNNING: ("Running", "live"),
    StreamState.PAUSED: ("Paused", "quiet"),
    StreamState.STOPPED: ("Stopped", "quiet"),
    StreamState.FINISHED: ("Finished", "good"),
    StreamState.FAILED: ("Failed", "bad"),
    StreamState.TIME_LIMIT_REACHED: ("Time limit reached", "quiet"),
    StreamState.EVENT_LIMIT_REACHED: ("Event limit reached", "quiet"),
}


def stream_rows(streams: StreamControl) -> list[dict[str, Any]]:
    """The newest streams, `SHOWN` at most, ready to be shown. It asks the store."""
    rows = []
    for record in streams.list()[:SHOWN]:
        try:
            rows.append(_row(record, streams.stats(record.id)))
        except NotFound:  # it was forgotten in between
            continue
    return rows


def _row(record: StreamRecord, stats: dict[str, Any]) -> dict[str, Any]:
    word, tone = _WORDS[record.status]
    percent = 100 if record.status is StreamState.FINISHED else _percent(stats["tables"])
    return {
        "id": record.id,
        "name": record.name,
        "state": word,
        "tone": tone,
        "percent": percent,
        "progress": "" if percent is None else f"{percent} %",
        "rows": f"{stats['target']['counter']:,}",
        "elapsed": _duration(stats["elapsed"]),
        "error": (record.error or {}).get("error", "") if record.status is StreamState.FAILED else "",
    }


def _percent(tables: list[dict[str, Any]]) -> int | None:
    """How much of what was estimated is written; never 100, which only the end is, and None without an estimate."""
    expected: int = sum(table["estimatedRows"] or 0 for table in tables)
    if not expected:
        return None
    written: int = sum(min(table["events"], table["estimatedRows"] or 0) for table in tables)
    return min(99, written * 100 // expected)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
