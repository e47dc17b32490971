"""Chunks as files of their own, whole and durable on this machine before anybody hears of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pyarrow as pa

from rowferry.config.stream import FileFormat
from rowferry.connectors.files.encode import Encoder, Layout
from rowferry.connectors.files.encode_csv import csv_file
from rowferry.connectors.files.encode_jsonl import jsonl_file
from rowferry.connectors.files.encode_parquet import ParquetEncoder
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import sync_folder
from rowferry.errors import Cancelled

ENCODERS: dict[FileFormat, Callable[[Path, Layout], Encoder]] = {
    FileFormat.CSV: csv_file,
    FileFormat.JSONL: jsonl_file,
    FileFormat.PARQUET: ParquetEncoder,
}


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that is whole. `size`: bytes of its rows in memory, `stored`: of the file; `checksum`: its SHA-256."""

    path: Path
    rows: int
    size: int
    stored: int
    checksum: str


class Stager:
    """Encodes chunks into files; `stop` ends those that are under way."""

    def __init__(self, stop: Event) -> None:
        self._stop = stop

    def stage(self, path: Path, layout: Layout, batches: Iterator[pa.RecordBatch]) -> Staged:
        """Write the rows to `path`; when that fails in any way, nothing is left there."""
        try:
            return sealed(path, layout, *self._write(path, layout, batches))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def check(self) -> None:
        """Cancelled when the writes were told to end."""
        if self._stop.is_set():
            raise Cancelled("The write was told to stop.")

    def _write(self, path: Path, layout: Layout, batches: Iterator[pa.RecordBatch]) -> tuple[int, int]:
        with writing(layout.table):
            encoder = ENCODERS[layout.spec.file_format](path, layout)
        try:
            rows, size = self._encode(encoder, layout, batches)
            with writing(layout.table):
                encoder.close()
        except BaseException:
            encoder.abort()
            raise
        return rows, size

    def _encode(self, encoder: Encoder, layout: Layout, batches: Iterator[pa.RecordBatch]) -> tuple[int, int]:
        rows = size = 0
        for batch in batches:
            self.check()
            with writing(layout.table):
                encoder.write(batch)
            rows += batch.num_rows
            size += batch.nbytes
        self.check()
        return rows, size


def sealed(path: Path, layout: Layout, rows: int, size: int) -> Staged:
    """A file that its encoder has closed, made durable."""
    with writing(layout.table):
        _sync(path)
        sync_folder(path.parent)
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            return Staged(path, rows, size, file.tell(), checksum)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
