"""Chunks become objects: encoded into a private file here, uploaded to the key that is theirs, then committed.

An upload that was not committed is written again under the same key, and so nothing is there twice. Whoever finds that
a chunk was committed meanwhile leaves its object alone.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from rowferry.connectors.files.encode import Layout
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import part_name
from rowferry.connectors.files.record import Written
from rowferry.connectors.files.stage import Staged, Stager
from rowferry.connectors.files.write import Staging
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.journal import JournalObjects
from rowferry.connectors.s3.sending import Uploads
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
    """Writes chunks for a stream's journal."""

    def __init__(self, uploads: Uploads, journal: JournalObjects, staging: Staging, stager: Stager) -> None:
        self._uploads = uploads
        self._journal = journal
        self._staging = staging
        self._stager = stager

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
        there = self._uploads.holds(part.key)
        return self._journal.find(part.folder, part.chunk.number) if there else None

    def _commit(self, part: Part, staged: Staged) -> Written:
        entry = Written(Committed(part.folder, part.chunk.number, staged.rows, staged.size, part.chunk.at))
        if staged.rows or part.chunk.number == 0:
            tag = self._uploads.send(part.folder, part.key, staged)
            entry = replace(entry, final=part.key, stored=staged.stored, checksum=staged.checksum, tag=tag)
        else:
            self._uploads.bucket.delete([part.key])
        held = self._journal.commit(entry)
        if held.final is None and entry.final is not None:
            self._uploads.bucket.delete([part.key])
        return held


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
