"""One chunk, exactly once: its rows and its entry in the journal commit together, or neither does.

The entry is claimed first (`journal.claim`). So it does not matter how often, by whom, or how late a chunk is tried.

Rows go in by one prepared INSERT with many rows of parameters where the server is a MariaDB and no value may be long;
else by LOAD DATA LOCAL, and by INSERT where the server does not allow that. LOCAL makes the server turn errors into
warnings, cut values and skip rows; so every warning counts as the error it was, and the rows that arrived are counted
against those that were sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.mysql import journal
from rowferry.connectors.mysql.encode import Field, fields_of, inserted_rows, loaded_rows
from rowferry.connectors.mysql.encode_bulk import BulkRows, bulk_rows
from rowferry.connectors.mysql.failures import error_code
from rowferry.connectors.mysql.names import place, quoted_list
from rowferry.connectors.mysql.refusals import DriverErrors, while_writing
from rowferry.connectors.mysql.sessions import PATIENCE, Session
from rowferry.connectors.mysql.sql import quoted
from rowferry.errors import Cancelled, ConnectionLost, WriteFailed
from rowferry.model.chunks import Chunk, Committed

STAGE = "rowferry_stage"
_PIECE = 256 * 1024
_STATEMENT = 1024 * 1024
_ROOM = 1024


@dataclass(frozen=True)
class Order:
    """What writing a table needs. `key`: rows that are there under the same key are updated; (): none is looked for."""

    stream_id: str
    table: PlannedTable
    key: tuple[str, ...]

    @cached_property
    def fields(self) -> Sequence[Field]:
        """The columns as they are sent."""
        return fields_of(self.table)

    @cached_property
    def bulk(self) -> BulkRows | None:
        """The same as parameters, where no value may be long."""
        return bulk_rows(self.table)

    @property
    def names(self) -> list[str]:
        """Their names on the target."""
        return [field.name for field in self.fields]

    @property
    def place(self) -> str:
        """The table's name in SQL."""
        return place(self.table.target.name)

    @property
    def unchecked(self) -> bool:
        """Whether its references wait until the rows of other tables are there."""
        return self.table.existing and bool(self.table.target.foreign_keys)


class Feed:
    """The batches on their way to the server, counted; `failed` keeps what they raised."""

    def __init__(self, batches: Iterator[pa.RecordBatch], order: Order, stopped: Callable[[], bool]) -> None:
        self.rows = 0
        self.size = 0
        self.failed: BaseException | None = None
        self._batches = batches
        self._order = order
        self._stopped = stopped

    def pieces(self, largest: int) -> Iterator[bytes]:
        """The rows as LOAD DATA reads them, in pieces that fit into a packet."""
        step = max(1, min(_PIECE, largest - _ROOM))
        for batch in self._counted():
            text = self._encoded(loaded_rows, batch)
            for start in range(0, len(text), step):
                yield bytes(text[start : start + step])

    def slices(self, bulk: BulkRows, largest: int) -> Iterator[memoryview]:
        """The rows as parameters, in slices that fit into a packet, as each of them does."""
        for batch in self._counted():
            yield from self._encoded(lambda _, batch: list(bulk.sent(batch, largest - _ROOM)), batch)

    def statements(self, begin: bytes, largest: int) -> Iterator[tuple[bytes, int]]:
        """The rows as INSERT statements that fit into a packet, each with the number of its rows."""
        most = max(1, min(_STATEMENT, largest - _ROOM))
        for batch in self._counted():
            rows: list[bytes] = []
            size = len(begin)
            for number, row in enumerate(self._encoded(inserted_rows, batch)):
                if len(begin) + len(row) >= largest:
                    # The server would hang up while we send, and its reason could be lost on the way.
                    raise self._too_long(batch, number)
                if rows and size + len(row) + 1 > most:
                    yield begin + b",".join(rows), len(rows)
                    rows, size = [], len(begin)
                rows.append(row)
                size += len(row) + 1
            if rows:
                yield begin + b",".join(rows), len(rows)

    def _too_long(self, batch: pa.RecordBatch, row: int) -> WriteFailed:
        lengths = [len(str(column[row])) for column in batch.columns]
        longest = self._order.fields[lengths.index(max(lengths))].name
        name = self._order.table.target.name
        self.failed = WriteFailed(
            f"{name} gets a row that is longer than the target server's max_allowed_packet, most of it in the column "
            f"{longest}: raise that setting, or set local_infile there, which takes rows of any length."
        )
        return self.failed

    def check(self) -> None:
        """Cancelled once the target is closed."""
        if self._stopped():
            raise Cancelled("The target is closed.")

    def _counted(self) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = next(self._batches, None)
                self.check()
            except BaseException as error:
                self.failed = error
                raise
            if batch is None:
                return
            if batch.num_rows:
                self.rows += batch.num_rows
                self.size += batch.nbytes
                yield batch

    def _encoded(self, encode: Callable[..., Any], batch: pa.RecordBatch) -> Any:
        try:
            return encode(self._order.fields, batch)
        except WriteFailed as error:
            self.failed = error
            raise
        except (pa.ArrowException, KeyError, IndexError) as error:
            self.failed = WriteFailed("A value does not fit the type that its column was planned with.")
            raise self.failed from error


