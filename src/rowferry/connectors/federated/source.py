"""Several sources as one: queries that join them, computed by DuckDB out of what the sources' own readers bring."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from threading import Event, Lock

import duckdb
import pyarrow as pa

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Rejected, Source, TableRequest
from rowferry.connectors.federated.engine import MEMORY, computing, lock
from rowferry.connectors.federated.lineage import passed
from rowferry.connectors.federated.places import Files
from rowferry.connectors.federated.relations import (
    Relation,
    check_one_spelling,
    found_files,
    found_table,
    make_known,
    used_columns,
)
from rowferry.connectors.federated.results import Result, arrived
from rowferry.connectors.federated.scan import Failures, Reading
from rowferry.connectors.federated.statement import Statement, TableRef, parse
from rowferry.connectors.federated.treat import HOLDS, treat
from rowferry.connectors.members import Member
from rowferry.errors import (
    Cancelled,
    InvalidInput,
    MissingTable,
    ReadFailed,
    RowferryError,
    SourceChanged,
    UnsupportedType,
)
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Remark, Severity
from rowferry.model.tables import Column, Selection, Table, TableName
from rowferry.typemap.arrow import arrow_schema
from rowferry.typemap.treatment import Policies, Treated, Want

BATCH_ROWS = 16_384

_REASONS: dict[type[Exception], str] = {
    duckdb.ConversionException: "a value cannot become what a cast asks for; TRY_CAST makes NULL of such values",
    duckdb.OutOfRangeException: "a number is beyond the range of its type: cast to a larger one",
    duckdb.OutOfMemoryException: f"it needs more than {MEMORY} of memory, or more room on the disk than there is",
}
"""What stopped a query, without the value that did."""


@dataclass
class _Computation:
    """A query under way: DuckDB with its relations, and what went wrong in them."""

    connection: duckdb.DuckDBPyConnection
    statement: Statement
    relations: Sequence[Relation]
    failures: Failures


class FederatedSource:
    """The members are opened when a query first names them. Each query runs in a DuckDB of its own."""

    dialect = "duckdb"
    steady = False

    def __init__(self, members: Sequence[Member], policies: Policies) -> None:
        self._members = {member.alias: member for member in members}
        self._policies = policies
        self._opened: dict[str | Files, Source] = {}
        self._statements: dict[str, Statement] = {}
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._closed = Event()
        self._lock = Lock()

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Source.tables`; only queries are tables here."""
        self._check_open()
        missing = sorted(request.name for request in requests if request.query is None)
        if missing:
            raise MissingTable(f"Several sources together have no table {', '.join(missing)}: only queries read them.")
        for request in requests:
            if request.selection != Selection():
                raise InvalidInput(
                    f"{request.name} is a query over several sources: write its selection into the query."
                )
        return [self._described(request.name, request.query or "") for request in requests]

    def treated(self, want: Want, policies: Policies) -> Treated:
        """See `Source.treated`."""
        return treat(want, policies)

    def besides(self) -> list[Remark]:
        """See `Source.besides`; the members tell themselves."""
        return []

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        """See `Source.hold`; every member holds a moment of its own, for as many reads as the queries make at once."""
        self._check_open()
        wanted: dict[str, list[TableRef]] = {}
        for table in tables:
            for ref in self._parsed(table.query or "").tables:
                wanted.setdefault(ref.alias, []).append(ref)
        for refs in wanted.values():
            source = self._source(refs[0])
            source.hold(wish, [found_table(source, ref) for ref in refs], readers * len(refs))

    def consistency(self) -> str:
        """See `Source.consistency`."""
        with self._lock:
            databases = {key: source for key, source in self._opened.items() if isinstance(key, str)}
        told = "; ".join(f"{alias}: {source.consistency().rstrip('.')}" for alias, source in sorted(databases.items()))
        return (
            f"A query over several sources reads each of them as of a moment of its own{f' ({told})' if told else ''}."
        )

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """See `Source.chunks`; a query is one."""
        self._check_open()
        return [Chunk(table.name, 0)]

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        """See `Source.read`."""
        self._check_open()
        try:
            with self._computing(table.query or "") as work:
                yield from self._rows(work, table)
        except (MissingTable, InvalidInput) as error:
            raise SourceChanged(
                f"The query {table.name} can no longer be run: {error.message.rstrip('.')}; start a new stream."
            ) from error

    def rejected(self) -> Mapping[TableName, Rejected]:
        """See `Source.rejected`."""
        with self._lock:
            sources = list(self._opened.values())
        return {name: rejected for source in sources for name, rejected in source.rejected().items()}

    def close(self) -> None:
        """See `Source.close`."""
        with self._lock:
            self._closed.set()
            running, opened = list(self._running), list(self._opened.values())
        for connection in running:
            with suppress(duckdb.Error):
                connection.interrupt()
        for source in opened:
            source.close()

    def _described(self, name: str, query: str) -> Table:
        with self._computing(query) as work:
            results = self._results(work, name)
            whole = {one.source for one in results}
            used = used_columns(work.connection, work.statement.sql, work.relations)
            unknown = [str(one) for one in used if isinstance(one.column.type, t.Unknown)]
            if unknown:
                raise UnsupportedType(
                    f"The query {name} reads {', '.join(unknown)}, a type that cannot be carried: leave the column out."
                )
            remarks = tuple(
                Remark(f": {one} is text to the query, so what is made of it is text, too.", severity=Severity.INFO)
                for one in used
                if one.as_text and one.column not in whole
            )
            rows = max((reading.table.estimated_rows for one in work.relations for reading in one.readings), default=0)
        columns = tuple(one.column for one in results)
        return Table(TableName("", name), columns, query=query, remarks=remarks, estimated_rows=rows)

    def _results(self, work: _Computation, name: str) -> list[Result]:
        """The columns of the result; InvalidInput when it is no query."""
        try:
            relation = work.connection.sql(work.statement.sql)
        except duckdb.Error as error:
            raise self._translated(error, work, name, planning=True) from error
        names = list(relation.columns)
        doubled = sorted({one for one in names if sum(other.lower() == one.lower() for other in names) > 1})
        if doubled:
            raise InvalidInput(f"The query {name} gives the name {doubled[0]} twice: rename a column by AS.")
        sources = self._passed(work, len(names))
        return [Result.of(*one) for one in zip(names, relation.types, sources, strict=True)]

    def _passed(self, work: _Computation, count: int) -> Sequence[Column | None]:
        """For each column of the result the one of a source that it is, if it is one."""
        tables = {one.place: one.columns for one in work.relations if isinstance(one.place, TableRef)}
        files = [one.columns for one in work.relations if isinstance(one.place, Files)]
        found = passed(work.statement, tables, files)
        return found if len(found) == count else [None] * count

    def _rows(self, work: _Computation, table: Table) -> Iterator[pa.RecordBatch]:
        now = self._results(work, table.name.name)
        declared = [(one.column.name, one.column.native.declared) for one in now]
        if declared != [(one.name, one.native.declared) for one in table.columns]:
            raise SourceChanged(
                f"The columns of the query {table.name} are no longer what they were: start a new stream."
            )
        words = [column.read_as or one.sql for column, one in zip(table.columns, now, strict=True)]
        schema = arrow_schema(table.columns)
        try:
            result = work.connection.execute(f"SELECT {', '.join(words)} FROM ({work.statement.sql}) AS q")
            for batch in result.to_arrow_reader(BATCH_ROWS):
                self._check_open()
                if batch.num_rows:
                    pairs = zip(batch.columns, table.columns, strict=True)
                    arrays = [arrived(array, column, str(table.name)) for array, column in pairs]
                    yield pa.RecordBatch.from_arrays(arrays, schema=schema)
                    self._check_open()
        except (duckdb.Error, pa.ArrowException, OSError) as error:  # Arrow gives an interruption as an OSError
            self._check_open()
            raise self._translated(error, work, table.name.name, planning=False) from error

    @contextmanager
    def _computing(self, query: str) -> Iterator[_Computation]:
        """DuckDB, ready for the query."""
        statement = self._parsed(query)
        relations = self._relations(statement)
        failures = Failures()
        with computing() as connection:
            make_known(connection, relations, failures)
            lock(connection)
            with self._lock:
                self._running.add(connection)
            try:
                self._check_open()
                yield _Computation(connection, statement, relations, failures)
            finally:
                with self._lock:
                    self._running.discard(connection)

    def _relations(self, statement: Statement) -> list[Relation]:
        places: list[TableRef | Files] = [*statement.tables, *statement.files]
        made: list[Relation] = []
        for place in places:
            source = self._source(place)
            tables = [found_table(source, place)] if isinstance(place, TableRef) else found_files(source, place)
            first = sum(len(one.readings) for one in made)
            asks = isinstance(place, TableRef)
            readings = (Reading(first + at, source, self._as_read(source, one), asks) for at, one in enumerate(tables))
            made.append(Relation(place, tuple(readings)))
        check_one_spelling(made)
        return made

    def _as_read(self, source: Source, table: Table) -> Table:
        """The table with what the config says about odd values."""
        columns = (source.treated(Want(one, one.type, HOLDS), self._policies).column for one in table.columns)
        return replace(table, columns=tuple(columns))

    def _parsed(self, query: str) -> Statement:
        with self._lock:
            known = self._statements.get(query)
        if known is None:
            known = parse(query, list(self._members.values()))
            with self._lock:
                self._statements[query] = known
        return known

    def _source(self, place: TableRef | Files) -> Source:
        """The source of a table's database, or of those files alone; opened when it is first asked for."""
        member = self._members[place.alias]
        with self._lock:
            self._check_open()
            key = place if isinstance(place, Files) else place.alias
            if key not in self._opened:
                request = place.request(member) if isinstance(place, Files) else member.request
                self._opened[key] = member.open(request)
            return self._opened[key]

    def _check_open(self) -> None:
        if self._closed.is_set():
            raise Cancelled("The source was closed.")

    def _translated(self, error: Exception, work: _Computation, name: str, planning: bool) -> RowferryError:
        """The error in our words: whatever stopped a source, else why DuckDB cannot go on."""
        if self._closed.is_set():
            return Cancelled("The source was closed.")
        if work.failures.first is not None:
            return work.failures.first
        if planning:
            said = str(error).partition("\n")[0].rstrip(".")
            return InvalidInput(f"The query {name} cannot be run: {said}.")
        reason = next((text for kind, text in _REASONS.items() if isinstance(error, kind)), None)
        return ReadFailed(f"The query {name} stopped: {reason or f'DuckDB reports {type(error).__name__}'}.")


def open_source(members: Sequence[Member], policies: Policies) -> FederatedSource:
    """The source over the members; it opens them when it is first asked."""
    return FederatedSource(members, policies)
