"""Each type's edge values, against what PostgreSQL itself says."""

from __future__ import annotations

import math
import struct
from typing import Any

import pyarrow as pa
import pytest

from rowferry.errors import ReadFailed
from rowferry.model import types as t
from tests.postgres_source.conftest import Place


def quoted(values: list[str]) -> str:
    return ", ".join(f"('{value}')" for value in values)


LONG = "1234567890" * 7 + "123456"

AS_TEXT: list[tuple[str, t.NeutralType, list[str]]] = [
    ("numeric", t.Number(), ["0", "1.500", "NaN", "Infinity", "-Infinity", "1e-30", "9" * 200 + "." + "1" * 50]),
    ("numeric(5,-2)", t.Number(), ["12300", "-100", "NaN"]),
    ("numeric(2,4)", t.Number(), ["0.0012", "-0.0099"]),
    ("numeric(80,2)", t.Number(), ["9" * 78 + ".99"]),
    ("varchar(20)", t.Text(20), ["", "it's", "\\N", 'a\tb\nc\\d"e', "\U0001f600 é", "tail  "]),
    ("text", t.Text(), ["", "\U0001f600", "NULL", "x" * 100_000]),
    ("name", t.Text(63), ["pg", "Ü b"]),
    ("xml", t.Foreign("postgresql", "xml"), ["<a b='1'>x&amp;y</a>"]),
    ("json", t.Json(), ['{"a": 1,  "a":2}', "1.0", "12345678901234567890123", '"\\u0041"', "null"]),
    ("jsonb", t.Json(normalised=True), ['{"b": 1.0, "a": [1, {"c": null}]}', '"é"', "123456789012345678901234567890"]),
    ("interval", t.Interval(), ["1 year 2 mons -3 days 04:05:06.789", "-00:00:00.000001", "178000000 years"]),
    ("inet", t.Inet(), ["10.0.0.1", "10.0.0.1/8", "::1", "fe80::1/64"]),
    ("cidr", t.Foreign("postgresql", "cidr"), ["10.0.0.0/8", "::/0", "1.2.3.4/32"]),
    ("macaddr", t.Foreign("postgresql", "macaddr"), ["08:00:2b:01:02:03"]),
    ("macaddr8", t.Foreign("postgresql", "macaddr8"), ["08:00:2b:01:02:03:04:05"]),
    ("bit(3)", t.Bits(3), ["101", "000"]),
    ("bit varying", t.Bits(None, varying=True), ["", "1", "0" * 300]),
    ("varbit(5)", t.Bits(5, varying=True), ["", "00001"]),
    ("timetz", t.Foreign("postgresql", "time with time zone"), ["00:00:00+05:45", "23:59:59.999999-12"]),
    ("mood", t.Enum(("sad", "o'k", "a,b", ""), "mood"), ["sad", "o'k", "a,b", ""]),
    ("int[]", t.Array(t.Integer(32), "postgresql", "integer[]"), ["{}", "{1,NULL,3}", "{{1,2},{3,4}}", "[0:1]={7,8}"]),
    ("text[]", t.Array(t.Text(), "postgresql", "text[]"), ['{"a,b",NULL,"NULL","",x}', '{"\\\\\\""}']),
    ("float8[]", t.Array(t.Float(64), "postgresql", "double precision[]"), ["{0.1,NaN,-0,5e-324}"]),
    ("int4range", t.Foreign("postgresql", "int4range"), ["empty", "[1,5)", "(,)"]),
    ("tstzrange", t.Foreign("postgresql", "tstzrange"), ['["2020-01-01 00:00:00+00",infinity)']),
    ("int4multirange", t.Foreign("postgresql", "int4multirange"), ["{[1,3),[5,8)}"]),
    ("pair", t.Foreign("postgresql", "pair"), ['(1,"a ""b"", c")', "(,)"]),
    ("hstore", t.Foreign("postgresql", "hstore"), ['"a"=>"1", "b"=>NULL']),
    ("citext", t.Foreign("postgresql", "citext"), ["AbC"]),
    ("tsvector", t.Foreign("postgresql", "tsvector"), ["'a':1A 'fat':2B,4C"]),
    ("tsquery", t.Foreign("postgresql", "tsquery"), ["'fat' & !'rat'"]),
    ("point", t.Foreign("postgresql", "point"), ["(0.1,-1e-300)"]),
    ("polygon", t.Foreign("postgresql", "polygon"), ["((0,0),(1,0),(1,1))"]),
    ("pg_lsn", t.Foreign("postgresql", "pg_lsn"), ["16/B374D848"]),
    ('"char"', t.Foreign("postgresql", '"char"'), ["x", ""]),
    ("regclass", t.Foreign("postgresql", "regclass"), ["pg_class"]),
    ("lower_word", t.Text(7), ["abc"]),
    ("few", t.Array(t.Integer(32), "postgresql", "integer[]"), ["{1,2}"]),
    ("addr", t.Inet(), ["10.0.0.1"]),
]

