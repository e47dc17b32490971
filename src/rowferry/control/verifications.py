"""Verifications: asked for, run by a worker, kept with their stream.

A verification reads both sides and writes to neither, so any number may run beside streams.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rowferry.bus.messages import Ended, Found, Logged, Progress
from rowferry.config.settings import Settings
from rowferry.config.stream import StreamConfig
from rowferry.control.connections import Connections
from rowferry.control.fleet import Listener
from rowferry.control.jobs import make_job
from rowferry.errors import Conflict, NotFound, RowferryError, WorkerLost
from rowferry.model.streams import TERMINAL, Mode, StreamState, VerificationState
from rowferry.pipeline.job import Job
from rowferry.pipeline.verify import check_comparable
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import StreamRecord, VerificationRecord
from rowferry.state.store import Store
from rowferry.telemetry.logs import LogEntry

_CUT = {
    StreamState.EVENT_LIMIT_REACHED: "its limit of events",
    StreamState.TIME_LIMIT_REACHED: "its limit of time",
}


class Handle(Protocol):
    """A verification in the hands of a worker."""

    def kill(self) -> None:
        """End the worker at once, and wait until that was dealt with."""


class Verifications:
    """The use cases of verifications. Thread-safe. NotFound for an unknown identifier.

    `launch` gives a job to a worker, `publish` keeps a log entry and passes it on.
    """

    def __init__(
        self,
        store: Store,
        connections: Connections,
        settings: Settings,
        *,
        launch: Callable[[Job, Listener], Handle],
        publish: Callable[[LogEntry], None],
    ) -> None:
        self._store = store
        self._connections = connections
        self._settings = settings
        self._launch = launch
        self._publish = publish
        self._starting = threading.Lock()
        self._handles: dict[str, Handle] = {}

    def start(self, stream_id: str) -> VerificationRecord:
        """Verify a stream that has ended; Conflict while it has not, and while one of its verifications runs."""
        stream = self._stream(stream_id)
        self._check(stream)
        config = StreamConfig.model_validate(stream.config)
        job = make_job(self._connections, self._settings, stream_id, config).model_copy(update={"verify_only": True})
        check_comparable(job)
        with self._starting:
            running = self._store.verifications.list(status=VerificationState.RUNNING)
            if any(one.stream_id == stream_id for one in running):
                raise Conflict(f"{stream_id} is being verified already: GET its verifications to see how it stands.")
            if len(running) >= self._settings.max_active_streams:
                raise Conflict(f"{len(running)} verifications run, as many as ROWFERRY_MAX_ACTIVE_STREAMS allows.")
            made = new_id("verify")
            record = VerificationRecord(made.id, stream_id, VerificationState.RUNNING, made.created)
            self._store.verifications.add(record)
        self._handles[record.id] = self._launch(job, _Attendant(self, record.id, self._publish))
        found = self._store.verifications.get(record.id) or record
        if found.status is not VerificationState.RUNNING:
            self._handles.pop(record.id, None)
        return found

    def get(self, stream_id: str, verification_id: str) -> VerificationRecord:
        """One verification of the stream."""
        found = None
        if has_id_shape("verify", verification_id):
            found = self._store.verifications.get(verification_id)
        if found is None or found.stream_id != stream_id:
            raise NotFound("This stream has no verification with this id: GET its verifications lists those it has.")
        return found

    def list(self, stream_id: str) -> Sequence[VerificationRecord]:
        """The stream's verifications, the newest first."""
        return self._store.verifications.list(self._stream(stream_id).id)

    def recover(self) -> None:
        """What ran when the server ended has no result."""
        for record in self._store.verifications.list(status=VerificationState.RUNNING):
            self.failed(record.id, WorkerLost("The server ended while this verification ran: ask for it again."))

    def shutdown(self) -> None:
        """End those that run."""
        for handle in list(self._handles.values()):
            handle.kill()

    def failed(self, verification_id: str, error: RowferryError) -> None:
        """There will be no result."""
        self._end(verification_id, VerificationState.FAILED, error=error.document())

    def ended(self, verification_id: str, end: Ended) -> None:
        """A worker has compared, or could not."""
        if end.comparison is None:
            error = end.error or WorkerLost("The verification was ended: ask for it again.").document()
            self._end(verification_id, VerificationState.FAILED, elapsed=end.elapsed, error=error)
        else:
            self._end(verification_id, **_result(end.comparison))

    def _end(self, verification_id: str, status: VerificationState, **fields: Any) -> None:
        self._handles.pop(verification_id, None)
        self._store.verifications.end(verification_id, status, **{"finished_at": time.time(), **fields})

    def _stream(self, stream_id: str) -> StreamRecord:
        record = self._store.streams.get(stream_id) if has_id_shape("stream", stream_id) else None
        if record is None:
            raise NotFound("There is no stream with this id: GET /streams lists those there are.")
        return record

    def _check(self, stream: StreamRecord) -> None:
        if stream.status in _CUT:
            raise Conflict(f"{stream.id} ended at {_CUT[stream.status]}: which rows it left out cannot be known.")
        if stream.status not in TERMINAL and stream.mode is not Mode.CDC:
            raise Conflict(
                f"{stream.id} is {stream.status.value}: it can be verified once it has ended.",
                extra={"field": "status", "value": stream.status.value, "message": "the stream has not ended"},
            )


def record_comparison(store: Store, stream_id: str, end: Ended) -> None:
    """Keep what a stream found that was told to verify itself."""
    if end.comparison is None:
        return
    made = new_id("verify")
    result = _result(end.comparison)
    store.verifications.add(VerificationRecord(made.id, stream_id, created=made.created, **result))


def _result(comparison: dict[str, Any]) -> dict[str, Any]:
    state = VerificationState.EQUAL if comparison["equal"] else VerificationState.DIFFERENT
    return {
        "status": state,
        "finished_at": time.time(),
        "elapsed": comparison["elapsed"],
        "comparison": comparison,
    }


class _Attendant:
    """Listens to the worker of one verification."""

    def __init__(self, verifications: Verifications, verification_id: str, publish: Callable[[LogEntry], None]) -> None:
        self._verifications = verifications
        self._id = verification_id
        self._publish = publish

    def progressed(self, stream_id: str, progress: Progress) -> None:
        """The stream's own numbers stay as they are."""

    def logged(self, stream_id: str, entry: Logged) -> None:
        """Into the stream's log."""
        self._publish(
            LogEntry(entry.level, entry.message, entry.type, entry.category, stream_id, extra=dict(entry.extra))
        )

    def found(self, stream_id: str, found: Found) -> None:
        """The stream's report stays as it is."""

    def ended(self, stream_id: str, end: Ended) -> bool:
        """Keep the result; the target's journal is not ours."""
        self._verifications.ended(self._id, end)
        return False

    def forgotten(self, stream_id: str) -> None:
        """There was nothing to forget."""

    def lost(self, stream_id: str, error: RowferryError) -> None:
        """No result."""
        self._verifications.failed(self._id, error)
