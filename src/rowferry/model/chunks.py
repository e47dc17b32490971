"""Chunks: the pieces in which a table is copied, each of which commits as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rowferry.model.changes import Position
from rowferry.model.tables import TableName

KeyValue = int | str
"""One value of a key, in a form that survives JSON."""

Key = tuple[KeyValue, ...]
"""A value for each column of a table's key."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One piece of a table: the rows whose key is greater than `low` and not greater than `high`.

    None leaves that side open, so that the first and the last chunk of a table together miss nothing.
    `number` counts from 0 within the table and names the chunk for good: a chunk that was committed under
    its number is never copied again. `at`: the place in the source's log that its rows are read at, where known.
    """

    table: TableName
    number: int
    low: Key | None = None
    high: Key | None = None
    at: Position | None = None

    def __str__(self) -> str:
        if self.low is None and self.high is None:
            return f"{self.table}, all rows"
        low = "the first key" if self.low is None else f"after {_show(self.low)}"
        high = "the last key" if self.high is None else f"to {_show(self.high)}"
        return f"{self.table}, chunk {self.number} ({low} {high})"

    def document(self) -> dict[str, Any]:
        """The chunk as a journal keeps it in JSON."""
        return {
            "schema": self.table.schema, "name": self.table.name, "number": self.number,
            "low": None if self.low is None else list(self.low), "high": None if self.high is None else list(self.high),
        }  # fmt: skip

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Chunk:
        """What `document` made."""
        low, high = document["low"], document["high"]
        return cls(
            TableName(document["schema"], document["name"]),
            document["number"],
            None if low is None else tuple(low),
            None if high is None else tuple(high),
        )


@dataclass(frozen=True, slots=True)
class Committed:
    """A chunk the target holds for good: `rows` written, `size` in bytes as they crossed, `at` as of the chunk."""

    table: str
    number: int
    rows: int
    size: int
    at: Position | None = None


def _show(key: Key) -> str:
    return ", ".join(str(value) for value in key)