TYPES = (
    "CREATE EXTENSION hstore",
    "CREATE EXTENSION citext",
    "CREATE TYPE mood AS ENUM ('sad', 'o''k', 'a,b', '')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN lower_word AS varchar(7) CHECK (value = lower(value))",
    "CREATE DOMAIN few AS int[]",
    "CREATE DOMAIN addr AS inet",
)


def test_types_that_cross_as_text(place: Place) -> None:
    columns = ", ".join(f"c{at} {declared}" for at, (declared, _, _) in enumerate(AS_TEXT))
    place.run(*TYPES, f"CREATE TABLE wide (id serial PRIMARY KEY, {columns})", "INSERT INTO wide DEFAULT VALUES")
    with place.server.connect(place.database) as session:
        for at, (_, _, values) in enumerate(AS_TEXT):
            session.cursor().executemany(f"INSERT INTO wide (c{at}) VALUES (%s)".encode(), [(one,) for one in values])
    table = place.table("wide")
    found = place.rows(table).sort_by("id")
    with place.server.connect(place.database) as session:
        session.execute("SET timezone = 'UTC'")
        session.execute("SET extra_float_digits = 3")
        for at, (declared, neutral, _) in enumerate(AS_TEXT):
            # The output function's own text: a cast would add netmasks.
            said = session.execute(
                f"SELECT CASE WHEN num_nonnulls(c{at}) = 1 THEN format('%s', c{at}) END FROM wide ORDER BY id".encode()
            )
            assert table.column(f"c{at}").type == neutral, declared
            assert found.column(f"c{at}").to_pylist() == [text for (text,) in said], declared


EXACT: list[tuple[str, t.NeutralType, dict[str, Any]]] = [
    ("boolean", t.Boolean(), {"true": True, "false": False}),
    ("smallint", t.Integer(16), {"-32768": -32768, "32767": 32767}),
    ("integer", t.Integer(32), {"-2147483648": -(2**31), "2147483647": 2**31 - 1}),
    ("bigint", t.Integer(64), {"-9223372036854775808": -(2**63), "9223372036854775807": 2**63 - 1}),
    ("oid", t.Integer(32, signed=False), {"0": 0, "4294967295": 2**32 - 1}),
    ("char(5)", t.Text(5, fixed=True), {"'ab'": "ab   ", "''": "     ", "'abcde'": "abcde"}),
    ("bpchar", t.Text(), {"'ab '": "ab "}),
    ("bytea", t.Binary(), {"'\\x'": b"", "'\\x00ff5c27'": b"\x00\xff\x5c\x27"}),
    ("xml", t.Foreign("postgresql", "xml"), {"'<?xml version=\"1.0\"?><a/>'": '<?xml version="1.0"?><a/>'}),
    ("money", t.Foreign("postgresql", "money"), {"'$1,234.50'": "1234.50", "'-92233720368547758.08'":
     "-92233720368547758.08"}),
    ("uuid", t.Uuid(), {"'00112233-4455-6677-8899-aabbccddeeff'": bytes.fromhex("00112233445566778899aabbccddeeff")}),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "neutral", "values"), EXACT, ids=[case[0] for case in EXACT])
def test_exact_values(place: Place, declared: str, neutral: t.NeutralType, values: dict[str, Any]) -> None:
    place.run(f"CREATE TABLE t (id serial PRIMARY KEY, v {declared})")
    place.run(f"INSERT INTO t (v) VALUES {', '.join(f'({text})' for text in values)}, (NULL)")
    table = place.table("t")
    assert table.column("v").type == neutral
    assert place.rows(table).sort_by("id").column("v").to_pylist() == [*values.values(), None]


@pytest.mark.parametrize(
    ("declared", "values"),
    [
        ("numeric(38,0)", ["9" * 38, "-" + "9" * 38, "0"]),
        ("numeric(20,15)", ["12345.123456789012345", "-0.000000000000001"]),
        ("numeric(65,30)", ["9" * 35 + "." + "9" * 30, "-1." + "0" * 29 + "1"]),
        ("numeric(76,76)", ["0." + LONG]),
        ("numeric(1,1)", ["0.1", "-0.9"]),
        ("numeric(76,0)", [LONG]),
    ],
)
def test_decimals(place: Place, declared: str, values: list[str]) -> None:
    place.run(f"CREATE TABLE t (id serial PRIMARY KEY, v {declared})")
    place.run(f"INSERT INTO t (v) VALUES {', '.join(f'({text})' for text in values)}, (NULL)")
    table = place.table("t")
    assert isinstance(table.column("v").type, t.Decimal)
    said = [text for (text,) in place.run("SELECT v::text FROM t ORDER BY id")]
    assert [None if v is None else format(v, "f") for v in place.rows(table).sort_by("id")["v"].to_pylist()] == said


