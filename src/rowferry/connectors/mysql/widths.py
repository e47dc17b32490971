"""Keys and rows have a largest size here: which columns must be shorter than their values might be.

A column of a key cannot be a longtext, and the columns of a key together have at most 3072 bytes. The declared
varchar columns of a row together have at most 65535. A value that is longer than its column is refused when it
comes; it is never cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.mapping import Notes
from rowferry.connectors.mysql.types_write import BLOBS, TEXTS, native_type
from rowferry.model.findings import Severity
from rowferry.model.tables import Column, NativeType, Table

MOST_OF_KEY = 3072
MOST_OF_ROW = 65_000
BYTES = 4
"""What a character of utf8mb4 may take."""

_FIXED = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8, "float": 4, "double": 8, "year": 1}
_FIXED |= {"date": 3, "time": 6, "datetime": 8, "timestamp": 7, "uuid": 16, "inet4": 4, "inet6": 16, "bit": 8}
_POINTER = 12


def stretches(native: NativeType) -> bool:
    """Whether it is text or bytes, which take a key's room as they are declared."""
    return native.name in TEXTS or native.name in BLOBS or native.name in ("varchar", "varbinary", "char", "binary")


def width(native: NativeType) -> int:
    """The bytes of one value in a key, at the most; of a long text or blob: of its pointer."""
    if native.name in ("varchar", "char"):
        return (native.length or 1) * BYTES
    if native.name in ("varbinary", "binary"):
        return native.length or 1
    if native.name == "decimal":
        digits = re.search(r"\((\d+)", native.declared)
        return int(digits[1]) // 2 + 1 if digits else 30
    return _FIXED.get(native.name, _POINTER)


def shares(columns: Sequence[Column]) -> dict[str, int]:
    """How many bytes of a key each of its texts may take, were all of them as long as may be."""
    room = MOST_OF_KEY - sum(width(column.native) for column in columns if not stretches(column.native))
    long = sorted((column for column in columns if stretches(column.native)), key=lambda one: _demand(one.native))
    found = {}
    for left, column in zip(range(len(long), 0, -1), long, strict=True):
        found[column.name] = min(_demand(column.native), max(room, 0) // left)
        room -= found[column.name]
    return found


def _demand(native: NativeType) -> int:
    """What of a key the column would take if it might; without limit: all of it."""
    return MOST_OF_KEY if native.name in TEXTS or native.name in BLOBS else min(width(native), MOST_OF_KEY)


def fit_keys(
    notes: Notes, columns: Sequence[Column], keys: Iterable[Sequence[str]], variant: Variant
) -> tuple[Column, ...]:
    """The columns, those of the given keys (by their names there) declared as a key can have them."""
    by_name: dict[str, Column] = {column.name: column for column in columns}
    for key in keys:
        for name, share in shares([by_name[one] for one in key]).items():
            shorter = _shortened(by_name[name].native, share, variant)
            if shorter is not None:
                before = by_name[name]
                by_name[name] = replace(before, native=shorter)
                notes.say(
                    Severity.WARNING,
                    f", column {before.name}: becomes {shorter.declared}, since a key cannot hold more here; "
                    "a longer value stops the stream.",
                    column=before.name,
                )
    return tuple(by_name[column.name] for column in columns)


def _shortened(native: NativeType, share: int, variant: Variant) -> NativeType | None:
    if native.name in BLOBS or native.name in ("varbinary", "binary"):
        return (
            None if width(native) <= share and native.name not in BLOBS else native_type(f"varbinary({share})", variant)
        )
    if native.name in TEXTS or width(native) > share:
        return native_type(f"varchar({max(1, share // BYTES)})", variant)
    return None


def fit_row(
    notes: Notes, columns: Sequence[Column], kept: Mapping[str, object], variant: Variant
) -> tuple[Column, ...]:
    """The columns, the longest texts moved out of the row until it is not too wide; `kept` are those of keys."""
    found = list(columns)
    while sum(width(column.native) + 2 for column in found) > MOST_OF_ROW:
        movable = [at for at, c in enumerate(found) if c.native.name in ("varchar", "varbinary") and c.name not in kept]
        if not movable:
            break
        at = max(movable, key=lambda one: width(found[one].native))
        longer = "longtext" if found[at].native.name == "varchar" else "longblob"
        notes.say(
            Severity.INFO,
            f", column {found[at].name}: becomes {longer}, since the table's rows would be too wide with "
            f"{found[at].native.declared}.",
            column=found[at].name,
        )
        found[at] = replace(found[at], native=native_type(longer, variant))
    return tuple(found)


def prefixes(table: Table, names: Sequence[str]) -> dict[str, int | None]:
    """How much of each column an index that is not unique can hold: characters or bytes, None where it is all of it."""
    columns = [table.column(name) for name in names]
    found: dict[str, int | None] = {}
    for name, share in shares(columns).items():
        native = table.column(name).native
        whole = width(native) <= share and native.name not in TEXTS and native.name not in BLOBS
        text = native.name in TEXTS or native.name in ("varchar", "char")
        found[name] = None if whole else max(1, share // BYTES if text else share)
    return found
