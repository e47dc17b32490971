"""Reading a chunk: the statement, the driver that fits it, and what went wrong when it did."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from operator import attrgetter
from uuid import uuid4

import pyarrow as pa
import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.mysql.carriers import Carrier, Expression, ZeroDate, carrier
from rowferry.connectors.mysql.catalog import bare_query, is_versioned, live_columns
from rowferry.connectors.mysql.chunks import may_be_long, rows_per_chunk
from rowferry.connectors.mysql.connect import Access, Variant, settings_statement
from rowferry.connectors.mysql.failures import error_code, failed, lost
from rowferry.connectors.mysql.greedy import Batches, DriverFailed, read_bounded
from rowferry.connectors.mysql.keys import KeyColumn, bounds, splits
from rowferry.connectors.mysql.reading import Lender, ReadSession
from rowferry.connectors.mysql.running import Running
from rowferry.connectors.mysql.sql import ROWS, condition, limit, odd_date, order_by, quoted, where
from rowferry.connectors.mysql.treat import reference
from rowferry.connectors.mysql.types import neutral_type
from rowferry.errors import (
    Cancelled,
    ConnectionFailed,
    ConnectionLost,
    ReadFailed,
    RowferryError,
    SourceChanged,
    UnsupportedType,
)
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.policies import OddValue, refused
from rowferry.model.tables import Column, Table
from rowferry.typemap.arrow import arrow_schema

MOST = ChunkSize(rows=1_000_000, size=512 << 20)
"""What a chunk without an end may hold and still be read by the driver that does not wait."""

_BATCH_ROWS = 32768
_BATCH_BYTES = 16 << 20
_FEW = 5000
"""Rows for which a connection of the quick driver's costs more than it brings."""

_ROOM = 1 << 32
_ROOMS = {"text": 1 << 16, "blob": 1 << 16, "varchar": 1 << 16, "varbinary": 1 << 16}
_ROOMS |= {"mediumtext": 1 << 24, "mediumblob": 1 << 24}
"""How many bytes a value of these types may have, all others as many as `_ROOM`."""

_BOUNDED = attrgetter("bounded")
_WAITING = attrgetter("waiting")
_DATES = (t.Date, t.DateTime, t.Instant)


@dataclass(frozen=True)
class Reading:
    """One read of one chunk. `token` marks its statement. `live`: the columns the table has now, none for a query."""

    table: Table
    chunk: Chunk
    token: str
    live: Mapping[str, KeyColumn] = field(default_factory=dict)

    @property
    def database(self) -> str:
        """Where the unqualified names of a query are looked up."""
        return self.table.name.schema if self.table.query is not None else ""

    def prepared(self, session: ReadSession) -> Reading:
        """The same, with the table's live columns; SourceChanged when they are no longer what the plan saw."""
        if self.table.query is not None:
            return self
        found = replace(self, live=live_columns(session.wire, self.table.name))
        _refuse_changed(found)
        return found

    @property
    def key(self) -> list[KeyColumn]:
        """The columns of the key."""
        return [self.live[name] for name in self.table.key if name in self.live]

    def statement(self, expression: Callable[[Carrier], Expression]) -> str:
        """The SELECT, each column as that side of its carrier spells it."""
        selection = self.table.selection
        return f"{self._select(expression)}{order_by(selection.sorts)}{limit(selection.limit)}"

    def trial(self) -> str:
        """The SELECT, to be refused or to find nothing."""
        return f"{self._select(_BOUNDED)} LIMIT 0"

    def _select(self, expression: Callable[[Carrier], Expression]) -> str:
        expressions = [
            f"{expression(carrier(column))(reference(column), column)} AS `c{number}`"
            for number, column in enumerate(self.table.columns)
        ]
        columns = ", ".join(expressions)
        return f"SELECT /* rowferry {self.token} */ {columns} FROM {self._rows()}{where(self.conditions())}"

    def conditions(self) -> list[str]:
        """What holds for the chunk's rows, and for the selected ones among them."""
        filters = [condition(one, self._filtered(one.column)) for one in self.table.selection.filters]
        return [*bounds(self.key, self.chunk), *filters]

    def odd_date(self, column: Column) -> str:
        """A statement that finds a row whose date no other engine has."""
        odd = odd_date(reference(column))
        return f"SELECT 1 FROM {self._rows()}{where([*self.conditions(), odd])} LIMIT 1"

    def _rows(self) -> str:
        if self.table.query is not None:
            return f"(\n{bare_query(self.table.query)}\n) AS {ROWS}"
        return f"{quoted(self.table.name.schema)}.{quoted(self.table.name.name)} AS {ROWS}"

    def _filtered(self, name: str) -> Column:
        if name in self.live:
            native = self.live[name].native
            return Column(name, neutral_type(native), native)
        return self.table.column(name)


