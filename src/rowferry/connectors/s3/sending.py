"""Files on their way into a bucket: watched, and kept here where that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rowferry.config.connection import Connection
from rowferry.config.stream import S3Target
from rowferry.connectors.base import UploadWatch
from rowferry.connectors.files.anchored import at, folder, make_folder
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import inside
from rowferry.connectors.files.stage import Staged
from rowferry.connectors.s3.bucket import Bucket
from rowferry.errors import WriteFailed


@dataclass(frozen=True)
class Uploads:
    """A stream's way to put its files into a bucket. `kept`: a folder that gets a copy of every file."""

    bucket: Bucket
    stream_id: str
    watch: UploadWatch
    kept: Path | None = None

    def holds(self, key: str) -> bool:
        """Whether the object is there; WriteFailed where it is not this stream's."""
        found = self.bucket.head(key)
        if found is not None and found.stream != self.stream_id:
            raise WriteFailed(f"{key} is there already, and this stream did not write it: remove it.")
        return found is not None

    def send(self, table: str, key: str, staged: Staged) -> str | None:
        """Upload a file of the table, which is then no longer where it was if copies are kept; the object's tag."""
        with self._watched(table, staged.stored):
            tag = self.bucket.upload(key, staged.path, self.stream_id)
            if self.kept is not None:
                _move(staged.path, inside(self.kept, key))
        return tag

    @contextmanager
    def _watched(self, table: str, size: int) -> Iterator[None]:
        self.watch.began(table, self.bucket.name, size)
        whole = False
        try:
            yield
            whole = True
        finally:
            self.watch.ended(table, size, whole)


def kept_folder(connection: Connection, spec: S3Target) -> Path | None:
    """The folder that gets a copy of every file, where one is asked for."""
    wanted = spec.upload.keep_local_files
    return connection.roots.place(spec.output_directory, "outputDirectory") if wanted else None


def _move(path: Path, place: Path) -> None:
    with writing(place):
        make_folder(place.parent)
        with folder(place.parent) as held:
            shutil.move(path, at(held, place.name))
