"""Tables as the log tells of them, and what became of their columns on the way.

The log says which columns a relation has before the first row of a session and after each change, by name, type and
modifier. What else a table is, only the catalogue knows, and the catalogue may be ahead of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

from rowferry.connectors.postgres.catalog import Session, describe, public_names
from rowferry.connectors.postgres.names import quoted
from rowferry.connectors.postgres.natives import load_natives
from rowferry.connectors.postgres.replication.identity import identity_of, identity_statement
from rowferry.connectors.postgres.replication.messages import Relation, RelationColumn
from rowferry.connectors.postgres.replication.renames import Attribute, renamed
from rowferry.connectors.postgres.replication.rows import Shape
from rowferry.connectors.postgres.types import neutral_type
from rowferry.connectors.postgres.versions import spelled
from rowferry.errors import SourceChanged
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Column, Table, TableName

ATTRIBUTES = """
SELECT a.attnum::int, a.attname::text, a.attisdropped, {generated}
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0
ORDER BY a.attnum
"""

_INSTEAD = """
SELECT {}
FROM (
    SELECT value::{} AS {}, number AS "rowferry: number"
    FROM unnest(%s::text[]) WITH ORDINALITY AS told(value, number)
) AS t
ORDER BY "rowferry: number"
"""

_Sorts = Mapping[tuple[int, int], str]


T = TypeVar("T")


class Ask(Protocol):
    """Runs something in a session that sees the catalogue as it is now."""

    def __call__(self, work: Callable[[Session], T]) -> T:
        """What `work` gives."""


@dataclass(frozen=True, slots=True)
class News:
    """A relation as the log tells of it from here on, and what became of its table, if anything did."""

    relation: Relation
    shape: Shape
    altered: TableAltered | None


class Relations:
    """What is followed.

    `identified`: updates and deletes are told, which need what a row was.
    """

    def __init__(self, tables: Sequence[Table], ask: Ask, *, identified: bool, whole: bool = False) -> None:
        self._tables = {table.name: table for table in tables}
        self._ask = ask
        self._identified, self._whole = identified, whole
        self._shapes: dict[int, Shape] = {}

    def shape(self, oid: int) -> Shape | None:
        """How the log tells of that relation; None when it is none of ours."""
        return self._shapes.get(oid)

    def name(self, oid: int) -> TableName | None:
        """The table of that relation."""
        shape = self._shapes.get(oid)
        return None if shape is None else shape.table.name

    def kept(self) -> Callable[[], None]:
        """What puts back how everything is followed now."""
        tables, shapes = dict(self._tables), dict(self._shapes)

        def put_back() -> None:
            self._tables, self._shapes = tables, shapes

        return put_back

    def is_as_before(self, relation: Relation) -> bool:
        """Whether rows of a transaction that is under way can be read as those before it, if the relation is ours.

        No lock is waited for, as that transaction may hold any.
        """
        try:
            news = self.news(relation, ended=False)
        except SourceChanged:
            return False
        if news is None:
            return True
        known = self._shapes.get(relation.oid)
        self.go_on(news)
        return known is None or known.reads_as(news.shape)

    def news(self, relation: Relation, *, ended: bool = True) -> News | None:
        """What the log says of a relation; None when it is none of ours.

        SourceChanged when it can be followed no further, or, of a transaction that has not `ended`, when it differs.
        """
        name = TableName(relation.schema, relation.name)
        known = self.name(relation.oid)
        if known is None and name not in self._tables:
            return None
        if known not in (None, name):
            raise SourceChanged(f"The table {known} was renamed to {name}: start a new stream, which plans anew.")
        if any(self.name(oid) == name for oid in self._shapes if oid != relation.oid):
            raise SourceChanged(f"Another table took the name {name}: start a new stream, which plans anew.")
        return self._ask(lambda session: self._compared(session, relation, self._tables[name], ended))

    def go_on(self, news: News) -> None:
        """Read the rows that follow so."""
        name = news.shape.table.name
        self._tables[name] = news.shape.table
        self._shapes[news.relation.oid] = news.shape

    def _compared(self, session: Session, relation: Relation, before: Table, ended: bool) -> News:
        with public_names(session):
            declared = _declared(session, relation.columns)
            attributes, computed = _attributes(session, before.name)
        told = [(one.name, declared[one.type, one.modifier]) for one in relation.columns]
        names = [name for name, _ in told]
        was_computed = {one.name for one in before.columns if one.generated is not None}
        # Of computed columns, which the log may leave out, only the catalogue tells, as long as it agrees with the log.
        if {one.name for one in attributes if one.name} != {*names, *computed}:
            computed = was_computed
        numbers = {one.name: one.number for one in before.columns if one.number is not None}
        _check_kept(before.name, numbers, attributes, was_computed.intersection(names).difference(computed))
        known = [(one.name, one.native.declared) for one in before.columns]
        if computed == was_computed and told == [one for one in known if one[0] not in computed or one in told]:
            return News(relation, self._shape(relation, before), None)
        if not ended:
            raise SourceChanged(f"Columns of {before.name} are being altered.")
        names += sorted(computed.difference(names))
        renames = renamed(before.name, list(before.column_names()), names, numbers, attributes)
        after = _after(session, relation, before, declared, renames)
        return News(relation, self._shape(relation, after), TableAltered(before, after, renames))

    def _shape(self, relation: Relation, table: Table) -> Shape:
        places = {column.name: at for at, column in enumerate(relation.columns)}
        told = tuple(places.get(name) for name in table.column_names())
        identity = identity_of(table, places)
        keyed = frozenset(at for at, column in enumerate(relation.columns) if column.identity)
        if self._identified and not keyed.issuperset(places.get(name, -1) for name in identity):
            raise SourceChanged(
                "The log no longer tells which rows of "
                f"{table.name} change, since its REPLICA IDENTITY is another one: "
                f"{identity_statement(table.name)} and start a new stream."
            )
        return Shape(table, told, keyed, len(relation.columns), identity, self._instead, self._whole)

    def _instead(self, column: Column, values: Sequence[str | None]) -> list[bytes | None]:
        """What a read puts in the place of these values; the server is asked, as it is by a read."""
        parts = (column.read_as or quoted(column.name), column.native.declared, quoted(column.name))
        # A percent sign would stand for a parameter.
        query = _INSTEAD.format(*(part.replace("%", "%%") for part in parts)).encode()

        def work(session: Session) -> list[bytes | None]:
            with public_names(session):
                result = session.execute(query, [list(values)]).pgresult
            return [] if result is None else [result.get_value(row, 0) for row in range(result.ntuples)]

        return self._ask(work)


def _check_kept(
    name: TableName, before: Mapping[str, int], attributes: Sequence[Attribute], freed: Collection[str]
) -> None:
    """What the log names as before may be another column, which has nothing of what the first one held."""
    anew = [one.name for one in attributes if one.name and before.get(one.name, one.number) != one.number]
    if anew:
        raise SourceChanged(
            f"{name}.{', '.join(anew)} was dropped and made anew: start a new stream, which plans anew."
        )
    if freed:
        raise SourceChanged(
            f"{name}.{', '.join(sorted(freed))} is no longer computed: start a new stream, which plans anew."
        )


def _after(session: Session, relation: Relation, before: Table, declared: _Sorts, names: Mapping[str, str]) -> Table:
    """The table as the catalogue has it where that agrees with the log, else by what the log says."""
    there = describe(session, [before.name.schema], [before.name.name])
    live = there[0] if there else replace(before, columns=())
    by_name = {column.name: column for column in live.columns}
    old = {column.name: column for column in before.columns}
    told = {column.name for column in relation.columns}
    columns = []
    for one in relation.columns:
        spelled = declared[one.type, one.modifier]
        was = old.get(names.get(one.name, one.name))
        column = by_name.get(one.name)
        if column is None or column.native.declared != spelled:
            column = replace(was, name=one.name) if was and was.native.declared == spelled else None
        column = column or _made(session, one, spelled)
        columns.append(_as_before(column, was))
    agrees = [one.name for one in live.columns if one.generated is None or one.name in told] == [
        one.name for one in columns
    ] and all(by_name[one.name].native.declared == one.native.declared for one in columns)
    if agrees:
        known = {column.name: column for column in columns}
        return replace(live, columns=tuple(known.get(column.name, column) for column in live.columns))
    computed = [one for one in before.columns if one.generated is not None and one.name not in told]
    key = tuple(_new_name(name, names) for name in before.key)
    kept = {one.name for one in columns}
    return replace(
        before,
        columns=(*columns, *computed),
        key=key if kept.issuperset(key) else (),
        primary_key=tuple(_new_name(name, names) for name in before.primary_key) if kept.issuperset(key) else (),
    )


def _new_name(name: str, names: Mapping[str, str]) -> str:
    return next((new for new, old in names.items() if old == name), name)


def _as_before(column: Column, was: Column | None) -> Column:
    """A column that is declared as before goes on as it was asked for: what was arranged about it holds."""
    if was is None or was.native.declared != column.native.declared:
        return column
    return replace(column, type=was.type, read_as=was.read_as, instead=was.instead, wanted=was.wanted)


def _made(session: Session, one: RelationColumn, spelled: str) -> Column:
    natives = load_natives(session, [one.type])
    if one.type not in natives.types:
        raise SourceChanged(
            f"The column {one.name} was of a type that is no longer there: start a new stream, which plans anew."
        )
    native = natives.native(one.type, one.modifier, spelled)
    return Column(name=one.name, type=neutral_type(native), native=native)


def _declared(session: Session, columns: Sequence[RelationColumn]) -> dict[tuple[int, int], str]:
    kinds = sorted({(one.type, one.modifier) for one in columns})
    spelled = session.execute(
        "SELECT format_type(type, modifier) FROM unnest(%s::oid[], %s::int4[]) AS f(type, modifier)",
        ([kind for kind, _ in kinds], [modifier for _, modifier in kinds]),
    ).fetchall()
    return {kind: declared for kind, (declared,) in zip(kinds, spelled, strict=True)}


def _attributes(session: Session, name: TableName) -> tuple[list[Attribute], set[str]]:
    """The table's columns by their numbers, and which of them are computed."""
    query = spelled(ATTRIBUTES, session.info.server_version)
    rows = session.execute(query, (name.schema, name.name)).fetchall()
    attributes = [Attribute(number, None if dropped else column) for number, column, dropped, _ in rows]
    return attributes, {column for _, column, dropped, generated in rows if generated and not dropped}
