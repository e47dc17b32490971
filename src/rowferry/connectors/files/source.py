"""Files as a source: the tables that lie under a folder, their chunks, and their rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Lock

import pyarrow as pa

from rowferry.config.roots import real_path
from rowferry.config.source_files import SourceCsv
from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Rejected, SourceRequest, TableRequest
from rowferry.connectors.files.cut import Part, cut, parts
from rowferry.connectors.files.describe import KEY, Shape, describe
from rowferry.connectors.files.discover import Find, Found, discover
from rowferry.connectors.files.layout import base_folder
from rowferry.connectors.files.parse import EMPTY_IS_NULL, STRING, parsed
from rowferry.connectors.files.pick import Pick, check_selection
from rowferry.connectors.files.read_csv import read_csv
from rowferry.connectors.files.read_json import read_documents, read_lines
from rowferry.connectors.files.read_parquet import read_parquet
from rowferry.connectors.files.rejects import Rejects
from rowferry.connectors.files.rows import Piece, Refusal, refuse
from rowferry.connectors.files.store import LocalStore, Store, changed, gone, safe_path
from rowferry.connectors.files.text import texts
from rowferry.errors import Cancelled, InvalidInput, MissingTable, RowferryError, SourceChanged
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Remark
from rowferry.model.tables import Column, Table, TableName
from rowferry.typemap.arrow import arrow_schema, arrow_type
from rowferry.typemap.treatment import Policies, Treated, Want, crossing_type

ROOT = frozenset({None, "", "."})
"""The names by which the connection's own folder is asked for as a database."""


_NO_END = 1 << 30


