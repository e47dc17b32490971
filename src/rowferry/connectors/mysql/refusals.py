"""What went wrong on the target, in our words: names of tables and columns, never a value.

The servers' messages quote values, so they are not shown: the error's number says what happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pymysql

from rowferry.connectors.mysql.failures import GONE, error_code, lost
from rowferry.errors import (
    ConnectionLost,
    Forbidden,
    MissingTable,
    Refused,
    RowferryError,
    TargetExists,
    TargetFull,
    WriteFailed,
)

Kind = type[RowferryError]

DriverErrors = (pymysql.Error, OSError)

_DENIED = "the target's user may not do this: grant it the privileges it needs"
_FULL = "the target server's disk is full"
_LOCKED = "another session's lock stood in the way"
_READ_ONLY = "the target server is set to read only"
_STORED = "the server cannot take a value: it is out of range, cut off, or not of its column's type"
_SPATIAL = "a value is no geometry that the server knows"
_CHECK = "a row breaks a check constraint"
_REFERENCE = "a row refers to a row that is not on the target"
_DOUBLE = "a row has the same key as one that is on the target already"
_LOG = "the server's binlog_format is STATEMENT, which cannot log this: set it to MIXED or ROW"

COMMON: Mapping[int, tuple[Kind, str]] = {
    **dict.fromkeys((1044, 1045, 1142, 1143, 1227, 1370), (Forbidden, _DENIED)),
    **dict.fromkeys((3, 28, 1021, 1030, 1114, 3636), (TargetFull, _FULL)),
    **dict.fromkeys((1205, 1213, 1614, 3572), (ConnectionLost, _LOCKED)),
    **dict.fromkeys((1290, 1792, 1836, 3100), (WriteFailed, _READ_ONLY)),
    1665: (WriteFailed, _LOG),
}
"""What may happen to any statement."""

WRITING: Mapping[int, tuple[Kind, str]] = {
    **dict.fromkeys((1062, 1169, 1586), (WriteFailed, _DOUBLE)),
    **dict.fromkeys((1048, 1263, 1364), (WriteFailed, "a value is NULL in a column that forbids it")),
    **dict.fromkeys((1406,), (WriteFailed, "a value is longer than its column")),
    **dict.fromkeys((1264, 1690), (WriteFailed, "a number is out of its column's range")),
    **dict.fromkeys((1265, 1292, 1411, 3140), (WriteFailed, _STORED)),
    1366: (WriteFailed, "a value is not of its column's type, or has a character that the column's charset lacks"),
    **dict.fromkeys((1416, 3037, 3055, 3516, 3617), (WriteFailed, _SPATIAL)),
    **dict.fromkeys((1216, 1452), (WriteFailed, _REFERENCE)),
    **dict.fromkeys((1217, 1451), (WriteFailed, "other rows refer to a row that is changed or deleted")),
    **dict.fromkeys((3819, 4025), (WriteFailed, _CHECK)),
    **dict.fromkeys((1153, 1301), (WriteFailed, "a row is longer than the server's max_allowed_packet: raise it")),
    **dict.fromkeys((1261, 1262), (WriteFailed, "a row did not arrive as it was sent")),
    1906: (WriteFailed, "the target computes a column itself"),
    3105: (WriteFailed, "the target computes a column itself"),
    **dict.fromkeys((*GONE, 1049), (MissingTable, "the table, or one of its columns, is no longer on the target")),
    **dict.fromkeys(
        (3948, 4166), (WriteFailed, "the server takes no LOAD DATA LOCAL any more: start the stream again")
    ),
}
"""What may happen to a chunk."""

PREPARING: Mapping[int, tuple[Kind, str]] = {
    1050: (TargetExists, "somebody has created one of the tables meanwhile"),
    **dict.fromkeys((1217, 1451, 1701, 3730), (Refused, "other tables refer to a table that has to go or be emptied")),
    1118: (Refused, "a table's rows would be wider than the server allows: leave columns out by selectedColumns"),
    **dict.fromkeys((1067, 1101), (Refused, "the server does not take a column's default")),
    **dict.fromkeys((1071, 1170), (Refused, "a table's key would be longer than the server allows")),
    1117: (Refused, "a table has more columns than the server allows: leave some out by selectedColumns"),
    1059: (Refused, "a name is longer than the server allows"),
    1102: (Refused, "the database's name is none that the server allows"),
}
"""What may happen when tables are made, dropped or emptied."""

_PARTS: Mapping[int, str] = {
    **dict.fromkeys((1062, 1169, 1586), "rows have the same key"),
    **dict.fromkeys((3819, 4025), "rows break it"),
    **dict.fromkeys((1216, 1452), "rows refer to rows that are not there"),
    **dict.fromkeys((1071, 1170, 1709), "its columns are too long for an index"),
    **dict.fromkeys((1005, 1215, 1822, 1825, 1824, 3780, 6125), "the columns do not match, or lack an index there"),
    **dict.fromkeys((1067, 1101, 1674, 1901, 3770, 3774, 3812), "the server does not take its expression"),
    **dict.fromkeys((1191, 1210, 1283, 1464, 1795, 1863), "the server has no such index on this table"),
    **dict.fromkeys((1048, 1252, 1263), "rows hold NULL in it"),
    **dict.fromkeys((1061, 1826), "the name is taken"),
}
"""Why a part of a table's structure was not taken."""


def while_writing(error: BaseException, doing: str, columns: Iterable[str]) -> RowferryError:
    """A driver's error, or a warning as one, out of a chunk."""
    return _ours(error, {**COMMON, **WRITING}, f"{doing}{_where(error, columns)}")


def while_preparing(error: BaseException, doing: str) -> RowferryError:
    """A driver's error out of the making, dropping or emptying of tables."""
    return _ours(error, {**COMMON, **PREPARING}, doing)


def translated(error: BaseException, doing: str) -> RowferryError:
    """A driver's error out of anything else."""
    return _ours(error, COMMON, doing)


def standing(error: BaseException) -> bool:
    """Whether the error says nothing about the statement itself: the stream stops and can go on later."""
    code = error_code(error)
    return (
        isinstance(error, OSError) or lost(error) or code == 0 or (code in COMMON and COMMON[code][0] is not Forbidden)
    )


def reason(error: BaseException) -> str:
    """Why a part of the structure was not taken, for a finding."""
    code = error_code(error)
    if code in COMMON:
        return COMMON[code][1].partition(":")[0]
    return _PARTS.get(code, f"the server refuses it with error {code}")


def _ours(error: BaseException, known: Mapping[int, tuple[Kind, str]], doing: str) -> RowferryError:
    if isinstance(error, RowferryError):
        return error
    code = error_code(error)
    if code in known:
        kind, meaning = known[code]
        return kind(f"{meaning[0].upper()}{meaning[1:]}, while {doing}.")
    if code == 0 or lost(error) or isinstance(error, OSError):
        return ConnectionLost(f"The connection to the target broke, while {doing}.")
    return WriteFailed(f"The target server answered with error {code}, while {doing}.")


def _where(error: BaseException, columns: Iterable[str]) -> str:
    """The column as far as the server names it; the rest of its sentence may hold a value and is not looked at."""
    text = str(error.args[1]) if len(error.args) > 1 else ""
    ends = ("' at row", "` at row", "'", "` ")
    found = [
        name
        for name in columns
        if any(f"column {quote}{name}{end}" in text for quote in ("'", "`") for end in ends)
        or f"`.`{name}` at row" in text
    ]
    return f" (column {max(found, key=len)})" if found else ""
