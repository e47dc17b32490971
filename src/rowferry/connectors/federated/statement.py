"""What a query over several sources says, as DuckDB's own parser understands it, and what it must not say.

Everything that a query reads from stands in a list of what is allowed; what is not in it is refused by name. The text
that runs is the one that DuckDB makes of the tree that was looked at.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from rowferry.connectors.federated.engine import computing
from rowferry.connectors.federated.places import FILE_FUNCTIONS, Files, files_of
from rowferry.connectors.members import Member
from rowferry.errors import InvalidInput

Node = dict[str, Any]

FILES = "rowferry_files_"
"""How the relation of a function that reads files is called, before its number."""

_RELATIONS = {"BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "EMPTY_FROM", "PIVOT"}
_TABLE_FUNCTIONS = {"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"}
_FORBIDDEN = {
    "current_setting", "getenv", "getvariable", "nextval", "currval", "write_log", "sleep_ms", "pg_sleep",
    "json_serialize_sql", "json_serialize_plan", "json_deserialize_sql", "json_execute_serialized_sql",
    "current_query", "pg_get_viewdef", "in_search_path",
}  # fmt: skip
"""Functions that look at the process, or let it wait, instead of at rows."""

_TOO_LONG = "NameListToString"
"""How the parser's words begin about a name of four parts."""

_BUILT_IN = {"information_schema", "pg_catalog"}
_RESERVED = {"system", "temp", "memory"}


@dataclass(frozen=True, slots=True)
class TableRef:
    """A table that a query names, as it is written there."""

    alias: str
    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.alias}.{self.schema}.{self.name}"


@dataclass(frozen=True)
class Statement:
    """A query that may run: its text, what it reads (files in the order of their relations' numbers), and its tree."""

    sql: str
    tables: tuple[TableRef, ...]
    files: tuple[Files, ...]
    tree: Node

    @property
    def aliases(self) -> frozenset[str]:
        """The sources that it reads."""
        return frozenset({one.alias for one in self.tables} | {one.alias for one in self.files})


def named(query: str, members: Sequence[Member]) -> frozenset[str]:
    """The aliases that a query names; InvalidInput, saying what to change, for one that may not run."""
    return parse(query, members).aliases


def parse(query: str, members: Sequence[Member]) -> Statement:
    """The query, checked; InvalidInput when it is none, or names what it may not."""
    reserved = sorted(one.alias for one in members if one.alias.lower() in _RESERVED)
    if reserved:
        raise InvalidInput(f"{reserved[0]} is DuckDB's own word and cannot be an alias in a stream with queries.")
    with computing() as connection:
        document = _serialized(connection, query, members)
        walk = _Walk(members, frozenset(name.lower() for name in _with_names(document)))
        walk.visit(document)
        sql = _text(connection, document)
    return Statement(sql, tuple(dict.fromkeys(walk.tables)), tuple(walk.files), document["statements"][0]["node"])


def _serialized(connection: duckdb.DuckDBPyConnection, query: str, members: Sequence[Member] = ()) -> Node:
    [(text,)] = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchall()
    document: Node = json.loads(text)
    if document.get("error"):
        said = str(document.get("error_message", "")).rstrip(".!")
        if said.startswith(_TOO_LONG):
            raise InvalidInput(f"The query names a table by more than three words: {_ways(members)}.")
        reason = said if document.get("error_type") == "parser" else "only a single SELECT can be run"
        raise InvalidInput(f"The query cannot be read: {reason}.")
    if len(document["statements"]) != 1:
        raise InvalidInput("The query must be one SELECT, and nothing after it.")
    return document


def _text(connection: duckdb.DuckDBPyConnection, document: Node) -> str:
    """The tree as SQL, which says the same as the tree."""
    [(sql,)] = connection.execute("SELECT json_deserialize_sql(?)", [json.dumps(document)]).fetchall()
    if _bare(_serialized(connection, sql)) != _bare(document):
        raise InvalidInput("DuckDB cannot say this query in other words, as is needed here: write it more plainly.")
    return str(sql)


def _bare(value: Any) -> Any:
    """The tree without the places at which its parts stand in a text."""
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items() if key != "query_location"}
    return [_bare(part) for part in value] if isinstance(value, list) else value


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        yield value
        for part in value.values():
            yield from _nodes(part)
    elif isinstance(value, list):
        for part in value:
            yield from _nodes(part)