class FilesSource:
    """Files of a store. `find` tells which tables they are, `check` whether a table's files are whole."""

    dialect = "duckdb"
    steady = True

    def __init__(
        self, store: Store, find: Find, csv: SourceCsv, rejects: Rejects, check: Callable[[Found], None] | None = None
    ) -> None:
        self._store = store
        self._find = find
        self._check = check
        self._csv = csv
        self._rejects = rejects
        self._closed = Event()
        self._lock = Lock()
        self._shapes: dict[TableName, Shape] = {}
        self._there: dict[str, Found] | None = None

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Source.tables`."""
        self._check_open()
        if any(request.query is not None for request in requests):
            raise InvalidInput("A query needs a database to answer it: name files by source.connections.files.paths.")
        there = self._looked()
        missing = sorted({request.name for request in requests} - there.keys())
        if missing:
            raise MissingTable(f"There are no files of a table {', '.join(missing)}.")
        wanted = requests or [TableRequest(name) for name in there]
        made = [(self._described(there[request.name]).table, request.selection) for request in wanted]
        for table, selection in made:
            check_selection(table, selection)
        return [table.with_selection(selection) for table, selection in made]

    def treated(self, want: Want, policies: Policies) -> Treated:
        """See `Source.treated`: text is read as it is, a type that was guessed gives way to one that is asked for."""
        column = want.column
        if want.neutral == column.type:
            return Treated(column)
        if crossing_type(column.type, want.neutral) != column.type:
            return Treated(replace(column, type=t.Text(), read_as="text"))
        if column.extra in ("csv", "json", KEY) and type(want.neutral) in EMPTY_IS_NULL:
            return Treated(replace(column, type=want.neutral, read_as="asked"))
        return Treated(column)

    def besides(self) -> list[Remark]:
        """See `Source.besides`; a folder holds nothing else that could be moved."""
        return []

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        """See `Source.hold`; a file that changes is refused, so that what was read is of one moment anyway."""

    def consistency(self) -> str:
        """See `Source.consistency`."""
        return "Each file was read as it was when the stream was planned: one that had changed would have ended it."

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """See `Source.chunks`."""
        self._check_open()
        shape = self._shape(table)
        for item in shape.found.files:
            self._check_same(Part(item))
        if self._check is not None:
            self._check(shape.found)
        if table.selection.ordered:
            return [Chunk(table.name, 0)]
        return cut(self._store, shape, size)

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        """See `Source.read`."""
        self._check_open()
        shape = self._shape(table)
        pick = Pick(shape.table, table.selection, table.columns)
        with self._rejects.of(chunk) as refusal:
            for batch in pick.rows(self._batches(shape, chunk, pick.reading, refusal)):
                self._check_open()
                yield batch

    def rejected(self) -> Mapping[TableName, Rejected]:
        """See `Source.rejected`."""
        with self._lock:
            tables = list(self._shapes)
        return self._rejects.counts(tables)

    def close(self) -> None:
        """See `Source.close`."""
        self._closed.set()
        self._store.close()

    def _batches(
        self, shape: Shape, chunk: Chunk, columns: Sequence[Column], refusal: Refusal
    ) -> Iterator[pa.RecordBatch]:
        """The chunk's rows with these columns, as the files are that the plan saw."""
        for part in parts(shape, chunk):
            self._check_same(part)
            for batch in self._rows(shape, part, columns, refusal):
                self._check_open()
                yield batch
            self._check_open()
            self._check_same(part)

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Cancelled("The source was closed.")

    def _check_same(self, part: Part) -> None:
        if self._store.steady:
            return
        now = self._store.stat(part.item.path)
        if now is None:
            raise gone(part.item)
        if now != part.item:
            raise changed(part.item)

    def _looked(self) -> dict[str, Found]:
        """Which tables there are now, by name; looking goes through all folders, so it is not done for each table."""
        self._there = {found.name: found for found in self._find()}
        return self._there

    def _described(self, found: Found) -> Shape:
        shape = describe(self._store, found, self._csv)
        with self._lock:
            self._shapes[shape.table.name] = shape
        return shape

    def _shape(self, table: Table) -> Shape:
        """How the table is read; SourceChanged when it is no longer what it was."""
        with self._lock:
            known = self._shapes.get(table.name)
        if known is not None:
            return known
        try:
            there = self._looked() if self._there is None else self._there
            shape = self._described(there[table.name.name])
            same = all(_declared(shape.table, one) == one.native.declared for one in table.columns)
        except (KeyError, RowferryError) as error:
            raise SourceChanged(
                f"The files of {table.name} are no longer there, or no longer what they were: start a new stream."
            ) from error
        if not same:
            raise SourceChanged(f"The columns of {table.name} are no longer what they were: start a new stream.")
        return shape

    def _rows(self, shape: Shape, part: Part, columns: Sequence[Column], refusal: Refusal) -> Iterator[pa.RecordBatch]:
        """The part's rows as the columns are wanted; those that the names of folders hold are put in."""
        keys = {name: value for name, value in shape.found.keys(part.item).items() if name not in shape.names}
        held = [one for one in columns if one.name in shape.names] or [_first(shape)]
        wanted = arrow_schema(columns)
        for batch in self._held(shape, part, held, refusal):
            if batch.num_rows:
                arrays = [
                    batch.column(one.name) if one.name in shape.names else _repeated(keys.get(one.name), one, batch)
                    for one in columns
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=wanted)

    def _held(self, shape: Shape, part: Part, columns: Sequence[Column], refusal: Refusal) -> Iterator[pa.RecordBatch]:
        if shape.found.format == "parquet":
            groups = None if part.end is None and not part.start else range(part.start, part.end or _NO_END)
            yield from _from_parquet(self._store, shape, part, groups, columns)
            return
        piece = Piece(self._store, part.item, part.start, part.end, refusal)
        strict = [shape.strict(one) for one in columns]
        if shape.csv is not None:
            yield from read_csv(piece, shape.csv, columns, strict)
            return
        reader = read_lines if shape.lines else read_documents
        yield from reader(piece, columns, strict, shape.names)


def open_source(request: SourceRequest, otherwise: Refusal = refuse) -> FilesSource:
    """The files that the request names; InvalidInput when they lie outside the connection's folder.

    `otherwise`: what is done with malformed rows for which the request has no folder.
    """
    if request.schema:
        raise InvalidInput("A folder has no schemas: leave schema out.")
    base = base_folder(request.connection)
    root, paths, csv = base, tuple[str, ...](), SourceCsv()
    if request.files is not None:
        wished = request.files.base_path
        root = real_path(wished, "source.connections.files.basePath", base)
        if ".." in Path(wished).parts or not root.is_relative_to(base):
            raise InvalidInput(
                f"source.connections.files.basePath must be the connection's folder {base} or one below it."
            )
        paths, csv = request.files.paths, request.files.csv
    elif request.database not in ROOT:
        root = real_path(safe_path(request.database or ""), "source.connections.database", base)
        if not root.is_relative_to(base):
            raise InvalidInput(f"The folder {request.database} leads out of the connection's folder.")
    if not root.is_dir():
        raise MissingTable(f"There is no folder {root}.")
    store = LocalStore(root, base)
    return FilesSource(store, partial(discover, store, root.name, paths), csv, Rejects(request.rejects, otherwise))


def _declared(table: Table, column: Column) -> str | None:
    return next((one.native.declared for one in table.columns if one.name == column.name), None)


def _first(shape: Shape) -> Column:
    """A column to count rows by, where none of those in the files is wanted."""
    return shape.table.columns[0]


def _repeated(value: str | None, column: Column, batch: pa.RecordBatch) -> pa.Array:
    if value is None:
        return pa.nulls(batch.num_rows, arrow_type(column.type))
    (one,) = parsed(pa.array([value], STRING), column.type)
    return pa.repeat(one, batch.num_rows).cast(arrow_type(column.type))


def _from_parquet(
    store: Store, shape: Shape, part: Part, groups: range | None, columns: Sequence[Column]
) -> Iterator[pa.RecordBatch]:
    """Rows with the types of the file; what is wanted as text is spelled as `text` tells."""
    own = [shape.table.column(one.name) for one in columns]
    for batch in read_parquet(store, part.item, groups, own):
        arrays = [
            texts(array, there.type, pa.string()) if one.read_as == "text" else array
            for array, one, there in zip(batch.columns, columns, own, strict=True)
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))
