"""Checksums of PostgreSQL's rows, made by the server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import psycopg
from psycopg.sql import SQL, Composable, Literal

from rowferry.connectors.base import ChunkSize, DigestRequest, SourceRequest, TableRequest
from rowferry.connectors.postgres.catalog import Session, storage
from rowferry.connectors.postgres.connect import connect, read_error, reading
from rowferry.connectors.postgres.pool import Sessions
from rowferry.connectors.postgres.selection import column, filters, key_range, order, relation, where
from rowferry.connectors.postgres.source import PostgresSource
from rowferry.connectors.postgres.spell import hashed, row, row_hash, spelled
from rowferry.errors import Cancelled, SourceChanged
from rowferry.model.chunks import Chunk
from rowferry.model.digests import NOTHING, Bucket, Digest, RowDigest, RowId, Spelling, View
from rowferry.model.tables import Column, Table, TableName

_BATCH = 2000

_IN_ORDER = "SELECT set_config('max_parallel_workers_per_gather', '0', true), set_config('enable_sort', 'off', true)"
"""For a transaction that reads in a key's order: several workers of the server would lose it, and a table that was
filled a moment ago has no statistics, without which the server sorts what its index gives in order."""


def open_digests(request: DigestRequest) -> PostgresDigests:
    """One side of a comparison; it connects when it is first asked."""
    return PostgresDigests(request)


class PostgresDigests:
    """Sessions are kept, one for each thread at work."""

    ranges = True

    def __init__(self, request: DigestRequest) -> None:
        self._source = PostgresSource(SourceRequest(request.connection, request.database, request.schema))

        def open_session() -> Session:
            session = connect(request.connection, request.database)
            session.execute(reading(request.schema))
            session.execute("SELECT set_config('jit', 'off', false)")
            return session

        self._partitions: dict[TableName, bool] = {}
        self._sessions: Sessions[Session] = Sessions(open_session, lambda one: one.cancel_safe(timeout=5))

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
        """See `Digests.sequence`."""
        ordered = SQL(" ORDER BY {}").format(SQL(", ").join(map(column, view.table.key)))
        with self._asking(view.table) as session, session.transaction():
            session.execute(_IN_ORDER)
            made = row(view.columns, self._utf8)
            rows = SQL("SELECT {} AS r FROM {}{}").format(made, self._rows(session, view.table, chunk), ordered)
            sum_of_all = hashed(SQL("string_agg(r, ';')"), self._utf8)
            found = session.execute(SQL("SELECT count(*), {} FROM ({}) AS s").format(sum_of_all, rows)).fetchone()
        return Digest(found[0], found[1]) if found and found[0] else NOTHING

    def buckets(self, view: View, digits: int) -> Mapping[str, Digest]:
        """See `Digests.buckets`."""
        utf8 = self._utf8
        key = row_hash(view.key_columns, utf8) if view.key else SQL("NULL::text")
        with self._asking(view.table) as session:
            source = self._rows(session, view.table, None)
            # OFFSET 0 keeps the server from making the same MD5 twice.
            rows = SQL("SELECT {} AS k, {} AS h FROM {} OFFSET 0").format(key, row_hash(view.columns, utf8), source)
            query = SQL(
                "SELECT left(coalesce(k, h), {}) AS b, count(*), sum(('x0' || left(h, 15))::bit(64)::bigint)"
                " FROM ({}) AS d GROUP BY b"
            ).format(Literal(digits), rows)
            return {name: Digest(count, str(total)) for name, count, total in session.execute(query)}

    def rows(self, view: View, part: Chunk | Bucket) -> Iterator[RowDigest]:
        """See `Digests.rows`."""
        utf8 = self._utf8
        key = row_hash(view.key_columns or view.columns, utf8)
        shown = [SQL(", {}::text").format(column(one.column.name)) for one in view.key_columns]
        mark = SQL("''") if view.ordered else key
        with self._asking(view.table) as session, session.transaction():
            source = self._rows(session, view.table, part, key)
            made = SQL("SELECT {}, {}{} FROM {}").format(
                mark, row_hash(view.columns, utf8), SQL("").join(shown), source
            )
            with session.cursor("rows") as cursor:
                cursor.itersize = _BATCH
                for identity, checksum, *values in cursor.execute(made):
                    words = tuple("" if value is None else value for value in values)
                    yield RowDigest(tuple(map(int, words)) if view.ordered else identity, words or None, checksum)

    def cells(self, view: View, rows: Sequence[RowId]) -> Mapping[RowId, Sequence[str | None]]:
        """See `Digests.cells`."""
        utf8 = self._utf8
        hashes = SQL(", ").join(hashed(SQL("concat({})").format(spelled(one, utf8)), utf8) for one in view.columns)
        key = row_hash(view.key_columns or view.columns, utf8)
        wanted = SQL("{} = ANY({})").format(key, Literal([str(one) for one in rows]))
        selected = key
        if view.ordered:
            selected = SQL(", ").join(column(one.column.name) for one in view.key_columns)
            wanted = SQL("({}) IN ({})").format(selected, SQL(", ").join(map(_numbers, rows)))
        width = len(view.key) if view.ordered else 1
        with self._asking(view.table) as session:
            source = self._rows(session, view.table, None, wanted=wanted)
            found = session.execute(SQL("SELECT {}, {} FROM {}").format(selected, hashes, source)).fetchall()
        return {tuple(map(int, line[:width])) if view.ordered else line[0]: line[width:] for line in found}

    def close(self) -> None:
        """See `Digests.close`."""
        self._sessions.close()
        self._source.close()

    @cached_property
    def _utf8(self) -> bool:
        with self._asking(None) as session:
            return session.info.parameter_status("server_encoding") == "UTF8"

    @contextmanager
    def _asking(self, table: Table | None) -> Iterator[Session]:
        try:
            with self._sessions.borrowed() as session:
                yield session
        except psycopg.Error as error:
            if self._sessions.closed:
                raise Cancelled("The comparison was closed.") from error
            doing = f"comparing {table.name}" if table else "preparing a comparison"
            raise read_error(error, doing) from error

    def _rows(
        self,
        session: Session,
        table: Table,
        part: Chunk | Bucket | None,
        key: Composable | None = None,
        wanted: Composable | None = None,
    ) -> Composable:
        """What stands after FROM; the rows up to a limit are those in their order, whatever is wanted of them."""
        conditions = [wanted] if wanted is not None else []
        if isinstance(part, Chunk):
            conditions += key_range(table, part)
        if isinstance(part, Bucket) and key is not None:
            prefixes = Literal(list(part.prefixes))
            conditions.append(SQL("left({}, {}) = ANY({})").format(key, Literal(len(part.prefixes[0])), prefixes))
        source = relation(table, self._partitioned(session, table))
        selected = filters(table.selection)
        if table.selection.limit is None:
            return SQL("{}{}").format(source, where([*selected, *conditions]))
        limited = SQL("{}{}{}").format(source, where(selected), order(table.selection))
        return SQL("(SELECT t.* FROM {}) AS t{}").format(limited, where(conditions))

    def _partitioned(self, session: Session, table: Table) -> bool:
        if table.query is not None:
            return False
        if table.name not in self._partitions:
            found, _ = storage(session, table.name)
            if found is None:
                raise SourceChanged(f"{table.name} is no longer there.")
            self._partitions[table.name] = found.partitioned
        return self._partitions[table.name]


def _numbers(row_id: RowId) -> Composable:
    return SQL("({})").format(SQL(", ").join(Literal(int(number)) for number in row_id))
