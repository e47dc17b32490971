"""What every format's encoder does, and where its bytes go."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from rowferry.config.stream import Compression, FileFormat, FilesTarget
from rowferry.errors import WriteFailed
from rowferry.model.tables import Column

SUFFIXES = {Compression.NONE: "", Compression.GZIP: ".gz", Compression.ZSTD: ".zst"}
GZIP_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file shall hold: the columns of `table` (a name for messages), as `spec` wants them."""

    table: str
    columns: tuple[Column, ...]
    spec: FilesTarget

    @property
    def suffix(self) -> str:
        """The file name's ending, such as csv.gz."""
        if self.spec.file_format is FileFormat.PARQUET:
            return "parquet"
        return self.spec.file_format.value + SUFFIXES[self.spec.compression]


class Encoder(Protocol):
    """One file under way. Not for several threads."""

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows, in the neutral form of the layout's columns."""

    def close(self) -> None:
        """End the file; it holds the schema even if it holds no rows. Not durable until it is synced."""

    def abort(self) -> None:
        """Let go of a file that will not be used. Never raises."""


class Sink:
    """A file that takes bytes, compressed on the way when asked to be."""

    def __init__(self, path: Path, compression: Compression) -> None:
        self._file = pa.OSFile(str(path), "wb")
        self._gzip = zlib.compressobj(GZIP_LEVEL, wbits=31) if compression is Compression.GZIP else None
        zstd = compression is Compression.ZSTD
        self._stream = pa.CompressedOutputStream(self._file, "zstd") if zstd else self._file

    def write(self, data: bytes | pa.Buffer) -> None:
        """Add the bytes."""
        self._stream.write(self._gzip.compress(memoryview(data)) if self._gzip else data)

    def close(self) -> None:
        """End the compression and close the file."""
        if self._gzip:
            self._stream.write(self._gzip.flush())
        self._stream.close()
        self._file.close()

    def abort(self) -> None:
        """Close the file, whatever state it is in."""
        for stream in (self._stream, self._file):
            with suppress(OSError, pa.ArrowException):
                stream.close()


def check_nulls(batch: pa.RecordBatch, columns: Sequence[Column], table: str) -> None:
    """WriteFailed when a column that is declared NOT NULL holds NULL."""
    for column, array in zip(columns, batch.columns, strict=True):
        if not column.nullable and array.null_count:
            raise WriteFailed(
                f"{table}.{column.name} is declared NOT NULL but a row holds NULL there: correct the row at the source."
            )
