"""Log entries as clients see them, and the hub that carries them to whoever listens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_LEVELS = {"warning": "warn", "critical": "error"}


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something worth telling; names, counts and positions, never row values or secrets.

    `type` is api, source or target; `category` one of general, progress, stat, table_metadata, sql, error,
    debug and s3_upload. `timestamp` is in Unix seconds. `extra` holds the category's own fields.
    """

    level: str
    message: str
    type: str = "api"
    category: str = "general"
    stream_id: str | None = None
    node_id: str | None = None
    timestamp: float = field(default_factory=time.time)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The entry as clients get it, the category's fields beside the common ones."""
        entry: dict[str, Any] = {
            "level": _LEVELS.get(self.level, self.level),
            "timestamp": datetime.fromtimestamp(self.timestamp, UTC).isoformat(timespec="milliseconds"),
            "message": self.message,
            "type": self.type,
            "category": self.category,
        }
        if self.stream_id is not None:
            entry["streamId"] = self.stream_id
        if self.node_id is not None:
            entry["nodeId"] = self.node_id
        return {**self.extra, **entry}


class LogHub:
    """Carries entries to all who listen, in the thread that publishes."""

    def __init__(self) -> None:
        self._listeners: dict[object, Callable[[dict[str, Any]], None]] = {}
        self._lock = threading.Lock()

    def publish(self, entry: LogEntry) -> None:
        """Give the entry to every listener."""
        with self._lock:
            listeners = list(self._listeners.values())
        if listeners:
            document = entry.to_json()
            for deliver in listeners:
                deliver(document)

    def listen(self, deliver: Callable[[dict[str, Any]], None]) -> Callable[[], None]:
        """Give each entry from now on to `deliver`, which must not block; the result ends that."""
        token = object()
        with self._lock:
            self._listeners[token] = deliver

        def end() -> None:
            with self._lock:
                self._listeners.pop(token, None)

        return end
