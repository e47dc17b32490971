"""Tables made by hand, and rows for them in the form in which they cross."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType, Table, TableName
from rowferry.typemap.arrow import arrow_schema


def column(name: str, neutral: t.NeutralType, nullable: bool = True, **more: Any) -> Column:
    """A column of a source; its native type is only ever shown."""
    return Column(name, neutral, NativeType("native", "native(7)"), nullable, **more)


def table(name: str, *columns: Column, schema: str = "shop", **more: Any) -> Table:
    """A source's table."""
    return Table(TableName(schema, name), columns, **more)


def simple(name: str = "item", *further: Column, **more: Any) -> Table:
    """A number that is the key, a text, and `further` columns."""
    columns = (column("id", t.Integer(32), nullable=False), column("name", t.Text(20)))
    return table(name, *columns, *further, primary_key=("id",), **more)


def batch(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """Rows of these columns."""
    schema = arrow_schema(columns)
    values: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    return pa.RecordBatch.from_arrays(
        [pa.array(list(held), form.type) for held, form in zip(values, schema, strict=True)], schema=schema
    )
