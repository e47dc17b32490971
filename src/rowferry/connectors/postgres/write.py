"""One chunk, exactly once: its rows and its entry in the journal commit together, or neither does.

The entry is written first. Its primary key lets only one writer of a chunk through at a time; whoever comes
second waits, and then finds the chunk done (and leaves) or free (and writes). So it does not matter how
often, by whom, or how late a chunk is tried.

The commit does not wait for the disk (`synchronous_commit = off`). A crash of the server may then lose the
latest commits, but rows and entry vanish together, and the chunk is copied again. `finish` and `forget`
commit durably, which covers all that went before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import adbc_driver_manager
import psycopg
import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres import journal
from rowferry.connectors.postgres.connect import sqlstate
from rowferry.connectors.postgres.encode import Field, binary_fields, encoded, text_fields
from rowferry.connectors.postgres.failures import while_writing
from rowferry.connectors.postgres.names import qualified, quoted, quoted_list
from rowferry.connectors.postgres.writers import Session
from rowferry.errors import Cancelled, ConnectionLost, RowferryError, WriteFailed
from rowferry.model.chunks import Chunk, Committed
from rowferry.typemap.arrow import arrow_schema

PATIENCE = "60s"
"""How long a chunk waits for locks of others, such as those of a writer that has lost its way."""

STAGE = "rowferry_stage"
ORDER = "rowferry_order"

DriverErrors = (psycopg.Error, adbc_driver_manager.Error, pa.ArrowException, OSError)


@dataclass(frozen=True)
class Order:
    """What writing a table needs. `key`: rows that are there under the same key are updated; (): none is looked for."""

    stream_id: str
    table: PlannedTable
    key: tuple[str, ...]

    @cached_property
    def binary(self) -> bool:
        """Whether binary COPY can take all the columns."""
        return binary_fields(self.table) is not None

    @cached_property
    def fields(self) -> Sequence[Field]:
        """The columns as they are sent."""
        return binary_fields(self.table) or text_fields(self.table)

    @cached_property
    def form(self) -> pa.Schema:
        """The Arrow schema of what is sent."""
        schema = arrow_schema(self.table.source.columns)
        return encoded(self.fields, pa.RecordBatch.from_pylist([], schema)).schema


class Feed:
    """The batches on their way into the driver, counted; `failed` keeps what they raised, which drivers wrap."""

    def __init__(self, batches: Iterator[pa.RecordBatch], fields: Sequence[Field], stopped: Callable[[], bool]) -> None:
        self.rows = 0
        self.size = 0
        self.failed: BaseException | None = None
        self._batches = batches
        self._fields = fields
        self._stopped = stopped

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Each batch once, encoded."""
        while True:
            try:
                batch = next(self._batches, None)
                if self._stopped():
                    raise Cancelled("The target is closed.")
            except BaseException as error:
                self.failed = error
                raise
            if batch is None:
                return
            self.rows += batch.num_rows
            self.size += batch.nbytes
            yield self._encoded(batch)

    def _encoded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            return encoded(self._fields, batch)
        except (pa.ArrowException, KeyError, IndexError) as error:
            self.failed = WriteFailed("A value does not fit the type that its column was planned with.")
            raise self.failed from error


def write_chunk(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    """Write the chunk and its entry, or return the entry that is there. The session is left outside a transaction."""
    doing = f"writing chunk {chunk.number} of {order.table.target.name}"
    try:
        return _write(session, order, chunk, feed)
    except BaseException as error:
        _roll_back(session)
        failed = feed.failed or error
        if failed is not error or not isinstance(error, DriverErrors):
            raise failed from failed.__cause__
        raise _in_our_words(error, doing, order) from error


def _write(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    name = str(order.table.target.name)
    entry = (order.stream_id, name, chunk.number)
    session.execute("BEGIN")
    session.execute("SET LOCAL synchronous_commit = off")
    session.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
    if not _claim(session, entry):
        [(rows, size)] = session.execute(journal.ENTRY, *entry)
        session.execute("ROLLBACK")
        return Committed(name, chunk.number, rows, size)
    _copy(session, order, feed)
    if not session.execute(journal.CLOSE, *entry, feed.rows, feed.size):
        raise WriteFailed(f"The target's journal lost chunk {chunk.number} of {name} while it was written.")
    session.execute("COMMIT")
    return Committed(name, chunk.number, feed.rows, feed.size)


def _claim(session: Session, entry: tuple[str, str, int]) -> bool:
    try:
        return bool(session.execute(journal.CLAIM, *entry))
    except DriverErrors as error:
        if sqlstate(error) != "55P03":
            raise
        raise ConnectionLost(
            f"Another session has been writing chunk {entry[2]} of {entry[1]} for more than {PATIENCE}."
        ) from error


def _copy(session: Session, order: Order, feed: Feed) -> None:
    target = order.table.target
    if not order.key:
        session.copy(target.name.schema, target.name.name, order.form, iter(feed))
        return
    place = qualified(target.name.schema, target.name.name)
    columns = quoted_list(order.form.names)
    session.execute(f"CREATE TEMP TABLE {STAGE} ON COMMIT DROP AS SELECT {columns} FROM {place} WITH NO DATA")
    session.execute(f"ALTER TABLE pg_temp.{STAGE} ADD COLUMN {ORDER} bigserial")
    session.copy("pg_temp", STAGE, order.form, iter(feed))
    session.execute(upsert(order))


def upsert(order: Order) -> str:
    """The statement that moves the staged rows over; of several with one key, the last one counts."""
    target = order.table.target
    names = order.form.names
    key = quoted_list(order.key)
    # NULL never equals NULL in a unique key, so such rows are told apart by their place.
    empty = " OR ".join(f"{quoted(name)} IS NULL" for name in order.key)
    apart = f"CASE WHEN {empty} THEN {ORDER} END"
    changed = [f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in names if name not in order.key]
    action = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
    return (
        f"INSERT INTO {qualified(target.name.schema, target.name.name)} ({quoted_list(names)}) OVERRIDING SYSTEM VALUE "
        f"SELECT DISTINCT ON ({key}, {apart}) {quoted_list(names)} FROM pg_temp.{STAGE} "
        f"ORDER BY {key}, {apart}, {ORDER} DESC ON CONFLICT ({key}) DO {action}"
    )


def _roll_back(session: Session) -> None:
    try:
        session.execute("ROLLBACK")
    except DriverErrors:
        session.broken = True


def _in_our_words(error: BaseException, doing: str, order: Order) -> RowferryError:
    if isinstance(error, psycopg.Error | adbc_driver_manager.Error):
        return while_writing(error, doing, order.form.names)
    return WriteFailed(f"The target's driver gave up, while {doing}.")
