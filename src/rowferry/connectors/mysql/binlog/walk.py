"""Finding the rows of an event: a function for each shape of row, written and compiled when the shape is first met.

Everything but this step is done for thousands of rows at once. What is left for each single row is to find out where
the next one begins, and for that the function has nothing but the additions which this one shape needs: for a row of
an id, a name, a price and two dates it is `at += 28 + data[at + 9]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from rowferry.connectors.mysql.binlog.layout import Width

Row = tuple[Width, ...]
"""The widths of the columns that an image of a row has."""

Walk = Callable[[bytes, int, int, Sequence[list[int]]], int]
"""`walk(data, at, end, starts)`: appends where each image begins to the list of its kind, the kinds taking turns, as
long as that is before `end`; returns where the last one ends."""

_SHAPES = 4096
"""How many functions are kept."""


@lru_cache(_SHAPES)
def walk(rows: tuple[Row, ...], partial: int = 0) -> Walk:
    """The function for images of these shapes, which take turns: one for inserts and deletes, two for updates.

    `partial`: before the second image a byte says whether so many bytes follow with a bit for each JSON document, set
    where there is only what changed in it. They are noted as numbers in a list of their own.
    """
    scope: dict[str, Any] = {}
    exec(compile(source(rows, partial), "<walk>", "exec"), scope)  # noqa: S102 - written below, of numbers alone
    found: Walk = scope["walk"]
    return found


def source(rows: tuple[Row, ...], partial: int = 0) -> str:
    """The function's text."""
    lines = ["def walk(data, at, end, starts):"]
    lines += [f"    note{number} = starts[{number}].append" for number in range(len(rows))]
    lines.append("    while at < end:")
    for number, row in enumerate(rows):
        if partial and number:
            lines += (f"        {line}" for line in _bits(partial))
        lines.append(f"        note{number}(at)")
        lines += (f"        {line}" for line in _image(row))
    lines.append("    return at")
    return "\n".join(lines)


def _bits(size: int) -> Iterator[str]:
    yield "some = data[at] & 1"
    yield f"starts[2].append(int.from_bytes(data[at + 1:at + {1 + size}], 'little') if some else 0)"
    yield f"at += {1 + size} if some else 1"


def _image(row: Row) -> Iterator[str]:
    """One image: without NULLs in as few additions as can be, with them column by column."""
    size = (len(row) + 7) // 8
    yield "nulls = data[at]" if size == 1 else f"nulls = int.from_bytes(data[at:at + {size}], 'little')"
    yield "if not nulls:"
    yield from (f"    {line}" for line in _straight(size, row))
    yield "else:"
    yield f"    at += {size}"
    for place, width in enumerate(row):
        yield f"    if not nulls & {1 << place}:"
        yield from (f"        {line}" for line in _straight(0, (width,)))


def _straight(skip: int, row: Row) -> Iterator[str]:
    """Over the columns, one behind the other, `skip` bytes before them; fixed ones join the addition beside them."""
    length, skip_before = "", 0
    for width in row:
        if width.prefix:
            if length:
                yield f"at += {skip_before} + {length}"
                skip -= skip_before
            length, skip_before = _length(skip, width.prefix), skip + width.prefix
            skip += width.prefix
        else:
            skip += width.fixed
    yield " + ".join(["at += " + str(skip), *([length] if length else [])])


def _length(skip: int, prefix: int) -> str:
    """The length that stands so many bytes ahead."""
    if prefix == 1:
        return f"data[at + {skip}]"
    if prefix == 2:
        return f"data[at + {skip}] + (data[at + {skip + 1}] << 8)"
    return f"int.from_bytes(data[at + {skip}:at + {skip + prefix}], 'little')"
