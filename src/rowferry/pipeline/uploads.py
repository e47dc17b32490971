"""Files on their way into a store, as the log and the stage tell of them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from rowferry.pipeline.job import Events
from rowferry.pipeline.meter import Meter

_EVERY = 1.0
"""Seconds between two entries about one table."""


@dataclass(slots=True)
class _Table:
    bucket: str = ""
    files: int = 0
    size: int = 0
    uploaded: int = 0
    uploaded_size: int = 0
    told: float = 0.0
    began: float = field(default_factory=time.monotonic)


class Uploads:
    """`UploadWatch` of a run. Safe to use from several threads."""

    def __init__(self, meter: Meter, events: Events, stream_id: str) -> None:
        self._meter = meter
        self._events = events
        self._stream = stream_id
        self._tables: dict[str, _Table] = {}
        self._lock = threading.Lock()

    def began(self, table: str, bucket: str, size: int) -> None:
        """A file goes on its way."""
        self._meter.uploading(1)
        with self._lock:
            count = self._tables.setdefault(table, _Table())
            count.bucket = bucket
            count.files += 1
            count.size += size

    def ended(self, table: str, size: int, whole: bool) -> None:
        """It is there; or it is not, and will be sent again."""
        self._meter.uploading(-1)
        with self._lock:
            count = self._tables[table]
            if whole:
                count.uploaded += 1
                count.uploaded_size += size
            else:
                count.files -= 1
                count.size -= size
            due = time.monotonic() - count.told >= _EVERY
            if due:
                count.told = time.monotonic()
        if due or not whole:
            self._tell(table, "UPLOADING" if whole else "FAILED")

    def finished(self, table: str) -> None:
        """All of the table is there."""
        with self._lock:
            known = table in self._tables
        if known:
            self._tell(table, "FINISHED")

    def _tell(self, table: str, status: str) -> None:
        with self._lock:
            count = self._tables[table]
            elapsed = time.monotonic() - count.began
            fields = {
                "table": table, "bucket": count.bucket, "writerId": self._stream, "status": status,
                "filesTotal": count.files, "filesUploaded": count.uploaded,
                "bytesTotal": count.size, "bytesUploaded": count.uploaded_size,
                "elapsed": elapsed, "rate": count.uploaded_size / elapsed if elapsed else 0.0,
            }  # fmt: skip
        level = "warning" if status == "FAILED" else "info"
        self._events.log(level, f"{table}: {fields['filesUploaded']} files uploaded.", "s3_upload", **fields)
