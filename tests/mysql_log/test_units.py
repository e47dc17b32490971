"""What needs no server: framing, walking, JSON, numbers of transactions, places, statements."""

from __future__ import annotations

import struct
import zlib
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.connectors.mysql.binlog import jsonb
from rowferry.connectors.mysql.binlog.ddl import deeds
from rowferry.connectors.mysql.binlog.frames import Event, Opener, Packets, Stretch
from rowferry.connectors.mysql.binlog.gtids import Domains, Sources, parse
from rowferry.connectors.mysql.binlog.headers import read_tagged_gtid
from rowferry.connectors.mysql.binlog.jsondiff import applied
from rowferry.connectors.mysql.binlog.layout import Width
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.walk import walk
from rowferry.errors import InvalidInput, ReadFailed

UUID = "896e7882-18fe-11ef-ab88-22222d34d411"


def event(kind: int, body: bytes, flags: int = 0) -> bytes:
    """An event with its checksum."""
    whole = struct.pack("<IBIIIH", 1, kind, 1, 23 + len(body), 100, flags) + body
    return whole + struct.pack("<I", zlib.crc32(whole))


def packet(payload: bytes, most: int = 0xFFFFFF) -> bytes:
    """The payload as it goes over a wire, in more than one packet where it is longer than one may be."""
    parts = [payload[at : at + most] for at in range(0, len(payload) + 1, most)]
    return b"".join(
        struct.pack("<I", len(part))[:3] + bytes((number % 256,)) + part for number, part in enumerate(parts)
    )


def cut(whole: bytes, places: list[int]) -> list[bytes]:
    """The whole, cut at these places."""
    ends = sorted({0, len(whole), *(place % (len(whole) + 1) for place in places)})
    return [whole[a:b] for a, b in pairwise(ends)]


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1), st.lists(st.integers(0, 10_000)))
def test_packets_however_they_arrive(payloads: list[bytes], places: list[int]) -> None:
    """The same payloads come out, wherever the pieces end."""
    packets = Packets()
    whole = b"".join(map(packet, payloads))
    assert [one for piece in cut(whole, places) for one in packets.feed(piece)] == payloads


@given(st.lists(st.binary(max_size=60), min_size=1), st.lists(st.integers(0, 10_000)))
def test_events_however_they_arrive(bodies: list[bytes], places: list[int]) -> None:
    """The same of a file."""
    stretch, opener = Stretch(), Opener(checked=True)
    pieces = cut(b"".join(event(16, body) for body in bodies), places)
    found = [opener.open(one) for piece in pieces for one in stretch.feed(piece)]
    assert [one.data[19 : one.end] for one in found] == bodies


@pytest.mark.parametrize("size", [0xFFFFFF - 1, 0xFFFFFF, 0xFFFFFF + 1, 2 * 0xFFFFFF])
def test_packets_that_are_continued(size: int) -> None:
    """Beyond 16 MB another packet goes on, if an empty one."""
    payload = bytes(size)
    packets = Packets()
    found = [one for piece in cut(packet(payload) + packet(b"x"), [1 << 20, 1 << 22]) for one in packets.feed(piece)]
    assert found == [payload, b"x"]


