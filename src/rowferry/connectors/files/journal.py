"""A stream's journal in its target folder: lines of JSON, each durable before what it allows is done.

    preparing   the files that will be moved aside and the folders that will be made
    prepared    that is done; fingerprints, and from which number on each table's parts count
    begun       a table's chunks
    written     a chunk is committed: this line is the commit; its staged file is renamed after it

A last line that a crash cut off never happened, and is cut off for good.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import sync_folder
from rowferry.errors import Conflict, WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.tables import TableName

FILE = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Written:
    """A committed chunk: its staged file and its final place, both relative to the base (None: it had no rows)."""

    committed: Committed
    staged: str | None = None
    final: str | None = None
    stored: int = 0


@dataclass(frozen=True, slots=True)
class Preparation:
    """What preparing does: `moves` of files aside (from, to) and `folders` to make, relative to the base."""

    moves: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()


@dataclass(slots=True)
class Record:
    """What a journal says so far."""

    preparation: Preparation | None = None
    fingerprints: dict[str, str] | None = None
    offsets: dict[str, int] = field(default_factory=dict)
    existing: frozenset[str] = frozenset()
    chunks: dict[str, list[Chunk]] = field(default_factory=dict)
    written: dict[tuple[str, int], Written] = field(default_factory=dict)

    @property
    def prepared(self) -> bool:
        """Whether the structure stage is behind us."""
        return self.fingerprints is not None

    def apply(self, line: Mapping[str, Any]) -> None:
        """Take in one line."""
        _APPLIED[line["kind"]](self, line)


def _preparing(record: Record, line: Mapping[str, Any]) -> None:
    moves = tuple((source, aside) for source, aside in line["moves"])
    record.preparation = Preparation(moves, tuple(line["folders"]))


def _prepared(record: Record, line: Mapping[str, Any]) -> None:
    record.fingerprints = dict(line["fingerprints"])
    record.offsets = dict(line["offsets"])
    record.existing = frozenset(line["existing"])


def _begun(record: Record, line: Mapping[str, Any]) -> None:
    record.chunks[line["table"]] = [
        Chunk(TableName(*source), number, _key(low), _key(high)) for source, number, low, high in line["chunks"]
    ]


def _written(record: Record, line: Mapping[str, Any]) -> None:
    committed = Committed(line["table"], line["number"], line["rows"], line["size"])
    written = Written(committed, line["staged"], line["final"], line["stored"])
    record.written[committed.table, committed.number] = written


_APPLIED: dict[str, Callable[[Record, Mapping[str, Any]], None]] = {
    "preparing": _preparing,
    "prepared": _prepared,
    "begun": _begun,
    "written": _written,
}


def _key(value: list[int | str] | None) -> tuple[int | str, ...] | None:
    return None if value is None else tuple(value)


class JournalFile:
    """The journal of one stream; its methods may be called from several threads, and by several processes.

    Whoever writes holds a lock on the file and has read all that others wrote before.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE
        self._mutex = Lock()
        self._record = Record()
        self._read = 0

    def create(self) -> None:
        """Make an empty journal, if there is none, under a folder whose name is durable."""
        with writing(self.path):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            for folder in (self.folder, self.folder.parent, self.folder.parent.parent):
                sync_folder(folder)

    def remove(self) -> None:
        """Delete the journal and everything beside it. Nothing to delete is no error."""
        with self._mutex, writing(self.folder):
            self.path.unlink(missing_ok=True)
            if self.folder.exists():
                shutil.rmtree(self.folder)
            with suppress(OSError):
                self.folder.parent.rmdir()
            self._record, self._read = Record(), 0

    def load(self) -> Record | None:
        """What the journal says, None when there is none. The record is this object's own: read it only."""
        if not self.path.exists():
            return None
        with self._exclusive():
            return self._record

    def preparing(self, preparation: Preparation) -> None:
        """Promise what preparing will do."""
        moves = [list(move) for move in preparation.moves]
        self._append({"kind": "preparing", "moves": moves, "folders": list(preparation.folders)})

    def prepared(self, fingerprints: Mapping[str, str], offsets: Mapping[str, int], existing: Sequence[str]) -> None:
        """Say that the structure stands."""
        self._append(
            {
                "kind": "prepared",
                "fingerprints": dict(fingerprints),
                "offsets": dict(offsets),
                "existing": list(existing),
            }
        )

    def begun(self, table: str, chunks: Sequence[Chunk]) -> None:
        """Put a table's chunks down; Conflict when others are there already."""
        lines = [[[chunk.table.schema, chunk.table.name], chunk.number, chunk.low, chunk.high] for chunk in chunks]
        with self._exclusive() as opened:
            known = self._record.chunks.get(table)
            if known is not None and known != list(chunks):
                raise Conflict(f"The journal of folder {table} expects other chunks: start a new stream.")
            if known is None:
                self._write(opened, {"kind": "begun", "table": table, "chunks": lines})

    def commit(self, written: Written) -> Written:
        """Commit a chunk and return its entry: an earlier one's, if somebody was faster."""
        done = written.committed
        with self._exclusive() as opened:
            known = self._record.written.get((done.table, done.number))
            if known is not None:
                return known
            line = {"kind": "written", "table": done.table, "number": done.number, "rows": done.rows}
            files = {"size": done.size, "stored": written.stored, "staged": written.staged, "final": written.final}
            self._write(opened, {**line, **files})
        return written

    def find(self, table: str, number: int) -> Written | None:
        """The entry of a committed chunk, whoever wrote it."""
        with self._exclusive():
            return self._record.written.get((table, number))

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._exclusive() as opened:
            self._write(opened, line)

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        """The opened journal, locked and read to its end."""
        with self._mutex, writing(self.path):
            opened = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX)
                self._catch_up(opened)
                yield opened
            finally:
                os.close(opened)

    def _catch_up(self, opened: int) -> None:
        end = os.fstat(opened).st_size
        data = bytearray()
        while self._read + len(data) < end:
            data += os.pread(opened, end - self._read - len(data), self._read + len(data))
        lines = bytes(data).splitlines(keepends=True)
        for at, line in enumerate(lines):
            try:
                self._take(line)
            except ValueError as error:
                if at < len(lines) - 1:
                    raise WriteFailed(f"{self.path} is damaged: start a new stream, which plans anew.") from error
                os.ftruncate(opened, self._read)
                os.fsync(opened)

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            raise ValueError("a line that was cut off")
        self._record.apply(json.loads(line))
        self._read += len(line)

    def _write(self, opened: int, line: Mapping[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(opened, rest) :]
            os.fsync(opened)
        except OSError:
            os.ftruncate(opened, self._read)
            raise
        self._take(data)
