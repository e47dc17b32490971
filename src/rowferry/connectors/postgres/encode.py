"""Tables as COPY takes them: what the two formats have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

from rowferry.connectors.base import PlannedTable
from rowferry.model.tables import Column

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Field(Generic[E]):
    """One column as it is sent: its place in the batch, its name on the target, what is done to its values."""

    place: int
    name: str
    encode: E


class Encoding(Protocol):
    """How a table's rows are sent."""

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that are sent, in their order."""

    @property
    def format(self) -> str:
        """The name of COPY's format."""

    def sent(self, batches: Iterable[pa.RecordBatch]) -> Iterator[bytes | memoryview]:
        """All bytes of one COPY; WriteFailed, naming the column, for a value that cannot be sent."""


def written(table: PlannedTable) -> Iterator[tuple[int, Column, Column]]:
    """The columns that are sent, with their places; what the target computes itself is not."""
    for place, (source, target) in enumerate(zip(table.source.columns, table.target.columns, strict=True)):
        if target.generated is None:
            yield place, source, target
