"""Rows that are longer than a packet of the protocol, and longer than the server's own max_allowed_packet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pyarrow.compute as pc

from rowferry.connectors.base import ChunkSize
from tests.mysql.conftest import Place, by_each_driver

PACKET = 0xFFFFFF
"""Bytes of a packet that another one follows, even an empty one."""


@contextlib.contextmanager
def _room(place: Place, size: int) -> Iterator[None]:
    ((before,),) = place.run("SELECT @@global.max_allowed_packet")
    place.run(f"SET GLOBAL max_allowed_packet = {size}")
    try:
        yield
    finally:
        place.run(f"SET GLOBAL max_allowed_packet = {before}")


def test_rows_at_the_ends_of_packets(place: Place) -> None:
    """The length of a value stands in 4 or 9 bytes before it."""
    lengths = [PACKET - 5, PACKET - 4, PACKET - 3, PACKET, 2 * PACKET - 10, 2 * PACKET - 9, 2 * PACKET - 8]
    place.run("CREATE TABLE t (v LONGBLOB)")
    with _room(place, 1 << 30):
        for length in lengths:
            place.run(f"INSERT INTO t VALUES (CONCAT(REPEAT('x', {length - 1}), 'y')), ('short')")
    table = place.table("t")
    [chunk] = place.source.chunks(table, ChunkSize(10, 1 << 20))
    values = (value for batch in place.source.read(table, chunk) for value in batch["v"].to_pylist())
    found = [(len(value), value[-1:]) for value in values]
    assert [one for one in found if one != (5, b"t")] == [(length, b"y") for length in lengths]
    assert found.count((5, b"t")) == len(lengths)


def test_a_row_longer_than_the_server_takes_is_read(place: Place) -> None:
    """Also between others in a table of many rows that have a key, which another driver would read."""
    place.run(
        "CREATE TABLE t (id INT PRIMARY KEY, a LONGTEXT, b MEDIUMBLOB, c LONGTEXT, g GEOMETRY)",
        "INSERT INTO t SELECT seq, 'a', 'b', NULL, NULL FROM seq_1_to_1000",
    )
    points = f"CONCAT('LINESTRING(', REPEAT('1 2,', {1_200_000}), '1 2)')"
    with _room(place, 1 << 30):
        place.run(f"UPDATE t SET a = REPEAT('é', 9000000), b = REPEAT('x', {PACKET}), c = 'c' WHERE id = 500")
        place.run(f"UPDATE t SET g = ST_GeomFromText({points}) WHERE id = 600")
    for one in by_each_driver(place.table("t")):
        found = place.read(one).sort_by("id")
        assert found.num_rows == 1000
        lengths = [pc.sum(pc.binary_length(found[name])).as_py() for name in ("a", "b", "c", "g")]
        assert lengths == [18_000_000 + 999, PACKET + 999, 1, 9 + 1_200_001 * 16]
        assert found["c"].null_count == found["g"].null_count == 999
