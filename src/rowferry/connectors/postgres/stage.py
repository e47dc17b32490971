"""Temporary tables in which changes wait for the statement that carries them over.

They are kept for the session, one for each kind of rows, and emptied by the server at each commit. None grows old: a
temporary table cannot be vacuumed by the server, and would hold back the age of the whole database's transactions.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import pyarrow as pa

from rowferry.connectors.postgres.encode import Encoding
from rowferry.connectors.postgres.names import qualified, quoted_list
from rowferry.model.tables import TableName

Session = psycopg.Connection[tuple[Any, ...]]

MOST = 64
"""How many are kept; each costs a little at every commit."""

OLDEST = 3600.0
"""Seconds after which they are made anew."""


@dataclass
class Stage:
    """One of them; `used`: it may have rows of this transaction, `new`: it was made in it."""

    name: str
    used: bool = False
    new: bool = True

    def fill(self, session: Session, encoding: Encoding, batch: pa.RecordBatch) -> None:
        """Put rows in, in the place of others."""
        if self.used:
            session.execute(f"TRUNCATE {self.name}".encode(), prepare=False)
        self.used = True
        send(session, self.name, encoding, batch)


class Stages:
    """A session's temporary tables."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._made: OrderedDict[tuple[TableName, Sequence[str]], Stage] = OrderedDict()
        self._count = 0
        self._since = time.monotonic()

    def ready(self, table: TableName, columns: Sequence[str]) -> Stage:
        """The stage of rows of these columns, expressions over the table. Not to be asked for in a savepoint."""
        kind = (table, tuple(columns))
        stage = self._made.get(kind)
        if stage is None:
            stage = self._made[kind] = self._make(table, columns)
        self._made.move_to_end(kind)
        return stage

    def forget(self, table: TableName) -> None:
        """The table's columns are others from now on."""
        for kind in [kind for kind in self._made if kind[0] == table]:
            self._drop(self._made.pop(kind))

    def committed(self) -> None:
        """The server has emptied them; the old go, and those beyond `MOST` that were not used for longest."""
        for stage in self._made.values():
            stage.used = stage.new = False
        old = time.monotonic() - self._since > OLDEST
        self._since = time.monotonic() if old else self._since
        while len(self._made) > (0 if old else MOST):
            self._drop(self._made.popitem(last=False)[1])

    def rolled_back(self) -> None:
        """Those that were made in the transaction are gone, and the others as empty as they were."""
        for kind in [kind for kind, stage in self._made.items() if stage.new]:
            del self._made[kind]
        for stage in self._made.values():
            stage.used = False

    def _make(self, table: TableName, columns: Sequence[str]) -> Stage:
        self._count += 1
        name = f"rowferry_{self._count}"
        self._session.execute(
            f"CREATE TEMP TABLE {name} ON COMMIT DELETE ROWS AS "
            f"SELECT {', '.join(columns)} FROM {qualified(table.schema, table.name)} WITH NO DATA".encode()
        )
        return Stage(f"pg_temp.{name}")

    def _drop(self, stage: Stage) -> None:
        self._session.execute(f"DROP TABLE {stage.name}".encode())


def send(session: Session, place: str, encoding: Encoding, batch: pa.RecordBatch) -> None:
    """Copy a batch, which has just the columns that the encoding is of."""
    statement = f"COPY {place} ({quoted_list(encoding.names)}) FROM STDIN (FORMAT {encoding.format})"
    with session.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for piece in encoding.sent([batch]):
            copy.write(piece)
