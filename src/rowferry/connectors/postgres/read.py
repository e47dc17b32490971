"""Reading rows out of PostgreSQL as Arrow record batches, one session of the driver a read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

import psycopg
import pyarrow as pa
from adbc_driver_manager.dbapi import Error
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg.sql import SQL

from rowferry.connectors.base import SourceRequest
from rowferry.connectors.postgres.batches import convert, expressions
from rowferry.connectors.postgres.chunks import Storage
from rowferry.connectors.postgres.connect import conninfo, read_error, reading, translate
from rowferry.connectors.postgres.pool import Sessions
from rowferry.connectors.postgres.selection import filters, key_range, order, relation, where
from rowferry.connectors.postgres.snapshot import Snapshot
from rowferry.errors import Cancelled, ConnectionFailed
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Table
from rowferry.typemap.arrow import arrow_schema

BATCH_BYTES = 4 * 1024 * 1024
"""About how large a record batch is; a single row may be larger."""


class Reader:
    """The reading half of a source. Reads may go on in several threads at once, all of them within `snapshot`."""

    def __init__(self, request: SourceRequest, snapshot: Snapshot | None) -> None:
        self._sessions: Sessions[dbapi.Connection] = Sessions(
            lambda: _open(request, snapshot), lambda one: one.adbc_cancel()
        )

    def read(self, table: Table, chunk: Chunk, storage: Storage) -> Generator[pa.RecordBatch, None, None]:
        """The chunk's rows in the neutral form; the server is held back while nobody takes them."""
        query = SQL("SELECT {} FROM {}{}{}").format(
            expressions(table.columns),
            relation(table, storage.partitioned),
            where([*filters(table.selection), *key_range(table, chunk)]),
            order(table.selection),
        )
        schema = arrow_schema(table.columns)
        for batch in self._batches(query.as_string(), f"reading chunk {chunk.number} of {table.name}"):
            if batch.num_rows:
                yield convert(batch, chunk, table.columns, schema)

    def close(self) -> None:
        """Give back every session; reads that are under way end with Cancelled."""
        self._sessions.close()

    def _batches(self, query: str, doing: str) -> Iterator[pa.RecordBatch]:
        with self._translated(doing), self._sessions.borrowed() as session, _running(session, query) as batches:
            for batch in batches:
                self._sessions.check_open()
                yield batch
            self._sessions.check_open()

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        # Once rows are on their way, the driver's errors arrive as OSError.
        except (Error, pa.ArrowException, OSError) as error:
            if self._sessions.closed:
                raise Cancelled("The source was closed.") from error
            raise read_error(error, doing) from error


def _open(request: SourceRequest, snapshot: Snapshot | None) -> dbapi.Connection:
    try:
        session = dbapi.connect(conninfo(request.connection, request.database), autocommit=True)
        with session.cursor() as cursor:
            cursor.execute(reading(request.schema).as_string())
            cursor.fetchall()
            for statement in snapshot.statements() if snapshot is not None else ():
                cursor.execute(statement)
    except (Error, psycopg.Error) as error:
        raise translate(error, "opening a session for reading", ConnectionFailed) from error
    return session


@contextmanager
def _running(session: dbapi.Connection, query: str) -> Iterator[Iterator[pa.RecordBatch]]:
    """The query's batches. Left early, the query is cancelled first, so that closing need not wait for its rows."""
    cursor = session.cursor()
    done = False
    try:
        cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
        cursor.execute(query)
        yield cursor.fetch_record_batch()
        done = True
    finally:
        if not done:
            with suppress(Exception):
                session.adbc_cancel()
        with suppress(Exception):
            cursor.close()
