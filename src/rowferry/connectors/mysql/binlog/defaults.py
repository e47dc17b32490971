"""What a new row has in columns that the log leaves out, as it may with binlog_row_image=MINIMAL."""

from __future__ import annotations

import pyarrow as pa

from rowferry.errors import ReadFailed
from rowferry.model import types as t
from rowferry.model.tables import Column, DefaultKind, Table
from rowferry.typemap.arrow import arrow_type

_PLAIN = (t.Integer, t.Decimal, t.Text, t.Enum, t.Set)
"""Types whose literals Arrow reads as they are written."""


def is_filled(column: Column) -> bool:
    """Whether it can be told what a row has there when nobody has given it a value."""
    if column.generated is not None or column.identity or column.instead:
        return False
    if column.default is None:
        return column.nullable
    if column.read_as is not None:
        return False
    return column.default.kind is DefaultKind.LITERAL and isinstance(column.type, _PLAIN)


def filled(table: Table, name: str, count: int) -> pa.Array:
    """The column's default, so many times; ReadFailed where it cannot be told."""
    column = table.column(name)
    kind = arrow_type(column.type)
    if not is_filled(column):
        raise ReadFailed(
            f"The log leaves out {table.name}.{name} of a new row: set binlog_row_image=FULL at the source, and start "
            "a new stream."
        )
    if column.default is None:
        return pa.nulls(count, kind)
    return pa.repeat(column.default.value, count).cast(kind)
