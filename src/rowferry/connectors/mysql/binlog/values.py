"""Which function decodes which type; what the log has and no rule speaks of is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from rowferry.connectors.mysql.binlog import moments, numbers, texts
from rowferry.connectors.mysql.binlog.cells import Cells
from rowferry.connectors.mysql.binlog.tablemap import LogColumn, Type
from rowferry.connectors.mysql.types import neutral_type
from rowferry.model import types as t
from rowferry.model.tables import Column, NativeType

Decode = Callable[[Cells], pa.Array]

DECODERS: Mapping[type, Decode] = {
    t.Integer: numbers.integers,
    t.Year: numbers.years,
    t.Float: numbers.floats,
    t.Decimal: numbers.decimals,
    t.Bits: numbers.bits,
    t.Text: texts.texts,
    t.Enum: texts.enums,
    t.Set: texts.sets,
    t.Inet: texts.addresses,
    t.Json: texts.documents,
    t.Binary: texts.binaries,
    t.Uuid: texts.uuids,
    t.Geometry: texts.shapes,
    t.Date: moments.days,
    t.DateTime: moments.datetimes,
    t.Instant: moments.instants,
    t.Duration: moments.durations,
}
"""One row for each neutral type that these servers hold."""

_TEXT = frozenset({Type.VARCHAR, Type.VAR_STRING, Type.STRING, Type.VARCHAR_COMPRESSED})
_BLOB = frozenset({Type.BLOB, Type.TINY_BLOB, Type.MEDIUM_BLOB, Type.LONG_BLOB, Type.BLOB_COMPRESSED})

FORMS: Mapping[str, frozenset[int]] = {
    "tinyint": frozenset({Type.TINY}),
    "smallint": frozenset({Type.SHORT}),
    "mediumint": frozenset({Type.INT24}),
    "int": frozenset({Type.LONG}),
    "bigint": frozenset({Type.LONGLONG}),
    "decimal": frozenset({Type.NEWDECIMAL}),
    "float": frozenset({Type.FLOAT}),
    "double": frozenset({Type.DOUBLE}),
    "bit": frozenset({Type.BIT}),
    "year": frozenset({Type.YEAR}),
    "date": frozenset({Type.DATE, Type.NEWDATE}),
    "time": frozenset({Type.TIME, Type.TIME2}),
    "datetime": frozenset({Type.DATETIME, Type.DATETIME2}),
    "timestamp": frozenset({Type.TIMESTAMP, Type.TIMESTAMP2}),
    "char": frozenset({Type.STRING, Type.VAR_STRING}),
    "binary": frozenset({Type.STRING}),
    "varchar": _TEXT,
    "varbinary": _TEXT,
    "enum": frozenset({Type.ENUM}),
    "set": frozenset({Type.SET}),
    "json": frozenset({Type.JSON, *_BLOB}),
    "uuid": frozenset({Type.STRING}),
    "inet4": frozenset({Type.STRING}),
    "inet6": frozenset({Type.STRING}),
}
"""The types of the log in which a column of the catalogue may lie."""

_SIZES = {"tiny": 1, "": 2, "medium": 3, "long": 4}
"""How many bytes hold the length of a text or blob, by how its name begins."""


def fits(column: Column, log: LogColumn) -> bool:
    """Whether the log's column may be the catalogue's."""
    native = column.native
    if isinstance(neutral_type(native), t.Geometry):
        return log.type == Type.GEOMETRY
    size = _blob_size(native.name)
    if size:
        return log.type in _BLOB and log.first == size
    if log.type not in FORMS.get(native.name, frozenset()):
        return False
    detail = _DETAILS.get(log.type)
    return detail is None or detail(native, log)


def _blob_size(name: str) -> int | None:
    for ending in ("text", "blob"):
        if name.endswith(ending):
            return _SIZES.get(name.removesuffix(ending))
    return None


def _members_fit(native: NativeType, log: LogColumn) -> bool:
    count = len(native.members)
    return log.first == ((count + 7) // 8 if native.name == "set" else 1 if count < 256 else 2) or (
        native.name == "set" and log.first in (1, 2, 3, 4, 8) and log.first >= (count + 7) // 8
    )


_DETAILS: Mapping[int, Callable[[NativeType, LogColumn], bool]] = {
    Type.NEWDECIMAL: lambda native, log: (native.precision, native.scale or 0) == (log.first, log.second),
    Type.BIT: lambda native, log: (native.length or 1) == log.first + 8 * log.second,
    Type.TIME2: lambda native, log: (native.scale or 0) == log.first,
    Type.DATETIME2: lambda native, log: (native.scale or 0) == log.first,
    Type.TIMESTAMP2: lambda native, log: (native.scale or 0) == log.first,
    Type.TIME: lambda native, _: not native.scale,
    Type.DATETIME: lambda native, _: not native.scale,
    Type.TIMESTAMP: lambda native, _: not native.scale,
    Type.ENUM: _members_fit,
    Type.SET: _members_fit,
}
"""What else must agree; a time of MySQL 5.5 or before has no fraction."""
