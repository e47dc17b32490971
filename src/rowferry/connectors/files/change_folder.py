"""Change files in a folder on this machine."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rowferry.config.stream import FilesTarget
from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.changes import Recorder
from rowferry.connectors.files.anchored import make_folder, move, opened
from rowferry.connectors.files.change_log import ChangeFile, ChangeLog
from rowferry.connectors.files.change_manifest import Written
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.journal import JournalFile
from rowferry.connectors.files.layout import (
    MANIFEST_FILE,
    SCHEMA_FILE,
    base_folder,
    inside,
    journal_folder,
    sync_folder,
)
from rowferry.connectors.files.manifest import parsed, spelled
from rowferry.connectors.files.recorder import ChangeFiles, settled
from rowferry.connectors.files.stage import Staged
from rowferry.connectors.files.write import Staging
from rowferry.errors import InvalidInput, WriteFailed

_PLACE = "changes"
"""Where, beside the journal, files wait that are not committed, or are and not in their places yet."""


def open_recorder(request: TargetRequest, tables: Sequence[PlannedTable]) -> Recorder:
    """The stream's writer of change files from now on; any that was opened before commits nothing more."""
    if request.spec.files is None:
        raise InvalidInput("The target's connection is a folder: write its options under target.spec.files.")
    base = base_folder(request.connection)
    depot = FolderDepot(base, JournalFile(journal_folder(base, request.stream_id)))
    return ChangeFiles(depot, request.spec.files, request.stream_id, tables)


def settle_changes(base: Path, journal: JournalFile, spec: FilesTarget, stream_id: str) -> None:
    """Let nobody commit changes any more, and do what a commit has left undone."""
    depot = FolderDepot(base, journal)
    log = ChangeLog(depot)
    if log.latest() is not None:
        settled(log, depot, spec, stream_id, ())
        depot.staging.close()


class FolderDepot:
    """`recorder.Depot` below `base`, for the stream of that journal."""

    def __init__(self, base: Path, journal: JournalFile) -> None:
        self._base, self._journal = base, journal
        self._folder = journal.folder
        self.staging = Staging(self._folder / _PLACE)

    def names(self) -> Collection[str] | None:
        """See `Shelf.names`."""
        if not self._journal.path.exists():
            return None
        with writing(self._folder):
            return [place.name for place in self._folder.iterdir()]

    def read(self, name: str) -> bytes | None:
        """See `Shelf.read`."""
        return _read(self._folder / name)

    def create(self, name: str, content: bytes) -> bool:
        """See `Shelf.create`."""
        place = self._folder / name
        if not self._journal.path.exists():
            return False
        with self._journal.locked():
            if place.exists():
                return False
            self._put(place, content)
        return True

    def delete(self, names: Iterable[str]) -> None:
        """See `Shelf.delete`."""
        for name in names:
            with writing(self._folder / name):
                (self._folder / name).unlink(missing_ok=True)

    def bring(self, file: ChangeFile, staged: Staged) -> ChangeFile:
        """The file stays where it waits."""
        final = inside(self._base, file.final)
        if final.exists():
            raise WriteFailed(f"{final} is there already, and this stream did not write it: remove it.")
        return replace(file, staged=str(staged.path.relative_to(self._base)))

    def show(self, files: Sequence[ChangeFile]) -> None:
        """Rename those that are not in their places yet."""
        for folder in {inside(self._base, file.folder) for file in files}:
            if not folder.exists():
                with writing(folder):
                    make_folder(folder)
                    sync_folder(folder.parent)
        for file in files:
            final = inside(self._base, file.final)
            with writing(final), suppress(FileNotFoundError):
                move(inside(self._base, file.staged or ""), final)
        for folder in {inside(self._base, file.folder) for file in files}:
            with writing(folder):
                sync_folder(folder)

    def discard(self, folder: str, number: int) -> None:
        """What did not count has never been in its place."""

    def manifest(self, folder: str) -> Mapping[str, Any] | None:
        """See `Depot.manifest`."""
        return parsed(_read(inside(self._base, folder) / MANIFEST_FILE))

    def tell(self, folder: str, written: Written, log: ChangeLog) -> None:
        """See `Depot.tell`: whoever takes over waits meanwhile."""
        place = inside(self._base, folder)
        with self._journal.locked():
            log.check()
            if written.segment is not None:
                self._put(place / written.segment[0], spelled(written.segment[1]).encode())
            self._put(place / SCHEMA_FILE, spelled(written.document["schema"]).encode())
            self._put(place / MANIFEST_FILE, spelled(written.document).encode())

    def _put(self, place: Path, content: bytes) -> None:
        """Write a file, or put it in the place of one: whole and durable."""
        waiting = self.staging.folder() / place.name
        with writing(place):
            with os.fdopen(opened(waiting, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            move(waiting, place)
            sync_folder(place.parent)


def _read(place: Path) -> bytes | None:
    with writing(place), suppress(FileNotFoundError), os.fdopen(opened(place), "rb") as file:
        return file.read()
    return None
