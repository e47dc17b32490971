"""Change files as a target of changes: the contract of `changes.Recorder`, for folders and for stores alike.

A commit is a number of the record (`change_log`). Its files are named after it, and are durable before it is made;
a folder shows them once it is, a store when they are uploaded, just before. The manifests follow. Whoever takes over
does first what the last commit may have left undone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock
from typing import Any, Protocol, TypeVar

import numpy as np

from rowferry.config.stream import FilesTarget
from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Commit, RowChanges, Standing
from rowferry.connectors.files.change_log import ChangeFile, ChangeLog, Shelf
from rowferry.connectors.files.change_manifest import Written, grown
from rowferry.connectors.files.change_parts import Part
from rowferry.connectors.files.change_rows import ChangeLayout, change_layout, shaped, shown_columns, truncated
from rowferry.connectors.files.inspection import schema_document
from rowferry.connectors.files.layout import change_part_name, changes_folder
from rowferry.connectors.files.stage import Staged
from rowferry.connectors.files.write import Staging
from rowferry.errors import Cancelled
from rowferry.model.changes import TableAltered

_MEGABYTE = 1024 * 1024
_AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


class Depot(Shelf, Protocol):
    """Where a stream's change files go, and its record."""

    @property
    def staging(self) -> Staging:
        """Where files wait on this machine."""

    def bring(self, file: ChangeFile, staged: Staged) -> ChangeFile:
        """Before the commit: the file as it is to be told of; WriteFailed where a stranger's has its name."""

    def show(self, files: Sequence[ChangeFile]) -> None:
        """After the commit: the files are in their places, unless they have been already."""

    def discard(self, folder: str, number: int) -> None:
        """Remove files of that folder and number that were brought and never counted."""

    def manifest(self, folder: str) -> Mapping[str, Any] | None:
        """A folder's manifest; None when there is none."""

    def tell(self, folder: str, written: Written, log: ChangeLog) -> None:
        """Put the manifest in its place, unless the turn of `log` is over: then FencedOff."""


