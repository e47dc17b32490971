"""Values of the log in the neutral form: the text that PostgreSQL writes for each, turned into what a read gives.

The session that follows the log has the settings of one that reads (`connect.SETTINGS`), so a type that crosses as text
is there already. The others become what the driver gives for them (`batches`), and pass the same checks from there
on. Dates and times of four-digit years are read by Arrow; the rest, infinity among it, one by one, and wrapped around
as the driver does it.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.postgres.batches import Place, converted
from rowferry.connectors.postgres.replication.cells import Cells, Flags, Joined
from rowferry.connectors.postgres.types import base_type
from rowferry.model import types as t

Decoder = Callable[[Joined, Cells, pa.DataType], pa.Array]

_EPOCH_DAYS = 10_957
"""From 1970 to 2000, from where PostgreSQL counts."""

_DAY = 86_400_000_000
"""Microseconds."""

_MOMENT = re.compile(
    r"(?P<year>\d+)-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?(?:\+00)?)?(?P<before> BC)?"
)


def decoded(block: Joined, cells: Cells, place: Place, field: pa.Field) -> pa.Array:
    """A column's values, of the field's type; ReadFailed, naming the column, where one cannot be carried."""
    column = place.column
    read_as_text = column.read_as is not None and isinstance(column.type, t.Text)
    name = "" if read_as_text else base_type(column.native).name
    decode = _BY_NAME.get(name) or _BY_TYPE.get(type(column.type), _text)
    try:
        array = decode(block, cells, field.type)
    except (pa.ArrowException, ValueError):
        # Their messages quote the value.
        raise place.refuse("holds a value that PostgreSQL's log spells in an unknown way") from None
    return converted(array, place, field)


def _text(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    return cells.texts(block, pa.string())


def _number(block: Joined, cells: Cells, kind: pa.DataType) -> pa.Array:
    return cells.texts(block, pa.string()).cast(kind)


def _money(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    """In the words of lc_monetary C: -$1,234.56."""
    bare = pc.replace_substring(cells.texts(block, pa.string()), "$", "")
    return pc.replace_substring(bare, ",", "")


def _boolean(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    return pa.array(block.bytes[cells.starts] == ord("t"), mask=cells.missing)


def _bytes(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    return _from_hex(cells.texts(block, pa.string(), skip=2))


def _geometry(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    return _from_hex(cells.texts(block, pa.string()))


def _from_hex(digits: pa.Array) -> pa.Array:
    validity, offsets, data = digits.buffers()
    ends = np.frombuffer(offsets, np.int32, len(digits) + 1)
    held = unhexlify(memoryview(data)[: ends[-1]]) if data is not None else b""
    return pa.Array.from_buffers(
        pa.binary(), len(digits), [validity, pa.py_buffer(ends // 2), pa.py_buffer(held)], null_count=digits.null_count
    )


_UUID_DIGITS = np.array([at for at in range(36) if at not in (8, 13, 18, 23)])


def _uuid(block: Joined, cells: Cells, kind: pa.DataType) -> pa.Array:
    missing = cells.missing
    digits = block.bytes[np.where(missing, 0, cells.starts)[:, None] + _UUID_DIGITS]
    digits[missing] = ord("0")
    held = unhexlify(digits.tobytes())
    validity = pa.array(~missing).buffers()[1] if missing.any() else None
    return pa.Array.from_buffers(kind, len(missing), [validity, pa.py_buffer(held)])


def _date(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    odd = ~cells.missing & (cells.ends - cells.starts != len("2000-01-01"))
    return _read(cells.texts(block, pa.string()), odd, pa.date32(), _odd_date)


def _moment(block: Joined, cells: Cells, cut: int) -> pa.Array:
    at = cells.starts
    usual = (block.bytes[at + 4] == ord("-")) & (block.bytes[at + 10] == ord(" "))
    odd = ~cells.missing & (~usual | (block.bytes[cells.ends - 1] == ord("C")))
    texts = cells.texts(block, pa.string())
    if cut and not odd.any():
        texts = cells.texts(block, pa.string(), cut=cut)
    elif cut:
        texts = pc.replace_substring_regex(texts, r"\+00$", "")
    return _read(texts, odd, pa.timestamp("us"), _odd_moment)


def _date_time(block: Joined, cells: Cells, _: pa.DataType) -> pa.Array:
    return _moment(block, cells, 0)


def _instant(block: Joined, cells: Cells, kind: pa.DataType) -> pa.Array:
    return _moment(block, cells, len("+00")).cast(kind)


def _time(block: Joined, cells: Cells, kind: pa.DataType) -> pa.Array:
    at = cells.starts
    odd = ~cells.missing & (block.bytes[at] == ord("2")) & (block.bytes[at + 1] == ord("4"))
    texts = cells.texts(block, pa.string())
    dated = pc.binary_join_element_wise(pa.scalar("1970-01-01"), texts, pa.scalar(" "))
    return _read(dated, odd, pa.timestamp("us"), lambda _: _DAY).cast(pa.int64()).cast(kind)


def _read(texts: pa.Array, odd: Flags, kind: pa.DataType, read: Callable[[str], int]) -> pa.Array:
    """The texts as `kind`, which counts something; those that Arrow does not read are read by `read`."""
    if not odd.any():
        return texts.cast(kind)
    mask = pa.array(odd)
    counts = [read(text) for text in texts.filter(mask).to_pylist()]
    usual = pc.if_else(mask, pa.scalar(None, pa.string()), texts).cast(kind)
    counted = pa.int32() if kind == pa.date32() else pa.int64()
    return pc.replace_with_mask(usual.cast(counted), mask, pa.array(counts, counted)).cast(kind)


def _odd_date(text: str) -> int:
    return _endless(text, 32, _EPOCH_DAYS) if text.endswith("infinity") else _wrapped(_counted(text) // _DAY, 32)


def _odd_moment(text: str) -> int:
    return _endless(text, 64, _EPOCH_DAYS * _DAY) if text.endswith("infinity") else _wrapped(_counted(text), 64)


def _endless(text: str, bits: int, epoch: int) -> int:
    """Infinity as PostgreSQL keeps it, the greatest or the least number, as if it were counted from 1970."""
    kept = -(1 << (bits - 1)) if text.startswith("-") else (1 << (bits - 1)) - 1
    return _wrapped(kept + epoch, bits)


def _wrapped(number: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return (number + half) % (2 * half) - half


def _counted(text: str) -> int:
    """Microseconds from 1970 to any day of PostgreSQL's calendar, the Gregorian one into all past."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("neither a date nor a time")
    part = {name: int(value) for name, value in found.groupdict(default="0").items() if name not in _APART}
    year = 1 - part["year"] if found["before"] else part["year"]
    days = _days(year, part["month"], part["day"])
    seconds = (days * 24 + part["hour"]) * 3600 + part["minute"] * 60 + part["second"]
    return seconds * 1_000_000 + int((found["fraction"] or "").ljust(6, "0"))


_APART = ("fraction", "before")


def _days(year: int, month: int, day: int) -> int:
    """Days from 1970, counting each year from its March on."""
    year -= month <= 2
    cycle, of_cycle = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return cycle * 146_097 + of_cycle * 365 + of_cycle // 4 - of_cycle // 100 + of_year - 719_468


_BY_NAME: dict[str, Decoder] = {"money": _money}

_BY_TYPE: dict[type, Decoder] = {
    t.Boolean: _boolean,
    t.Integer: _number,
    t.Float: _number,
    t.Binary: _bytes,
    t.Date: _date,
    t.Time: _time,
    t.DateTime: _date_time,
    t.Instant: _instant,
    t.Uuid: _uuid,
    t.Geometry: _geometry,
}
"""By neutral type; a type that is not here crosses as the text itself, or is read from it by `converted`."""
