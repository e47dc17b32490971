"""A folder as a target. The journal's line is the commit; a rename makes it visible."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from threading import Event
from typing import Any

import pyarrow as pa

from rowferry.config.stream import FilesTarget
from rowferry.connectors.base import Journal, PlannedTable, Target, TargetPlan, TargetRequest
from rowferry.connectors.files.anchored import move, opened, remove_tree
from rowferry.connectors.files.change_folder import settle_changes
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.folder import Folder
from rowferry.connectors.files.inspection import schema_document
from rowferry.connectors.files.journal import JournalFile
from rowferry.connectors.files.layout import (
    MANIFEST_FILE,
    SCHEMA_FILE,
    base_folder,
    contents,
    inside,
    journal_folder,
    sync_folder,
)
from rowferry.connectors.files.manifest import manifest_document, parsed, spelled
from rowferry.connectors.files.plan import (
    Policies,
    apply_policies,
    as_prepared,
    check_options,
    layout_of,
    map_tables,
    refuse_declared,
)
from rowferry.connectors.files.prepare import ASIDE, prepare, undo
from rowferry.connectors.files.record import Record, Written
from rowferry.connectors.files.write import ChunkWriter, Staging, settle
from rowferry.errors import InvalidInput, WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.findings import Finding, Severity
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Table


def open_target(request: TargetRequest) -> Target:
    """The folder that the request's connection leads to, for the request's stream."""
    if request.spec.files is None:
        raise InvalidInput("The target's connection is a folder: write its options under target.spec.files.")
    return FilesTargetFolder(request, request.spec.files)


class FilesTargetFolder:
    """Writes tables as folders of files."""

    def __init__(self, request: TargetRequest, spec: FilesTarget) -> None:
        self._spec = spec
        self._policies = Policies(request.schema_policy, request.write_mode, request.followed)
        self._stream_id = request.stream_id
        self._base = base_folder(request.connection)
        self._folder = journal_folder(self._base, request.stream_id)
        self._journal = JournalFile(self._folder)
        self._staging = Staging(self._folder)
        self._stop = Event()
        self._writer = ChunkWriter(self._base, self._journal, self._staging, self._stop)

    def journal(self) -> Journal | None:
        """What was done; after it every chunk that is told as committed is in its place."""
        record = self._recovered()
        return None if record is None else record.journal()

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        """Folders for tables."""
        check_options(self._spec, self._policies)
        plan = map_tables(tables, self._spec, self._policies.followed)
        if prepared:
            return as_prepared(plan, self._journal.load())
        return apply_policies(Folder(self._base), plan, self._spec, self._policies)

    def holds(self, dialect: str) -> Holds:
        """See `Target.holds`: whatever crosses."""
        return Holds()

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        """See `Target.declared`; a file's types come from its format."""
        return refuse_declared(types)

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        """Make the folders, and move away what the policies say goes."""
        record = self._recovered()
        if record is None or not record.prepared:
            prepare(self._base, self._journal, plan, fingerprints, self._policies)

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        """Put the chunks down."""
        self._journal.begun(str(table.target.name), chunks)

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        """One chunk, one file."""
        name = str(table.target.name)
        record = self._journal.load()
        if record is None or name not in record.offsets:
            raise WriteFailed(f"Folder {name} was not prepared by this stream: start a new one.")
        part = record.offsets[name] + chunk.number
        return self._writer.write(layout_of(table, self._spec), name, part, chunk, batches).committed

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        """Write the table's _schema.json and then its manifest; report parts that somebody has changed meanwhile."""
        name = str(table.target.name)
        held = contents(inside(self._base, name))
        written, present = self._written(name), {path.name: path.stat().st_size for path in held.data}
        self._write_beside(
            name, SCHEMA_FILE, schema_document(table.target.columns, table.target.primary_key, self._spec)
        )
        earlier = None
        if held.manifest:
            with writing(held.manifest), os.fdopen(opened(inside(self._base, held.manifest)), "rb") as file:
                earlier = parsed(file.read())
        manifest = manifest_document(table.target, self._spec, self._stream_id, written, present, earlier)
        self._write_beside(name, MANIFEST_FILE, manifest)
        return changed_parts(table, written, present)

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        """Files have no foreign keys."""
        return []

    def forget(self) -> None:
        """Settle what the journal promises, then remove it."""
        if self._recovered() is not None:
            settle_changes(self._base, self._journal, self._spec, self._stream_id)
        self._staging.close()
        self._journal.remove()

    def close(self) -> None:
        """Tell writes that are under way to end."""
        self._stop.set()
        self._staging.close()

    def _recovered(self) -> Record | None:
        record = self._journal.load()
        if record is None:
            return None
        if not record.prepared:
            undo(self._base, self._journal, record)
            return None
        settle(self._base, record.written.values())
        remove_tree(self._folder / ASIDE)
        self._staging.sweep()
        return record

    def _written(self, name: str) -> list[Written]:
        record = self._journal.load()
        return [written for (table, _), written in record.written.items() if table == name] if record else []

    def _write_beside(self, name: str, file: str, document: Mapping[str, Any]) -> None:
        folder = inside(self._base, name)
        final = folder / file
        staged = self._staging.folder() / f"{name}{file}"
        with writing(final):
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(opened(staged, flags), "w", encoding="utf-8") as out:
                out.write(spelled(document))
                out.flush()
                os.fsync(out.fileno())
            move(staged, final)
            sync_folder(folder)


def changed_parts(table: PlannedTable, written: Iterable[Written], present: Mapping[str, int]) -> list[Finding]:
    """A finding for each part that is not there any more as it was written."""
    return [
        Finding(Severity.WARNING, str(table.source.name), f"File {one.final} is no longer as it was written.")
        for one in written
        if one.final is not None and present.get(one.final.rpartition("/")[2]) != one.stored
    ]
