"""Reading a chunk: the statement, the driver that fits it, and what went wrong when it did."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from operator import attrgetter
from uuid import uuid4

import pyarrow as pa
import pymysql
from pymysql.connections import Connection as Session

from rowferry.connectors.base import ChunkSize
from rowferry.connectors.mysql.carriers import Carrier, Expression, ZeroDate, carrier
from rowferry.connectors.mysql.catalog import bare_query, is_versioned, live_columns
from rowferry.connectors.mysql.chunks import may_be_long, row_width, rows_per_chunk
from rowferry.connectors.mysql.connect import Access, Variant, settings_statement, shielded, variant_of
from rowferry.connectors.mysql.failures import error_code, failed, lost
from rowferry.connectors.mysql.keys import KeyColumn, bounds, splits
from rowferry.connectors.mysql.readers import Batches, DriverFailed, read_bounded, read_streamed, read_wide
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
_WIDE_BYTES = 32 << 10
_BOUNDED = attrgetter("bounded")
_STREAMED = attrgetter("streamed")
_WIDE = attrgetter("wide")
_DATES = (t.Date, t.DateTime, t.Instant)


@dataclass(frozen=True)
class Reading:
    """One read of one chunk. `live`: the columns the table has now, none for a query. `token` marks its statement."""

    access: Access
    table: Table
    chunk: Chunk
    live: Mapping[str, KeyColumn]
    token: str

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


def read_chunk(access: Access, running: Running, table: Table, chunk: Chunk) -> Generator[pa.RecordBatch, None, None]:
    """The chunk's rows in the neutral form."""
    running.check()
    _refuse_unknown(table)
    reading, driver = _prepared(access, table, chunk)
    schema = arrow_schema(table.columns)
    try:
        batches = _opened(reading, running, driver)
    except RowferryError:
        running.over(reading.token)
        raise
    finished = False
    try:
        for batch in batches:
            running.check()
            if batch.num_rows:
                yield _neutral(batch, table, chunk, schema)
        running.check()
        finished = True
    except DriverFailed as error:
        raise _explained(reading, running, error) from None
    finally:
        running.over(reading.token)
        batches.close()
        if driver.greedy and not finished:
            end_query(access, reading.token)


def _refuse_unknown(table: Table) -> None:
    unknown = [column for column in table.columns if isinstance(column.type, t.Unknown)]
    if unknown:
        place, declared = f"{table.name}.{unknown[0].name}", unknown[0].native.declared
        raise UnsupportedType(f"{place} has the type {declared}, which cannot be carried exactly.")


@dataclass(frozen=True, slots=True)
class Driver:
    """Which driver reads, and what it needs: an address (ConnectorX), or the name of none of them (PyMySQL)."""

    name: str
    variant: Variant
    url: str = ""

    @property
    def greedy(self) -> bool:
        """Whether its query goes on when nobody takes the rows."""
        return self.name == "bounded"


def _prepared(access: Access, table: Table, chunk: Chunk) -> tuple[Reading, Driver]:
    with _asking(access, table) as session:
        try:
            live = {} if table.query is not None else live_columns(session, table.name)
            reading = Reading(access, table, chunk, live, uuid4().hex)
            _refuse_changed(reading)
            return reading, _driver(session, reading)
        except pymysql.Error as error:
            raise failed(error, str(table.name)) from error


def _driver(session: Session, reading: Reading) -> Driver:
    variant = variant_of(session)
    url = reading.access.url()
    if url is not None and _is_bounded(session, reading):
        return Driver("bounded", variant, url)
    if shielded(variant, "") is None or _is_wide(session, reading.table):
        return Driver("wide", variant)
    return Driver("streamed", variant)


def _is_wide(session: Session, table: Table) -> bool:
    """Whether DuckDB, which always takes 2048 rows together, would hold too much at once."""
    if table.query is not None:
        return any(may_be_long(column) for column in table.columns)
    return row_width(session, table, []) > _WIDE_BYTES


def _asking(access: Access, table: Table) -> AbstractContextManager[Session]:
    return access.session(_default_database(table))


def _default_database(table: Table) -> str | None:
    """Where the unqualified names of a query are looked up."""
    return table.name.schema or None if table.query is not None else None


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


def _is_bounded(session: Session, reading: Reading) -> bool:
    """Whether the chunk holds few enough rows for the driver that reads them all, whoever takes them.

    A table with history is not for it: MariaDB fixes the end of time, in the zone of the session, when a statement
    is prepared, and this driver sets the zone after that; such a read would silently find no rows.
    """
    table, chunk, key = reading.table, reading.chunk, reading.key
    if table.query is not None or table.selection.ordered or not splits(key) or is_versioned(session, table.name):
        return False
    if chunk.high is not None:
        return True
    most = rows_per_chunk(session, table, key, MOST)
    beyond = where(bounds(key, chunk))
    place = f"{quoted(table.name.schema)}.{quoted(table.name.name)}"
    order = ", ".join(quoted(column.name) for column in key)
    with session.cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM {place}{beyond} ORDER BY {order} LIMIT 1 OFFSET {most}")
        return not cursor.fetchall()


def _opened(reading: Reading, running: Running, driver: Driver) -> Batches:
    access, table, token = reading.access, reading.table, reading.token
    rows = _batch_rows(table)
    if driver.name == "streamed":
        sql = shielded(driver.variant, reading.statement(_STREAMED)) or ""
        return read_streamed(access, table.name.schema, sql, rows, lambda end: running.begin(token, end))
    running.begin(token, lambda: end_query(access, token))
    if driver.name == "wide":
        return read_wide(access.connect(_default_database(table)), reading.statement(_WIDE), _BATCH_BYTES)
    return read_bounded(driver.url, settings_statement(driver.variant), reading.statement(_BOUNDED), rows)


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


def _explained(reading: Reading, running: Running, error: DriverFailed) -> RowferryError:
    """What a person should hear, found out by asking the server again; the driver's own words may hold values."""
    what = str(reading.table.name)
    if running.closed:
        return Cancelled("The source was closed.")
    if lost(error) or error_code(error):
        return failed(error, what)
    try:
        with _asking(reading.access, reading.table) as session:
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
