"""Chunks become objects: encoded into a private file here, uploaded to the key that is theirs, then committed.

An upload that was not committed is written again under the same key, and so nothing is there twice. Whoever finds that
a chunk was committed meanwhile leaves its object alone.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from rowferry.config.connection import Connection
from rowferry.config.stream import S3Target
from rowferry.connectors.base import UploadWatch
from rowferry.connectors.files.anchored import at, folder, make_folder
from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import inside, part_name
from rowferry.connectors.files.record import Written
from rowferry.connectors.files.stage import Staged, Stager
from rowferry.connectors.files.write import Staging
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.journal import JournalObjects
from rowferry.errors import Refused, WriteFailed
from rowferry.model.chunks import Chunk, Committed


@dataclass(frozen=True, slots=True)
class Part:
    """A chunk on its way to the object `number` of a table's folder."""

    folder: str
    number: int
    chunk: Chunk
    layout: Layout

    @property
    def key(self) -> str:
        """Its key."""
        return f"{self.folder}/{part_name(self.number, self.layout.suffix)}"


class ChunkUploader:
    """Writes chunks for a stream's journal. `kept`: a folder that gets a copy of every file."""

    def __init__(
        self,
        bucket: Bucket,
        journal: JournalObjects,
        staging: Staging,
        stager: Stager,
        *,
        stream_id: str,
        watch: UploadWatch,
        kept: Path | None,
    ) -> None:
        self._bucket = bucket
        self._journal = journal
        self._staging = staging
        self._stager = stager
        self._stream = stream_id
        self._watch = watch
        self._kept = kept

    def write(self, part: Part, batches: Iterator[pa.RecordBatch]) -> Written:
        """Write the chunk and commit it."""
        self._stager.check()
        known = self._journal.find(part.folder, part.chunk.number)
        if known is not None:
            return known
        path = self._staging.folder() / f"{uuid.uuid4().hex}.{part.layout.suffix}"
        staged = self._stager.stage(path, part.layout, batches)
        try:
            return self._committed_meanwhile(part) or self._commit(part, staged)
        finally:
            path.unlink(missing_ok=True)

    def _committed_meanwhile(self, part: Part) -> Written | None:
        """Another writer's entry. WriteFailed when the stream has ended, or when a stranger's object is in the way."""
        if not self._journal.stands():
            raise WriteFailed(f"The stream that writes {part.folder} has ended: start a new one.")
        found = self._bucket.head(part.key)
        if found is None:
            return None
        if found.stream != self._stream:
            raise WriteFailed(f"{part.key} is there already, and this stream did not write it: remove it.")
        return self._journal.find(part.folder, part.chunk.number)

    def _commit(self, part: Part, staged: Staged) -> Written:
        entry = Written(Committed(part.folder, part.chunk.number, staged.rows, staged.size, part.chunk.at))
        if staged.rows or part.chunk.number == 0:
            tag = self._upload(part, staged)
            entry = replace(entry, final=part.key, stored=staged.stored, checksum=staged.checksum, tag=tag)
        else:
            self._bucket.delete([part.key])
        held = self._journal.commit(entry)
        if held.final is None and entry.final is not None:
            self._bucket.delete([part.key])
        return held

    def _upload(self, part: Part, staged: Staged) -> str | None:
        with watched(self._watch, part.folder, self._bucket, staged):
            tag = self._bucket.upload(part.key, staged.path, self._stream)
            keep(self._kept, part.key, staged.path)
        return tag


@contextmanager
def watched(watch: UploadWatch, table: str, bucket: Bucket, staged: Staged) -> Iterator[None]:
    """Tell that a file of the table is on its way while the block lasts, and whether it has arrived."""
    watch.began(table, bucket.name, staged.stored)
    whole = False
    try:
        yield
        whole = True
    finally:
        watch.ended(table, staged.stored, whole)


def kept_folder(connection: Connection, spec: S3Target) -> Path | None:
    """The folder that gets a copy of every file, where one is asked for."""
    wanted = spec.upload.keep_local_files
    return connection.roots.place(spec.output_directory, "outputDirectory") if wanted else None


def keep(kept: Path | None, key: str, path: Path) -> None:
    """Move an uploaded file into the folder of those that are kept, if there is one."""
    if kept is None:
        return
    place = inside(kept, key)
    with writing(place):
        make_folder(place.parent)
        with folder(place.parent) as held:
            shutil.move(path, at(held, place.name))


def private_folder(stream_id: str, bucket: Bucket) -> Path:
    """Where a stream's files wait on this machine, readable by this user alone; Refused where another one has it."""
    place = hashlib.sha256(f"{bucket.endpoint}/{bucket.name}/{bucket.prefix}".encode()).hexdigest()[:12]
    top = Path(tempfile.gettempdir()) / f"rowferry-{os.getuid()}"
    with writing(top):
        top.mkdir(mode=0o700, exist_ok=True)
        found = top.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise Refused(f"Other users can reach the folder {top}: remove it, or set TMPDIR to another folder.")
    return top / f"{stream_id}-{place}"
