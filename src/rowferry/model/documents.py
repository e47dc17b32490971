"""Frozen words as JSON and back: a table as it was, for whoever goes on with it later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any

from rowferry.model import findings, tables, types
from rowferry.model.tables import Table

_KIND = "is"
_VALUE = "value"


def table_document(table: Table) -> dict[str, Any]:
    """The table as JSON can hold it."""
    document: dict[str, Any] = _written(table)
    return document


def read_table(document: Mapping[str, Any]) -> Table:
    """What `table_document` made; ValueError for anything else."""
    table = _read(document, {kind.__name__: kind for room in (findings, tables, types) for kind in _kinds(room)})
    if not isinstance(table, Table):
        raise ValueError("not the document of a table")
    return table


def _written(value: Any) -> Any:
    if isinstance(value, Enum):
        return {_KIND: type(value).__name__, _VALUE: value.value}
    if is_dataclass(value):
        return {_KIND: type(value).__name__, **{one.name: _written(getattr(value, one.name)) for one in fields(value)}}
    return [_written(one) for one in value] if isinstance(value, tuple) else value


def _read(value: Any, kinds: Mapping[str, type[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_read(one, kinds) for one in value)
    if not isinstance(value, Mapping):
        return value
    try:
        kind = kinds[value[_KIND]]
        if issubclass(kind, Enum):
            return kind(value[_VALUE])
        return kind(**{name: _read(one, kinds) for name, one in value.items() if name != _KIND})
    except (KeyError, TypeError) as error:
        raise ValueError("not the document of a table") from error


def _kinds(room: ModuleType) -> Iterator[type[Any]]:
    for value in vars(room).values():
        if isinstance(value, type) and (is_dataclass(value) or issubclass(value, Enum)):
            yield value
