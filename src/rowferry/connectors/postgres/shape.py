"""What a table on the target is to those who change its rows: its keys, and columns that are not set like others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import psycopg

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres.encode import Encoding
from rowferry.connectors.postgres.encode_binary import binary_copy
from rowferry.connectors.postgres.encode_csv import csv_copy
from rowferry.connectors.postgres.names import qualified, quoted, quoted_list
from rowferry.connectors.postgres.versions import spelled
from rowferry.errors import MissingTable
from rowferry.model.tables import Column, TableName

Session = psycopg.Connection[tuple[Any, ...]]

_COLUMNS = """
SELECT a.attname::text, a.attidentity = 'a', {generated}
FROM pg_attribute a WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""

_KEYS = """
SELECT array(SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= {index_keys})
FROM pg_index i
WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indimmediate AND i.indisvalid
  AND i.indpred IS NULL AND i.indexprs IS NULL
"""

PINNED = "RF409"
"""An SQLSTATE of our own: a row would have to be taken out, on which foreign keys and triggers would act."""

THERE, NEW = "there", "new"
"""What the row on the target and the row that is sent are called in statements."""


@dataclass(frozen=True)
class Shape:
    """A table as it is there: `columns` that can be written, `keys` whose uniqueness a statement can rest upon.

    `pinned`: columns that the server always numbers itself; a row can be inserted with a number of ours, but no UPDATE
    sets it. `acting`: foreign keys and triggers act on what is done.
    """

    name: TableName
    columns: tuple[str, ...]
    pinned: frozenset[str]
    keys: frozenset[frozenset[str]]
    acting: bool

    @property
    def place(self) -> str:
        """The table as SQL."""
        return qualified(self.name.schema, self.name.name)

    def rewrites(self, values: Iterable[str]) -> bool:
        """Whether a change of these columns may have to take the row out and put it in again."""
        return not self.pinned.isdisjoint(values)

    def update(self, values: Mapping[str, str], match: str, source: str = "") -> str | None:
        """The statement that gives the rows that `match` these values, which may be columns of `source`.

        It leaves out pinned columns: `rewrite` comes before it. None: nothing is left.
        """
        changed = ", ".join(f"{quoted(name)} = {value}" for name, value in values.items() if name not in self.pinned)
        origin = f" FROM {source}" if source else ""
        return f"UPDATE {self.place} AS {THERE} SET {changed}{origin} WHERE {match}" if changed else None

    def rewrite(self, values: Mapping[str, str], match: str, source: str = "") -> str:
        """The same for rows whose pinned columns change: taken out, and put in again with all else that they had."""
        kept = [f"{values.get(name, f'{THERE}.{quoted(name)}')} AS {quoted(name)}" for name in self.columns]
        origin = f" USING {source}" if source else ""
        return (
            f"WITH gone AS (DELETE FROM {self.place} AS {THERE}{origin} WHERE {match} AND {self._moved(values)} "
            f"RETURNING {', '.join(kept)}) INSERT INTO {self.place} ({quoted_list(self.columns)}) "
            f"OVERRIDING SYSTEM VALUE SELECT {quoted_list(self.columns)} FROM gone"
        )

    def refuse_rewrite(self, values: Mapping[str, str], match: str, source: str = "") -> str:
        """PL/pgSQL that raises `PINNED` where `rewrite` would find a row."""
        origin = f", {source}" if source else ""
        return (
            f"PERFORM FROM {self.place} AS {THERE}{origin} WHERE {match} AND {self._moved(values)}; "
            f"IF FOUND THEN RAISE SQLSTATE '{PINNED}'; END IF;"
        )

    def _moved(self, values: Mapping[str, str]) -> str:
        changed = [
            f"{THERE}.{quoted(name)} IS DISTINCT FROM {value}" for name, value in values.items() if name in self.pinned
        ]
        return f"({' OR '.join(changed)})"

    def upsert(self, names: Sequence[str], rows: str, key: Sequence[str]) -> str:
        """The statement that puts `rows` (VALUES or SELECT) of these columns in, over what has their key.

        The key must be one of `keys`, and only pinned columns of the key may be among the columns.
        """
        changed = [f"{quoted(name)} = EXCLUDED.{quoted(name)}" for name in names if name not in key]
        action = f"UPDATE SET {', '.join(changed)}" if changed else "NOTHING"
        return f"{self.insert(names, rows)} ON CONFLICT ({quoted_list(key)}) DO {action}"

    def insert(self, names: Sequence[str], rows: str) -> str:
        """The statement that puts `rows` (VALUES or SELECT) of these columns in."""
        return f"INSERT INTO {self.place} ({quoted_list(names)}) OVERRIDING SYSTEM VALUE {rows}"

    def upserts(self, names: Iterable[str], key: Iterable[str]) -> bool:
        """Whether `upsert` can be used."""
        by = frozenset(key)
        return by in self.keys and not (self.pinned - by).intersection(names)


def read_shape(session: Session, name: TableName, acting: bool) -> Shape:
    """Ask the catalogue; MissingTable when the table is gone."""
    place, version = qualified(name.schema, name.name), session.info.server_version
    columns = session.execute(spelled(_COLUMNS, version), (place,)).fetchall()
    if not columns:
        raise MissingTable(f"There is no table {name} on the target any more: start a new stream.")
    keys = session.execute(spelled(_KEYS, version), (place,)).fetchall()
    return Shape(
        name,
        tuple(column for column, _, generated in columns if not generated),
        frozenset(column for column, always, _ in columns if always),
        frozenset(frozenset(key) for (key,) in keys),
        acting,
    )


@dataclass(frozen=True)
class Cut:
    """Some columns of a planned table, as rows of them are sent; the target's own computed columns are not."""

    table: PlannedTable

    @cached_property
    def encoding(self) -> Encoding:
        """How rows are sent; a batch has to have just these columns, in their order."""
        return binary_copy(self.table) or csv_copy(self.table)

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called on the target."""
        return tuple(column.name for column in self.table.target.columns)

    @property
    def sources(self) -> list[str]:
        """What they are called in a batch."""
        return list(self.table.source.column_names())


def cut(table: PlannedTable, names: Iterable[str]) -> Cut:
    """The columns of these names (the source's) that the target does not compute itself."""
    pairs = {
        source.name: (source, target) for source, target in zip(table.source.columns, table.target.columns, strict=True)
    }
    chosen = [pairs[name] for name in names if pairs[name][1].generated is None]
    return cut_of(table, [source for source, _ in chosen], [target for _, target in chosen])


def cut_of(table: PlannedTable, sources: Sequence[Column], targets: Sequence[Column]) -> Cut:
    """Just these columns."""
    return Cut(
        PlannedTable(
            replace(table.source, columns=tuple(sources)), replace(table.target, columns=tuple(targets)), table.existing
        )
    )


def named_there(table: PlannedTable, names: Iterable[str]) -> tuple[str, ...]:
    """What columns of the source are called on the target."""
    there = dict(zip(table.source.column_names(), table.target.column_names(), strict=True))
    return tuple(there[name] for name in names)


def matching(key: Iterable[str]) -> str:
    """That the row there has the key of the row that is sent."""
    return " AND ".join(f"{THERE}.{quoted(name)} = {NEW}.{quoted(name)}" for name in key)
