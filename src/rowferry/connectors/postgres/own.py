"""What a PostgreSQL target takes over from a PostgreSQL source in the source's own words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from rowferry.connectors.postgres.columns import Notes
from rowferry.connectors.postgres.facts import Session
from rowferry.connectors.postgres.types_write import DIALECT
from rowferry.model.findings import Remark
from rowferry.model.tables import Column, NativeIndex, Table

_QUOTED = re.compile(r"""E'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*'|"(?:[^"]|"")*\"""", re.DOTALL)
_BREAKS = re.compile(r"""[;'"$\\\x00]|--|/\*""")
"""What the server's own words never hold outside of quotes, and what more than one statement would need."""

_COLLATIONS = """
SELECT wanted FROM unnest(%s::text[]) AS wanted WHERE EXISTS (
    SELECT FROM pg_collation o JOIN pg_namespace n ON n.oid = o.collnamespace
    WHERE format('%%I.%%I', n.nspname, o.collname) = wanted AND (
        o.collencoding = -1
        OR o.collencoding = (SELECT d.encoding FROM pg_database d WHERE d.datname = current_database())
    )
)
"""


@dataclass(frozen=True)
class Own:
    """What the server can take over: its version (0: the source is no PostgreSQL) and the collations it has."""

    version: int = 0
    collations: frozenset[str] = frozenset()

    def index(self, notes: Notes, native: NativeIndex | None, same: bool) -> bool:
        """Whether the target can have it just so; `same`: the table's columns keep their names."""
        if native is None or not self.version or not same:
            return False
        needed = [r.since for r in notes.table.remarks if r.item == native.name and r.since is not None]
        return max(needed, default=0) <= self.version and is_whole(native.definition)

    def column(self, notes: Notes, column: Column, target: Column) -> Column:
        """The column of the target with the source's collation, if the target has it; its numbering is taken over."""
        if not self.version or column.wanted is not None:
            return replace(target, numbering=None)
        if column.identity or column.native.collation in self.collations:
            notes.carried.add((column.name, None))
        collation = column.native.collation if column.native.collation in self.collations else None
        return replace(target, native=replace(target.native, collation=collation))

    def left(self, notes: Notes) -> tuple[Remark, ...]:
        """The remarks about the table that still hold."""
        return tuple(
            remark
            for remark in notes.table.remarks
            if (remark.column, remark.item) not in notes.carried or remark.since is None or remark.since > self.version
        )


def find_own(session: Session, dialect: str, tables: Iterable[Table], database: bool) -> Own:
    """What the server can take over of these tables; not `database`: the session is in another one than the target."""
    if dialect != DIALECT:
        return Own()
    wanted = sorted({c.native.collation for table in tables for c in table.columns if c.native.collation is not None})
    found = {str(row[0]) for row in session.execute(_COLLATIONS, (wanted,))} if wanted else set()
    known = frozenset(name for name in found if database or name.startswith("pg_catalog."))
    return Own(session.info.server_version, known)


def is_whole(text: str) -> bool:
    """Whether the text can only be a part of one statement, whatever server it comes from."""
    return _BREAKS.search(_QUOTED.sub("", text)) is None
