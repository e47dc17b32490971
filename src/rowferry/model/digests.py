"""Checksums of rows, and what a comparison of two tables by them found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from rowferry.model.chunks import Key
from rowferry.model.tables import Column, Table


class Form(StrEnum):
    """How a value is spelled for a checksum, the same by every engine; NULL is spelled as nothing at all.

    `whole`: decimal digits. `decimal`: digits with a point. `float`: the bits of a double in hex. `text`: its length
    in bytes, a colon, the text. `bytes`: hex behind a backslash and an x. `date`, `moment`, `instant`, `clock`: ISO
    with as many digits of a second as are not 0, an instant in UTC
    with +00 behind it, or as a moment of UTC where the other side keeps it so.
    """

    WHOLE = "whole"
    DECIMAL = "decimal"
    FLOAT = "float"
    TEXT = "text"
    BYTES = "bytes"
    DATE = "date"
    MOMENT = "moment"
    INSTANT = "instant"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Spelling:
    """A form with what two sides agreed on.

    `hashed`: a text or bytes may be long, and stands as its MD5. `trimmed`: zeros at the end of a fraction are left
    out. `stripped`: blanks at the end of a text are. `digits`: of a second, where one side keeps fewer than six.
    `one_line`: a JSON document's line ends are blanks.
    """

    form: Form
    hashed: bool = False
    trimmed: bool = False
    stripped: bool = False
    digits: int = 6
    one_line: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """A column of one side, and how its values are spelled."""

    column: Column
    spelling: Spelling


@dataclass(frozen=True, slots=True)
class View:
    """One side's table as it is compared. The columns of both sides' views stand in the same order.

    `key` holds the places of the columns that tell rows apart, none where only the whole row does. `ordered`: they
    are whole numbers with an index on both sides, so that both can read ranges of them in the same order.
    """

    table: Table
    columns: tuple[Compared, ...]
    key: tuple[int, ...] = ()
    ordered: bool = False

    @property
    def key_columns(self) -> tuple[Compared, ...]:
        """The columns of the key."""
        return tuple(self.columns[place] for place in self.key)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of a table that has no order: the rows whose key's MD5 begins with one of `prefixes`, all equally long."""

    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Digest:
    """How many rows a part has, and their checksum; None where the server could not make one of so many."""

    rows: int
    checksum: str | None

    def equals(self, other: Digest) -> bool:
        """Whether both speak of the same rows."""
        return self.checksum is not None and self == other


RowId = tuple[int, ...] | str
"""What tells a row apart from all others: the numbers of its key, or the MD5 of its key's spelling."""


@dataclass(frozen=True, slots=True)
class RowDigest:
    """One row: `key` as people know it (None where it has none), and the MD5 of its spelling."""

    id: RowId
    key: tuple[str, ...] | None
    checksum: str


NOTHING = Digest(0, "")
"""The digest of a part without rows."""


class RowKind(StrEnum):
    """In what a row differs: it is missing on the target, it is there in addition, or it has other values there."""

    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class RowDifference:
    """A row that differs, by its key, and for a different one the columns (by the source's names) that do."""

    kind: RowKind
    key: tuple[str, ...] | None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyRange:
    """The keys above `low` up to and with `high`; None leaves that side open."""

    low: Key | None
    high: Key | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A column that is not compared, and why."""

    column: str
    reason: str


@dataclass(frozen=True, slots=True)
class TableComparison:
    """What comparing one table found.

    `missing`, `extra` and `different` count rows; they are lower bounds unless `complete`, because a table that
    differs in many places is not searched to its end. `ranges` are the first parts of the key that differ, and `rows`
    the first rows that do. `reason` says why a table could not be compared at all; it is `equal` then where that
    is nothing to worry about.
    """

    source: str
    target: str
    equal: bool
    source_rows: int = 0
    target_rows: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    extra_allowed: bool = False
    complete: bool = True
    key: tuple[str, ...] = ()
    ranges: tuple[KeyRange, ...] = ()
    rows: tuple[RowDifference, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    reason: str | None = None

    def document(self) -> dict[str, Any]:
        """The table as clients get it. Of values it holds keys alone."""
        return {
            "source": self.source,
            "target": self.target,
            "equal": self.equal,
            "sourceRows": self.source_rows,
            "targetRows": self.target_rows,
            "missing": self.missing,
            "extra": self.extra,
            "different": self.different,
            "extraAllowed": self.extra_allowed,
            "complete": self.complete,
            "reason": self.reason,
            "key": list(self.key),
            "ranges": [
                {
                    "above": None if one.low is None else list(one.low),
                    "upTo": None if one.high is None else list(one.high),
                }
                for one in self.ranges
            ],
            "rows": [
                {
                    "kind": row.kind.value,
                    "key": None if row.key is None else dict(zip(self.key, row.key, strict=True)),
                    "columns": list(row.columns),
                }
                for row in self.rows
            ],
            "skipped": [{"column": one.column, "reason": one.reason} for one in self.skipped],
        }

    @property
    def summary(self) -> str:
        """The table in one phrase: names and counts, never a key or a value."""
        if self.reason:
            return f"{self.target}: {self.reason}"
        if self.equal:
            return f"{self.target}: {self.source_rows} rows, equal"
        least = "" if self.complete else "at least "
        counts = ((self.missing, "missing"), (self.extra, "extra"), (self.different, "different"))
        found = ", ".join(f"{least}{number} {word}" for number, word in counts if number)
        sizes = f"{self.source_rows} rows at the source, {self.target_rows} on the target"
        return f"{self.target}: {sizes} ({found or 'their checksums differ'})"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tables of a stream, compared. `elapsed` in seconds."""

    tables: tuple[TableComparison, ...]
    elapsed: float

    @property
    def equal(self) -> bool:
        """Whether the target holds what was meant, in every table."""
        return all(table.equal for table in self.tables)

    def document(self) -> dict[str, Any]:
        """The whole as clients get it."""
        elapsed = round(self.elapsed, 3)
        return {
            "equal": self.equal,
            "rows": self.rows,
            "elapsed": elapsed,
            "tables": [table.document() for table in self.tables],
        }

    @property
    def rows(self) -> int:
        """How many rows were looked at, on both sides together."""
        return sum(table.source_rows + table.target_rows for table in self.tables)
