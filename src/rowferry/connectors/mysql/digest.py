"""Checksums of MySQL's and MariaDB's rows, made by the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pymysql
from pymysql.connections import Connection as Session
from pymysql.cursors import Cursor, SSCursor

from rowferry.connectors.base import ChunkSize, DigestRequest, SourceRequest, TableRequest
from rowferry.connectors.mysql.catalog import bare_query, live_columns
from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.failures import failed
from rowferry.connectors.mysql.keys import KeyColumn, bounds
from rowferry.connectors.mysql.read import end_query
from rowferry.connectors.mysql.running import Running
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.connectors.mysql.spell import row, spelled
from rowferry.connectors.mysql.sql import ROWS, condition, limit, order_by, quoted, text, where
from rowferry.connectors.mysql.types import neutral_type
from rowferry.errors import Cancelled
from rowferry.model.chunks import Chunk
from rowferry.model.digests import NOTHING, Bucket, Digest, RowDigest, RowId, Spelling, View
from rowferry.model.tables import Column, Table, TableName
from rowferry.model.types import Binary

_LONGEST = 1 << 30
"""Bytes that the server may put together; it stays below max_allowed_packet in any case, and then warns."""

_CUT_OFF = frozenset({1260, 1301})
"""Warnings that a text was cut at group_concat_max_len, or is none because of max_allowed_packet."""


def open_digests(request: DigestRequest) -> MySqlDigests:
    """One side of a comparison; it connects when it is first asked."""
    return MySqlDigests(request)


class MySqlDigests:
    """Sessions are kept, one for each thread at work; what a table's columns are is asked once."""

    ranges = True

    def __init__(self, request: DigestRequest) -> None:
        self._source = MySqlSource(SourceRequest(request.connection, request.database, request.schema))
        self._access = Access(request.connection)
        self._running = Running()
        self._idle: list[Session] = []
        self._live: dict[TableName, Mapping[str, KeyColumn]] = {}

    def tables(self, requests: Sequence[TableRequest]) -> list[Table]:
        """See `Digests.tables`."""
        return self._source.tables(requests)

    def agreed(self, column: Column, spelling: Spelling) -> Spelling:
        """See `Digests.agreed`."""
        return spelling

    def chunks(self, table: Table, size: ChunkSize) -> list[Chunk]:
        """See `Digests.chunks`."""
        return self._source.chunks(table, size)

    def sequence(self, view: View, chunk: Chunk) -> Digest:
        """See `Digests.sequence`. The primary key is the order in which its rows lie and need not be sorted."""
        table = view.table
        hint, order = " FORCE INDEX (PRIMARY)", ""
        if table.key != table.primary_key:
            hint, order = "", f" ORDER BY {', '.join(map(quoted, table.key))}"
        made = f"GROUP_CONCAT({row(view.columns)}{order} SEPARATOR ';')"
        with self._asking(table) as ask:
            conditions = where(self._conditions(ask.session, table, chunk))
            (found,) = ask(f"COUNT(*), MD5({made}) FROM {_place(table)} AS {ROWS}{hint}{conditions}")
            cut_off = ask.cut_off()
        return NOTHING if not found[0] else Digest(int(found[0]), None if cut_off else _word(found[1]))

    def buckets(self, view: View, digits: int) -> Mapping[str, Digest]:
        """See `Digests.buckets`."""
        key, made = row(view.key_columns or view.columns), row(view.columns)
        number = "CAST(CONV(LEFT(`h`, 15), 16, 10) AS UNSIGNED)"
        with self._asking(view.table) as ask:
            rows = f"SELECT MD5({made}) AS `h`, MD5({key}) AS `k` FROM {self._rows(ask.session, view.table)}"
            bucket = f"LEFT(`k`, {digits})"
            found = ask(f"{bucket} AS `b`, COUNT(*), SUM({number}) FROM ({rows}) AS `d` GROUP BY `b`")
        return {_word(name): Digest(int(count), str(int(total))) for name, count, total in found}

    def rows(self, view: View, part: Chunk | Bucket) -> Iterator[RowDigest]:
        """See `Digests.rows`."""
        table = view.table
        shown = "".join(f", {_shown(one.column)}" for one in view.key_columns)
        key = row(view.key_columns or view.columns)
        with self._asking(table, SSCursor) as ask:
            wanted = self._conditions(ask.session, table, part if isinstance(part, Chunk) else None)
            if isinstance(part, Bucket):
                listed = ", ".join(map(text, part.prefixes))
                wanted.append(f"LEFT(MD5({key}), {len(part.prefixes[0])}) IN ({listed})")
            rows = self._rows(ask.session, table, wanted)
            mark = "''" if view.ordered else f"MD5({key})"
            for mark_found, checksum, *values in ask(f"{mark}, MD5({row(view.columns)}){shown} FROM {rows}"):
                shown_key = tuple("" if value is None else _word(value) for value in values)
                identity: RowId = tuple(map(int, shown_key)) if view.ordered else _word(mark_found)
                yield RowDigest(identity, shown_key or None, _word(checksum))

    def cells(self, view: View, rows: Sequence[RowId]) -> Mapping[RowId, Sequence[str | None]]:
        """See `Digests.cells`."""
        hashes = ", ".join(f"MD5(CONCAT({spelled(one)}))" for one in view.columns)
        key = f"MD5({row(view.key_columns or view.columns)})"
        names = ", ".join(quoted(one.column.name) for one in view.key_columns)
        with self._asking(view.table) as ask:
            wanted = self._conditions(ask.session, view.table, None)
            if view.ordered:
                wanted.append(f"({names}) IN ({', '.join(map(_numbers, rows))})")
            else:
                wanted.append(f"{key} IN ({', '.join(text(str(one)) for one in rows)})")
            selected = names if view.ordered else key
            found = ask(f"{selected}, {hashes} FROM {self._rows(ask.session, view.table, wanted)}")
        width = len(view.key) if view.ordered else 1
        return {
            tuple(map(int, line[:width])) if view.ordered else _word(line[0]): [*map(_word, line[width:])]
            for line in found
        }

    def close(self) -> None:
        """See `Digests.close`."""
        self._running.close()
        while self._idle:
            _hang_up(self._idle.pop())
        self._source.close()
        self._access.close()

    @contextmanager
    def _asking(self, table: Table, cursor: type[Cursor] = Cursor) -> Iterator[_Asking]:
        token = uuid4().hex
        self._running.begin(token, lambda: end_query(self._access, token))
        session: Session | None = None
        clean = False
        try:
            session = self._session(table)
            yield _Asking(session, token, cursor)
            clean = True
        except (pymysql.Error, OSError) as error:
            if self._running.closed:
                raise Cancelled("The comparison was closed.") from error
            raise failed(error, str(table.name)) from error
        finally:
            self._running.over(token)
            if session is not None and clean and not self._running.closed:
                self._idle.append(session)
            elif session is not None:
                _hang_up(session)

    def _session(self, table: Table) -> Session:
        """A session that nobody else uses, in the database where a query's names are looked up."""
        try:
            session = self._idle.pop()
        except IndexError:
            session = self._access.connect()
            with session.cursor() as cursor:
                cursor.execute(f"SET group_concat_max_len = {_LONGEST}")
        if table.query is not None and table.name.schema:
            session.select_db(table.name.schema)
        return session

    def _conditions(self, session: Session, table: Table, chunk: Chunk | None) -> list[str]:
        if table.query is None and table.name not in self._live:
            self._live[table.name] = live_columns(session, table.name)
        live = self._live.get(table.name, {})
        key = [live[name] for name in table.key if name in live]
        ranges = bounds(key, chunk) if chunk is not None else []
        return ranges + [condition(one, _filtered(table, live, one.column)) for one in table.selection.filters]

    def _rows(self, session: Session, table: Table, wanted: list[str] | None = None) -> str:
        """What stands after FROM; the rows up to a limit are those in their order, whatever is wanted of them."""
        conditions = self._conditions(session, table, None) if wanted is None else wanted
        if table.selection.limit is None:
            return f"{_place(table)} AS {ROWS}{where(conditions)}"
        selected = where(self._conditions(session, table, None))
        order = f"{order_by(table.selection.sorts)}{limit(table.selection.limit)}"
        return f"(SELECT * FROM {_place(table)} AS {ROWS}{selected}{order}) AS {ROWS}{where(conditions)}"


