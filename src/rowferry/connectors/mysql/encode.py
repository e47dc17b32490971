"""Arrow columns as the text that the servers read, for LOAD DATA and for INSERT alike.

Every value is text: digits, a word, or, where bytes count, hexadecimal digits that the server turns back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rowferry.connectors.base import PlannedTable
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.typemap.arrow import hex_digits

Encode = Callable[[pa.Array], pa.Array]
Replacements = tuple[tuple[str, str], ...]

LARGE = pa.large_string()


class OutOfRange(ValueError):
    """A value that these servers do not have; the text says which."""


@dataclass(frozen=True, slots=True)
class Form:
    """How values of a kind are sent.

    `encode` makes text of them. `free`: the text may hold any character. `loaded` is what LOAD DATA makes of the
    text, `opened` what stands before the text in an INSERT.
    """

    encode: Encode
    free: bool = False
    loaded: str = "{}"
    opened: str = "'"


@dataclass(frozen=True, slots=True)
class Field:
    """One column as it is sent: its place in the batch, its name on the target, its form, its name at the source."""

    place: int
    name: str
    form: Form
    known_as: str


def _plain(array: pa.Array) -> pa.Array:
    return array.cast(LARGE)


def _logical(array: pa.Array) -> pa.Array:
    return array.cast(pa.int8()).cast(LARGE)


def _float(array: pa.Array) -> pa.Array:
    """As a double, whose shortest text reads back as the same number; a float's own might not."""
    return array.cast(pa.float64()).cast(LARGE)


def _year(array: pa.Array) -> pa.Array:
    """Four digits: a lone 0 would be the year 2000."""
    return pc.utf8_lpad(array.cast(LARGE), 4, "0")


def _moment(array: pa.Array) -> pa.Array:
    plain = array.cast(pa.timestamp("us"))
    try:
        return plain.cast(pa.timestamp("s")).cast(LARGE)  # the server takes a sixth longer to read six zeros
    except pa.ArrowInvalid:
        return plain.cast(LARGE)


def _duration(array: pa.Array) -> pa.Array:
    count = array.cast(pa.int64())
    size = pc.abs(count)
    seconds = pc.divide(size, 1_000_000)
    parts = [
        pc.utf8_lpad(part.cast(LARGE), width, "0")
        for part, width in (
            (pc.divide(seconds, 3600), 2),
            (_rest(pc.divide(seconds, 60), 60), 2),
            (_rest(seconds, 60), 2),
            (_rest(size, 1_000_000), 6),
        )
    ]
    sign = pc.if_else(pc.less(count, 0), pa.scalar("-", LARGE), pa.scalar("", LARGE))
    nothing, colon, point = (pa.scalar(text, LARGE) for text in ("", ":", "."))
    clock = pc.binary_join_element_wise(*parts[:3], colon)
    return pc.binary_join_element_wise(sign, pc.binary_join_element_wise(clock, parts[3], point), nothing)


def _rest(numbers: pa.Array, by: int) -> pa.Array:
    return pc.subtract(numbers, pc.multiply(pc.divide(numbers, by), by))


def _uuid(array: pa.Array) -> pa.Array:
    digits = hex_digits(array)
    cuts = ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))
    return pc.binary_join_element_wise(
        *(pc.utf8_slice_codeunits(digits, start, stop) for start, stop in cuts), pa.scalar("-", LARGE)
    )


def _own_uuid(array: pa.Array) -> pa.Array:
    """MariaDB takes versions above 7 only with the variant that they were made for."""
    known = array.drop_null()
    _, data = known.buffers()
    first = known.offset * _UUID_BYTES
    signs = np.frombuffer(data, np.uint8)[first : first + len(known) * _UUID_BYTES].reshape(-1, _UUID_BYTES)
    if bool(np.any((signs[:, 6] >= _HIGH) & (signs[:, 8] < _HIGH))):
        raise OutOfRange(
            "a UUID that MariaDB's uuid refuses (version above 7, old variant): say char(36) in typeOverrides"
        )
    return _uuid(array)


_UUID_BYTES, _HIGH = 16, 0x80


def _shape(array: pa.Array) -> pa.Array:
    """From EWKB, with its SRID inside, to the server's own form: the SRID in four bytes, then WKB."""
    digits = hex_digits(array)

    def part(start: int, stop: int | None = None) -> pa.Array:
        return pc.utf8_slice_codeunits(digits, start, stop)

    flags = part(8, 10)
    known = pc.is_in(flags, value_set=pa.array(["00", "20"], LARGE), skip_nulls=False)
    little = pc.equal(part(0, 2), pa.scalar("01", LARGE))
    if pc.all(pc.or_(pc.and_(known, little), pc.is_null(digits))).as_py() is False:
        raise OutOfRange("a shape with a third coordinate, or in big-endian order: convert it in a query")
    nothing = pa.scalar("", LARGE)
    with_srid = pc.binary_join_element_wise(part(10, 18), part(0, 8), pa.scalar("00", LARGE), part(18), nothing)
    without = pc.binary_join_element_wise(pa.scalar("00000000", LARGE), digits, nothing)
    return pc.if_else(pc.equal(flags, pa.scalar("20", LARGE)), with_srid, without)


