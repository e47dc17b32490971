"""The contracts between the pipeline and what it moves rows from and to.

Everything that crosses is an Arrow record batch in the neutral form (`rowferry.typemap.arrow`). No
connector knows another. An object from here is used by one stream; unless it says otherwise, its methods
may be called from several threads at once, each on a connection of its own.

Errors are `rowferry.errors` only: a driver's exception is translated where it is caught, `raise … from`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceFiles, SourceS3
from rowferry.config.stream import Consistency, SchemaPolicy, StructureOptions, TargetSpec, WriteMode
from rowferry.model.chunks import Chunk, Committed
from rowferry.model.digests import Bucket, Digest, RowDigest, RowId, Spelling, View
from rowferry.model.findings import Finding, Remark
from rowferry.model.policies import Holds
from rowferry.model.tables import Column, Selection, Table, TableName
from rowferry.typemap.treatment import Policies, Treated, Want

if TYPE_CHECKING:
    import pyarrow as pa

    from rowferry.connectors.changes import Applier, ChangeSource, ChangesRequest, Recorder


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, as far as the layers above must know.

    `schemas`: databases hold schemas (PostgreSQL). `source`, `target`: rows can be read, written. `echoes`: what
    foreign keys do to other rows stands in the engine's log, too.
    """

    schemas: bool = False
    source: bool = True
    target: bool = True
    echoes: bool = False


@dataclass(frozen=True, slots=True)
class Namespace:
    """A database, or a schema inside one. `system`: it belongs to the server, not to the user."""

    name: str
    system: bool = False
    schemas: tuple[Namespace, ...] = ()


