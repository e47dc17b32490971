"""MySQL or MariaDB as a source of changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Generator, Mapping, Sequence

import pymysql

from rowferry.connectors.changes import BatchSize, ChangeBatch, ChangesRequest
from rowferry.connectors.mysql.binlog.dump import STALL, Dump
from rowferry.connectors.mysql.binlog.lookup import looked_up
from rowferry.connectors.mysql.binlog.place import here, left
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.prerequisites import findings
from rowferry.connectors.mysql.binlog.rolled import Undone
from rowferry.connectors.mysql.binlog.story import Story
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.failures import failed
from rowferry.errors import Cancelled, ConnectionFailed, ConnectionLost
from rowferry.model.changes import Position
from rowferry.model.findings import Finding
from rowferry.model.tables import Table, TableName

_AT_LEAST = 0.9
"""Seconds after which there is a batch, whatever happened."""


class BinlogChanges:
    """See `ChangeSource`. The server keeps its log by itself: nothing is left there, and nothing to be confirmed."""

    def __init__(self, request: ChangesRequest, stall: float = STALL) -> None:
        self._access = Access(request.connection)
        self._database = request.database or self._access.database
        self._given, self._stall, self._whole = request.options.binlog_position, stall, request.whole
        self._lock = threading.Lock()
        self._dump: Dump | None = None
        self._closed = False
        self._undone: Undone = request.memory.setdefault("undone", Undone())

    def prerequisites(self, tables: Sequence[Table]) -> list[Finding]:
        """See `ChangeSource.prerequisites`."""
        self._check()
        return findings(self._access, tables)

    def untold(self, table: Table) -> Collection[str]:
        """See `ChangeSource.untold`: the log has columns that are computed, too."""
        return ()

    def prepare(self, tables: Sequence[Table]) -> Position:
        """Where the log ends, or the place that the user gave."""
        return str(Place.parse(self._given)) if self._given else self.position()

    def position(self) -> Position:
        """See `ChangeSource.position`."""
        self._check()
        try:
            with self._access.session() as session:
                return str(here(session))
        except pymysql.Error as error:
            raise failed(error, "the place where the log ends") from error

    def reached(self, position: Position, mark: Position) -> bool:
        """See `ChangeSource.reached`."""
        return Place.parse(position).reached(Place.parse(mark))

    def follow(
        self, position: Position, tables: Sequence[Table], known: Mapping[TableName, Position], size: BatchSize
    ) -> Generator[ChangeBatch, None, None]:
        """See `ChangeSource.follow`."""
        self._check()
        place = Place.parse(position)
        history = looked_up(self._access, tables)
        marks = {name: Place.parse(mark) for name, mark in known.items()}
        story = Story(place, history, marks, size, self._undone, self._whole)
        dump = self._opened(place)
        try:
            yield from _followed(dump, story, size.seconds)
        except ConnectionLost:
            self._check()
            raise
        finally:
            dump.close()

    def confirm(self, position: Position) -> None:
        """The server forgets its log by its own rules."""

    def distance(self, position: Position) -> int | None:
        """See `ChangeSource.distance`."""
        self._check()
        try:
            with self._access.session() as session:
                return left(session, Place.parse(position))
        except (pymysql.Error, ConnectionFailed):
            return None

    def release(self) -> None:
        """Nothing was made."""

    def close(self) -> None:
        """See `ChangeSource.close`."""
        with self._lock:
            self._closed, dump = True, self._dump
        if dump is not None:
            dump.close()
        self._access.close()

    def _check(self) -> None:
        if self._closed:
            raise Cancelled("The source was closed.")

    def _opened(self, place: Place) -> Dump:
        self._check()
        try:
            dump = Dump(self._access, place, self._stall)
        except ConnectionLost:
            self._check()
            raise
        with self._lock:
            self._dump = dump
        if self._closed:
            dump.close()
        self._check()
        return dump


def _followed(dump: Dump, story: Story, seconds: float) -> Generator[ChangeBatch, None, None]:
    """Batches, at least one a second; what has come is given out as soon as nothing more is there."""
    last, told = time.monotonic(), story.place
    while True:
        waiting = last + (_AT_LEAST if story.place == told else min(seconds, _AT_LEAST)) - time.monotonic()
        events = dump.events(0 if story.holds else max(0.0, waiting))
        story.arrived = time.time()
        for event in events or ():
            for batch in story.take(event):
                yield batch
                last, told = time.monotonic(), story.place
        now = time.monotonic()
        if (events is None and (story.holds or now - last >= seconds)) or now - last >= _AT_LEAST:
            yield story.batch()
            last, told = time.monotonic(), story.place