def _with_names(document: Node) -> Iterator[str]:
    """The names that the query itself gives to parts by WITH."""
    for node in _nodes(document):
        for entry in (node.get("cte_map") or {}).get("map", ()):
            yield str(entry["key"])


@dataclass
class _Walk:
    """A walk over a tree that collects what is read, and puts relations in the place of functions that read files."""

    members: Sequence[Member]
    own: frozenset[str]
    tables: list[TableRef] = field(default_factory=list)
    files: list[Files] = field(default_factory=list)

    def visit(self, document: Node) -> None:
        """Look at every part; InvalidInput for the first that is not allowed."""
        for node in list(_nodes(document)):
            if "function_name" in node:
                self._function(node)
            if node.get("class") == "PARAMETER":
                raise InvalidInput("The query has a parameter, and nobody gives it a value: write the value.")
            if "sample" in node and "modifiers" not in node:
                self._relation(node)

    def _function(self, node: Node) -> None:
        name = str(node["function_name"]).lower()
        if (
            node.get("schema") not in ("", "main")
            or node.get("catalog")
            or name in _FORBIDDEN
            or name.startswith(("duckdb_", "pragma_"))
        ):
            raise InvalidInput(f"The function {name} cannot be used in a query over several sources.")

    def _relation(self, node: Node) -> None:
        kind = node["type"]
        if kind not in _RELATIONS:
            raise InvalidInput("A query over several sources reads tables and files: SHOW and DESCRIBE are neither.")
        check: Callable[[Node], None] | None = {"BASE_TABLE": self._table, "TABLE_FUNCTION": self._rows_of}.get(kind)
        if check is not None:
            check(node)

    def _table(self, node: Node) -> None:
        parts = [str(node[key]) for key in ("catalog_name", "schema_name", "table_name") if node[key]]
        if len(parts) == 1 and parts[0].lower() in self.own:
            return
        written = ".".join(parts)
        member = next((one for one in self.members if one.alias.lower() == parts[0].lower()), None)
        if member is None or len(parts) == 1:
            raise InvalidInput(f"The table {written} is of no source of this stream: {_ways(self.members)}.")
        if member.request.connection.spec.database is None:
            raise InvalidInput(f"{written}: {member.alias} is no database; its files are read by read_parquet and kin.")
        if len(parts) != 3:
            raise InvalidInput(f"The table {written} is not named in full: {_ways(self.members)}.")
        if parts[1].lower() in _BUILT_IN:
            raise InvalidInput(f"The table {written} belongs to the server itself: it cannot be read in such a query.")
        self.tables.append(TableRef(member.alias, parts[1], parts[2]))

    def _rows_of(self, node: Node) -> None:
        function = node["function"]
        name = str(function.get("function_name", "")).lower()
        if name in FILE_FUNCTIONS:
            if node.get("with_ordinality", "WITHOUT_ORDINALITY") != "WITHOUT_ORDINALITY":
                raise InvalidInput(f"{name} has no ordinality here: leave WITH ORDINALITY out.")
            found = files_of(name, function["children"], self.members)
            if found not in self.files:
                self.files.append(found)
            _become_table(node, f"{FILES}{self.files.index(found)}", node["alias"] or name)
        elif name not in _TABLE_FUNCTIONS:
            raise InvalidInput(
                f"The function {name} cannot be read from: there are {', '.join(sorted(FILE_FUNCTIONS))} for files."
            )


def _ways(members: Sequence[Member]) -> str:
    """How tables are named in this stream."""
    aliases = ", ".join(one.alias for one in members)
    return (
        f"the aliases are {aliases}; write alias.schema.table for PostgreSQL, alias.database.table for MySQL and "
        "MariaDB, and read_parquet, read_csv_auto or read_json_auto for files"
    )


def _become_table(node: Node, name: str, alias: str) -> None:
    """Let the node of a function be that of a relation."""
    for key in ("function", "with_ordinality"):
        node.pop(key, None)
    node.update(type="BASE_TABLE", alias=alias, schema_name="", table_name=name, catalog_name="", at_clause=None)
