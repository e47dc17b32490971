"""A stream's journal in its target folder: a file of `record` lines.

Files that preparing removes are moved aside first; a chunk's staged file is renamed after its line. A last line that
a crash cut off never happened, and is cut off for good.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Any

from rowferry.connectors.files.anchored import folder, make_folder, opened
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import sync_folder
from rowferry.connectors.files.record import (
    Preparation,
    Record,
    Written,
    begun_line,
    prepared_line,
    preparing_line,
    written_line,
)
from rowferry.errors import Conflict, WriteFailed
from rowferry.model.chunks import Chunk

FILE = "journal.jsonl"


class JournalFile:
    """The journal of one stream; its methods may be called from several threads, and by several processes.

    Whoever writes holds a lock on the file and has read all that others wrote before.
    """

    def __init__(self, place: Path) -> None:
        self.folder = place
        self.path = place / FILE
        self._mutex = Lock()
        self._record = Record()
        self._read = 0

    def create(self) -> None:
        """Make an empty journal, if there is none, under a folder whose name is durable."""
        with writing(self.path):
            make_folder(self.folder)
            os.close(opened(self.path, os.O_WRONLY | os.O_CREAT))
            for place in (self.folder, self.folder.parent, self.folder.parent.parent):
                sync_folder(place)

    def remove(self) -> None:
        """Delete the journal and everything beside it. Nothing to delete is no error."""
        with self._mutex, writing(self.folder):
            if self.folder.exists():
                with folder(self.folder) as held, suppress(FileNotFoundError):
                    os.unlink(FILE, dir_fd=held)
                with folder(self.folder.parent) as held:
                    shutil.rmtree(self.folder.name, dir_fd=held)
            with suppress(OSError), folder(self.folder.parent.parent) as held:
                os.rmdir(self.folder.parent.name, dir_fd=held)
            self._record, self._read = Record(), 0

    def load(self) -> Record | None:
        """What the journal says, None when there is none. The record is this object's own: read it only."""
        if not self.path.exists():
            return None
        with self._exclusive():
            return self._record

    def preparing(self, preparation: Preparation) -> None:
        """Promise what preparing will do."""
        self._append(preparing_line(preparation))

    def prepared(self, fingerprints: Mapping[str, str], offsets: Mapping[str, int], existing: Sequence[str]) -> None:
        """Say that the structure stands."""
        self._append(prepared_line(fingerprints, offsets, existing))

    def begun(self, table: str, chunks: Sequence[Chunk]) -> None:
        """Put a table's chunks down; Conflict when others are there already."""
        with self._exclusive() as file:
            known = self._record.chunks.get(table)
            if known is not None and known != list(chunks):
                raise Conflict(f"The journal of folder {table} expects other chunks: start a new stream.")
            if known is None:
                self._write(file, begun_line(table, chunks))

    def commit(self, written: Written) -> Written:
        """Commit a chunk and return its entry: an earlier one's, if somebody was faster."""
        done = written.committed
        with self._exclusive() as file:
            known = self._record.written.get((done.table, done.number))
            if known is not None:
                return known
            self._write(file, written_line(written))
        return written

    def find(self, table: str, number: int) -> Written | None:
        """The entry of a committed chunk, whoever wrote it."""
        with self._exclusive():
            return self._record.written.get((table, number))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else writes by this journal meanwhile."""
        with self._exclusive():
            yield

    def _append(self, line: Mapping[str, Any]) -> None:
        with self._exclusive() as file:
            self._write(file, line)

    @contextmanager
    def _exclusive(self) -> Iterator[int]:
        """The opened journal, locked and read to its end."""
        with self._mutex, writing(self.path):
            file = opened(self.path, os.O_RDWR | os.O_APPEND)
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                self._catch_up(file)
                yield file
            finally:
                os.close(file)

    def _catch_up(self, file: int) -> None:
        end = os.fstat(file).st_size
        data = bytearray()
        while self._read + len(data) < end:
            data += os.pread(file, end - self._read - len(data), self._read + len(data))
        lines = bytes(data).splitlines(keepends=True)
        for at, line in enumerate(lines):
            try:
                self._take(line)
            except ValueError as error:
                if at < len(lines) - 1:
                    raise WriteFailed(f"{self.path} is damaged: start a new stream, which plans anew.") from error
                os.ftruncate(file, self._read)
                os.fsync(file)

    def _take(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            raise ValueError("a line that was cut off")
        self._record.apply(json.loads(line))
        self._read += len(line)

    def _write(self, file: int, line: Mapping[str, Any]) -> None:
        data = json.dumps(line).encode() + b"\n"
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        except OSError:
            os.ftruncate(file, self._read)
            raise
        self._take(data)