def read_chunk(
    access: Access, sessions: Lender, running: Running, table: Table, chunk: Chunk
) -> Generator[pa.RecordBatch, None, None]:
    """The chunk's rows in the neutral form."""
    running.check()
    _refuse_unknown(table)
    schema = arrow_schema(table.columns)
    reading = Reading(table, chunk, uuid4().hex)
    try:
        with _opened(access, sessions, running, reading) as batches:
            for batch in batches:
                running.check()
                if batch.num_rows:
                    yield _neutral(batch, table, chunk, schema)
            running.check()
    except (DriverFailed, pymysql.Error, OSError) as error:
        raise _explained(access, reading, running, error) from None


@contextmanager
def _opened(access: Access, sessions: Lender, running: Running, reading: Reading) -> Iterator[Batches]:
    """The rows as the driver that fits gives them; a read that is left early is ended."""
    with ExitStack() as stack:
        session = stack.enter_context(sessions.lease())
        session.use(reading.database)
        prepared = reading.prepared(session)
        url = None if sessions.held else access.url()
        if url is None or not _is_bounded(session, prepared):
            yield session.read(prepared.statement(_WAITING))
            return
        stack.close()
        yield stack.enter_context(_greedy(access, running, prepared, url, session.variant))


@contextmanager
def _greedy(access: Access, running: Running, reading: Reading, url: str, variant: Variant) -> Iterator[Batches]:
    """The rows by the driver that does not wait; its query is ended when nobody takes the rest."""
    token, finished = reading.token, False
    running.begin(token, lambda: end_query(access, token))
    rows = _batch_rows(reading.table)
    batches = read_bounded(url, settings_statement(variant), reading.statement(_BOUNDED), rows)
    try:
        yield batches
        finished = True
    finally:
        running.over(token)
        batches.close()
        if not finished:
            end_query(access, token)


def _refuse_unknown(table: Table) -> None:
    unknown = [column for column in table.columns if isinstance(column.type, t.Unknown)]
    if unknown:
        place, declared = f"{table.name}.{unknown[0].name}", unknown[0].native.declared
        raise UnsupportedType(f"{place} has the type {declared}, which cannot be carried exactly.")


def _refuse_changed(reading: Reading) -> None:
    table = reading.table
    if table.query is not None:
        return
    if not reading.live:
        raise SourceChanged(f"The table {table.name} is no longer there: start a new stream, which plans anew.")
    needed = {*table.key, *(one.column for one in table.selection.filters)}
    for name in [*table.column_names(), *needed]:
        if name not in reading.live:
            raise SourceChanged(f"{table.name} has no column {name} any more: start a new stream, which plans anew.")
    for column in table.columns:
        if reading.live[column.name].native.declared != column.native.declared:
            raise SourceChanged(
                f"{table.name}.{column.name} is of another type than before: start a new stream, which plans anew."
            )


