"""Files of lines: what CSV and JSON Lines do alike."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pyarrow as pa

from rowferry.connectors.files.encode import Layout, Sink, check_nulls
from rowferry.connectors.files.text import bytes_of, slices


class Lines(Protocol):
    """How rows are spelled."""

    @property
    def head(self) -> bytes:
        """What stands before the first row."""

    def spell(self, piece: pa.RecordBatch) -> pa.Array:
        """A line for each row, its end included."""


class LineFile:
    """`Encoder` for a file of lines."""

    def __init__(self, path: Path, layout: Layout, lines: Lines) -> None:
        self._layout = layout
        self._lines = lines
        self._sink = Sink(path, layout.spec.compression)
        self._sink.write(lines.head)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        check_nulls(batch, self._layout.columns, self._layout.table)
        for piece in slices(batch):
            self._sink.write(bytes_of(self._lines.spell(piece)))

    def close(self) -> None:
        """End the file."""
        self._sink.close()

    def abort(self) -> None:
        """Let the file go."""
        self._sink.abort()
