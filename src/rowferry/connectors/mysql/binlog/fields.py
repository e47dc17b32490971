"""Numbers and names as they lie in events."""

from __future__ import annotations

from struct import Struct

short = Struct("<H").unpack_from
word = Struct("<I").unpack_from
long = Struct("<Q").unpack_from

_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def packed(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes that says itself how long it is, and where it ends."""
    first = data[at]
    width = _WIDTHS.get(first)
    if width is None:
        return first, at + 1
    return int.from_bytes(data[at + 1 : at + 1 + width], "little"), at + 1 + width


def bits(data: bytes, at: int, count: int) -> tuple[int, int]:
    """A bitmap of so many bits as one number, the first bit being its lowest, and where it ends."""
    stop = at + (count + 7) // 8
    return int.from_bytes(data[at:stop], "little"), stop


def chosen(bitmap: int, count: int) -> tuple[int, ...]:
    """The places whose bit is set."""
    return tuple(place for place in range(count) if bitmap >> place & 1)
