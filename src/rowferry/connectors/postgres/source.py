"""PostgreSQL as a source: the requested tables, their chunks, and their rows by way of `read`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.sql import SQL

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Rejected, SourceRequest, TableRequest
from rowferry.connectors.postgres.catalog import Session, besides, describe, has_schema, query_columns, storage
from rowferry.connectors.postgres.chunks import Storage, cut
from rowferry.connectors.postgres.connect import connect, read_error, reading, sqlstate, translate
from rowferry.connectors.postgres.pool import Sessions
from rowferry.connectors.postgres.selection import bare_query, filters, order, relation, where
from rowferry.connectors.postgres.snapshot import Snapshot
from rowferry.connectors.postgres.treat import treat
from rowferry.errors import Cancelled, InvalidInput, MissingTable, Refused, SourceChanged
from rowferry.model.changes import Position
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Remark
from rowferry.model.tables import Table, TableName
from rowferry.typemap.treatment import Policies, Treated, Want

if TYPE_CHECKING:
    import pyarrow as pa

    from rowferry.connectors.postgres.read import Reader

DEFAULT_SCHEMA = "public"

_UNFIT = ("22", "42")
"""Classes of states that say that a filter's value, or what it compares with, is wrong."""

T = TypeVar("T")


class PostgresSource:
    """A database's tables. Structure is asked on one session of psycopg, rows come on sessions of the Arrow driver."""

    dialect = "postgres"
    steady = False

    def __init__(self, request: SourceRequest) -> None:
        self._request = request
        self._lock = Lock()
        self._sessions: Sessions[Session] = Sessions(lambda: _open(request), lambda one: one.cancel_safe(timeout=5))
        self._readers: dict[int, Reader] = {}
        self._snapshot: Snapshot | None = None

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Source.tables`."""
        if not requests:
            return self._ask(self._every_table)
        named = [request for request in requests if request.query is None]
        known = self._known(named) if named else {}
        missing = sorted({request.name for request in named if self._place(request.name, known) is None})
        if missing:
            raise MissingTable(f"PostgreSQL has no table {', '.join(missing)} that this user can see.")
        return [self._requested(request, known) for request in requests]

    def treated(self, want: Want, policies: Policies) -> Treated:
        """See `Source.treated`."""
        return treat(want, policies)

    def besides(self) -> list[Remark]:
        """See `Source.besides`."""
        schema = self._request.schema
        return self._ask(lambda session: besides(session, [schema] if schema else []))

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        """One snapshot for all reads, unless chunks of their own moments are wished for."""
        if wish is not Consistency.CHUNK:
            self._snapshot = Snapshot(lambda: _open(self._request))

    def hold_logged(self, tables: Sequence[Table], readers: int) -> None:
        """See `LoggedSource.hold_logged`: one snapshot for all reads, also of tables that have a key."""
        self._snapshot = Snapshot(
            lambda: _open(self._request),
            lambda: connect(self._request.connection, self._request.database, replication=True),
        )

    def held_at(self) -> Position | None:
        """See `LoggedSource.held_at`."""
        snapshot = self._snapshot
        if snapshot is None or not snapshot.logged:
            return None
        return self._guarded(snapshot.place, "taking a snapshot")

    def let_go(self) -> None:
        """See `LoggedSource.let_go`: a snapshot keeps the whole server from removing dead rows."""
        with self._lock:
            snapshot, self._snapshot = self._snapshot, None
            readers, self._readers = self._readers, {}
        for reader in readers.values():
            reader.close()
        if snapshot is not None:
            snapshot.close()

    def consistency(self) -> str:
        """See `Source.consistency`."""
        if self._snapshot is None:
            return "Each chunk holds the rows of the moment in which it was read."
        if self._snapshot.taken > 1:
            return (
                f"The rows are of {self._snapshot.taken} moments, because the connection that held the source's "
                "snapshot was lost on the way."
            )
        return "All rows that this run read are of one moment: one snapshot of the source served every read."

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """See `Source.chunks`."""
        if not table.columns:
            raise Refused(f"{table.name} has no columns, so its rows cannot be carried: leave the table out.")

        def work(session: Session) -> list[Chunk]:
            return cut(session, table, self._storage(session, table), size)

        return self._ask(work, f"dividing {table.name} into chunks")

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        """See `Source.read`."""
        storage = self._ask(
            lambda session: self._storage(session, table), f"reading chunk {chunk.number} of {table.name}"
        )
        yield from self._opened_reader().read(table, chunk, storage)

    def rejected(self) -> Mapping[TableName, Rejected]:
        """See `Source.rejected`; a server gives whole rows."""
        return {}

    def close(self) -> None:
        """See `Source.close`."""
        with self._lock:
            self._sessions.close()
            for reader in self._readers.values():
                reader.close()
            if self._snapshot is not None:
                self._snapshot.close()

    def _opened_reader(self) -> Reader:
        """The part that reads rows, which brings the Arrow libraries along, made when the first rows are wanted."""
        from rowferry.connectors.postgres.read import Reader  # noqa: PLC0415 - a browsing process never reads rows

        snapshot = self._snapshot
        # Sessions of a snapshot that was lost go on seeing it: whoever reads from now on must not get one of those.
        number = self._guarded(snapshot.number, "taking a snapshot") if snapshot is not None and snapshot.logged else 0
        with self._lock:
            if self._sessions.closed:
                raise Cancelled("The source was closed.")
            if number not in self._readers:
                self._readers[number] = Reader(self._request, snapshot)
            return self._readers[number]

    def _ask(self, work: Callable[[Session], T], doing: str = "reading the structure of tables") -> T:
        def borrowing() -> T:
            with self._sessions.borrowed() as session:
                return work(session)

        return self._guarded(borrowing, doing)

    def _guarded(self, work: Callable[[], T], doing: str) -> T:
        try:
            return work()
        except psycopg.Error as error:
            if self._sessions.closed:
                raise Cancelled("The source was closed.") from error
            raise read_error(error, doing) from error

    def _every_table(self, session: Session) -> list[Table]:
        schema = self._request.schema
        if schema and not has_schema(session, schema):
            raise MissingTable(f"PostgreSQL has no schema {schema} in this database.")
        return describe(session, [schema] if schema else [])

    def _storage(self, session: Session, table: Table) -> Storage:
        """How the table lies on disk; SourceChanged when it, or a column of it, is no longer what it was."""
        if table.query is not None:
            return Storage(partitioned=False, blocks=0)
        found, declared = storage(session, table.name)
        if found is None:
            raise SourceChanged(f"The table {table.name} is no longer there: start a new stream, which plans anew.")
        for column in table.columns:
            if declared.get(column.name) != column.native.declared:
                raise SourceChanged(
                    f"{table.name}.{column.name} is no longer there, or of another type than before: "
                    "start a new stream, which plans anew."
                )
        return found

    def _known(self, requests: Sequence[TableRequest]) -> dict[TableName, Table]:
        places = {place for request in requests for place in self._places(request.name)}
        schemas, names = {place.schema for place in places}, {place.name for place in places}
        tables = self._ask(lambda session: describe(session, sorted(schemas), sorted(names)))
        return {table.name: table for table in tables if table.name in places}

    def _places(self, name: str) -> list[TableName]:
        """Where a table so called may be; a name may have points of its own."""
        cuts = [at for at, character in enumerate(name) if character == "."]
        places = [TableName(name[:at], name[at + 1 :]) for at in cuts if 0 < at < len(name) - 1]
        return [*places, TableName(self._request.schema or DEFAULT_SCHEMA, name)]

    def _place(self, name: str, known: dict[TableName, Table]) -> Table | None:
        return next((known[place] for place in self._places(name) if place in known), None)

    def _requested(self, request: TableRequest, known: dict[TableName, Table]) -> Table:
        table = self._place(request.name, known) if request.query is None else self._queried(request)
        if table is None:
            raise MissingTable(f"PostgreSQL has no table {request.name} that this user can see.")
        selection = request.selection
        mentioned = [*selection.columns, *(f.column for f in selection.filters), *(s.column for s in selection.sorts)]
        strangers = sorted(set(mentioned).difference(table.column_names()))
        if strangers:
            raise InvalidInput(f"{table.name} has no column {', '.join(strangers)}, which its selection names.")
        table = table.with_selection(selection)
        if selection.filters or selection.sorts:
            self._ask(lambda session: _try_selection(session, table))
        return table

    def _queried(self, request: TableRequest) -> Table:
        query = bare_query(request.query or "")
        place = self._places(request.name)[0]

        def work(session: Session) -> Table:
            try:
                return Table(name=place, columns=query_columns(session, query), query=query)
            except psycopg.Error as error:
                if (sqlstate(error) or "")[:2] in _UNFIT:
                    raise translate(error, f"preparing the query {request.name}", InvalidInput) from error
                raise

        return self._ask(work)


def _open(request: SourceRequest) -> Session:
    session = connect(request.connection, request.database)
    session.execute(reading(request.schema))
    return session


def open_source(request: SourceRequest) -> PostgresSource:
    """The source for that request; it connects when it is first asked."""
    return PostgresSource(request)


def _try_selection(session: Session, table: Table) -> None:
    """Let the server look at filters and sorts without reading a row; InvalidInput when they make no sense."""
    unlimited = replace(table.selection, limit=0)
    source = relation(table, partitioned=True)
    try:
        session.execute(SQL("SELECT 1 FROM {}{}{}").format(source, where(filters(unlimited)), order(unlimited)))
    except psycopg.Error as error:
        if (sqlstate(error) or "")[:2] not in _UNFIT:
            raise
        raise InvalidInput(
            f"The selection of {table.name} does not fit its columns: compare each with a value of its own type."
        ) from error
