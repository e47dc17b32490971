"""Each value arrives as the server itself spells it, by either reader."""

# ruff: noqa: E501 - cases and statements are read more easily on one line each

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from rowferry.errors import ReadFailed, UnsupportedType
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Filter, FilterOperator, NativeType, Selection
from tests.mysql.conftest import Place, by_each_driver


def _integer(bits: int, signed: bool = True) -> list[str]:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return [str(low), str(high), "0", "1"]


def _instant(value: Any) -> str:
    return "" if value is None else value.strftime("%Y-%m-%d %H:%M:%S.%f")


def _hex(value: bytes) -> str:
    return value.hex().upper()


def _decimal(value: Decimal) -> str:
    return format(value, "f")


def _bits_of(value: float, letter: str) -> str:
    return struct.pack(letter, value).hex()


LONG = "12345678901234567890123456789012345.012345678901234567890123456789"
NINES = "9" * 35 + "." + "9" * 30
DATES = ["'1000-01-01'", "'9999-12-31'", "'0001-01-01'", "'1970-01-01'", "'2024-02-29'"]

# declaration, neutral type, values in SQL, how the server spells a value, how Python spells what arrived
CASES: list[tuple[str, t.NeutralType, list[str], str, Any]] = [
    ("TINYINT", t.Integer(8), _integer(8), "{}", str),
    ("TINYINT(1)", t.Integer(8), [*_integer(8), "2", "-1"], "{}", str),
    ("TINYINT UNSIGNED", t.Integer(8, False), _integer(8, False), "{}", str),
    ("SMALLINT", t.Integer(16), _integer(16), "{}", str),
    ("SMALLINT UNSIGNED", t.Integer(16, False), _integer(16, False), "{}", str),
    ("MEDIUMINT", t.Integer(24), _integer(24), "{}", str),
    ("MEDIUMINT UNSIGNED", t.Integer(24, False), _integer(24, False), "{}", str),
    ("INT", t.Integer(32), _integer(32), "{}", str),
    ("INT(6) UNSIGNED ZEROFILL", t.Integer(32, False), _integer(32, False), "{} + 0", str),
    ("BIGINT", t.Integer(64), _integer(64), "{}", str),
    ("BIGINT UNSIGNED", t.Integer(64, False), _integer(64, False), "{}", str),
    ("YEAR", t.Year(), ["1901", "2155", "0"], "{} + 0", str),
    ("DECIMAL(10,2)", t.Decimal(10, 2), ["-99999999.99", "99999999.99", "0.10", "-0.01", "0"], "{}", _decimal),
    ("DECIMAL(18,0)", t.Decimal(18, 0), ["-" + "9" * 18, "9" * 18], "{}", _decimal),
    ("DECIMAL(18,18)", t.Decimal(18, 18), ["-0." + "9" * 18, "0." + "0" * 17 + "1"], "{}", _decimal),
    ("DECIMAL(19,0)", t.Decimal(19, 0), ["-" + "9" * 19, "9" * 19], "{}", _decimal),
    ("DECIMAL(20,15)", t.Decimal(20, 15), ["-12345.123456789012345", "0.000000000000001"], "{}", _decimal),
    ("DECIMAL(38,0)", t.Decimal(38, 0), ["9" * 38, "-" + "9" * 38], "{}", _decimal),
    ("DECIMAL(65,30)", t.Decimal(65, 30), [LONG, "-" + LONG, NINES, "-" + NINES, "0." + "0" * 29 + "1"], "{}", _decimal),
    ("DECIMAL(20,2) UNSIGNED ZEROFILL", t.Decimal(20, 2), ["12.5", "0"], "{} + 0", _decimal),
    ("DECIMAL(65,30) ZEROFILL", t.Decimal(65, 30), ["1.5", NINES], "{} + 0", _decimal),
    ("BIT(1)", t.Bits(1), ["b'0'", "b'1'"], "BIN({} + 0)", str),
    ("BIT(8)", t.Bits(8), ["b'0'", "b'101'", "b'11111111'"], "LPAD(BIN({} + 0), 8, '0')", str),
    ("BIT(64)", t.Bits(64), ["b'1'", "~0", "b'1" + "0" * 63 + "'"], "LPAD(BIN({} + 0), 64, '0')", str),
    ("CHAR(10)", t.Text(10, fixed=True), ["'a  '", "''", "'\U0001f600é'"], "{}", str),
    ("VARCHAR(50)", t.Text(50), ["'a  '", "''", "'\\\\N'", "'\t\n\r\"\\'\\\\'", "'x\\0y'", "'\U0001f600'"], "{}", str),
    ("VARCHAR(9) CHARACTER SET latin1", t.Text(9), ["'é€'", "'ß'"], "{}", str),
    ("VARCHAR(9) CHARACTER SET gbk", t.Text(9), ["'中文'"], "{}", str),
    ("VARCHAR(9) CHARACTER SET utf16", t.Text(9), ["'é\U0001f600'"], "{}", str),
    ("CHAR(9) CHARACTER SET ucs2", t.Text(9, fixed=True), ["'é'"], "{}", str),
    ("TINYTEXT", t.Text(), ["'é'", "''"], "{}", str),
    ("TEXT CHARACTER SET cp1251", t.Text(), ["'Ж'"], "{}", str),
    ("LONGTEXT", t.Text(), ["REPEAT('é', 200000)", "''"], "MD5({})", None),
    ("BINARY(4)", t.Binary(4, fixed=True), ["x'00ff0000'", "'a'"], "HEX({})", _hex),
    ("VARBINARY(9)", t.Binary(9), ["x'00ff00'", "''", "x'20'"], "HEX({})", _hex),
    ("BLOB", t.Binary(), ["x'" + bytes(range(256)).hex() + "'", "''", "'abc'"], "HEX({})", _hex),
    ("DATE", t.Date(), DATES, "{}", str),
    ("DATETIME", t.DateTime(0), ["'1000-01-01 00:00:00'", "'9999-12-31 23:59:59'"], "CAST({} AS DATETIME(6))", _instant),
    ("DATETIME(3)", t.DateTime(3), ["'2024-02-29 10:00:00.123'", "'1969-12-31 23:59:59.999'"], "CAST({} AS DATETIME(6))", _instant),
    ("DATETIME(6)", t.DateTime(6), ["'1000-01-01 00:00:00.000001'", "'9999-12-31 23:59:59.999999'"], "{}", _instant),
    ("TIMESTAMP NULL", t.Instant(0), ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"], "CAST({} AS DATETIME(6))", _instant),
    ("TIMESTAMP(6) NULL", t.Instant(6), ["'2024-03-31 01:30:00.123456'", "'2024-10-27 00:30:00'"], "{}", _instant),
    ("TIME", t.Duration(0), ["'-838:59:59'", "'838:59:59'", "'-00:00:01'", "'24:00:00'", "'0'"], "TIME_TO_SEC({}) * 1000000", None),
    ("TIME(6)", t.Duration(6), ["'-838:59:59.999999'", "'838:59:59.999999'", "'-00:00:00.000001'", "'10:11:12.5'"], "CAST(TIME_TO_SEC({}) * 1000000 AS SIGNED)", None),
    ("JSON", t.Json(), ["' {\"a\": 1.10, \"a\": 9007199254740993}'", "'null'", "'\"\\\\u00e9\"'"], "{}", str),
    ("ENUM('a,b', 'c''d', 'é', '')", t.Enum(("a,b", "c'd", "é", "")), ["'a,b'", "'c''d'", "'é'", "''", "'wrong'"], "{}", str),
    ("SET('x', 'y''', 'é')", t.Set(("x", "y'", "é")), ["'x,é'", "''", "'y'''"], "{}", str),
    ("UUID", t.Uuid(), ["'123e4567-e89b-12d3-a456-426614174000'", "'00000000-0000-0000-0000-000000000000'"], "UPPER(REPLACE({}, '-', ''))", _hex),
    ("INET4", t.Inet(4), ["'1.2.3.4'", "'255.255.255.255'"], "{}", str),
    ("INET6", t.Inet(6), ["'::1'", "'::ffff:1.2.3.4'"], "{}", str),
]  # fmt: skip


@pytest.mark.parametrize(
    ("declared", "neutral", "values", "spelled", "spell"), CASES, ids=[case[0][:40] for case in CASES]
)
def test_values_arrive_as_the_server_spells_them(
    place: Place, declared: str, neutral: t.NeutralType, values: list[str], spelled: str, spell: Any
) -> None:
    place.run(f"CREATE TABLE v (id INT PRIMARY KEY, v {declared}, full {declared} NOT NULL)")
    rows = [f"({number}, {value}, {value})" for number, value in enumerate(values)]
    place.run(f"INSERT INTO v VALUES {', '.join(rows)}", f"INSERT INTO v VALUES (1000, NULL, {values[0]})")
    table = place.table("v")
    assert [column.type for column in table.columns[1:]] == [neutral, neutral]
    wanted = dict(place.run(f"SELECT id, CAST({spelled.format('v')} AS CHAR) FROM v"))
    for found in place.each(table):
        ids = found["id"].to_pylist()
        assert sorted(ids) == sorted(wanted)
        shown = [_show(value, found["v"].type, spell) for value in found["v"].to_pylist()]
        assert dict(zip(ids, shown, strict=True)) == wanted
        assert found["full"].null_count == 0


def _show(value: Any, kind: pa.DataType, spell: Any) -> str | None:
    if value is None:
        return None
    if spell is not None:
        return str(spell(value))
    if pa.types.is_duration(kind):
        return str(value.days * 86_400_000_000 + value.seconds * 1_000_000 + value.microseconds)
    return hashlib.md5(value.encode()).hexdigest()


@pytest.mark.parametrize(
    ("declared", "letter", "arrow"), [("FLOAT", "<f", pa.float32()), ("DOUBLE", "<d", pa.float64())]
)
def test_floats_arrive_to_the_last_bit(place: Place, declared: str, letter: str, arrow: pa.DataType) -> None:
    values = [
        "0.1",
        "16777217",
        "1.17549435e-38",
        "1.401298464324817e-45",
        "3.4028234663852886e38",
        "0.3",
        "-1234567.9",
        "0",
    ]
    if declared == "DOUBLE":
        values += ["5e-324", "1.7976931348623157e308", "2.2250738585072014e-308", "123456789.123456789"]
    place.run(f"CREATE TABLE v (id INT PRIMARY KEY, v {declared}, w {declared}(7,2))")
    place.run("INSERT INTO v VALUES " + ", ".join(f"({n}, {value}, 12345.67)" for n, value in enumerate(values)))
    wanted = [_bits_of(value, letter) for (value,) in place.run("SELECT v * 1e0 FROM v ORDER BY id")]
    for found in place.each(place.table("v")):
        assert found["v"].type == arrow
        assert [_bits_of(value, letter) for value in found.sort_by("id")["v"].to_pylist()] == wanted
        assert {_bits_of(value, letter) for value in found["w"].to_pylist()} == {_bits_of(12345.67, letter)}


def test_any_number_of_shapes_arrives(place: Place) -> None:
    for count in range(1, 6):
        place.run(
            "CREATE OR REPLACE TABLE v (id INT PRIMARY KEY, g POINT)",
            f"INSERT INTO v SELECT seq, ST_GeomFromText('POINT(1 2)') FROM seq_1_to_{count}",
        )
        for found in place.each(place.table("v")):
            assert found["g"].to_pylist() == [bytes.fromhex("0101000000000000000000F03F0000000000000040")] * count


def test_geometry_arrives_with_its_srid(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, g GEOMETRY, p POINT)")
    place.run(
        "INSERT INTO v VALUES (1, ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))', 4326), ST_GeomFromText('POINT(1 2)')), (2, NULL, NULL),"
        " (3, ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))', 3857), POINT(-1.5, 0))"
    )
    table = place.table("v")
    assert [column.type for column in table.columns[1:]] == [t.Geometry("geometry"), t.Geometry("point")]
    wkb = dict(place.run("SELECT id, ST_AsBinary(g) FROM v"))
    points = dict(place.run("SELECT id, ST_AsBinary(p) FROM v"))
    for found in place.each(table):
        rows = {row["id"]: row for row in found.to_pylist()}
        for number, srid in ((1, 4326), (3, 3857)):
            flagged = wkb[number][:4] + b"\x20" + struct.pack("<I", srid) + wkb[number][5:]
            assert rows[number]["g"] == flagged
        assert {number: row["p"] for number, row in rows.items()} == points
        assert rows[2]["g"] is None


def test_geometry_arrives_whatever_the_number_of_rows(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, p POINT)")
    place.run(f"INSERT INTO v VALUES {', '.join(f'({n}, POINT({n}, 0))' for n in range(9))}, (9, NULL)")
    points = dict(place.run("SELECT id, ST_AsBinary(p) FROM v"))
    for found in place.each(place.table("v")):
        assert dict(zip(found["id"].to_pylist(), found["p"].to_pylist(), strict=True)) == points


def test_a_session_zone_does_not_move_an_instant(place: Place) -> None:
    assert place.server.execute("SELECT @@time_zone") == [("+05:45",)]
    place.run(
        "CREATE TABLE v (id INT PRIMARY KEY, at TIMESTAMP, day DATETIME)",
        "INSERT INTO v VALUES (1, '2024-01-01', '2024-01-01')",
    )
    for found in place.each(place.table("v")):
        assert (
            found["at"].cast(pa.int64()).to_pylist() == found["day"].cast(pa.int64()).to_pylist() == [1704067200000000]
        )


def test_a_filter_on_an_instant_means_utc(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, at TIMESTAMP)")
    place.run("INSERT INTO v VALUES (1, '2024-01-01 00:00:00'), (2, '2024-01-01 03:00:00'), (3, '2024-01-01 06:00:00')")
    late = Selection(filters=(Filter("at", FilterOperator.GE, "2024-01-01 03:00:00"),))
    for found in place.each(place.table("v", selection=late)):
        assert sorted(found["id"].to_pylist()) == [2, 3]


def test_long_values(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB)")
    place.run("INSERT INTO v VALUES (1, REPEAT('\U0001f600', 1000000), REPEAT(x'00ff', 1000000)), (2, '', '')")
    for found in place.each(place.table("v")):
        row = found.sort_by("id").to_pylist()[0]
        assert row["t"] == "\U0001f600" * 1_000_000
        assert row["b"] == b"\x00\xff" * 1_000_000


ODD = [
    ("DATE", "'0000-00-00'"),
    ("DATE", "'2020-00-00'"),
    ("DATE", "'2020-02-00'"),
    ("DATE", "'0000-05-03'"),
    ("DATETIME", "'0000-00-00 00:00:00'"),
    ("DATETIME(6)", "'2020-02-00 10:11:12.5'"),
    ("TIMESTAMP(3) NULL", "'0000-00-00 00:00:00'"),
]


@pytest.mark.parametrize(("declared", "value"), ODD)
def test_a_date_that_is_none_is_refused_by_name(place: Place, declared: str, value: str) -> None:
    place.run(f"CREATE TABLE v (id INT PRIMARY KEY, fine DATE, odd {declared})")
    place.run(f"INSERT INTO v VALUES (1, '2020-01-01', '2020-01-01'), (2, '2020-01-01', {value})")
    table = place.table("v")
    for readers in by_each_driver(table):
        with pytest.raises(
            ReadFailed, match=r"v\.odd \(.*\) holds a date without a year, .* typePolicies\.zeroDate"
        ) as caught:
            place.read(readers)
        assert "fine" not in caught.value.message
        assert "2020-0" not in caught.value.message


def test_a_day_that_the_month_does_not_have_is_refused(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, odd DATE)")
    place.server.execute(
        "SET sql_mode='ALLOW_INVALID_DATES'", "INSERT INTO v VALUES (1, '2021-02-31')", database=place.database
    )
    table = place.table("v")
    for one in by_each_driver(table):
        with pytest.raises(ReadFailed, match=r"v\.odd \(date\) holds a date"):
            place.read(one)


def test_generated_invisible_and_oddly_named_columns_are_read(place: Place) -> None:
    place.run(
        'CREATE TABLE `T ``é. 1` (`select` INT PRIMARY KEY, `a``b` INT INVISIBLE DEFAULT 7, `c "%s {x}` INT AS (`select` * 2) STORED)',
        "INSERT INTO `T ``é. 1` (`select`) VALUES (1)",
    )
    table = place.table("T `é. 1")
    for found in place.each(table):
        assert found.to_pylist() == [{"select": 1, "a`b": 7, 'c "%s {x}': 2}]


def test_history_of_a_system_versioned_table_is_not_read(place: Place) -> None:
    place.run(
        "CREATE TABLE v (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING",
        "INSERT INTO v VALUES (1, 1)",
        "UPDATE v SET n = 2",
    )
    for found in place.each(place.table("v")):
        assert found.to_pylist() == [{"id": 1, "n": 2}]


def test_an_unknown_type_is_refused_by_name(place: Place) -> None:
    place.run("CREATE TABLE v (id INT PRIMARY KEY, n INT)")
    table = place.table("v")
    column = table.columns[1]
    strange = replace(column, type=t.Unknown("mysql", "vector(3)"), native=NativeType("vector", "vector(3)"))
    with pytest.raises(UnsupportedType, match=r"v\.n has the type vector\(3\)"):
        list(place.source.read(replace(table, columns=(table.columns[0], strange)), Chunk(table.name, 0)))
