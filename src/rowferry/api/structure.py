"""A database's structure as clients get it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict

from rowferry.api.answers import Answer
from rowferry.control.catalog import Structure
from rowferry.model.tables import Column, ForeignKey, Index, Table


class MetadataAnswer(Answer):
    """Tables and views by their names, each with its structure; with `summary` their names and counts alone."""

    model_config = ConfigDict(extra="allow")

    tables: dict[str, dict[str, Any]] | list[str]
    views: dict[str, dict[str, Any]] | list[str]


class TableSize(Answer):
    """How much room a table takes."""

    name: str
    size_bytes: int


class TableRows(Answer):
    """About how many rows a table has."""

    name: str
    approx_rows: int


class OverviewAnswer(Answer):
    """A database's sizes, as its server estimates them."""

    engine: str
    counts: dict[str, int]
    size_bytes: int
    all_tables_by_size: list[TableSize]
    all_tables_by_rows: list[TableRows]
    notes: list[dict[str, Any]]


def metadata(database: str, structure: Structure) -> dict[str, Any]:
    """The whole structure."""
    return {
        "tables": {_name(table, structure): _table(database, table) for table in structure.tables},
        "views": {name: _view(database, name, structure.schemas) for name in structure.views},
        "schemas": _schemas(structure),
    }


def summary(database: str, structure: Structure) -> dict[str, Any]:
    """Names and counts."""
    return {
        "database": database,
        "schemas": _schemas(structure),
        "tables": [_name(table, structure) for table in structure.tables],
        "views": list(structure.views),
        "stats": {"tables": len(structure.tables), "views": len(structure.views)},
    }


def overview(structure: Structure) -> dict[str, Any]:
    """The sizes, the largest first."""
    counts = {"tables": len(structure.tables), "views": len(structure.views)}
    if structure.schemas:
        counts["schemas"] = len(_schemas(structure))
    by_size = sorted(structure.tables, key=lambda table: -table.estimated_bytes)
    by_rows = sorted(structure.tables, key=lambda table: -table.estimated_rows)
    return {
        "engine": "postgres" if structure.engine == "postgresql" else structure.engine,
        "counts": counts,
        "sizeBytes": sum(table.estimated_bytes for table in structure.tables),
        "allTablesBySize": [{"name": _name(t, structure), "sizeBytes": t.estimated_bytes} for t in by_size],
        "allTablesByRows": [{"name": _name(t, structure), "approxRows": t.estimated_rows} for t in by_rows],
        "notes": [],
    }


def _name(table: Table, structure: Structure) -> str:
    return str(table.name) if structure.schemas else table.name.name


def _schemas(structure: Structure) -> list[str]:
    return sorted({table.name.schema for table in structure.tables}) if structure.schemas else []


def _view(database: str, name: str, schemas: bool) -> dict[str, Any]:
    schema, _, bare = name.partition(".") if schemas else ("", "", name)
    return {"name": bare, "schema": schema, "database": database}


def _table(database: str, table: Table) -> dict[str, Any]:
    return {
        "name": table.name.name,
        "schema": table.name.schema,
        "database": database,
        "columns": [_column(column, table) for column in table.columns],
        "primaryKeys": list(table.primary_key),
        "foreignKeys": [part for key in table.foreign_keys for part in _foreign_key(key)],
        "indexes": [_index(index) for index in table.indexes],
        "checkConstraints": [{"name": check.name, "clause": check.expression} for check in table.checks],
        "comment": table.comment,
        "estimatedRows": table.estimated_rows,
        "estimatedSizeBytes": table.estimated_bytes,
    }


def _column(column: Column, table: Table) -> dict[str, Any]:
    native = column.native
    alone = (column.name,)
    return {
        "name": column.name,
        "dataType": native.name,
        "columnType": native.declared,
        "characterSet": native.charset,
        "enumValues": list(native.members),
        "isUnsigned": native.unsigned,
        "isNullable": column.nullable,
        "defaultValue": _nullable("String", column.default.value if column.default else None),
        "isPrimaryKey": column.name in table.primary_key,
        "isUnique": table.primary_key == alone or any(i.unique and i.columns == alone for i in table.indexes),
        "length": _nullable("Int64", native.length),
        "precision": _nullable("Int64", native.precision),
        "scale": _nullable("Int64", native.scale),
        "comment": _nullable("String", column.comment or None),
        "autoIncrement": column.identity,
        "generated": column.generated,
    }


def _nullable(kind: str, value: str | int | None) -> dict[str, Any]:
    """A value that may be missing, in the shape that clients of this interface know."""
    return {kind: value if value is not None else "" if kind == "String" else 0, "Valid": value is not None}


def _foreign_key(key: ForeignKey) -> Iterable[dict[str, Any]]:
    for column, referenced in zip(key.columns, key.referenced_columns, strict=True):
        yield {
            "name": key.name,
            "sourceColumn": column,
            "referencedSchema": key.referenced.schema,
            "referencedTable": key.referenced.name,
            "referencedColumn": referenced,
            "onUpdate": key.on_update,
            "onDelete": key.on_delete,
        }


def _index(index: Index) -> dict[str, Any]:
    return {
        "name": index.name,
        "columns": [part.column or part.expression or "" for part in index.parts],
        "isUnique": index.unique,
        "isPrimary": False,
        "type": index.method,
        "isFullTextIndex": index.method == "fulltext",
    }
