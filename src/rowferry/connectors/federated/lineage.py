"""Columns that a query only passes on: these keep the type that they have at their source.

DuckDB knows less of a type than a source does (how long a text may be, the members of an enum, that an interval is a
time), and nothing has happened to such values. Whatever is not plainly a source's column has DuckDB's type.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.connectors.federated.statement import FILES, Statement, TableRef
from rowferry.model.tables import Column

Node = Mapping[str, Any]
Columns = Sequence[Column]


@dataclass(frozen=True)
class _From:
    """What a query reads at its top. `columns`: of each name there, None where they are not a source's.

    `merged`: a column may stand for one of each side, so that a star is not all columns of all relations.
    """

    columns: Mapping[str, Columns | None]
    merged: bool

    def qualified(self, relation: str, name: str) -> Column | None:
        """The column of that relation."""
        return _by_name(self.columns.get(relation.lower()) or (), name)

    def plain(self, name: str) -> Column | None:
        """The column of that name, if it is that of one relation without doubt."""
        if self.merged or None in self.columns.values():
            return None
        found = [one for columns in self.columns.values() if columns for one in (_by_name(columns, name),) if one]
        return found[0] if len(found) == 1 else None


def passed(statement: Statement, tables: Mapping[TableRef, Columns], files: Sequence[Columns]) -> list[Column | None]:
    """For each column of the result the source's column that it is, or None; empty where that cannot be told at all."""
    tree = statement.tree
    if tree.get("type") != "SELECT_NODE":
        return []
    by_name = {str(ref).lower(): columns for ref, columns in tables.items()}
    by_name |= {f"{FILES}{number}": columns for number, columns in enumerate(files)}
    relations = list(_relations(tree["from_table"]))
    names = [name for name, _ in relations]
    if None in names or len(set(names)) < len(names):
        return []
    merged = any(node.get("using_columns") or node.get("ref_type") == "NATURAL" for node in _joins(tree["from_table"]))
    known = {str(name): by_name.get(place) for name, place in relations}
    found: list[Column | None] = []
    for item in tree["select_list"]:
        columns = _item(item, _From(known, merged))
        if columns is None:
            return []
        found += columns
    return found


def _item(item: Node, source: _From) -> Sequence[Column | None] | None:
    """What one entry of the list gives; None when it cannot be told how many columns."""
    if item["class"] == "COLUMN_REF":
        names = item["column_names"]
        if len(names) == 2:
            return [source.qualified(names[0], names[1])]
        return [source.plain(names[0]) if len(names) == 1 else None]
    if item["class"] != "STAR":
        return [None]
    if item["columns"] or item["expr"] or item["replace_list"] or item["rename_list"] or item["qualified_exclude_list"]:
        return None
    left_out = {str(name).lower() for name in item["exclude_list"]}
    if item["relation_name"]:
        wanted = [source.columns.get(str(item["relation_name"]).lower())]
    else:
        wanted = [None] if source.merged else list(source.columns.values())
    if None in wanted:
        return None
    return [one for columns in wanted if columns for one in columns if one.name.lower() not in left_out]


def _relations(node: Node) -> Iterator[tuple[str | None, str]]:
    """What stands behind FROM, from left to right: the name it is called by (None: unknown), and what it is."""
    if node["type"] == "JOIN":
        yield from _relations(node["left"])
        yield from _relations(node["right"])
    elif node["type"] == "BASE_TABLE" and not node["column_name_alias"]:
        place = ".".join(node[key] for key in ("catalog_name", "schema_name", "table_name") if node[key])
        yield (node["alias"] or node["table_name"]).lower(), place.lower()
    elif node["type"] not in ("EMPTY", "EMPTY_FROM"):
        yield (node["alias"].lower() if node.get("alias") else None), ""


def _joins(node: Node) -> Iterator[Node]:
    if node["type"] == "JOIN":
        yield node
        yield from _joins(node["left"])
        yield from _joins(node["right"])


def _by_name(columns: Columns, name: str) -> Column | None:
    return next((one for one in columns if one.name.lower() == name.lower()), None)