def _is_bounded(session: ReadSession, reading: Reading) -> bool:
    """Whether the chunk is one for the driver that reads all of it, whoever takes it, and is worth its connection.

    A table with history is not for it: MariaDB fixes the end of time, in the zone of the session, when a statement
    is prepared, and this driver sets the zone after that; such a read would silently find no rows. It also takes no
    row that is longer than the server's max_allowed_packet, though the server would send it.
    """
    table, chunk, key = reading.table, reading.chunk, reading.key
    whole = chunk.low is None and chunk.high is None
    if table.query is not None or table.selection.ordered or not splits(key) or _room(table) > session.packet:
        return False
    if (whole and table.estimated_rows < _FEW) or is_versioned(session.wire, table.name):
        return False
    if chunk.high is not None:
        return True
    most = rows_per_chunk(session.wire, table, key, MOST)
    beyond = where(bounds(key, chunk))
    place = f"{quoted(table.name.schema)}.{quoted(table.name.name)}"
    order = ", ".join(quoted(column.name) for column in key)
    with session.wire.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {place}{beyond} ORDER BY {order} LIMIT 1 OFFSET {most}")
        return not cursor.fetchall()


def _room(table: Table) -> int:
    """How many bytes a row might have."""
    return sum(_ROOMS.get(column.native.name, _ROOM) for column in table.columns if may_be_long(column))


def _batch_rows(table: Table) -> int:
    width = table.estimated_bytes // table.estimated_rows if table.estimated_rows else 0
    return max(64, min(_BATCH_ROWS, _BATCH_BYTES // max(1, width)))


def _neutral(batch: pa.RecordBatch, table: Table, chunk: Chunk, schema: pa.Schema) -> pa.RecordBatch:
    arrays = [_decoded(array, column, chunk) for array, column in zip(batch.columns, table.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _decoded(array: pa.Array, column: Column, chunk: Chunk) -> pa.Array:
    try:
        return carrier(column).decode(array, column)
    except ZeroDate:
        raise _odd_date(column, chunk) from None
    except pa.ArrowException:
        raise ReadFailed(f"{chunk.table}.{column.name} holds a value that cannot be carried ({chunk}).") from None


def _odd_date(column: Column, chunk: Chunk) -> ReadFailed:
    return ReadFailed(refused(f"{chunk.table}.{column.name} ({column.native.declared})", chunk, OddValue.ZERO_DATE))


def _explained(access: Access, reading: Reading, running: Running, error: Exception) -> RowferryError:
    """What a person should hear, found out by asking the server again; the driver's own words may hold values."""
    what = str(reading.table.name)
    if running.closed:
        return Cancelled("The source was closed.")
    if lost(error) or error_code(error) or isinstance(error, OSError):
        return failed(error, what)
    try:
        with access.session(reading.database) as session:
            return _found_out(session, reading)
    except pymysql.Error as cause:
        return failed(cause, what)
    except ConnectionFailed:
        return ConnectionLost(f"The connection to the source broke while {what} was read.")


def _found_out(session: Session, reading: Reading) -> RowferryError:
    chunk = reading.chunk
    with session.cursor() as cursor:
        cursor.execute(reading.trial())
        for column in _date_columns(reading.table.columns):
            cursor.execute(reading.odd_date(column))
            if cursor.fetchall():
                return _odd_date(column, chunk)
    return ReadFailed(f"The driver that reads {chunk} gave up: look for a value that its column's type does not allow.")


def _date_columns(columns: Sequence[Column]) -> list[Column]:
    return [column for column in columns if isinstance(column.type, _DATES)]


def end_query(access: Access, token: str) -> None:
    """End the statement that holds `token`, wherever it runs; it may be over already."""
    with suppress(pymysql.Error, ConnectionFailed), access.session() as session, session.cursor() as cursor:
        cursor.execute(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()",
            (f"%{token}%",),
        )
        for (number,) in cursor.fetchall():
            with suppress(pymysql.Error):
                cursor.execute(f"KILL {int(number)}")