@given(st.binary(min_size=1, max_size=40), st.integers(0, 10_000))
def test_a_flipped_bit(body: bytes, place: int) -> None:
    """No bit of an event can change unnoticed, but for those that say how long it is."""
    whole = bytearray(event(16, body))
    number = place % (len(whole) * 8)
    if number // 8 in range(9, 13) or number // 8 == 4:
        return
    whole[number // 8] ^= 1 << number % 8
    with pytest.raises(ReadFailed):
        Opener(checked=True).open(bytes(whole))


WIDTH = st.builds(Width, st.integers(0, 9), st.just(0)) | st.builds(Width, st.just(0), st.integers(1, 4))
WIDTHS = st.lists(WIDTH, min_size=1, max_size=20)


@given(WIDTHS, WIDTHS, st.data())
def test_walk(before: list[Width], after: list[Width], data: st.DataObject) -> None:
    """Each image begins where the one before it ends, whatever is NULL in it."""
    whole, begins = b"", tuple[list[int], list[int]](([], []))
    for number in range(2 * data.draw(st.integers(1, 4))):
        begins[number % 2].append(len(whole))
        row = (before, after)[number % 2]
        nulls = data.draw(st.lists(st.booleans(), min_size=len(row), max_size=len(row)))
        bitmap = sum(1 << place for place, null in enumerate(nulls) if null)
        whole += bitmap.to_bytes((len(row) + 7) // 8, "little")
        for width, null in zip(row, nulls, strict=True):
            if not null:
                size = data.draw(st.integers(0, 200 if width.prefix == 1 else 700)) if width.prefix else width.fixed
                whole += (size.to_bytes(width.prefix, "little") if width.prefix else b"") + bytes(size)
    found: tuple[list[int], ...] = ([], [])
    assert walk((tuple(before), tuple(after)))(whole, 0, len(whole), found) == len(whole)
    assert found == begins


SPELLED = {
    1.0: "1.0", 0.0: "0.0", 0.1: "0.1", 1e15: "1e15", 1e14: "100000000000000.0", 123456.75: "123456.75",
    1e-14: "0.00000000000001", 1e-16: "1e-16", 1.2345678901234568e17: "1.2345678901234568e17", 5e-324: "5e-324",
    -1.7976931348623157e308: "-1.7976931348623157e308", 1039514241563211.8: "1039514241563211.8",
    1039514241563212.0: "1.039514241563212e15",
}  # fmt: skip


@pytest.mark.parametrize("value", SPELLED)
def test_doubles(value: float) -> None:
    assert jsonb.number(value) == SPELLED[value]
    assert jsonb.number(-abs(value)) == f"-{SPELLED[value].lstrip('-')}"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_doubles_are_read_as_they_were(value: float) -> None:
    assert struct.pack("<d", float(jsonb.number(value))) == struct.pack("<d", value)


def small_object(**items: bytes) -> bytes:
    """A small object whose values are given with their type before them."""
    head, at = b"", 4 + 7 * len(items)
    for key in items:
        head += struct.pack("<HH", at, len(key))
        at += len(key)
    for value in items.values():
        head += value[:1] + struct.pack("<H", at)
        at += len(value) - 1
    body = b"".join(key.encode() for key in items) + b"".join(value[1:] for value in items.values())
    return b"\0" + struct.pack("<HH", len(items), 4 + len(head) + len(body)) + head + body


def test_documents() -> None:
    """Every kind of value, as the server writes it."""
    text = b'\x0c\x05a"\n\\\x01'
    decimal = b"\x0f\xf6\x04" + b"\x04\x02" + (bytes([0x80 | 12, 34]))
    assert jsonb.spelled(small_object(a=b"\x09" + struct.pack("<q", -5), bb=text, ccc=decimal)) == (
        '{"a": -5, "bb": "a\\"\\n\\\\\\u0001", "ccc": 12.34}'
    )
    assert jsonb.spelled(b"\x04\x00") == "null"
    assert jsonb.spelled(b"\x0a" + struct.pack("<Q", 2**64 - 1)) == "18446744073709551615"
    moment = ((2024 * 13 + 2) << 22 | 29 << 17 | 23 << 12 | 59 << 6 | 58) << 24 | 123456
    assert jsonb.spelled(b"\x0f\x0c\x08" + struct.pack("<q", moment)) == '"2024-02-29 23:59:58.123456"'
    assert jsonb.spelled(b"\x0f\x0b\x08" + struct.pack("<q", -((25 << 12 | 1 << 6 | 2) << 24))) == '"-25:01:02.000000"'
    assert jsonb.spelled(b"\x0f\x0f\x03abc") == '"base64:type15:YWJj"'


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_decimals(value: Decimal) -> None:
    """Nines of digits, turned over where the number is negative."""
    whole, fraction = divmod(abs(int(value * 10000)), 10000)
    octets = bytearray(struct.pack(">BIH", whole // 10**9, whole % 10**9, fraction))
    octets[0] |= 0x80
    if value < 0 and (whole or fraction):
        octets = bytearray(octet ^ 0xFF for octet in octets)
    assert Decimal(jsonb.decimal(b"\x0e\x04" + bytes(octets))) == value


def diff(operation: int, path: str, value: bytes = b"") -> bytes:
    """A change of a document."""
    tail = bytes((len(value),)) + value if operation != 2 else b""
    return bytes((operation, len(path))) + path.encode() + tail


def test_changes_of_documents() -> None:
    """Replaced, inserted and removed, in objects and in lists; keys stand in the servers' order."""
    document = jsonb.tree(small_object(a=b"\x09" + bytes(8), bb=b"\x0c\x01x"))
    five, true = b"\x05\x05\x00", b"\x04\x01"
    done = applied(document, diff(0, "$.a", five) + diff(1, '$."c d"', true) + diff(1, "$.z", five) + diff(2, "$.bb"))
    assert jsonb.text(done) == '{"a": 5, "z": 5, "c d": true}'
    listed: jsonb.Tree = ["1", ["2"]]
    assert (
        jsonb.text(applied(listed, diff(1, "$[1][0]", five) + diff(2, "$[0]") + diff(1, "$[9]", true)))
        == "[[5, 2], true]"
    )
    for wrong in (diff(0, "$.b", five), diff(2, "$[0]"), diff(1, "$.a", five), diff(1, "$", five)):
        with pytest.raises((ValueError, KeyError)):
            applied({"a": "1"}, wrong)


def test_tagged_gtid() -> None:
    """As MySQL 9.2 writes it."""
    source = "022502dcf0090230f90322bd03ad02210244445a68510322"
    body = bytes.fromhex(f"0276000002{source}0404060c666f6f62617a08000a040c7f1583222d5c2e0610490312c3020b")
    found = read_tagged_gtid(Event(1, 42, 1, 19 + len(body), 0, 0, bytes(19) + body, 19 + len(body)))
    assert (found.source, found.number) == (f"{UUID}:foobaz", 1)
    assert found.committed is not None
    assert found.committed == pytest.approx(1739823289.369365)


def test_sets_of_mysql() -> None:
    """Intervals join; a set covers what it holds; tags are kept apart."""
    one = Sources.parse(f"{UUID}:1-3:5")
    one.add(UUID, 4, 4)
    assert str(one) == f"{UUID}:1-5"
    one.add(UUID, 6, 6)
    assert one.covers(Sources.parse(f"{UUID}:2-6"))
    assert not one.covers(Sources.parse(f"{UUID}:2-7"))
    tagged = parse(f"{UUID}:1-2:tag:7,{UUID.replace('8', '9')}:1")
    assert isinstance(tagged, Sources)
    assert tagged.tagged
    assert parse(str(tagged)) == tagged
    copied = one.copy()
    copied.add(UUID, 7, 7)
    assert copied != one


def test_sets_of_mariadb() -> None:
    """By domain, the last number counts."""
    one = Domains.parse("0-1-55,2-3-7")
    assert one.covers(Domains.parse("0-9-55"))
    assert not one.covers(Domains.parse("0-1-56"))
    assert not one.covers(Domains.parse("1-1-1"))
    assert str(parse("2-3-7, 0-1-55")) == "0-1-55,2-3-7"


def test_places() -> None:
    """Files and offsets in the log's order; by numbers where both have them, as on another server."""
    early, late = Place.parse("bin.000009:500"), Place.parse("bin.000010:4")
    assert late.reached(early)
    assert not early.reached(late)
    moved = Place.parse("other.000001:4/0-1-9")
    assert moved.reached(Place.parse("bin.000010:99/0-1-9"))
    assert not moved.reached(Place.parse("bin.000010:99/0-1-10"))
    assert str(Place.parse(str(moved))) == "other.000001:4/0-1-9"
    for wrong in ("", "bin.1", "bin:5", "bin.000001:4/x-y"):
        with pytest.raises(InvalidInput):
            Place.parse(wrong)


STATEMENTS = {
    "TRUNCATE `a`.`b`": ["Truncate"],
    "/*!50000 TRUNCATE */ TABLE b": ["Truncate"],
    "-- TRUNCATE b\nSELECT 1": [],
    "DROP TABLE IF EXISTS `a`,b /* generated by server */": ["Gone", "Gone"],
    "DROP TEMPORARY TABLE a": [],
    "CREATE TABLE IF NOT EXISTS a (b INT)": [],
    "CREATE VIEW a AS SELECT 1": [],
    "SET STATEMENT max_statement_time=1 FOR ALTER TABLE t ADD x INT": ["Alter"],
    "GRANT ALL ON *.* TO x": [],
    "DELETE HISTORY FROM t": [],
    "RENAME TABLE a TO b": ["Gone", "Gone"],
    "DROP DATABASE d": ["DropDatabase"],
}


@pytest.mark.parametrize("text", STATEMENTS)
def test_statements(text: str) -> None:
    assert [type(one).__name__ for one in deeds("d", text)] == STATEMENTS[text]
