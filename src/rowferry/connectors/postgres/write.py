"""One chunk, exactly once: its rows and its entry in the journal commit together, or neither does.

The entry is written first. Its primary key lets only one writer of a chunk through at a time; whoever comes
second waits, and then finds the chunk done (and leaves) or free (and writes). So it does not matter how
often, by whom, or how late a chunk is tried.

The commit does not wait for the disk (`synchronous_commit = off`). A crash of the server may then lose the
latest commits, but rows and entry vanish together, and the chunk is copied again. `finish` and `forget`
commit durably, which covers all that went before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres import journal
from rowferry.connectors.postgres.connect import PATIENCE
from rowferry.connectors.postgres.encode import Encoding
from rowferry.connectors.postgres.encode_binary import binary_copy
from rowferry.connectors.postgres.encode_csv import csv_copy
from rowferry.connectors.postgres.failures import while_writing
from rowferry.connectors.postgres.names import qualified, quoted, quoted_list
from rowferry.errors import Cancelled, ConnectionLost, WriteFailed
from rowferry.model.chunks import Chunk, Committed

STAGE = "rowferry_stage"
ORDER = "rowferry_order"

_SETTINGS = "SET LOCAL synchronous_commit = off"

Session = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Order:
    """What writing a table needs. `key`: rows that are there under the same key are updated; (): none is looked for."""

    stream_id: str
    table: PlannedTable
    key: tuple[str, ...]

    @cached_property
    def encoding(self) -> Encoding:
        """How the rows are sent."""
        return binary_copy(self.table) or csv_copy(self.table)


class Feed:
    """The batches on their way, counted; it ends with Cancelled once the target is `stopped`."""

    def __init__(self, batches: Iterator[pa.RecordBatch], stopped: Callable[[], bool]) -> None:
        self.rows = 0
        self.size = 0
        self._batches = batches
        self._stopped = stopped

    def check(self) -> None:
        """Cancelled once the target is closed."""
        if self._stopped():
            raise Cancelled("The target is closed.")

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        """Each batch once."""
        for batch in self._batches:
            self.check()
            self.rows += batch.num_rows
            self.size += batch.nbytes
            yield batch
        self.check()


def write_chunk(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    """Write the chunk and its entry, or return the entry that is there.

    What `feed` raises passes unchanged; nothing of the chunk is left then.
    """
    try:
        with session.transaction():
            return _write(session, order, chunk, feed)
    except psycopg.Error as error:
        feed.check()
        doing = f"writing chunk {chunk.number} of {order.table.target.name}"
        raise while_writing(error, doing, order.encoding.names) from error


def _write(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    name = str(order.table.target.name)
    entry = (order.stream_id, name, chunk.number)
    session.execute(_SETTINGS)
    if not _claim(session, entry):
        return journal.entry(session, *entry)
    if chunk.at is not None:
        session.execute(journal.MOMENT, (*entry, chunk.at))
    _copy(session, order, feed)
    if not session.execute(journal.CLOSE, (feed.rows, feed.size, *entry)).rowcount:
        raise WriteFailed(f"The target's journal lost chunk {chunk.number} of {name} while it was written.")
    return Committed(name, chunk.number, feed.rows, feed.size, chunk.at)


def _claim(session: Session, entry: tuple[str, str, int]) -> bool:
    try:
        return bool(session.execute(journal.CLAIM, entry).rowcount)
    except psycopg.errors.LockNotAvailable as error:
        raise ConnectionLost(
            f"Another session has been writing chunk {entry[2]} of {entry[1]} for more than {PATIENCE} s."
        ) from error


def _copy(session: Session, order: Order, feed: Feed) -> None:
    name = order.table.target.name
    place = qualified(name.schema, name.name)
    if not order.key:
        _send(session, place, order.encoding, feed)
        return
    stage = f"pg_temp.{STAGE}"
    columns = quoted_list(order.encoding.names)
    session.execute(f"CREATE TEMP TABLE {STAGE} ON COMMIT DROP AS SELECT {columns} FROM {place} WITH NO DATA".encode())
    session.execute(f"ALTER TABLE {stage} ADD COLUMN {ORDER} bigserial".encode())
    _send(session, stage, order.encoding, feed)
    session.execute(upsert(order).encode())


def _send(session: Session, place: str, encoding: Encoding, feed: Feed) -> None:
    statement = f"COPY {place} ({quoted_list(encoding.names)}) FROM STDIN (FORMAT {encoding.format})"
    with session.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for piece in encoding.sent(feed):
            copy.write(piece)


def upsert(order: Order) -> str:
    """The statement that moves the staged rows over; of several with one key, the last one counts."""
    target = order.table.target
    names = order.encoding.names
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
