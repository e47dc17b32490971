"""Filters, orders and queries."""

# ruff: noqa: E501 - cases and statements are read more easily on one line each

from __future__ import annotations

import pytest

from rowferry.connectors.base import ChunkSize, TableRequest
from rowferry.errors import InvalidInput, MissingTable
from rowferry.model import types as t
from rowferry.model.tables import Filter, FilterOperator, Selection, Sort
from tests.mysql.conftest import Place

O = FilterOperator  # noqa: E741 - short in a table
SMALL = ChunkSize(2, 1 << 30)

FILTERS: list[tuple[str, FilterOperator, str | None, set[int]]] = [
    ("id", O.EQ, "3", {3}),
    ("id", O.NE, "3", {1, 2, 4, 5}),
    ("id", O.LT, "3", {1, 2}),
    ("id", O.LE, "3", {1, 2, 3}),
    ("id", O.GT, "3", {4, 5}),
    ("id", O.GE, "3", {3, 4, 5}),
    ("id", O.IN, "1, 5", {1, 5}),
    ("id", O.NOT_IN, "1,5", {2, 3, 4}),
    ("id", O.BETWEEN, "2, 4", {2, 3, 4}),
    ("price", O.EQ, "0.10", {1}),
    ("name", O.EQ, "it's", {1}),
    ("name", O.EQ, "' OR 1=1 -- ", set()),
    ("name", O.CONTAINS, "%", {2}),
    ("name", O.NOT_CONTAINS, "%", {1, 3, 4}),
    ("name", O.STARTS_WITH, "a_", {3}),
    ("name", O.ENDS_WITH, "\\", {4}),
    ("name", O.CONTAINS, "|", {2}),
    ("name", O.LIKE, "a%", {3}),
    ("name", O.NOT_LIKE, "a%", {1, 2, 4}),
    ("name", O.IS_NULL, None, {5}),
    ("name", O.IS_NOT_NULL, None, {1, 2, 3, 4}),
    ("day", O.GE, "2024-01-03", {3, 4, 5}),
    ("day", O.BETWEEN, "2024-01-02,2024-01-03", {2, 3}),
    ("bits", O.EQ, "101", {2}),
    ("latin", O.EQ, "é", {1, 2}),
    ("kind", O.IN, "a,b", {1, 2}),
    ("bytes", O.EQ, "x", {2}),
]


@pytest.fixture
def filtered(place: Place) -> Place:
    place.run(
        "CREATE TABLE t (id INT PRIMARY KEY, price DECIMAL(30,2), name VARCHAR(20) COLLATE utf8mb4_unicode_ci, day DATETIME,"
        " bits BIT(3), latin VARCHAR(3) CHARACTER SET latin1 COLLATE latin1_german1_ci, kind ENUM('a','b','c'), bytes VARBINARY(3))",
        r"INSERT INTO t VALUES (1, 0.10, 'it''s', '2024-01-01', b'1', 'é', 'a', ''), (2, 2, '50 %|x', '2024-01-02', b'101', 'e', 'b', 'x'),"
        r" (3, 3, 'a_c', '2024-01-03', 0, '', 'c', 'y'), (4, 4, 'x\\', '2024-01-04', 0, '', 'c', 'z'), (5, 5, NULL, '2024-01-05', 0, '', 'c', '')",
    )
    return place


@pytest.mark.parametrize(("column", "operator", "value", "wanted"), FILTERS)
def test_filters(filtered: Place, column: str, operator: FilterOperator, value: str | None, wanted: set[int]) -> None:
    one = Filter(column, operator, value)
    for columns in ((), ("id",)):
        for limit in (None, 100):
            table = filtered.table("t", selection=Selection(columns=columns, filters=(one,), limit=limit))
            found = filtered.read(table, SMALL)["id"].to_pylist()
            assert sorted(found) == sorted(wanted)


def test_filters_are_joined_by_and(filtered: Place) -> None:
    both = (Filter("id", O.GT, "1"), Filter("id", O.LT, "4"))
    assert sorted(filtered.read(filtered.table("t", selection=Selection(filters=both)))["id"].to_pylist()) == [2, 3]


@pytest.mark.parametrize(("column", "value"), [("id", "1 OR 1=1"), ("price", "x"), ("bits", "2")])
def test_a_value_that_does_not_fit_its_column_is_refused(filtered: Place, column: str, value: str) -> None:
    table = filtered.table("t", selection=Selection(filters=(Filter(column, O.EQ, value),)))
    with pytest.raises(InvalidInput, match=f"filter on {column}"):
        filtered.read(table)