def write_chunk(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    """Write the chunk and its entry, or return the entry that is there. The session is left outside a transaction."""
    doing = f"writing chunk {chunk.number} of {order.table.target.name}"
    try:
        return _write(session, order, chunk, feed)
    except BaseException as error:
        _leave(session, order)
        if feed.failed is not None:
            raise feed.failed from feed.failed.__cause__
        if not isinstance(error, DriverErrors):
            raise
        feed.check()
        raise while_writing(error, doing, order.names) from error


def _write(session: Session, order: Order, chunk: Chunk, feed: Feed) -> Committed:
    name = str(order.table.target.name)
    entry = (order.stream_id, name, chunk.number)
    if order.key:
        _make_stage(session, order)
    session.execute("START TRANSACTION")
    if not _claim(session, entry):
        done = journal.entry_of(session, entry)
        _leave(session, order)
        if done is None:
            raise WriteFailed(f"The target's journal does not know {name} any more: start a new stream.")
        return done
    if order.unchecked:
        session.execute("SET foreign_key_checks = 0")
    if order.key:
        _upsert(session, order, feed)
    else:
        put(session, order, order.place, feed)
    if order.unchecked:
        session.execute("SET foreign_key_checks = 1")
    committed = Committed(name, chunk.number, feed.rows, feed.size, chunk.at)
    journal.close(session, entry, committed)
    session.execute("COMMIT")
    if order.key:
        session.execute(f"DROP TEMPORARY TABLE {_stage(order)}")
    return committed


def _claim(session: Session, entry: journal.Entry) -> bool:
    try:
        return journal.claim(session, entry)
    except DriverErrors as error:
        if error_code(error) != 1205:
            raise
        raise ConnectionLost(
            f"Another session has been writing chunk {entry[2]} of {entry[1]} for more than {PATIENCE} s."
        ) from error


def put(session: Session, order: Order, table: str, feed: Feed, replace: bool = False) -> None:
    """All rows into a table; each of them, or an error."""
    word = "REPLACE" if replace else "INSERT"
    begin = f"{word} INTO {table} ({quoted_list(order.names)}) VALUES "
    if session.bulk and order.bulk and order.bulk.widest < session.largest - _ROOM:
        arrived = session.fill(
            f"{begin}({order.bulk.words})", order.bulk.types, feed.slices(order.bulk, session.largest)
        )
    elif session.local_infile:
        arrived = session.load(load_statement(order.fields, table, replace), feed.pieces(session.largest))
    else:
        arrived = sum(session.store(text) for text, _ in feed.statements(begin.encode(), session.largest))
    if arrived != feed.rows and not replace:
        raise WriteFailed(f"{order.table.target.name} took {arrived} of {feed.rows} rows.")


def load_statement(fields: Sequence[Field], table: str, replace: bool = False) -> str:
    """The statement whose file is the feed; a column that the server must turn back stands in SET."""
    columns, changed = [], []
    for number, field in enumerate(fields):
        if field.form.loaded == "{}":
            columns.append(quoted(field.name))
        else:
            columns.append(f"@v{number}")
            changed.append(f"{quoted(field.name)} = {field.form.loaded.format(f'@v{number}')}")
    word = " REPLACE" if replace else ""
    setting = f" SET {', '.join(changed)}" if changed else ""
    return (
        f"LOAD DATA LOCAL INFILE 'rowferry'{word} INTO TABLE {table} CHARACTER SET utf8mb4 "
        r"FIELDS TERMINATED BY '\t' ESCAPED BY '\\' LINES TERMINATED BY '\n' "
        f"({', '.join(columns)}){setting}"
    )


def _stage(order: Order) -> str:
    return f"{quoted(order.table.target.name.schema)}.{quoted(STAGE)}"


def _make_stage(session: Session, order: Order) -> None:
    """A table of the session's own with the key, so that of several rows under one key the last replaces the others."""
    session.execute(f"DROP TEMPORARY TABLE IF EXISTS {_stage(order)}")
    session.execute(
        f"CREATE TEMPORARY TABLE {_stage(order)} (UNIQUE KEY `rowferry_key` ({quoted_list(order.key)})) ENGINE=InnoDB "
        f"SELECT {quoted_list(order.names)} FROM {order.place} LIMIT 0"
    )


def _upsert(session: Session, order: Order, feed: Feed) -> None:
    """Rows under a key that is there are updated, the others come in; a clash with another unique key is an error."""
    put(session, order, _stage(order), feed, replace=True)
    for statement in upsert(order):
        session.store(statement)


def upsert(order: Order) -> list[str]:
    """The statements that move the staged rows over."""
    stage, there = _stage(order), order.place
    same = " AND ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in order.key)
    changed = ", ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in order.names)
    columns = ", ".join(f"s.{quoted(name)}" for name in order.names)
    first = quoted(order.key[0])
    return [
        f"UPDATE {there} t JOIN {stage} s ON {same} SET {changed}",
        f"INSERT INTO {there} ({quoted_list(order.names)}) SELECT {columns} FROM {stage} s "
        f"LEFT JOIN {there} t ON {same} WHERE t.{first} IS NULL",
    ]


def _leave(session: Session, order: Order) -> None:
    """Undo, and be as before."""
    session.roll_back()
    if session.broken:
        return
    try:
        if order.unchecked:
            session.execute("SET foreign_key_checks = 1")
        if order.key:
            session.execute(f"DROP TEMPORARY TABLE IF EXISTS {_stage(order)}")
    except DriverErrors:
        session.broken = True
