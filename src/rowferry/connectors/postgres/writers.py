"""Sessions that write: binary COPY through ADBC, CSV COPY through psycopg, and the pool that keeps them.

Both speak SQL with $1, $2 … for values, and both are in autocommit outside `begin` and `commit`, so that an
idle session holds no transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import psycopg

from rowferry.config.connection import Connection
from rowferry.connectors.postgres.connect import connect, conninfo, translate
from rowferry.connectors.postgres.names import qualified, quoted_list
from rowferry.errors import Cancelled, ConnectionFailed

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[Any, ...]


class Session(Protocol):
    """One connection, used by one thread at a time. `broken`: it is of no use any more."""

    broken: bool

    def execute(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement; its rows, none where it gives none."""

    def copy(self, schema: str, table: str, form: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Put batches of that form into a table, one at a time."""

    def cancel(self) -> None:
        """Break off what the server is doing; from any thread."""

    def close(self) -> None:
        """Leave the server."""


class BinarySession:
    """ADBC. The driver notices a server's error, or `cancel`, only when the batches end."""

    def __init__(self, connection: Connection, database: str) -> None:
        import adbc_driver_manager  # noqa: PLC0415 - planning needs no Arrow
        from adbc_driver_postgresql import dbapi  # noqa: PLC0415 - planning needs no Arrow

        self.broken = False
        try:
            self._connection = dbapi.connect(conninfo(connection, database), autocommit=True)
            self._cursor = self._connection.cursor()
        except adbc_driver_manager.Error as error:
            raise translate(error, "connecting to the target", ConnectionFailed) from error

    def execute(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement; its rows, none where it gives none."""
        self._cursor.execute(statement, values or None)
        return list(self._cursor.fetchall()) if self._cursor.description else []

    def copy(self, schema: str, table: str, form: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Put batches of that form into a table, one at a time."""
        import pyarrow as pa  # noqa: PLC0415 - planning needs no Arrow

        reader = pa.RecordBatchReader.from_batches(form, batches)
        self._cursor.adbc_ingest(table, reader, mode="append", db_schema_name=schema)

    def cancel(self) -> None:
        """Break off what the server is doing; from any thread."""
        with suppress(Exception):
            self._connection.adbc_cancel()

    def close(self) -> None:
        """Leave the server."""
        with suppress(Exception):
            self._cursor.close()
        with suppress(Exception):
            self._connection.close()


class TextSession:
    """psycopg. `connection` is in autocommit and serves for everything that is not a copy, too."""

    def __init__(self, connection: Connection, database: str) -> None:
        self.broken = False
        self.connection = connect(connection, database)
        self._cursor = psycopg.RawCursor(self.connection)

    def execute(self, statement: str, *values: Any) -> list[Row]:
        """Run one statement; its rows, none where it gives none."""
        self._cursor.execute(statement.encode(), values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def copy(self, schema: str, table: str, form: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        """Put batches of that form into a table, one at a time."""
        from rowferry.connectors.postgres.encode import csv_bytes  # noqa: PLC0415 - planning needs no Arrow

        place = f"{qualified(schema, table)} ({quoted_list(form.names)})"
        with self._cursor.copy(f"COPY {place} FROM STDIN (FORMAT csv)".encode()) as copy:
            for batch in batches:
                copy.write(csv_bytes(batch))

    def cancel(self) -> None:
        """Break off what the server is doing; from any thread."""
        with suppress(Exception):
            self.connection.cancel_safe(timeout=5)

    def close(self) -> None:
        """Leave the server."""
        with suppress(Exception):
            self.connection.close()


S = TypeVar("S", bound=Session)


class Pool(Generic[S]):
    """Sessions of one kind, kept between uses; as many as there are threads at the same time."""

    def __init__(self, opener: Callable[[], S]) -> None:
        self._open = opener
        self._lock = Lock()
        self._idle: list[S] = []
        self._busy: set[S] = set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether the target was told to end."""
        return self._closed

    @contextmanager
    def lease(self) -> Iterator[S]:
        """A session of one's own. It must be given back outside of a transaction, or broken."""
        session = self._take()
        try:
            yield session
        finally:
            self._give(session)

    def close(self) -> None:
        """Leave with the idle sessions; break off the busy ones, whose threads then leave with them."""
        with self._lock:
            self._closed = True
            idle, busy, self._idle = self._idle, list(self._busy), []
        for session in idle:
            session.close()
        for session in busy:
            session.cancel()

    def _take(self) -> S:
        with self._lock:
            if self._closed:
                raise Cancelled("The target is closed.")
            session = self._idle.pop() if self._idle else None
        session = session or self._open()
        with self._lock:
            self._busy.add(session)
        return session

    def _give(self, session: S) -> None:
        with self._lock:
            self._busy.discard(session)
            keep = not (self._closed or session.broken)
            if keep:
                self._idle.append(session)
        if not keep:
            session.close()
