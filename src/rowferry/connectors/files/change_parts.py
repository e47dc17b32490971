"""One change file under way: rows whose transactions have ended are encoded, others wait beside it on disk."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rowferry.connectors.changes import Commit
from rowferry.connectors.files.change_encode import CHANGE_ENCODERS
from rowferry.connectors.files.change_rows import ChangeLayout, stamped
from rowferry.connectors.files.encode import Encoder
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.stage import Staged, sealed


class Part:
    """A file in the making, in a folder of this process's own. Not for several threads.

    `rows`, `size`: of what is in the file, the latter in memory. `first`, `last`: ordinal and position of its first and
    last change.
    """

    def __init__(self, folder: Path, layout: ChangeLayout) -> None:
        self.layout = layout
        self.rows = self.size = 0
        self.first: tuple[int, str] = (0, "")
        self.last: tuple[int, str] = (0, "")
        self._path = folder / f"{uuid.uuid4().hex}.{layout.suffix}"
        self._encoder: Encoder | None = None
        self._spill = _Spill(self._path.with_suffix(".waiting"))

    @property
    def waits(self) -> bool:
        """Whether there are changes whose transaction has not ended."""
        return self._spill.rows > 0

    def add(self, shape: pa.RecordBatch, commits: Sequence[Commit], which: Any) -> None:
        """Write changes, of whose transactions `which` says for each the place in `commits`."""
        if not shape.num_rows:
            return
        rows = stamped(self.layout, shape, commits, which)
        with writing(self.layout.table):
            if self._encoder is None:
                self._encoder = CHANGE_ENCODERS[self.layout.spec.file_format](self._path, self.layout)
            self._encoder.write(rows)
        ordinals = np.asarray(shape.column("ordinal"))
        self.last = int(ordinals[-1]), commits[int(which[-1])].position
        if not self.rows:
            self.first = int(ordinals[0]), commits[int(which[0])].position
        self.rows += rows.num_rows
        self.size += rows.nbytes

    def hold(self, shape: pa.RecordBatch) -> None:
        """Let changes wait for the end of their transaction."""
        if shape.num_rows:
            with writing(self.layout.table):
                self._spill.add(shape)

    def settle(self, commit: Commit) -> None:
        """The transaction of what waits has ended."""
        for shape in self._spill.taken(self.layout.table):
            self.add(shape, (commit,), np.zeros(shape.num_rows, np.int64))

    def close(self) -> Staged:
        """The file, whole and durable; it has at least one row."""
        if self._encoder is None:
            raise RuntimeError("a change file has at least one change")
        with writing(self.layout.table):
            self._encoder.close()
        self._encoder = None
        return sealed(self._path, self.layout, self.rows, self.size)

    def discard(self) -> None:
        """Let everything go. Never raises."""
        if self._encoder is not None:
            self._encoder.abort()
        self._encoder = None
        self._spill.discard()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


class _Spill:
    """Batches on disk until they are taken. `rows`: how many wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._file: pa.OSFile | None = None
        self.rows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Let a batch wait."""
        if self._writer is None:
            self._file = pa.OSFile(str(self._path), "wb")
            self._writer = pa.ipc.new_stream(self._file, batch.schema)
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def taken(self, name: str) -> Iterator[pa.RecordBatch]:
        """All that waits, in order; afterwards nothing does. `name` is for messages."""
        if self._writer is None:
            return
        with writing(name):
            self._end()
            opened = pa.OSFile(str(self._path), "rb")
        with closing(opened) as file, pa.ipc.open_stream(file) as batches:
            yield from batches
        self.discard()

    def discard(self) -> None:
        """Nothing waits any more."""
        with suppress(OSError, pa.ArrowException):
            self._end()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.rows = 0

    def _end(self) -> None:
        writer, file, self._writer, self._file = self._writer, self._file, None, None
        if writer is not None and file is not None:
            writer.close()
            file.close()
