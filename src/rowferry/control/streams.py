"""Streams: started, paused, resumed, stopped, watched, and taken up again after a crash.

The state table (`rowferry.model.streams.MOVES`) says what may be asked; every move is one compare-and-set in
the store. A pause ends the worker, and a resume starts another one that reads the target's journal: the same
way as after a crash or a restart of the server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from rowferry.bus.messages import Down, Drain, Ended, Found, Halt, Logged, Progress
from rowferry.config.settings import Settings
from rowferry.config.stream import SourceConnection, StreamConfig
from rowferry.control.configs import Configs
from rowferry.control.connections import Connections
from rowferry.control.fleet import Assignment, Fleet
from rowferry.control.footprint import footprint, meet, refined
from rowferry.control.jobs import make_job, table_names
from rowferry.control.stats import stats_document
from rowferry.control.validate import validate
from rowferry.control.verifications import record_comparison
from rowferry.errors import Conflict, NotFound, Recovery, RowferryError
from rowferry.model.streams import ACTIVE, MOVES, TERMINAL, Action, Stage, StreamState
from rowferry.pipeline.job import Job
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import StreamRecord
from rowferry.state.store import Store
from rowferry.telemetry.logs import LogEntry, LogHub
from rowferry.telemetry.metrics import Metrics

PATIENCE = 1.9
"""Seconds a worker is given to end by itself before it is killed; what it had not committed is copied again."""

SAVE_EVERY = 1.0
"""Seconds between two times that a running stream's progress is stored."""

RESTARTS = 5
"""How many times in a row a worker may die before the stream fails. Progress starts the count anew."""

RESUMABLE = frozenset({StreamState.PAUSED, StreamState.FAILED})
"""Ends after which the target's journal stays."""


class _Live:
    """A running stream: its worker, the last it said, and what was asked of it."""

    def __init__(self, elapsed: float) -> None:
        self.assignment: Assignment | None = None
        self.progress: Progress | None = None
        self.elapsed = elapsed
        self.saved = 0.0
        self.wish: StreamState | None = None
        self.restarts = 0


