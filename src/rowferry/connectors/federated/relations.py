"""The tables and files of a query, opened at their sources and made known to DuckDB under the names it uses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from rowferry.connectors.base import Source, TableRequest
from rowferry.connectors.federated.engine import quoted
from rowferry.connectors.federated.places import Files
from rowferry.connectors.federated.scan import MARK, Failures, Reading, Scan
from rowferry.connectors.federated.shown import shown
from rowferry.connectors.federated.statement import FILES, TableRef
from rowferry.errors import InvalidInput, MissingTable
from rowferry.model import types as t
from rowferry.model.tables import Column, Table, TableName

_USED = re.compile(rf"\b{MARK}(\d+)_(\d+)\b")
_EXACT = (t.Integer, t.Decimal, t.Year)


@dataclass(frozen=True)
class Relation:
    """A table of a database, or files that were named together: one name, one reading or several."""

    place: TableRef | Files
    readings: tuple[Reading, ...]

    @property
    def columns(self) -> Sequence[Column]:
        """Those of its one reading; of several, whose types may differ, none."""
        return self.readings[0].table.columns if len(self.readings) == 1 else ()


def found_table(source: Source, ref: TableRef) -> Table:
    """The table that is meant: as it is written, or, since names without quotation marks are that, in small letters."""
    spelled = dict.fromkeys([(ref.schema, ref.name), (ref.schema.lower(), ref.name.lower())])
    for schema, name in spelled:
        try:
            [table] = source.tables([TableRequest(f"{schema}.{name}")])
        except MissingTable:
            continue
        if table.name == TableName(schema, name):
            _check_names(table)
            return table
    raise MissingTable(f"There is no table {ref.schema}.{ref.name} at {ref.alias}, which the query names as {ref}.")


def found_files(source: Source, files: Files) -> list[Table]:
    """The tables that the files are, all of the same columns."""
    tables = source.tables([])
    if not tables:
        raise MissingTable(f"There are no files at {files}.")
    for table in tables:
        _check_names(table)
        _check_alike(files, tables[0], table)
    return tables


def make_known(connection: duckdb.DuckDBPyConnection, relations: Sequence[Relation], failures: Failures) -> None:
    """Give DuckDB a view for each relation, called as the query calls it."""
    attached: set[str] = set()
    files = 0
    for relation in relations:
        for reading in relation.readings:
            connection.register(reading.relation, Scan(reading, failures))
        rows = " UNION ALL BY NAME ".join(f"SELECT {one.select()} FROM {one.relation}" for one in relation.readings)
        place = relation.place
        if isinstance(place, Files):
            connection.execute(f"CREATE TEMP VIEW {FILES}{files} AS {rows}")
            files += 1
            continue
        if place.alias not in attached:
            connection.execute(f"ATTACH ':memory:' AS {quoted(place.alias)}")
            attached.add(place.alias)
        schema = f"{quoted(place.alias)}.{quoted(place.schema)}"
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        connection.execute(f"CREATE VIEW IF NOT EXISTS {schema}.{quoted(place.name)} AS {rows}")


def used_columns(connection: duckdb.DuckDBPyConnection, sql: str, relations: Sequence[Relation]) -> list[_Used]:
    """The columns that a run of the query will read, each once."""
    [(_, plan)] = connection.execute(f"EXPLAIN (FORMAT JSON) {sql}").fetchall()
    readings = {reading.number: (relation, reading) for relation in relations for reading in relation.readings}
    marks = sorted({(int(number), int(at)) for number, at in _USED.findall(json.dumps(json.loads(plan)))})
    return [
        _Used(readings[number][0].place, readings[number][1].table.columns[at])
        for number, at in marks
        if number in readings
    ]


@dataclass(frozen=True)
class _Used:
    """A column that a query reads."""

    place: TableRef | Files
    column: Column

    def __str__(self) -> str:
        return f"{self.place}, column {self.column.name} ({self.column.native.declared})"

    @property
    def as_text(self) -> bool:
        """Whether the query sees less of it than there is."""
        return shown(self.column.type).as_text and not isinstance(self.column.type, t.Unknown)


def check_one_spelling(relations: Sequence[Relation]) -> None:
    """InvalidInput for two tables whose names are one to DuckDB, which does not tell large letters from small ones."""
    seen: dict[str, TableName] = {}
    for relation in relations:
        name = relation.readings[0].table.name
        if isinstance(relation.place, TableRef) and seen.setdefault(str(relation.place).lower(), name) != name:
            raise InvalidInput(
                f"{relation.place} may be {seen[str(relation.place).lower()]} or {name}, which are one name in a query "
                "over several sources: read one of them by a view."
            )


def _check_names(table: Table) -> None:
    seen: dict[str, str] = {}
    for name in table.column_names():
        if seen.setdefault(name.lower(), name) != name:
            raise InvalidInput(
                f"{table.name} has the columns {seen[name.lower()]} and {name}, which are one name in a query over "
                "several sources: move the table by itself, or read a view of it."
            )


def _check_alike(files: Files, first: Table, table: Table) -> None:
    """The same names; and types whose values fit into one column without loss."""
    there: Mapping[str, Any] = {column.name: column.type for column in first.columns}
    for column in table.columns:
        kind = there.get(column.name)
        both = isinstance(kind, _EXACT) and isinstance(column.type, _EXACT)
        if len(there) != len(table.columns) or (kind != column.type and not both):
            raise InvalidInput(
                f"{files}: {first.name} and {table.name} have not the same columns ({column.name} differs, for one): "
                "read each by itself, and join them by UNION ALL with the casts that you want."
            )
