"""Chunks become files: staged whole, committed by a line of the journal, then renamed into their place."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock

import pyarrow as pa

from rowferry.connectors.files.anchored import at, make_folder, move, remove_tree
from rowferry.connectors.files.anchored import folder as anchored_folder
from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.journal import JournalFile
from rowferry.connectors.files.layout import inside, part_name, sync_folder
from rowferry.connectors.files.record import Written
from rowferry.connectors.files.stage import Stager
from rowferry.errors import WriteFailed
from rowferry.model.chunks import Chunk, Committed


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
            with suppress(FileNotFoundError, NotADirectoryError, BlockingIOError):
                opened = _listed(left)
                try:
                    fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_tree(left)
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
            make_folder(folder)
            sync_folder(self._root.parent)
            sync_folder(self._root)
            opened = _listed(folder)
        fcntl.flock(opened, fcntl.LOCK_EX)
        if not folder.exists():
            os.close(opened)
            return None
        self._opened = opened
        return folder


def _listed(place: Path) -> int:
    with anchored_folder(place) as held:
        return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=held)


class ChunkWriter:
    """Writes chunks under `base`, for a stream's journal; `stop` ends the writes that are under way."""

    def __init__(self, base: Path, journal: JournalFile, staging: Staging, stop: Event) -> None:
        self._base = base
        self._journal = journal
        self._staging = staging
        self._stager = Stager(stop)

    def write(self, layout: Layout, folder: str, part: int, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Written:
        """Write the chunk as part number `part` of `folder`, commit it, and put the file into its place."""
        self._stager.check()
        final = inside(self._base, folder) / part_name(part, layout.suffix)
        known = self._journal.find(folder, chunk.number)
        if known is not None:
            return known
        if final.exists():
            raise WriteFailed(f"{final} is there already, and this stream did not write it: remove it.")
        path = self._staging.folder() / f"{uuid.uuid4().hex}.{layout.suffix}"
        with ExitStack() as stack:
            with writing(path):
                held = stack.enter_context(anchored_folder(path.parent))
            staged = self._stager.stage(at(held, path.name), layout, batches)
        entry = Written(Committed(folder, chunk.number, staged.rows, staged.size, chunk.at))
        if staged.rows > 0 or chunk.number == 0:
            entry = replace(
                entry,
                staged=str(path.relative_to(self._base)),
                final=str(final.relative_to(self._base)),
                stored=staged.stored,
                checksum=staged.checksum,
            )
        return self._commit(entry, path)

    def _commit(self, entry: Written, staged: Path) -> Written:
        """From the journal's line on the staged file is the only copy: it goes only when it is nobody's."""
        held = self._journal.commit(entry)
        if held is not entry or entry.staged is None:
            staged.unlink(missing_ok=True)
        settle(self._base, [held])
        return held


def settle(base: Path, entries: Iterable[Written]) -> None:
    """Do the renames that the journal's lines promise, unless they have been done."""
    folders = set()
    for written in entries:
        if written.staged is None or written.final is None:
            continue
        final = inside(base, written.final)
        folders.add(final.parent)
        with writing(final), suppress(FileNotFoundError):
            move(inside(base, written.staged), final)
    for folder in folders:
        with writing(folder), suppress(FileNotFoundError):
            sync_folder(folder)
