"""The followed tables as they are at the place of the log that is being read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from rowferry.connectors.mysql.binlog import ddl
from rowferry.connectors.mysql.binlog.alter import altered
from rowferry.connectors.mysql.binlog.declare import Manner
from rowferry.connectors.mysql.binlog.headers import Query
from rowferry.connectors.mysql.binlog.plans import WAY_OUT, Followed
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.errors import ReadFailed, SourceChanged
from rowferry.model.changes import TableAltered, Truncated
from rowferry.model.tables import Column, Table, TableName

Known = Callable[[TableName], bool]
"""Whether what happens to a table just now is left out."""

Live = Callable[[TableName], Table | None]
"""The table as the server has it at this moment, which may be far ahead of the log."""


class History:
    """Moves on with each statement that changes a table.

    `folded`: the server takes names of tables in capitals for the same, and keeps them in small letters.
    """

    def __init__(self, tables: Iterable[Followed], manner: Manner, live: Live, folded: bool = False) -> None:
        self._tables = {one.table.name: one for one in tables}
        self._manner, self._live, self._folded = manner, live, folded

    def followed(self, name: TableName) -> Followed | None:
        """The table as it is now; None for one that nobody follows."""
        return self._tables.get(name)

    @property
    def transactional(self) -> frozenset[TableName]:
        """The tables whose engine can roll back."""
        return frozenset(name for name, one in self._tables.items() if one.transactional)

    def statement(self, query: Query, known: Known, place: Place) -> Sequence[Truncated | TableAltered]:
        """What the statement before that place did to followed tables; SourceChanged when they are no longer there.

        ReadFailed when it changed their rows without saying which.
        """
        found: list[Truncated | TableAltered] = []
        for deed in ddl.deeds(query.database, query.text):
            found += self._happened(deed, known, place)
        return found

    def _happened(self, deed: ddl.Deed, known: Known, place: Place) -> Iterator[Truncated | TableAltered]:
        concerned = [name for name in self._names(deed) if name in self._tables and not known(name)]
        if not concerned:
            return
        if isinstance(deed, ddl.Truncate):
            yield Truncated((concerned[0],), restart=True)
        elif isinstance(deed, ddl.ByStatement):
            raise ReadFailed(
                f"{concerned[0]} was changed by a statement whose rows the log does not tell: set binlog_format=ROW at "
                "the source for all sessions, and start a new stream."
            )
        elif isinstance(deed, ddl.Alter):
            yield from self._alter(deed, concerned[0], place)
        else:
            how = deed.how if isinstance(deed, ddl.Gone) else "was dropped with its database"
            raise SourceChanged(f"{concerned[0]} {how}: start a new stream, which plans anew.")

    def _names(self, deed: ddl.Deed) -> Sequence[TableName]:
        if isinstance(deed, ddl.DropDatabase):
            return [name for name in self._tables if name.schema == self._fold(deed.name)]
        names = deed.tables if isinstance(deed, ddl.ByStatement) else (deed.table,)
        return [TableName(self._fold(name.schema), self._fold(name.name)) for name in names]

    def _fold(self, name: str) -> str:
        return name.lower() if self._folded else name

    def _alter(self, deed: ddl.Alter, name: TableName, place: Place) -> Iterator[TableAltered]:
        before = self._tables[name]
        after, renamed = altered(before, deed.steps, self._manner)
        if after == before:
            return
        if before.seen is not None and not place.reached(before.seen):
            raise SourceChanged(f"{name} was altered since, and only some of its columns are followed. {WAY_OUT}")
        after = _as_live(after, before, self._live(name))
        self._tables[name] = after
        if after.table.columns != before.table.columns:
            yield TableAltered(before.table, after.table, renamed)


def _as_live(after: Followed, before: Followed, live: Table | None) -> Followed:
    """The table in the catalogue's own words, where the catalogue shows it as it is here."""
    if live is None or _shape(live.columns) != _shape(after.whole):
        return after
    kept = set(before.table.columns)
    read = {one.name: one for one in after.table.columns}
    columns = tuple(one if one in kept else _read_so(live.column(one.name), one) for one in after.table.columns)
    whole = tuple(_read_so(one, read.get(one.name)) for one in live.columns)
    return replace(after, table=replace(after.table, columns=columns), whole=whole)


def _read_so(column: Column, read: Column | None) -> Column:
    """The column, read in the same way."""
    if read is None or read.read_as is None:
        return column
    return replace(column, type=read.type, read_as=read.read_as, instead=read.instead, wanted=read.wanted)


def _shape(columns: Sequence[Column]) -> list[tuple[str, str]]:
    return [(column.name, column.native.declared) for column in columns]