class Server(Protocol):
    """The far end of a connection, for browsing and testing; short calls, one thread."""

    def ping(self) -> None:
        """Return when the far end answers and lets us in; ConnectionFailed, with the reason, when not."""

    def databases(self) -> list[Namespace]:
        """The databases (folders of a files connection), each with its schemas where the engine has them."""

    def create_database(self, name: str) -> None:
        """Create a database; Conflict when it is there."""

    def create_schema(self, database: str, name: str) -> None:
        """Create a schema in a database; Conflict when it is there, InvalidInput where the engine has none."""

    def tables(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The base tables, sorted: "schema.table" where the engine has schemas, else "table"."""

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The views, in the same form."""

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The base tables with their whole structure."""

    def close(self) -> None:
        """Give back what is held. May be called twice."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """Where a stream reads: `database`, and `schema` where the engine has them (None: the engine's default).

    `files`, `s3`: which files or objects, where they are the source. `rejects`: the folder for rows that cannot be
    read, which are left out then (None: such a row is an error).
    """

    connection: Connection
    database: str | None = None
    schema: str | None = None
    files: SourceFiles | None = None
    rejects: Path | None = None
    s3: SourceS3 | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """How many rows of a table could not be read and were left out, and where they are kept."""

    rows: int
    place: str


@dataclass(frozen=True, slots=True)
class TableRequest:
    """A table that a config names ("t" or "schema.t"), or a query to be read under that name."""

    name: str
    selection: Selection = field(default_factory=Selection)
    query: str | None = None


@dataclass(frozen=True, slots=True)
class ChunkSize:
    """How large a chunk may be: `rows` at the most, and about `size` bytes.

    What cannot be split by a key (`Table.key`) keeps neither: it is cut about so, or is one chunk.
    """

    rows: int
    size: int


class Source(Protocol):
    """Where rows come from."""

    @property
    def dialect(self) -> str:
        """The name sqlglot gives the engine's SQL, in which defaults and checks are written."""

    @property
    def steady(self) -> bool:
        """Whether nothing changes unnoticed between two chunks of a table, even of one without a key."""

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """The requested tables with their structure, in the order of the requests; without any, every user table
        sorted by name.

        A column whose type no rule carries has type `Unknown`. MissingTable names every table that is not
        there; InvalidInput names a selected, filtered or sorted column that is not, or the query that is none.
        """

    def treated(self, want: Want, policies: Policies) -> Treated:
        """How the column is read, so that the target gets what it can hold.

        `policies` say what is read in place of values that cannot cross; without one, a value that is met is an error.
        """

    def besides(self) -> list[Remark]:
        """What the place holds beside its tables, which nothing moves: views, sequences, routines."""

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        """Let all later reads see the rows of one moment, as far as the source can and is asked to (None: its default).

        `tables` are those that will be read, by so many `readers` at the same time; a further one may have to wait
        until another has ended. Refused when a snapshot is wished for and cannot be had, ReadFailed when just not now.
        """

    def consistency(self) -> str:
        """In one sentence: of which moments the rows are that have been read."""

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """Split the table: at least one chunk, numbered from 0, that together hold each row exactly once.

        Each begins where the one before it ends (`low` is its `high`), the first and the last are open; so rows
        that come later belong to a chunk too. A query, and a selection with an order or a limit, is one chunk.
        SourceChanged when the table or its key is gone, unless only `read` notices.
        """

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        """The chunk's rows, with the schema `arrow_schema(table.columns)`, in memory bounded whatever their number.

        May be repeated, and by another source. No row, no batch. Nothing is read before the first is asked for.
        Closing the generator early ends the read and frees its connection. SourceChanged when the table is
        gone, or one of its columns gone or of another type; ReadFailed when a value cannot be carried.
        """

    def rejected(self) -> Mapping[TableName, Rejected]:
        """The rows that reads have left out so far because they are malformed; of a chunk that was read again, once."""

    def close(self) -> None:
        """Give back what is held. May be called twice, and from another thread.

        A read that is under way ends soon with Cancelled: no further batch comes out of it, however many are
        there already. Whatever is asked of the source afterwards is Cancelled.
        """


class UploadWatch(Protocol):
    """Who is told of files on their way into a store; from any thread. `table` is the target table's name."""

    def began(self, table: str, bucket: str, size: int) -> None:
        """A file of so many bytes goes on its way."""

    def ended(self, table: str, size: int, whole: bool) -> None:
        """It is there as a `whole`, or not at all."""

    def finished(self, table: str) -> None:
        """All files of the table are there, its manifest too."""


class Unwatched:
    """`UploadWatch` of nobody."""

    def began(self, table: str, bucket: str, size: int) -> None:
        """Nobody is told."""

    def ended(self, table: str, size: int, whole: bool) -> None:
        """Nobody is told."""

    def finished(self, table: str) -> None:
        """Nobody is told."""


@dataclass(frozen=True, slots=True)
class TargetRequest:
    """Where and how a stream writes. `stream_id` names it in the target's journal.

    `followed`: the source's log is applied to what is written.
    """

    connection: Connection
    spec: TargetSpec
    stream_id: str
    schema_policy: SchemaPolicy
    write_mode: WriteMode
    uploads: UploadWatch = field(default_factory=Unwatched)
    followed: bool = False

    def upserts(self, table: PlannedTable) -> bool:
        """Whether a row may be there already under its key. Before a log is followed that is so in old tables alone."""
        return self.write_mode is WriteMode.UPSERT and (table.existing or not self.followed)

    @property
    def structure(self) -> StructureOptions:
        """Which parts of the structure are created."""
        return self.spec.db.structure_options if self.spec.db else StructureOptions()

    @property
    def skip_data(self) -> bool:
        """Whether only the structure is wanted."""
        return bool(self.spec.db and self.spec.db.skip_data)


@dataclass(frozen=True, slots=True)
class PlannedTable:
    """A table on its way. `target` is what it becomes, in the target's own types and names.

    `source.columns` and `target.columns` have the same length and order, and the rows that are written are as
    `source` says; `target.remarks` are those of the source's that still hold. `existing`: the table is already there
    and its structure is left as it is. `read`: what the source is asked for, and `compared`: what of it is compared
    with the target, where these are not the same.
    """

    source: Table
    target: Table
    existing: bool = False
    read: Table | None = None
    compared: Table | None = None

    @property
    def reading(self) -> Table:
        """What the source is asked for."""
        return self.read or self.source

    @property
    def comparing(self) -> Table:
        """What is compared with the target."""
        return self.compared or self.source


@dataclass(frozen=True, slots=True)
class TargetPlan:
    """What a target will hold, and everything that somebody should know before it is written."""

    tables: tuple[PlannedTable, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """What the target itself says has been done for a stream; the truth after a crash.

    `fingerprints` and `chunks` are by the target table's name (`str(TableName)`), `chunks` only for tables
    whose copy has begun. A structure that was not prepared has no journal at all.
    """

    fingerprints: Mapping[str, str]
    chunks: Mapping[str, Sequence[Chunk]]
    committed: Sequence[Committed]


class Target(Protocol):
    """Where rows go.

    The order of calls is: `journal`, `plan`; `prepare` unless there is a journal; then for each table
    `begin` once and `write` for its chunks from any thread; `finish_table` after the table's last chunk;
    `finish` once after all; `forget` at the end of the stream, whichever way it ended but paused or failed.

    Each of them may be repeated, by the same object or one that another process opened for the stream.
    """

    def journal(self) -> Journal | None:
        """What was done for this stream before, or None when its structure was never prepared."""

    def plan(self, tables: Sequence[Table], dialect: str, prepared: bool) -> TargetPlan:
        """Map the tables, one planned table for each, in the same order. Reads the target, writes nothing.

        With `prepared` the structure stage is behind us: policies about what exists are not applied again, and
        `existing` says what it said before.
        Otherwise TargetExists, TargetNotEmpty or Refused by policy, naming each table; a type or a part of
        the structure that cannot be expressed is a Finding, with severity error where the stream must not start.
        """

    def holds(self, dialect: str) -> Holds:
        """What columns here hold of the values that a source of that dialect may have."""

    def declared(self, types: Collection[str]) -> Mapping[str, Column]:
        """Columns of these types, in the target's own words, by what was asked for; InvalidInput for what is none."""

    def prepare(self, plan: TargetPlan, fingerprints: Mapping[str, str]) -> None:
        """Create (or drop, or empty) what the policies say, and the journal, all or nothing.

        Creates the database and the schema when they are missing. Secondary structure waits for `finish_table`.
        A stream that has a journal is left as it is.
        """

    def begin(self, table: PlannedTable, chunks: Sequence[Chunk]) -> None:
        """Put the table's chunks into the journal, durably, before the first of them is written.

        Conflict when the journal holds other chunks of the table.
        """

    def write(self, table: PlannedTable, chunk: Chunk, batches: Iterator[pa.RecordBatch]) -> Committed:
        """Write a chunk and the fact that it is done in one transaction: both or neither survive anything.

        Consumes `batches` one at a time, in the caller's thread. A chunk that the journal already holds is left
        alone, `batches` untouched, and its entry returned. Of several writers of a chunk one commits, and all
        return its entry. An exception out of `batches` rolls the chunk back and passes through unchanged. A
        stream that was forgotten writes nothing any more.
        """

    def finish_table(self, table: PlannedTable) -> list[Finding]:
        """Keys, indexes, checks and numbering of one table; what is already there is left alone."""

    def finish(self, tables: Sequence[PlannedTable]) -> list[Finding]:
        """Foreign keys between the tables; what is already there is left alone."""

    def forget(self) -> None:
        """Remove every trace of the stream but its tables and their rows. Nothing to remove is no error.

        Also of a closed target. Journals of other streams stay.
        """

    def close(self) -> None:
        """Give back what is held. May be called twice, and from another thread.

        A write that is under way is rolled back and ends with Cancelled, at its next batch at the latest. So does
        every `write` afterwards, before it asks for a batch.
        """


@dataclass(frozen=True, slots=True)
class DigestRequest:
    """One side of a comparison: `database` and `schema` as for a source, `spec` what a stream wrote there, if it did.

    `planned` are the tables that it wrote, for a target that cannot be asked what its columns are. `files` and
    `s3` as for a source, `skipping`: rows of them that cannot be read were left out.
    """

    connection: Connection
    database: str | None = None
    schema: str | None = None
    spec: TargetSpec | None = None
    planned: Sequence[PlannedTable] = ()
    files: SourceFiles | None = None
    skipping: bool = False
    s3: SourceS3 | None = None


class Digests(Protocol):
    """One side of a comparison: its rows as checksums, made where the rows are.

    A row is spelled as its columns' values in their forms (`rowferry.model.digests`) with commas between them. Both
    sides spell equal rows alike, to the byte.
    """

    @property
    def ranges(self) -> bool:
        """Whether a range of keys is read without reading all that lies beside it."""

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """As `Source.tables`: what is there, whatever wrote it."""

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """The spelling of one of its columns, as far as this side can follow it; asked of a target."""

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """As `Source.chunks`."""

    def sequence(self, view: View, chunk: Chunk) -> Digest:
        """The MD5 of the chunk's rows in the order of the view's key, with semicolons between them."""

    def buckets(self, view: View, digits: int) -> Mapping[str, Digest]:
        """The table's rows by the first digits of their key's MD5; a bucket without rows may be left out.

        Its checksum is the sum of the rows' MD5s, of each the first 15 digits as a number: rows that are there twice
        count twice, and their order does not matter.
        """

    def rows(self, view: View, part: Chunk | Bucket) -> Iterable[RowDigest]:
        """Each row of the part, in any order."""

    def cells(self, view: View, rows: Sequence[RowId]) -> Mapping[RowId, Sequence[str | None]]:
        """For each of the rows the MD5 of every column's spelling; one that is not there is left out."""

    def close(self) -> None:
        """Give back what is held. May be called twice, and ends statements that are under way."""


@dataclass(frozen=True, slots=True)
class Connector:
    """An engine's entry in the registry: how to open each of its roles (None: it does not play that role)."""

    name: str
    capabilities: Capabilities
    open_server: Callable[[Connection], Server]
    open_source: Callable[[SourceRequest], Source] | None = None
    open_target: Callable[[TargetRequest], Target] | None = None
    open_digests: Callable[[DigestRequest], Digests] | None = None
    open_changes: Callable[[ChangesRequest], ChangeSource] | None = None
    open_applier: Callable[[TargetRequest, Sequence[PlannedTable]], Applier] | None = None
    open_recorder: Callable[[TargetRequest, Sequence[PlannedTable]], Recorder] | None = None