class ChangeFiles:
    """One writer's change files."""

    def __init__(self, depot: Depot, spec: FilesTarget, stream_id: str, tables: Sequence[PlannedTable]) -> None:
        self._depot, self._spec, self._stream = depot, spec, stream_id
        self._stop, self._busy = Event(), Lock()
        self._open: dict[str, Part] = {}
        self._ended: list[Part] = []
        self._told: dict[str, tuple[str, ...]] = {}
        self._log = ChangeLog(depot)
        try:
            settled(self._log, depot, spec, stream_id, [str(table.target.name) for table in tables])
        except BaseException:
            depot.staging.close()
            raise
        self._taken = self._log.head.ordinal

    def standing(self) -> Standing:
        """See `Recorder.standing`."""
        return self._log.head.standing

    def append(self, changes: Sequence[tuple[PlannedTable, RowChanges]], commits: Sequence[Commit]) -> None:
        """See `Recorder.append`."""
        with self._working():
            self._settle(commits)
            ends = np.array([commit.end for commit in commits], np.int64)
            numbers = self._numbered([one for _, one in changes])
            for (table, one), ordinals in zip(changes, numbers, strict=True):
                part = self._part(table, self._told_of(table, one))
                shape = shaped(part.layout, one, ordinals)
                which = np.searchsorted(ends, np.asarray(one.ordinals), side="right")
                ended = int(np.searchsorted(which, len(commits)))
                part.add(shape.slice(0, ended), commits, which[:ended])
                part.hold(shape.slice(ended))

    def truncate(self, tables: Sequence[PlannedTable], commits: Sequence[Commit]) -> None:
        """See `Recorder.truncate`."""
        with self._working():
            for table in tables:
                part = self._part(table, self._told_of(table))
                self._taken += 1
                part.hold(truncated(part.layout, self._taken))
            self._settle(commits)

    def alter(self, before: PlannedTable, after: PlannedTable, altered: TableAltered) -> None:
        """See `Recorder.alter`: another file begins."""
        with self._working():
            self._end(str(before.target.name))
            self._told.pop(str(before.target.name), None)

    @property
    def patience(self) -> float:
        """See `Recorder.patience`."""
        return self._spec.change_files.seconds

    @property
    def full(self) -> bool:
        """See `Recorder.full`."""
        return sum(part.size for part in self._parts) >= self._most

    def commit(self, standing: Standing) -> None:
        """See `Recorder.commit`."""
        with self._working():
            if any(part.waits for part in self._parts):
                raise RuntimeError("changes are committed between two transactions")
            self._log.check()  # before anything is uploaded that would not count
            number, files = self._log.head.number + 1, self._brought()
            self._log.commit(standing, self._taken, files)
            shown(self._log, self._depot, self._spec, self._stream, files, number)

    def close(self) -> None:
        """See `Recorder.close`."""
        self._stop.set()
        if self._busy.acquire(blocking=False):  # else whoever is at work closes once more
            try:
                for part in self._parts:
                    part.discard()
                self._open, self._ended = {}, []
                self._depot.staging.close()
            finally:
                self._busy.release()

    def _working(self) -> _Working:
        return _Working(self._busy, self._stop)

    @property
    def _parts(self) -> list[Part]:
        return [*self._ended, *self._open.values()]

    @property
    def _most(self) -> int:
        """How many bytes in memory a file may come to."""
        return self._spec.change_files.size_mb * _MEGABYTE

    def _part(self, table: PlannedTable, told: Collection[str]) -> Part:
        """The file for these changes: another one where the log tells other columns, or where it is large enough."""
        name = str(table.target.name)
        layout = change_layout(table, told, self._spec)
        held = self._open.get(name)
        if held is not None and (held.layout != layout or held.size >= self._most):
            self._end(name)
            held = None
        if held is None:
            held = self._open[name] = Part(self._depot.staging.folder(), layout)
        return held

    def _told_of(self, table: PlannedTable, changes: RowChanges | None = None) -> Collection[str]:
        """The columns that are told of rows as they were; what tells of none goes with what came before it."""
        name, every = str(table.target.name), tuple(table.source.column_names())
        if changes is not None and changes.before is not None:
            self._told[name] = tuple(changes.before.schema.names)
        return self._told.get(name, table.source.key or every)

    def _end(self, name: str) -> None:
        part = self._open.pop(name, None)
        self._ended += [] if part is None else [part]

    def _settle(self, commits: Sequence[Commit]) -> None:
        """What was under way ends with the first of the transactions that end."""
        for part in self._parts if commits else ():
            part.settle(commits[0])

    def _numbered(self, changes: Sequence[RowChanges]) -> list[Any]:
        """The number of each change in the stream, table by table."""
        places = [np.asarray(one.ordinals) for one in changes]
        order = np.sort(np.concatenate(places)) if places else np.zeros(0, np.int64)
        first, self._taken = self._taken + 1, self._taken + len(order)
        return [first + np.searchsorted(order, one) for one in places]

    def _brought(self) -> tuple[ChangeFile, ...]:
        """Every file under way, closed and ready to be committed."""
        number, counts = self._log.head.number + 1, defaultdict[str, int](int)
        closed = []
        for part in self._parts:
            if not part.rows:
                continue
            layout = part.layout
            name = change_part_name(number, counts[layout.table], layout.suffix)
            counts[layout.table] += 1
            staged = part.close()
            closed.append((_file(part, staged, name), staged))
        files = _each(lambda one: self._depot.bring(*one), closed)
        self._open, self._ended = {}, []
        return tuple(files)


class _Working:
    """The lock that work holds; Cancelled before and after it where the recorder was closed."""

    def __init__(self, busy: Lock, stop: Event) -> None:
        self._busy, self._stop = busy, stop

    def __enter__(self) -> None:
        self._check()
        self._busy.acquire()

    def __exit__(self, *_: object) -> None:
        self._busy.release()

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The change files were told to close.")


def settled(log: ChangeLog, depot: Depot, spec: FilesTarget, stream_id: str, tables: Iterable[str]) -> None:
    """Take the stream over, and do what was left undone."""
    head = log.take_over()
    for table in tables:
        for number in head.strays:
            depot.discard(changes_folder(table), number)
    shown(log, depot, spec, stream_id, head.files, head.number)
    depot.staging.sweep()


def shown(
    log: ChangeLog, depot: Depot, spec: FilesTarget, stream_id: str, files: Sequence[ChangeFile], number: int
) -> None:
    """Committed files come into their places, and then into their manifests."""
    depot.show(files)
    by_folder: dict[str, list[ChangeFile]] = defaultdict(list)
    for file in files:
        by_folder[file.folder].append(file)

    def tell(folder: str) -> None:
        written = grown(depot.manifest(folder), by_folder[folder], spec, stream_id, number)
        if written is not None:
            depot.tell(folder, written, log)

    _each(tell, list(by_folder))


def _each(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What comes of the work for each, several at a time: a store takes its time to answer."""
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(_AT_ONCE, "change-files") as pool:
        return list(pool.map(work, items))


def _file(part: Part, staged: Staged, name: str) -> ChangeFile:
    layout: ChangeLayout = part.layout
    folder = changes_folder(layout.table)
    return ChangeFile(
        table=layout.table, folder=folder, final=f"{folder}/{name}", rows=staged.rows, stored=staged.stored,
        checksum=staged.checksum, first=part.first, last=part.last, schema=layout.schema,
        shown=schema_document(shown_columns(layout), (), layout.spec),
    )  # fmt: skip