PLAIN, FREE = Form(_plain), Form(_plain, free=True)
BYTES = Form(hex_digits, loaded="UNHEX({})", opened="x'")
BITS = Form(_plain, loaded="CAST(CONV({}, 2, 10) AS UNSIGNED)", opened="b'")

FORMS: dict[type, Form] = {
    t.Boolean: Form(_logical),
    t.Integer: PLAIN,
    t.Decimal: PLAIN,
    t.Number: PLAIN,
    t.Float: Form(_float),
    t.Text: FREE,
    t.Binary: BYTES,
    t.Bits: PLAIN,
    t.Date: PLAIN,
    t.Time: PLAIN,
    t.DateTime: Form(_moment),
    t.Instant: Form(_moment),
    t.Duration: Form(_duration),
    t.Interval: PLAIN,
    t.Year: Form(_year),
    t.Json: FREE,
    t.Enum: FREE,
    t.Set: FREE,
    t.Uuid: Form(_uuid),
    t.Inet: PLAIN,
    t.Geometry: Form(_shape, loaded="UNHEX({})", opened="x'"),
    t.Array: FREE,
    t.Foreign: FREE,
}
"""By neutral type."""

_BY_TARGET: dict[tuple[type, str], Form] = {(t.Bits, "bit"): BITS, (t.Uuid, "uuid"): Form(_own_uuid)}
"""The same where the target's type makes a difference."""


def fields_of(table: PlannedTable) -> list[Field]:
    """The table's columns that are sent; what the target computes itself is not."""
    return [
        Field(
            place,
            target.name,
            _BY_TARGET.get((type(source.type), target.native.name)) or FORMS[type(source.type)],
            f"{table.source.name}.{source.name} ({source.native.declared})",
        )
        for place, (source, target) in enumerate(zip(table.source.columns, table.target.columns, strict=True))
        if target.generated is None
    ]


_LOADED: Replacements = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"))
_INSERTED: Replacements = (("\\", "\\\\"), ("'", "\\'"), ("\0", "\\0"))


def loaded_rows(fields: Sequence[Field], batch: pa.RecordBatch) -> memoryview:
    """The batch as LOAD DATA reads it: a line for each row, tabs between values, backslashes where they are needed."""
    columns = [_filled(_replaced(_text(one, batch), one, _LOADED), "\\N") for one in fields]
    return _bytes(_joined(columns, "\t", "", "\n"))


def inserted_rows(fields: Sequence[Field], batch: pa.RecordBatch) -> list[bytes]:
    """The batch as INSERT reads it: for each row its values in parentheses."""
    columns = [literals(one, batch) for one in fields]
    return [bytes(row) for row in _joined(columns, ",", "(", ")").cast(pa.large_binary()).to_pylist()]


def literals(field: Field, batch: pa.RecordBatch, around: tuple[str, str] | None = None) -> pa.Array:
    """A column's values as literals of SQL, or NULL; `around` is what stands before and after the text of each."""
    before, after = around or (field.form.opened, "'")
    text = _replaced(_text(field, batch), field, _INSERTED)
    words = pc.binary_join_element_wise(pa.scalar(before, LARGE), text, pa.scalar(after, LARGE), pa.scalar("", LARGE))
    return _filled(words, "NULL")


def _text(field: Field, batch: pa.RecordBatch) -> pa.Array:
    try:
        return field.form.encode(batch.column(field.place))
    except OutOfRange as error:
        raise WriteFailed(f"{field.known_as} holds {error}.") from None


def _replaced(array: pa.Array, field: Field, replacements: Replacements) -> pa.Array:
    if not field.form.free:
        return array
    data = bytes(_bytes(array))
    for old, new in replacements:
        if old.encode() in data:
            array = pc.replace_substring(array, old, new)
    return array


def _filled(array: pa.Array, nothing: str) -> pa.Array:
    return pc.fill_null(array, pa.scalar(nothing, LARGE)) if array.null_count else array


def _joined(columns: Sequence[pa.Array], between: str, before: str, after: str) -> pa.Array:
    words: list[Any] = [pc.binary_join_element_wise(*columns, pa.scalar(between, LARGE))]
    return pc.binary_join_element_wise(pa.scalar(before, LARGE), *words, pa.scalar(after, LARGE), pa.scalar("", LARGE))


def _bytes(array: pa.Array) -> memoryview:
    """The values' bytes, one after the other."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return memoryview(b"")
    ends = pa.Array.from_buffers(pa.int64(), len(array) + 1, [None, offsets], offset=array.offset)
    return memoryview(data)[ends[0].as_py() : ends[-1].as_py()]
