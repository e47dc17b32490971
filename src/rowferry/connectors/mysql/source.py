"""MySQL or MariaDB as a source of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING

import pymysql
from pymysql.connections import Connection as Session

from rowferry.config.stream import Consistency
from rowferry.connectors.base import ChunkSize, Rejected, SourceRequest, TableRequest
from rowferry.connectors.mysql import catalog
from rowferry.connectors.mysql.chunks import fits_into_one, split
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.failures import failed
from rowferry.connectors.mysql.reading import Lender, Sessions
from rowferry.connectors.mysql.remarks import besides, remarked
from rowferry.connectors.mysql.running import Running
from rowferry.connectors.mysql.snapshot import Snapshot, take
from rowferry.connectors.mysql.treat import treat
from rowferry.errors import Cancelled, InvalidInput, MissingTable, RowferryError, SourceChanged
from rowferry.model.changes import Position
from rowferry.model.chunks import Chunk
from rowferry.model.findings import Remark
from rowferry.model.tables import Selection, Table, TableName
from rowferry.typemap.treatment import Policies, Treated, Want

if TYPE_CHECKING:
    import pyarrow as pa


class MySqlSource:
    """Every call and every read has a session of its own, so that threads never meet."""

    steady = False

    def __init__(self, request: SourceRequest) -> None:
        self._access = Access(request.connection)
        self._database = request.database or self._access.database
        self._running = Running()
        self._sessions: Lender = Sessions(self._access)
        if request.schema and request.schema != self._database:
            raise InvalidInput("A MySQL database has no schemas: leave source.connections.schema out.")

    @property
    def dialect(self) -> str:
        """Both servers write their SQL in this one."""
        return "mysql"

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """The requested tables in the order of the requests; every base table when there are none."""
        self._running.check()
        with self._access.session(self._database) as session:
            if not requests:
                database = self._needed_database()
                return remarked(session, database, catalog.describe(session, database))
            found = self._described(session, [request for request in requests if request.query is None])
            tables = [
                self._found(request, found) if request.query is None
                else catalog.describe_query(session, TableName(self._needed_database(), request.name), request.query)
                for request in requests
            ]  # fmt: skip
        return [_selected(table, request.selection) for table, request in zip(tables, requests, strict=True)]

    def treated(self, want: Want, policies: Policies) -> Treated:
        """See `Source.treated`."""
        return treat(want, policies)

    def besides(self) -> list[Remark]:
        """See `Source.besides`."""
        self._running.check()
        with self._access.session(self._database) as session:
            return besides(session, self._needed_database())

    def hold(self, wish: Consistency | None, tables: Sequence[Table], readers: int) -> None:
        """A snapshot only where it is wished for: it needs a lock, if a short one, and a slower driver."""
        self._running.check()
        if wish is not Consistency.SNAPSHOT:
            return
        self._hold(take(self._access, tables, readers))

    def hold_logged(self, tables: Sequence[Table], readers: int) -> None:
        """See `LoggedSource.hold_logged`: a table without a key is worth the lock, and what foreign keys do to rows,
        which the log does not tell."""
        self._running.check()
        if not all(table.key for table in tables) or any(key.actions for table in tables for key in table.foreign_keys):
            self._hold(take(self._access, tables, readers, logged=True))

    def held_at(self) -> Position | None:
        """See `LoggedSource.held_at`."""
        return self._sessions.place if isinstance(self._sessions, Snapshot) else None

    def let_go(self) -> None:
        """See `LoggedSource.let_go`: an open transaction keeps the server from changing or emptying its tables."""
        if isinstance(self._sessions, Snapshot):
            self._hold(Sessions(self._access))

    def _hold(self, sessions: Lender) -> None:
        with self._running.lock:
            closed, before, self._sessions = self._running.closed, self._sessions, sessions
        before.close()
        if closed:
            sessions.close()

    def consistency(self) -> str:
        """See `Source.consistency`."""
        if isinstance(self._sessions, Snapshot):
            return f"All rows that this run read are of one moment: {self._sessions.told()}."
        return "Each chunk holds the rows of the moment in which it was read."

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """By the table's key; a table without one, a query, and a selection in an order are one chunk."""
        self._running.check()
        if not table.key or table.query is not None or table.selection.ordered:
            return [Chunk(table.name, 0)]
        with self._sessions.lease() as leased:
            session = leased.wire
            try:
                if fits_into_one(session, table, size):
                    return [Chunk(table.name, 0)]
                live = catalog.live_columns(session, table.name)
                if not live.keys() >= set(table.key):
                    raise SourceChanged(f"{table.name} has lost its key: start a new stream, which plans anew.")
                return split(session, table, [live[name] for name in table.key], size)
            except pymysql.Error as error:
                raise self._failed(error, table) from error

    def read(self, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
        """The chunk's rows as they are committed at the moment its statement begins."""
        from rowferry.connectors.mysql.read import read_chunk  # noqa: PLC0415 - planning needs no Arrow and no driver

        return read_chunk(self._access, self._sessions, self._running, table, chunk)

    def rejected(self) -> Mapping[TableName, Rejected]:
        """See `Source.rejected`; a server gives whole rows."""
        return {}

    def close(self) -> None:
        """End the reads that are under way."""
        self._running.close()
        self._sessions.close()
        self._access.close()

    def _failed(self, error: pymysql.Error, table: Table) -> RowferryError:
        return Cancelled("The source was closed.") if self._running.closed else failed(error, str(table.name))

    def _needed_database(self) -> str:
        if not self._database:
            raise InvalidInput("No database is named: set source.connections.database, or one in the connection.")
        return self._database

    def _described(self, session: Session, requests: Sequence[TableRequest]) -> dict[TableName, Table]:
        wanted: dict[str, set[str]] = defaultdict(set)
        for request in requests:
            for name in self._readings(request.name):
                wanted[name.schema].add(name.name)
        described = (
            remarked(session, database, catalog.describe(session, database, names))
            for database, names in wanted.items()
        )
        found = {table.name: table for tables in described for table in tables}
        missing = [one.name for one in requests if not any(name in found for name in self._readings(one.name))]
        if missing:
            where = f"in the database {self._database}" if self._database else "at the source"
            raise MissingTable(f"There is no table {', '.join(sorted(set(missing)))} {where}.")
        return found

    def _readings(self, written: str) -> list[TableName]:
        """What "a.b" may mean: a table of that name, or the table b of the database a."""
        names = [TableName(self._database, written)] if self._database else []
        database, point, name = written.partition(".")
        if point and database and name:
            names.append(TableName(database, name))
        if not names:
            self._needed_database()
        return names

    def _found(self, request: TableRequest, found: dict[TableName, Table]) -> Table:
        return next(found[name] for name in self._readings(request.name) if name in found)


def _selected(table: Table, selection: Selection) -> Table:
    """The part of the table that is wanted; InvalidInput for a column that is not there."""
    there = set(table.column_names())
    named = {
        "selects": selection.columns,
        "filters": tuple(one.column for one in selection.filters),
        "sorts by": tuple(one.column for one in selection.sorts),
    }
    for verb, columns in named.items():
        for column in columns:
            if column not in there:
                raise InvalidInput(
                    f"The selection of {table.name} {verb} {column}, which is no column: there are {_listed(table)}."
                )
    return table.with_selection(selection)


def _listed(table: Table) -> str:
    return ", ".join(table.column_names())