class Streams:
    """The use cases of streams. Thread-safe."""

    def __init__(
        self,
        store: Store,
        configs: Configs,
        connections: Connections,
        fleet: Fleet,
        *,
        hub: LogHub,
        metrics: Metrics,
        settings: Settings,
    ) -> None:
        self._store = store
        self._configs = configs
        self._connections = connections
        self._fleet = fleet
        self._hub = hub
        self._metrics = metrics
        self._settings = settings
        self._live: dict[str, _Live] = {}
        self._starting = threading.Lock()
        self._closing = False

    def start(self, config_id: str) -> str:
        """Start a stream of the config; Conflict when it would meet another one on the target."""
        record, config = self._configs.get(config_id)
        made = new_id("stream")
        stream = StreamRecord(
            id=made.id,
            config_id=config_id,
            name=config.name,
            config=record.document,
            mode=config.mode,
            status=StreamState.READY,
            stage=Stage.INIT,
            created=made.created,
            started_at=time.time(),
        )
        self._job(stream)
        with self._starting:
            stream = replace(stream, targets=[*self._claim(stream, config)])
            self._store.streams.add(stream)
            self._launch(stream, {StreamState.READY})
        return stream.id

    def pause(self, stream_id: str) -> None:
        """Let the stream rest at its last committed chunk; it holds its target tables."""
        self._check(self.get(stream_id), Action.PAUSE)
        self._end(stream_id, StreamState.PAUSED, Drain())
        record = self.get(stream_id)
        if record.status is not StreamState.PAUSED:
            raise Conflict(f"{stream_id} is {record.status.value}: it ended before it could be paused.")

    def resume(self, stream_id: str) -> None:
        """Go on from the last committed chunk; Conflict when its state or another stream forbids it."""
        record = self.get(stream_id)
        self._check(record, Action.RESUME)
        with self._starting:
            config = StreamConfig.model_validate(record.config)
            if record.status is StreamState.FAILED:
                record = replace(record, targets=[*self._claim(record, config)])
            self._launch(record, RESUMABLE)

    def stop(self, stream_id: str, force: bool = False) -> None:
        """End the stream for good; with `force` without waiting for its worker. Rows that are written stay."""
        record = self.get(stream_id)
        self._check(record, Action.STOP)
        by_itself = self._end(stream_id, StreamState.STOPPED, Halt(), 0.0 if force else PATIENCE)
        self._move(stream_id, ACTIVE | {StreamState.FAILED}, StreamState.STOPPED, finished_at=time.time())
        if not by_itself:
            self._clean_up(self.get(stream_id))

    def get(self, stream_id: str) -> StreamRecord:
        """The stream, its numbers as fresh as they are known."""
        record = self._store.streams.get(stream_id) if has_id_shape("stream", stream_id) else None
        if record is None:
            raise NotFound("There is no stream with this id: GET /streams lists those there are.")
        return self._fresh(record)

    def list(self) -> Sequence[StreamRecord]:
        """All streams, the newest first."""
        return [self._fresh(record) for record in self._store.streams.list()]

    def stats(self, stream_id: str) -> dict[str, Any]:
        """The stream's numbers."""
        return stats_document(self.get(stream_id))

    def validate(self, config_id: str) -> dict[str, Any]:
        """Plan a stream of the config without writing anything."""
        record, _ = self._configs.get(config_id)
        return validate(self._job_of(config_id, StreamConfig.model_validate(record.document), 0.0))

    def recover(self) -> None:
        """Take up streams that ran when the server ended, and remove journals that nobody needs any more."""
        self._fleet.warm_up()
        for record in self._store.streams.list():
            if record.status in (StreamState.READY, StreamState.RUNNING):
                self._log(record.id, "info", "The server is back: the stream goes on from its last committed chunk.")
                self._take_up(record)
            elif record.status in TERMINAL - {StreamState.FAILED} and record.journal:
                self._clean_up(record)

    def shutdown(self) -> None:
        """Let running streams come to a safe point; they stay RUNNING, and `recover` takes them up."""
        self._closing = True
        live = list(self._live.values())
        for stream in live:
            if stream.assignment:
                stream.assignment.tell(Drain())
        for stream in live:
            if stream.assignment and not stream.assignment.wait(PATIENCE):
                stream.assignment.kill()
        self._fleet.close()

    def progressed(self, stream_id: str, progress: Progress) -> None:
        """`Listener.progressed`: keep it, and store it from time to time."""
        live = self._live[stream_id]
        if live.progress is None or progress.written > live.progress.written:
            live.restarts = 0
        if progress.stage != Stage.INIT and (live.progress is None or live.progress.stage == Stage.INIT):
            record = self._store.streams.get(stream_id)
            if record:
                names = [table.name for table in progress.tables]
                self._store.streams.update(stream_id, targets=refined(record.targets, names))
        live.progress, live.elapsed = progress, progress.elapsed
        self._metrics.stream(stream_id, "RUNNING", progress.read, progress.written, progress.elapsed)
        self._metrics.lag(stream_id, progress.lag, progress.behind)
        if time.monotonic() - live.saved > SAVE_EVERY:
            live.saved = time.monotonic()
            self._store.streams.update(stream_id, **_fields(progress))

    def logged(self, stream_id: str, entry: Logged) -> None:
        """`Listener.logged`: keep it and pass it on."""
        self.publish(
            LogEntry(entry.level, entry.message, entry.type, entry.category, stream_id, extra=dict(entry.extra))
        )

    def found(self, stream_id: str, found: Found) -> None:
        """`Listener.found`: keep it with the stream, however that ends."""
        self._store.findings.add(stream_id, found.findings)

    def ended(self, stream_id: str, end: Ended) -> bool:
        """`Listener.ended`: record how. A stop that somebody asked for wins over a late failure."""
        live = self._live[stream_id]
        state = StreamState(end.state)
        if live.wish is StreamState.STOPPED and state in RESUMABLE:
            state = StreamState.STOPPED
        fields: dict[str, Any] = {"elapsed": end.elapsed}
        if live.progress is not None:
            fields = {**_fields(live.progress), **fields}
        self._live.pop(stream_id)
        record_comparison(self._store, stream_id, end)
        if state is StreamState.PAUSED and self._closing and live.wish is None:
            self._store.streams.update(stream_id, **fields)
            return False
        if end.error is not None and state is StreamState.FAILED:
            fields["error"] = end.error
        if state is not StreamState.PAUSED:
            fields["finished_at"] = time.time()
        self._move(stream_id, {StreamState.RUNNING}, state, **fields)
        self._fleet.warm_up()
        return state not in RESUMABLE

    def forgotten(self, stream_id: str) -> None:
        """`Listener.forgotten`: there is nothing left to clean up."""
        self._store.streams.update(stream_id, journal=False)

    def lost(self, stream_id: str, error: RowferryError) -> None:
        """`Listener.lost`: a worker died; another one goes on if that may help, unless the death was wished."""
        live = self._live.pop(stream_id)
        if self._closing or live.wish is not None:
            if live.wish is not None:
                self._move(stream_id, {StreamState.RUNNING}, live.wish, elapsed=live.elapsed)
            return
        if error.policy.recovery is not Recovery.RETRY or live.restarts >= RESTARTS:
            self._fail(stream_id, error)
            return
        self._metrics.restarted()
        self._log(stream_id, "warning", "The stream's worker died: another one goes on from the last chunk.")
        record = self._store.streams.get(stream_id)
        if record is not None:
            self._take_up(replace(record, elapsed=live.elapsed), live.restarts + 1)

    def _launch(self, record: StreamRecord, expected: Iterable[StreamState], restarts: int = 0) -> None:
        job = self._job(record).model_copy(update={"again": record.status is StreamState.RUNNING})
        live = self._live[record.id] = _Live(record.elapsed)
        live.restarts = restarts
        fields: dict[str, Any] = {"journal": True, "targets": record.targets, "error": None, "finished_at": None}
        if not self._move(record.id, set(expected), StreamState.RUNNING, **fields):
            del self._live[record.id]
            raise Conflict(f"{record.id} is {self.get(record.id).status.value} by now.")
        live.assignment = self._fleet.launch(job, self)

    def _take_up(self, record: StreamRecord, restarts: int = 0) -> None:
        """Launch a stream that ran before; one whose connections are gone fails, and can be resumed."""
        try:
            self._launch(record, {StreamState.READY, StreamState.RUNNING}, restarts)
        except RowferryError as error:
            self._fail(record.id, error)

    def _fail(self, stream_id: str, error: RowferryError) -> None:
        self.publish(LogEntry("error", error.message, category="error", stream_id=stream_id))
        expected = {StreamState.READY, StreamState.RUNNING}
        self._move(stream_id, expected, StreamState.FAILED, error=error.document(), finished_at=time.time())

    def _end(self, stream_id: str, wish: StreamState, message: Down, patience: float = PATIENCE) -> bool:
        """Have the stream's worker end; whether it did so by itself, and not by being killed."""
        live = self._live.get(stream_id)
        if live is None or live.assignment is None:
            return False
        live.wish = wish
        live.assignment.tell(message)
        if live.assignment.wait(patience):
            return True
        live.assignment.kill()
        return False

    def _clean_up(self, record: StreamRecord) -> None:
        """Have a worker remove the journal of a stream that nobody will resume."""
        if not record.journal:
            return
        try:
            job = self._job(record).model_copy(update={"forget_only": True})
        except RowferryError:
            return
        self._fleet.launch(job, _CleanUp(self))

    def _check(self, record: StreamRecord, action: Action) -> None:
        if action not in MOVES[record.status]:
            raise Conflict(
                f"{record.id} is {record.status.value}: {action.value} is not possible then.",
                extra={"field": "status", "value": record.status.value, "message": "the state does not allow it"},
            )

    def _claim(self, stream: StreamRecord, config: StreamConfig) -> Sequence[str]:
        """The stream's footprint, which no active stream shares; Conflict, naming those in the way."""
        active = [other for other in self._store.streams.list(statuses=ACTIVE) if other.id != stream.id]
        target = self._connections.look(config.target.id)
        targets = footprint(target, config, None)
        if any(meet(targets, other.targets) for other in active):
            targets = footprint(target, config, self._discover)
        blocking = [other.id for other in active if other.config_id == stream.config_id or meet(targets, other.targets)]
        if blocking:
            raise Conflict(
                f"{', '.join(blocking)} runs or is paused and writes to the same tables: stop it first.",
                extra={"field": "stream_state", "value": blocking, "message": "another stream is active"},
            )
        if len(active) >= self._settings.max_active_streams:
            raise Conflict(
                f"{len(active)} streams are active, as many as ROWFERRY_MAX_ACTIVE_STREAMS allows: stop one first.",
                extra={"field": "stream_state", "value": [other.id for other in active], "message": "too many"},
            )
        return targets

    def _discover(self, part: SourceConnection) -> Iterable[str]:
        connection = self._connections.look(part.connection_id)
        if part.files or part.s3:
            return table_names(connection, part)
        database = part.database or (connection.spec.database.database if connection.spec.database else None)
        with closing(self._connections.open(part.connection_id)) as server:
            return server.tables(database or "", [part.schema_] if part.schema_ else [], False)

    def _job(self, record: StreamRecord) -> Job:
        return self._job_of(record.id, StreamConfig.model_validate(record.config), record.elapsed)

    def _job_of(self, name: str, config: StreamConfig, elapsed: float) -> Job:
        return make_job(self._connections, self._settings, name, config, elapsed)

    def _fresh(self, record: StreamRecord) -> StreamRecord:
        live = self._live.get(record.id)
        if live is None or live.progress is None or record.status is not StreamState.RUNNING:
            return record
        return replace(record, **_fields(live.progress))

    def _move(self, stream_id: str, expected: Iterable[StreamState], to: StreamState, **fields: Any) -> bool:
        moved = self._store.streams.move(stream_id, set(expected), to, **fields)
        if moved:
            self._log(stream_id, "info", f"The stream is {to.value}.")
        return moved

    def _log(self, stream_id: str, level: str, message: str) -> None:
        self.publish(LogEntry(level, message, stream_id=stream_id))

    def publish(self, entry: LogEntry) -> None:
        """Keep the entry, and pass it on."""
        self._store.logs.append([entry])
        self._hub.publish(entry)


class _CleanUp:
    """Listens to a worker that only removes a journal."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def progressed(self, stream_id: str, progress: Progress) -> None:
        """Nothing is copied."""

    def logged(self, stream_id: str, entry: Logged) -> None:
        """Pass it on."""
        self._streams.logged(stream_id, entry)

    def found(self, stream_id: str, found: Found) -> None:
        """Nothing is planned."""

    def ended(self, stream_id: str, end: Ended) -> bool:
        """The journal is gone."""
        self._streams.forgotten(stream_id)
        return False

    def forgotten(self, stream_id: str) -> None:
        """Said by `ended` already."""

    def lost(self, stream_id: str, error: RowferryError) -> None:
        """It stays for the next start of the server."""


def _fields(progress: Progress) -> dict[str, Any]:
    """A progress as fields of a stream's record. One without tables knows nothing yet: earlier numbers stand."""
    numbers = {"stats": asdict(progress)} if progress.tables else {}
    return {**numbers, "elapsed": progress.elapsed, "stage": Stage(progress.stage)}
