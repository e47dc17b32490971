"""Which rows are read: relations, filters, orders and key ranges as SQL.

A value always stands as a quoted literal of no type of its own, so that PostgreSQL reads it as the type of
the column it is compared with, in that column's collation. The relation is called `t` everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from rowferry.model.chunks import Chunk, Key
from rowferry.model.tables import Column, Filter, FilterOperator, Selection, Table


def bare_query(query: str) -> str:
    """The query without the semicolon at its end."""
    return query.rstrip().rstrip(";").rstrip()


def relation(table: Table, partitioned: bool) -> Composable:
    """What stands after FROM; a plain table without the tables that inherit from it, which are read as themselves."""
    if table.query is not None:
        return SQL("({}\n) AS t").format(SQL(bare_query(table.query)))
    only = SQL("") if partitioned else SQL("ONLY ")
    return SQL("{}{} AS t").format(only, Identifier(table.name.schema, table.name.name))


def column(name: str) -> Composable:
    """A column of the relation."""
    return Identifier("t", name)


def shown(one: Column) -> Composable:
    """What is read of a column: itself, or what a policy puts in its place."""
    return column(one.name) if one.read_as is None else SQL(one.read_as)


def where(conditions: Sequence[Composable]) -> Composable:
    """The conditions as a WHERE clause, nothing where there are none."""
    return SQL(" WHERE {}").format(SQL(" AND ").join(conditions)) if conditions else SQL("")


def filters(selection: Selection) -> list[Composable]:
    """The selection's conditions; text is matched without regard to case."""
    return [_OPERATORS[one.operator](column(one.column), one) for one in selection.filters]


def order(selection: Selection) -> Composable:
    """The selection's ORDER BY and LIMIT."""
    parts: list[Composable] = []
    if selection.sorts:
        sorts = [SQL("{} {}").format(column(s.column), SQL("DESC" if s.descending else "ASC")) for s in selection.sorts]
        parts.append(SQL(" ORDER BY {}").format(SQL(", ").join(sorts)))
    if selection.limit is not None:
        parts.append(SQL(" LIMIT {}").format(Literal(selection.limit)))
    return Composed(parts)


def key_range(table: Table, chunk: Chunk) -> list[Composable]:
    """The chunk's bounds: of the table's key, or of its blocks where it has no key."""
    bounds = ((">", chunk.low), ("<=", chunk.high))
    compare = _by_key if table.key else _by_block
    return [compare(table.key, sign, bound) for sign, bound in bounds if bound is not None]


def after(key: Sequence[str], bound: Key) -> Composable:
    """The rows behind `bound` in the order of the key."""
    return _by_key(key, ">", bound)


def _by_key(key: Sequence[str], sign: str, bound: Key) -> Composable:
    columns = SQL(", ").join(column(name) for name in key)
    values = SQL(", ").join(_value(str(part)) for part in bound)
    return SQL("({}) {} ({})").format(columns, SQL(">") if sign == ">" else SQL("<="), values)


def _by_block(_: Sequence[str], sign: str, bound: Key) -> Composable:
    first_behind = Literal(f"({int(bound[0]) + 1},0)")
    return SQL("t.ctid {} {}::tid").format(SQL(">=") if sign == ">" else SQL("<"), first_behind)


def _value(text: str) -> Composable:
    return Literal(text)


_Condition = Callable[[Composable, Filter], Composable]


def _compared(sign: str) -> _Condition:
    template = {"=": SQL("{} = {}"), "<>": SQL("{} <> {}"), "<": SQL("{} < {}"), "<=": SQL("{} <= {}")}
    template |= {">": SQL("{} > {}"), ">=": SQL("{} >= {}")}
    return lambda name, one: template[sign].format(name, _value(one.value or ""))


def _listed(negated: bool) -> _Condition:
    template = SQL("{} NOT IN ({})") if negated else SQL("{} IN ({})")
    return lambda name, one: template.format(name, SQL(", ").join(_value(part) for part in _parts(one)))


def _matching(before: str, behind: str, negated: bool = False) -> _Condition:
    return lambda name, one: _alike(name, f"{before}{_escaped(one.value or '')}{behind}", negated)


def _pattern(negated: bool) -> _Condition:
    return lambda name, one: _alike(name, one.value or "", negated)


def _alike(name: Composable, pattern: str, negated: bool) -> Composable:
    template = SQL("{}::text NOT ILIKE {}") if negated else SQL("{}::text ILIKE {}")
    return template.format(name, _value(pattern))


def _between(name: Composable, one: Filter) -> Composable:
    low, high = _parts(one)
    return SQL("{} BETWEEN {} AND {}").format(name, _value(low), _value(high))


def _parts(one: Filter) -> list[str]:
    return [part.strip() for part in (one.value or "").split(",")]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


_OPERATORS: dict[FilterOperator, _Condition] = {
    FilterOperator.EQ: _compared("="),
    FilterOperator.NE: _compared("<>"),
    FilterOperator.LT: _compared("<"),
    FilterOperator.LE: _compared("<="),
    FilterOperator.GT: _compared(">"),
    FilterOperator.GE: _compared(">="),
    FilterOperator.IN: _listed(negated=False),
    FilterOperator.NOT_IN: _listed(negated=True),
    FilterOperator.CONTAINS: _matching("%", "%"),
    FilterOperator.NOT_CONTAINS: _matching("%", "%", negated=True),
    FilterOperator.STARTS_WITH: _matching("", "%"),
    FilterOperator.ENDS_WITH: _matching("%", ""),
    FilterOperator.LIKE: _pattern(negated=False),
    FilterOperator.NOT_LIKE: _pattern(negated=True),
    FilterOperator.BETWEEN: _between,
    FilterOperator.IS_NULL: lambda name, _: SQL("{} IS NULL").format(name),
    FilterOperator.IS_NOT_NULL: lambda name, _: SQL("{} IS NOT NULL").format(name),
}
