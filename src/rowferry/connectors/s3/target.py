"""A bucket as a target. The journal's object is the commit of a chunk."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePosixPath
from threading import Event

import pyarrow as pa

from rowferry.config.connection import S3Spec
from rowferry.config.storage import s3_target
from rowferry.config.stream import S3Target
from rowferry.connectors.base import Journal, PlannedTable, Target, TargetPlan, TargetRequest
from rowferry.connectors.files.inspection import schema_document
from rowferry.connectors.files.layout import MANIFEST_FILE, SCHEMA_FILE, stream_name, told_apart
from rowferry.connectors.files.manifest import manifest_document, parsed, spelled
from rowferry.connectors.files.plan import (
    Policies,
    apply_policies,
    as_prepared,
    check_options,
    folders_of,
    layout_of,
    map_tables,
    refuse_declared,
)
from rowferry.connectors.files.record import Record, Written
from rowferry.connectors.files.stage import Stager
from rowferry.connectors.files.write import Staging
from rowferry.connectors.s3.bucket import Bucket, Entry
from rowferry.connectors.s3.folders import BucketFolders
from rowferry.connectors.s3.journal import JournalObjects
from rowferry.connectors.s3.recorder import settle_changes
from rowferry.connectors.s3.sending import Uploads, kept_folder
from rowferry.connectors.s3.uploads import abort_uploads
from rowferry.connectors.s3.write import ChunkUploader, Part, private_folder
from rowferry.errors import WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding, Severity
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Table


def open_target(request: TargetRequest) -> Target:
    """The bucket that the request leads to, for the request's stream."""
    spec = s3_target(request.connection, request.spec)
    return BucketTarget(request, spec, request.connection.spec.s3 or S3Spec())


class BucketTarget:
    """Writes tables as objects, a folder a table."""

    def __init__(self, request: TargetRequest, spec: S3Target, store: S3Spec) -> None:
        self._s3 = store
        self._spec = spec
        self._policies = Policies(request.schema_policy, request.write_mode, request.followed)
        self._stream = stream_name(request.stream_id)
        self._bucket = Bucket(self._s3, spec.upload)
        self._place = BucketFolders(self._bucket)
        self._journal = JournalObjects(self._bucket, self._stream)
        self._waiting = private_folder(self._stream, self._bucket)
        self._staging = Staging(self._waiting)
        self._stop = Event()
        self._watch = request.uploads
        uploads = Uploads(self._bucket, self._stream, request.uploads, kept_folder(request.connection, spec))
        self._writer = ChunkUploader(uploads, self._journal, self._staging, Stager(self._stop))
        self._offsets: Mapping[str, int] = {}

    def journal(self) -> Journal | None:
        """What was done; after it everything that had to go is gone."""
        record = self._recovered()
        return None if record is None else record.journal()

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        """Folders for tables."""
        check_options(self._spec, self._policies)
        plan = map_tables(tables, self._spec, self._policies.followed)
        if prepared:
            return as_prepared(plan, self._journal.load())
        return apply_policies(self._place, plan, self._spec, self._policies)

    def holds(self, dialect: str) -> Holds:
        """See `Target.holds`: whatever crosses."""
        return Holds()

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        """See `Target.declared`; a file's types come from its format."""
        return refuse_declared(types)

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        """Say in one object what will be there and what goes, and then let it go."""
        if self._recovered() is not None:
            return
        names = folders_of(plan, self._policies)
        held = {name: self._place.contents(name) for name in names}
        gone = [str(key) for name in names for key in held[name].removable] if self._policies.replaces else []
        offsets = {name: 0 if self._policies.replaces else held[name].next_part for name in names}
        existing = [str(table.target.name) for table in plan.tables if table.existing]
        self._journal.prepared(fingerprints, offsets, existing, gone)
        self._recovered()

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        """Put the chunks down."""
        self._journal.begun(str(table.target.name), chunks)

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        """One chunk, one object."""
        name = str(table.target.name)
        if name not in self._offsets:
            self._recovered()
        if name not in self._offsets:
            raise WriteFailed(f"Folder {name} was not prepared by this stream: start a new one.")
        part = Part(name, self._offsets[name] + chunk.number, chunk, layout_of(table, self._spec))
        return self._writer.write(part, batches).committed

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        """Write the table's _schema.json and then its manifest; report parts that somebody has changed meanwhile."""
        name = str(table.target.name)
        record = self._journal.load()
        written = [one for (of, _), one in record.written.items() if of == name] if record else []
        _, found = self._bucket.look(f"{name}/")
        data = told_apart(PurePosixPath(one) for one in found).data
        schema = schema_document(table.target.columns, table.target.primary_key, self._spec)
        earlier = parsed(self._bucket.read(f"{name}/{MANIFEST_FILE}") if MANIFEST_FILE in found else None)
        present = {one.name: found[one.name].size for one in data}
        manifest = manifest_document(table.target, self._spec, self._stream, written, present, earlier)
        for file, document in ((SCHEMA_FILE, schema), (MANIFEST_FILE, manifest)):
            self._bucket.write(f"{name}/{file}", spelled(document).encode(), self._stream)
        self._watch.finished(name)
        return _changed(table, written, found)

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        """Files have no foreign keys."""
        return []

    def forget(self) -> None:
        """Remove uploads that were never committed, then the journal."""
        record = self._recovered()
        if record is not None:
            tables = list(record.fingerprints or {})
            settle_changes(self._bucket, self._stream, self._staging, self._spec, tables)
            self._bucket.delete(self._uncommitted(record))
            abort_uploads(self._s3, self._bucket, record.offsets)
        self._staging.close()
        self._journal.remove()
        self._offsets = {}
        self._staging.sweep()
        with suppress(OSError):
            (self._waiting / "staging").rmdir()
            self._waiting.rmdir()

    def close(self) -> None:
        """Tell writes that are under way to end."""
        self._stop.set()
        self._staging.close()

    def _recovered(self) -> Record | None:
        record = self._journal.load()
        if record is None:
            return None
        if record.gone and not record.emptied:
            self._bucket.delete(record.gone)
            self._journal.emptied()
        self._staging.sweep()
        self._offsets = record.offsets
        return record

    def _uncommitted(self, record: Record) -> list[str]:
        """Objects that this stream has uploaded and not committed."""
        committed = {written.final for written in record.written.values()}
        found = []
        for name in record.chunks:
            for key in self._place.contents(name).own:
                if str(key) not in committed:
                    head = self._bucket.head(str(key))
                    found += [str(key)] if head is not None and head.stream == self._stream else []
        return found


def _changed(table: PlannedTable, written: Iterable[Written], found: Mapping[str, Entry]) -> list[Finding]:
    """A finding for each part that is not there any more as it was written."""
    changed = []
    for one in written:
        held = found.get(one.final.rpartition("/")[2]) if one.final is not None else None
        if one.final is not None and (held is None or (held.size, held.tag) != (one.stored, one.tag)):
            message = f"File {one.final} is no longer as it was written."
            changed.append(Finding(Severity.WARNING, str(table.source.name), message))
    return changed
