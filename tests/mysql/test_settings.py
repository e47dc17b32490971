"""Settings of the server that change values or meanings are not ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from rowferry.connectors.base import ChunkSize, SourceRequest
from rowferry.connectors.mysql import read
from rowferry.connectors.mysql.reading import ReadSession
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Filter, FilterOperator, Selection, Table
from tests.mysql.conftest import Place, by_each_driver, connection
from tests.servers import mariadb_server

MODES = "PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_ZERO_DATE"


@pytest.fixture(scope="module")
def strange() -> Iterator[Place]:
    """A server whose defaults change what SQL means and what values look like."""
    with mariadb_server(f"--sql-mode={MODES}", "--max-statement-time=2") as server:
        database = server.new_database()
        with contextlib.closing(MySqlSource(SourceRequest(connection(server), database))) as source:
            yield Place(server, database, source)


def test_values_do_not_depend_on_the_sql_mode(strange: Place) -> None:
    strange.run("CREATE TABLE t (id INT PRIMARY KEY, v CHAR(9), s VARCHAR(9))")
    strange.run(r"INSERT INTO t VALUES (1, 'a', 'x\\'), (2, 'b''', ''), (3, NULL, '\"')")
    wanted = [{"id": 1, "v": "a", "s": "x\\"}, {"id": 2, "v": "b'", "s": ""}, {"id": 3, "v": None, "s": '"'}]
    for found in strange.each(strange.table("t")):
        assert found.sort_by("id").to_pylist() == wanted
    cases = ((FilterOperator.EQ, "x\\", 1), (FilterOperator.ENDS_WITH, "\\", 1), (FilterOperator.EQ, '"', 3))
    for operator, value, number in cases:
        table = strange.table("t", selection=Selection(filters=(Filter("s", operator, value),)))
        assert [found["id"].to_pylist() for found in strange.each(table)] == [[number]] * 2


def test_the_servers_time_limit_does_not_end_a_read(strange: Place) -> None:
    strange.run("CREATE TABLE slow (id INT PRIMARY KEY)", "INSERT INTO slow SELECT seq FROM seq_1_to_25")
    table = strange.table("q", query="SELECT id, SLEEP(0.1) AS s FROM slow")
    assert strange.read(table).num_rows == 25


def _driver(place: Place, table: Table, chunk: Chunk) -> str:
    session = ReadSession(place.source._access)
    with contextlib.closing(session):
        reading = read.Reading(table, chunk, "token").prepared(session)
        return "quick" if read._is_bounded(session, reading) else "waiting"


def test_which_driver_reads(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.run("CREATE TABLE t (id INT PRIMARY KEY, v TEXT, w LONGTEXT)")
    place.run("INSERT INTO t SELECT seq, 'x', 'y' FROM seq_1_to_100")
    narrow = place.table("t", selection=Selection(columns=("id", "v")))
    table = by_each_driver(narrow)[0]
    whole = Chunk(table.name, 0)
    assert [_driver(place, one, whole) for one in by_each_driver(table)] == ["quick", "waiting"]
    assert _driver(place, place.table("q", query="SELECT id FROM t"), whole) == "waiting"
    assert _driver(place, replace(table, selection=Selection(limit=1)), whole) == "waiting"
    assert _driver(place, replace(table, estimated_rows=100), whole) == "waiting"
    assert _driver(place, by_each_driver(place.table("t"))[0], whole) == "waiting"
    monkeypatch.setattr(read, "MOST", ChunkSize(50, 1 << 30))
    assert _driver(place, table, whole) == "waiting"
    assert _driver(place, table, Chunk(table.name, 1, low=(60,))) == "quick"
    assert _driver(place, table, Chunk(table.name, 0, high=(60,))) == "quick"
    assert place.read(table).num_rows == 100