def test_sorts_and_limits(filtered: Place) -> None:
    table = filtered.table("t", selection=Selection(columns=("id",), sorts=(Sort("price", descending=True),), limit=2))
    assert filtered.read(table)["id"].to_pylist() == [5, 4]
    assert filtered.read(filtered.table("t", selection=Selection(limit=0))).num_rows == 0


QUERY = """SELECT t.id, COUNT(*) AS n, SUM(price) AS total, MAX(name) AS name, MAX(day) AS day, 'x' AS fixed, NULL AS nothing,
 CAST(1 AS UNSIGNED) AS one, 1.50 AS price, bytes, bits, kind, UUID() AS u, 0.5e0 AS f, ST_GeomFromText('POINT(1 2)', 5) AS g,
 TIME('25:00:01') AS span -- the end
 FROM t GROUP BY t.id ORDER BY t.id;"""


def test_a_query_is_a_table(filtered: Place) -> None:
    table = filtered.table("totals", query=QUERY)
    types = {column.name: column.type for column in table.columns}
    assert types["id"] == t.Integer(32)
    assert types["n"] == t.Integer(64)
    assert types["total"] == t.Decimal(52, 2)
    assert types["name"] == t.Text(20)
    assert types["day"] == t.DateTime(0)
    assert types["price"] == t.Decimal(3, 2)
    assert types["bytes"] == t.Binary(3)
    assert types["bits"] == t.Bits(3)
    assert isinstance(types["kind"], t.Text)
    assert types["f"] == t.Float(64)
    assert isinstance(types["g"], t.Geometry)
    assert types["span"] == t.Duration(0)
    rows = sorted(filtered.read(table).to_pylist(), key=lambda row: row["id"])
    assert [row["id"] for row in rows] == [1, 2, 3, 4, 5]
    assert str(rows[0]["total"]) == "0.10"
    assert rows[0]["nothing"] is None
    assert rows[1]["bits"] == "101"
    assert rows[0]["span"].total_seconds() == 25 * 3600 + 1
    assert [row["kind"] for row in rows] == ["a", "b", "c", "c", "c"]


def test_a_query_with_a_selection(filtered: Place) -> None:
    picked = Selection(columns=("id", "name"), filters=(Filter("id", O.GT, "3"),), sorts=(Sort("id", descending=True),))
    found = filtered.read(filtered.table("q", query="SELECT id, name FROM t", selection=picked))
    assert found.to_pylist() == [{"id": 5, "name": None}, {"id": 4, "name": "x\\"}]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("SELECT id, id FROM t", "two columns of the same name"),
        ("SELECT a.id, b.id FROM t a JOIN t b ON a.id = b.id", "two columns of the same name"),
        ("SELECT '' FROM t", "without a name"),
        ("SELEC 1", "not valid"),
        ("SELECT 1; DROP TABLE t", "not valid"),
        ("DELETE FROM t", "not valid"),
        ("SELECT * FROM nope", "a table that is not there"),
        ("SELECT nope FROM t", "a column that is not there"),
    ],
)
def test_a_query_that_cannot_be_one(filtered: Place, query: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        filtered.table("q", query=query)
    assert filtered.run("SELECT COUNT(*) FROM t") == [(5,)]


def test_a_query_is_planned_without_being_run(filtered: Place) -> None:
    filtered.run("CREATE TABLE calls (n INT)")
    filtered.run(
        "CREATE FUNCTION noted() RETURNS INT MODIFIES SQL DATA BEGIN INSERT INTO calls VALUES (1); RETURN 1; END"
    )
    filtered.table("q", query="SELECT noted() AS n FROM t GROUP BY id")
    assert filtered.run("SELECT COUNT(*) FROM calls") == [(0,)]


def test_tables_are_found_by_either_spelling(filtered: Place) -> None:
    filtered.run("CREATE TABLE `a.b` (n INT)", "CREATE VIEW w AS SELECT 1")
    names = [str(filtered.table(name).name) for name in ("t", f"{filtered.database}.t", "a.b")]
    assert names == [f"{filtered.database}.t", f"{filtered.database}.t", f"{filtered.database}.a.b"]
    with pytest.raises(MissingTable, match=r"no table nope, other\.x, w in"):
        filtered.source.tables([TableRequest(name) for name in ("t", "nope", "other.x", "w")])
