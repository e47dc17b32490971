"""A stream's numbers as clients see them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rowferry.model.streams import StreamState
from rowferry.state.records import StreamRecord

_EMPTY: dict[str, Any] = {"read": 0, "written": 0, "read_size": 0, "written_size": 0, "rejected": 0, "tables": []}


def stats_document(record: StreamRecord) -> dict[str, Any]:
    """The stats object of the API, from the stream and the last progress that its worker reported."""
    progress = record.stats or _EMPTY
    status = record.status.value
    source = _side("source", record, progress["read"], progress["read_size"])
    target = _side("target", record, progress["written"], progress["written_size"])
    source["failedEvents"] = source["rejected"] = progress.get("rejected", 0)
    return {
        "streamID": record.id,
        "configID": record.config_id,
        "mode": record.mode.value,
        "status": status,
        "stage": record.stage.value,
        "startedAt": None if record.started_at is None else int(record.started_at),
        "elapsed": round(record.elapsed, 3),
        "error": record.error,
        "lagSeconds": progress.get("lag"),
        "lagBytes": progress.get("behind"),
        "position": progress.get("position"),
        "source": source,
        "target": target,
        "nodes": [_node(record, side) for side in (source, target)],
        "tables": [_table(table, record.status) for table in progress["tables"]],
    }


def _side(kind: str, record: StreamRecord, rows: int, size: int) -> dict[str, Any]:
    return {
        "type": kind,
        "status": record.status.value,
        "counter": rows,
        "failedEvents": 0,  # what is not read is the source's; a target takes every row or fails
        "dataSize": size,
        "avgRate": round(size / record.elapsed, 1) if record.elapsed else 0.0,
        "elapsed": round(record.elapsed, 3),
        "activeNodes": int(record.status is StreamState.RUNNING),
    }


def _node(record: StreamRecord, side: Mapping[str, Any]) -> dict[str, Any]:
    shown = ("type", "status", "counter", "dataSize", "avgRate", "elapsed")
    return {"id": f"{record.id}-{side['type']}", **{key: side[key] for key in shown}}


def _table(table: Mapping[str, Any], state: StreamState) -> dict[str, Any]:
    running = table["status"] == "RUNNING"
    elapsed = table["elapsed"]
    return {
        "name": table["name"].rpartition(".")[2],
        "status": state.value if running else table["status"],
        "events": table["written"],
        "size": table["size"],
        "rate": round(table["size"] / elapsed, 1) if running and elapsed else 0,
        "elapsed": round(elapsed, 3),
        "estimatedRows": table["estimated_rows"],
        "estimatedSizeBytes": table["estimated_size"],
    }
