"""What tells a row of a table from the others, as it was before a change."""

from __future__ import annotations

from collections.abc import Container

from rowferry.connectors.postgres.names import qualified, quoted
from rowferry.model.tables import Table, TableName


def identity_of(table: Table, told: Container[str]) -> tuple[str, ...]:
    """The columns of `before`: the table's key, or all that the log tells where it has none."""
    return table.key or tuple(name for name in table.column_names() if name in told)


def identity_statement(table: TableName, index: str | None = None) -> str:
    """What makes the log tell enough of a row as it was: the columns of that index, or all."""
    what = f"USING INDEX {quoted(index)}" if index else "FULL"
    return f"ALTER TABLE {qualified(table.schema, table.name)} REPLICA IDENTITY {what};"