@pytest.mark.parametrize(("declared", "code"), [("real", "f"), ("double precision", "d")])
def test_floats_to_the_last_bit(place: Place, declared: str, code: str) -> None:
    texts = ["0.1", "-0", "NaN", "Infinity", "-Infinity", "16777217", "1e-45" if code == "f" else "5e-324", "1e38"]
    place.run(f"CREATE TABLE t (id serial PRIMARY KEY, v {declared})")
    place.run(f"INSERT INTO t (v) VALUES {quoted(texts)}")
    found = place.rows(place.table("t")).sort_by("id").column("v").to_pylist()
    wanted = [struct.unpack(code, struct.pack(code, float(text)))[0] for text in texts]
    assert [struct.pack(code, value) for value in found if not math.isnan(value)] == [
        struct.pack(code, value) for value in wanted if not math.isnan(value)
    ]
    assert math.isnan(found[2])


MOMENTS: list[tuple[str, t.NeutralType, str, list[str]]] = [
    ("date", t.Date(), "v - date '1970-01-01'", ["0001-01-01", "4713-01-01 BC", "9999-12-31", "5874897-12-31"]),
    ("time", t.Time(), "(extract(epoch FROM v) * 1000000)::int8", ["00:00:00", "23:59:59.999999"]),
    ("time(3)", t.Time(3), "(extract(epoch FROM v) * 1000000)::int8", ["12:34:56.789"]),
    ("timestamp", t.DateTime(), "(extract(epoch FROM v) * 1000000)::int8",
     ["4713-01-01 00:00:00 BC", "1969-12-31 23:59:59.999999", "2021-03-28 02:30:00", "294246-12-31 23:59:59.999999"]),
    ("timestamp(0)", t.DateTime(0), "(extract(epoch FROM v) * 1000000)::int8", ["2020-02-29 23:59:59"]),
    ("timestamptz", t.Instant(), "(extract(epoch FROM v) * 1000000)::int8",
     ["4713-01-01 00:00:00+00 BC", "2021-03-28 02:30:00+05:45", "294246-12-31 23:59:59.999999+00"]),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "neutral", "number", "values"), MOMENTS, ids=[case[0] for case in MOMENTS])
def test_dates_and_times(place: Place, declared: str, neutral: t.NeutralType, number: str, values: list[str]) -> None:
    place.run(f"CREATE TABLE t (id serial PRIMARY KEY, v {declared})")
    place.run(f"INSERT INTO t (v) VALUES {quoted(values)}, (NULL)")
    table = place.table("t")
    assert table.column("v").type == neutral
    column = place.rows(table).sort_by("id").column("v")
    raw = column.cast(pa.int32() if declared == "date" else pa.int64()).to_pylist()
    assert raw == [value for (value,) in place.run(f"SELECT {number} FROM t ORDER BY id")]


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("date", "infinity"),
        ("date", "-infinity"),
        ("timestamp", "infinity"),
        ("timestamp", "-infinity"),
        ("timestamp", "294247-02-01"),
        ("timestamp", "294276-12-31 23:59:59.999999"),
        ("timestamptz", "infinity"),
        ("timestamptz", "-infinity"),
        ("time", "24:00:00"),
        ("numeric(10,2)", "NaN"),
    ],
)
def test_what_arrow_cannot_hold_is_refused_by_name(place: Place, declared: str, value: str) -> None:
    place.run(f"CREATE TABLE t (good int, odd {declared})", f"INSERT INTO t VALUES (1, NULL), (2, '{value}')")
    with pytest.raises(ReadFailed, match=r"public\.t\.odd \(.*\) holds .* typePolicies\."):
        place.rows(place.table("t"))
    query = place.table("q", query="SELECT good, odd::text FROM t ORDER BY good")
    assert place.rows(query).column("odd").to_pylist()[0] is None


def test_large_values(place: Place) -> None:
    place.run("CREATE TABLE t (id int PRIMARY KEY, v text, b bytea)")
    place.run("INSERT INTO t SELECT 1, repeat('ä', 8 * 1024 * 1024), decode(repeat('00ff', 8 * 1024 * 1024), 'hex')")
    found = place.rows(place.table("t")).to_pylist()[0]
    assert found == {"id": 1, "v": "ä" * (8 * 1024 * 1024), "b": b"\x00\xff" * (8 * 1024 * 1024)}
