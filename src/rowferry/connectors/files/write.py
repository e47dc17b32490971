"""Chunks become files: staged whole, committed by a line of the journal, then renamed into their place."""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock

import pyarrow as pa

from rowferry.config.stream import FileFormat
from rowferry.connectors.files.encode import Encoder, Layout
from rowferry.connectors.files.encode_csv import csv_file
from rowferry.connectors.files.encode_jsonl import jsonl_file
from rowferry.connectors.files.encode_parquet import ParquetEncoder
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.journal import JournalFile, Written
from rowferry.connectors.files.layout import inside, part_name, sync_folder
from rowferry.errors import Cancelled, WriteFailed
from rowferry.model.chunks import Chunk, Committed

ENCODERS: dict[FileFormat, Callable[[Path, Layout], Encoder]] = {
    FileFormat.CSV: csv_file,
    FileFormat.JSONL: jsonl_file,
    FileFormat.PARQUET: ParquetEncoder,
}


class Staging:
    """This process's own folder for files under way; locked, so that others see that it is in use."""

    def __init__(self, journals: Path) -> None:
        self._root = journals / "staging"
        self._lock = Lock()
        self._folder: Path | None = None
        self._opened = -1

    def folder(self) -> Path:
        """The folder, made when it is first asked for."""
        with self._lock:
            while self._folder is None:
                self._folder = self._made()
            return self._folder

    def sweep(self) -> None:
        """Delete what processes that are gone have left."""
        for left in self._root.glob("*"):
            with suppress(FileNotFoundError, BlockingIOError):
                opened = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(left, ignore_errors=True)
                finally:
                    os.close(opened)

    def close(self) -> None:
        """Let go of the folder, and delete it if no file of another thread is in it."""
        with self._lock:
            if self._folder is None:
                return
            with suppress(OSError):
                self._folder.rmdir()
            os.close(self._opened)
            self._folder, self._opened = None, -1

    def _made(self) -> Path | None:
        folder = self._root / uuid.uuid4().hex
        with writing(folder):
            folder.mkdir(parents=True)
            sync_folder(self._root.parent)
            sync_folder(self._root)
            opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(opened, fcntl.LOCK_EX)
        if not folder.exists():
            os.close(opened)
            return None
        self._opened = opened
        return folder


class ChunkWriter:
    """Writes chunks under `base`, for a stream's journal; `stop` ends the writes that are under way."""

    def __init__(self, base: Path, journal: JournalFile, staging: Staging, stop: Event) -> None:
        self._base = base
        self._journal = journal
        self._staging = staging
        self._stop = stop

    def write(self, layout: Layout, folder: str, part: int, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Written:
        """Write the chunk as part number `part` of `folder`, commit it, and put the file into its place."""
        self._check()
        final = inside(self._base, folder) / part_name(part, layout.suffix)
        known = self._journal.find(folder, chunk.number)
        if known is not None:
            return known
        if final.exists():
            raise WriteFailed(f"{final} is there already, and this stream did not write it: remove it.")
        staged = self._staging.folder() / f"{uuid.uuid4().hex}.{layout.suffix}"
        try:
            rows, size = self._stage(staged, layout, batches)
        except BaseException:
            staged.unlink(missing_ok=True)
            raise
        kept = rows > 0 or chunk.number == 0
        entry = Written(
            Committed(folder, chunk.number, rows, size),
            str(staged.relative_to(self._base)) if kept else None,
            str(final.relative_to(self._base)) if kept else None,
            staged.stat().st_size if kept else 0,
        )
        return self._commit(entry, staged)

    def _commit(self, entry: Written, staged: Path) -> Written:
        """From the journal's line on the staged file is the only copy: it goes only when it is nobody's."""
        held = self._journal.commit(entry)
        if held is not entry or entry.staged is None:
            staged.unlink(missing_ok=True)
        settle(self._base, [held])
        return held

    def _stage(self, staged: Path, layout: Layout, batches: Iterator[pa.RecordBatch]) -> tuple[int, int]:
        with writing(layout.table):
            encoder = ENCODERS[layout.spec.file_format](staged, layout)
        try:
            rows, size = self._encode(encoder, layout, batches)
            with writing(layout.table):
                encoder.close()
                _sync(staged)
                sync_folder(staged.parent)
        except BaseException:
            encoder.abort()
            raise
        return rows, size

    def _encode(self, encoder: Encoder, layout: Layout, batches: Iterator[pa.RecordBatch]) -> tuple[int, int]:
        rows = size = 0
        for batch in batches:
            self._check()
            with writing(layout.table):
                encoder.write(batch)
            rows += batch.num_rows
            size += batch.nbytes
        self._check()
        return rows, size

    def _check(self) -> None:
        if self._stop.is_set():
            raise Cancelled("The write was told to stop.")


def settle(base: Path, entries: Iterable[Written]) -> None:
    """Do the renames that the journal's lines promise, unless they have been done."""
    folders = set()
    for written in entries:
        if written.staged is None or written.final is None:
            continue
        final = inside(base, written.final)
        folders.add(final.parent)
        with writing(final), suppress(FileNotFoundError):
            (base / written.staged).rename(final)
    for folder in folders:
        with writing(folder), suppress(FileNotFoundError):
            sync_folder(folder)


def _sync(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