class _Asking:
    """One session and its statements."""

    def __init__(self, session: Session, token: str, cursor: type[Cursor]) -> None:
        self.session, self._token, self._cursor = session, token, cursor
        self._warned = False

    def __call__(self, select: str) -> Sequence[Sequence[Any]] | Iterator[Sequence[Any]]:
        """The rows of "SELECT …"; with an unbuffered cursor as they come."""
        cursor = self._cursor(self.session)
        cursor.execute(f"SELECT /* rowferry {self._token} */ {select}")
        if isinstance(cursor, SSCursor):
            return cursor.fetchall_unbuffered()
        self._warned = cursor.warning_count > 0
        return cursor.fetchall()

    def cut_off(self) -> bool:
        """Whether the last statement's text became longer than the server allows."""
        if not self._warned:
            return False
        with self.session.cursor() as cursor:
            cursor.execute("SHOW WARNINGS")
            return any(code in _CUT_OFF for _, code, _ in cursor.fetchall())


def _hang_up(session: Session) -> None:
    """Without taking the rest of a result, which the driver would do by itself."""
    with suppress(pymysql.Error, OSError):
        session._force_close()  # type: ignore[attr-defined]


def _place(table: Table) -> str:
    if table.query is not None:
        return f"(\n{bare_query(table.query)}\n)"
    return f"{quoted(table.name.schema)}.{quoted(table.name.name)}"


def _filtered(table: Table, live: Mapping[str, KeyColumn], name: str) -> Column:
    if name in live:
        return Column(name, neutral_type(live[name].native), live[name].native)
    return table.column(name)


def _shown(column: Column) -> str:
    """A key's value for people."""
    name = quoted(column.name)
    return f"CONCAT('0x', HEX({name}))" if isinstance(column.type, Binary) else f"CAST({name} AS CHAR)"


def _numbers(row_id: RowId) -> str:
    return f"({', '.join(str(int(number)) for number in row_id)})"


def _word(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
