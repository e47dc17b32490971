"""Tables of a stream that is followed, on a target, and the appliers that were opened for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rowferry.connectors.base import PlannedTable, TargetRequest
from rowferry.connectors.postgres.apply import PostgresApplier, open_applier
from rowferry.model.tables import Table
from tests.postgres_target.conftest import Place, prepared, write

Row = tuple[Any, ...]


@dataclass
class Followed:
    """The tables as they were planned, and how the stream reaches them."""

    place: Place
    tables: tuple[PlannedTable, ...]
    request: TargetRequest
    appliers: list[PostgresApplier] = field(default_factory=list)

    @property
    def table(self) -> PlannedTable:
        """The first of them."""
        return self.tables[0]

    def open(self) -> PostgresApplier:
        """One more applier."""
        self.appliers.append(open_applier(self.request, self.tables))
        return self.appliers[-1]

    def rows(self, table: PlannedTable | None = None) -> list[Row]:
        """What anybody sees in a table, the first if none is named."""
        return self.place.run(
            f'SELECT * FROM {(table or self.table).target.name} AS seen ORDER BY seen::text COLLATE "C"'
        )


@contextmanager
def followed(
    place: Place,
    *tables: Table,
    rows: Sequence[Row] = (),
    dialect: str = "mysql",
    stream: str = "stream_1",
    user: str | None = None,
    **how: Any,
) -> Iterator[Followed]:
    """The tables, loaded (the first with `rows`) and finished, as they are before their source is followed."""
    target = place.target(stream, **how)
    planned = prepared(target, *tables, dialect=dialect).tables
    write(target, planned[0], rows)
    for table in planned:
        target.finish_table(table)
    target.finish(planned)
    made = Followed(place, planned, place.request(stream, user=user, **how))
    try:
        yield made
    finally:
        for applier in made.appliers:
            applier.close()
