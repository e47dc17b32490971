"""Every neutral type, written both ways and read back, by another driver and by our own source."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import ChunkSize, PlannedTable, SourceRequest, TableRequest
from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.source import MySqlSource
from rowferry.connectors.mysql.target import MySqlTarget
from rowferry.connectors.mysql.types_write import write_rule
from rowferry.errors import WriteFailed
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import Column, NativeType, Table, TableName
from tests.mysql.conftest import connection
from tests.mysql_target.conftest import Place, load, prepared, write
from tests.tables import column, table

UTC = dt.UTC
SPAN = dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=999999)
ONE = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
WKB = bytes.fromhex("0101000000000000000000F03F0000000000000040")
EWKB = bytes.fromhex("0101000020E6100000000000000000F03F0000000000000040")
NINES = "9" * 35 + "." + "9" * 30

MATRIX: list[tuple[t.NeutralType, str, list[Any]]] = [
    (t.Boolean(), "tinyint(1)", [True, False]),
    (t.Integer(8), "tinyint(4)", [-128, 127]),
    (t.Integer(8, False), "tinyint(3) unsigned", [0, 255]),
    (t.Integer(16), "smallint(6)", [-32768, 32767]),
    (t.Integer(16, False), "smallint(5) unsigned", [0, 65535]),
    (t.Integer(24), "mediumint(9)", [-8388608, 8388607]),
    (t.Integer(24, False), "mediumint(8) unsigned", [16777215]),
    (t.Integer(32), "int(11)", [-(2**31), 0, 2**31 - 1]),
    (t.Integer(32, False), "int(10) unsigned", [0, 2**32 - 1]),
    (t.Integer(64), "bigint(20)", [-(2**63), 2**63 - 1]),
    (t.Integer(64, False), "bigint(20) unsigned", [0, 2**63, 2**64 - 1]),
    (t.Decimal(65, 30), "decimal(65,30)", [Decimal("1E-30"), Decimal("-" + NINES), Decimal("0E-30")]),
    (t.Decimal(65, 38), "decimal(65,38)", [Decimal("1E-38")]),
    (t.Decimal(38, 0), "decimal(38,0)", [Decimal("9" * 38), Decimal("-1"), Decimal(10000)]),
    (t.Decimal(20, 15), "decimal(20,15)", [Decimal("12345.000000000000001"), Decimal("0.000010000000000")]),
    (t.Float(32), "float", [3.4028234663852886e38, 1.401298464324817e-45, 0.10000000149011612, 16777216.0]),
    (t.Float(64), "double", [5e-324, 1.7976931348623157e308, 0.1, -2.2250738585072014e-308, 1e16]),
    (t.Text(5), "varchar(5)", ["", "a  ", "\U0001f600", "\\N", "\\.", "a\0b", "it's"]),
    (t.Text(5, fixed=True), "varchar(5)", ["ab", "a\tb\n", "ab   "]),
    (t.Text(), "longtext", ["a\n\\.\nb", "'\"`\\", "\r\n", "NULL", ",", "\t", "x" * 100_000, "\\\\", "\\n"]),
    (t.Binary(4, fixed=True), "binary(4)", [b"\0\0\0\0", b"ab\0\0"]),
    (t.Binary(9), "varbinary(9)", [b"", b"\0 "]),
    (t.Binary(), "longblob", [b"", bytes(range(256)), b"\\x00", b"y" * 100_000]),
    (t.Date(), "date", [dt.date(1, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31)]),
    (t.DateTime(6), "datetime(6)", [dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 9)]),
    (t.DateTime(3), "datetime(3)", [dt.datetime(1969, 12, 31, 23, 59, 59, 999000)]),
    (t.DateTime(0), "datetime", [dt.datetime(2024, 2, 29)]),
    (t.Time(6), "time(6)", [dt.time(), dt.time(23, 59, 59, 999999)]),
    (t.Duration(6), "time(6)", [SPAN, -SPAN, dt.timedelta(), -dt.timedelta(microseconds=1)]),
    (t.Year(), "year(4)", [0, 1901, 2000, 2155]),
    (t.Enum(("a", "b,'c\\", "A", "")), "enum('a','b,''c\\\\','A','')", ["a", "b,'c\\", "A", ""]),
    (t.Set(("a", "b")), "set('a','b')", ["", "a,b"]),
]
"""Type, declaration, and values that Python shows as they are."""

SPELLED: list[tuple[t.NeutralType, str, dict[Any, str]]] = [
    (t.Bits(1), "bit(1)", {"1": "31", "0": "30"}),
    (t.Bits(64), "bit(64)", {"1" + "0" * 63: ("1" + "0" * 63).encode().hex(), "1" * 64: "31" * 64}),
    (t.Bits(9, varying=True), "varchar(9)", {"": "", "101": "313031"}),
    (t.Bits(None, varying=True), "longtext", {"10": "3130"}),
    (t.Interval(), "varchar(100)", {"1 mon 2 days 00:00:03": b"1 mon 2 days 00:00:03".hex()}),
    (t.Json(), "longtext", {'{"a": 1.0, "a":2}': b'{"a": 1.0, "a":2}'.hex(), '"\\u00e9"': b'"\\u00e9"'.hex()}),
    (t.Json(normalised=True), "longtext", {'{"b":12345678901234567890.10}': b'{"b":12345678901234567890.10}'.hex()}),
    (t.Inet(), "varchar(43)", {"10.0.0.1": b"10.0.0.1".hex(), "10.1.2.3/8": b"10.1.2.3/8".hex()}),
    (t.Inet(4), "inet4", {"10.0.0.1": b"10.0.0.1".hex()}),
    (t.Inet(6), "inet6", {"::1": b"::1".hex()}),
    (t.Array(t.Integer(32), "postgresql", "integer[]"), "longtext", {"{1,NULL,3}": b"{1,NULL,3}".hex()}),
    (t.Foreign("postgresql", "int4range"), "longtext", {"[1,5)": b"[1,5)".hex()}),
    (t.Uuid(), "uuid", {ONE.bytes: str(ONE).encode().hex()}),
    (t.Geometry("point"), "point", {EWKB: "e6100000" + WKB.hex(), WKB: "00000000" + WKB.hex()}),
    (t.Geometry(), "geometry", {EWKB: "e6100000" + WKB.hex()}),
]
"""Type, declaration, and what is written with the server's own bytes of it."""


@pytest.fixture
def target(each_way: Place) -> MySqlTarget:
    return each_way.target()


def shown(value: Any, neutral: t.NeutralType) -> Any:
    """A value as PyMySQL gives it back."""
    if isinstance(neutral, t.Time):
        return dt.timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
    return int(value) if isinstance(neutral, t.Boolean) else value


def test_values_come_back_equal(place: Place, target: MySqlTarget) -> None:
    plan = prepared(target, *(table(f"t{at}", column("v", kind)) for at, (kind, _, _) in enumerate(MATRIX)))
    for at, (neutral, declared, values) in enumerate(MATRIX):
        planned = plan.tables[at]
        write(target, planned, [[value] for value in [*values, None]])
        exact = "v * 1e0" if isinstance(neutral, t.Float) else "v"
        stored = [row[0] for row in place.run(f"SELECT {exact} FROM t{at}")]
        assert [repr(value) for value in stored[:-1]] == [repr(shown(value, neutral)) for value in values], declared
        assert stored[-1] is None
        [(kind,)] = place.run(
            "SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "
            f"AND TABLE_NAME = 't{at}'"
        )
        assert kind == declared


def test_values_that_are_spelled_otherwise(place: Place, target: MySqlTarget) -> None:
    plan = prepared(target, *(table(f"t{at}", column("v", kind)) for at, (kind, _, _) in enumerate(SPELLED)))
    for at, (kind, declared, values) in enumerate(SPELLED):
        assert plan.tables[at].target.columns[0].native.declared == ("json" if isinstance(kind, t.Json) else declared)
        write(target, plan.tables[at], [[value] for value in (*values, None)])
        form = {"bit(1)": "BIN(v)", "bit(64)": "LPAD(BIN(v + 0), 64, '0')", "uuid": "CAST(v AS CHAR)"}.get(
            declared, "v"
        )
        form = "CAST(v AS CHAR)" if declared.startswith("inet") else form
        stored = [row[0] for row in place.run(f"SELECT LOWER(HEX({form})) FROM t{at}")]
        assert stored == [*values.values(), None], declared


def test_our_own_source_reads_what_the_target_wrote(place: Place, target: MySqlTarget) -> None:
    """Type by type, the record batch that comes out is the one that went in."""
    kinds: list[tuple[t.NeutralType, list[Any]]]
    kinds = [(kind, values) for kind, _, values in MATRIX if not isinstance(kind, t.Boolean | t.Time)]
    kinds += [(kind, list(values)) for kind, _, values in SPELLED]
    cells = [column(f"c{at}", kind) for at, (kind, _) in enumerate(kinds)]
    rows = [[values[row] if row < len(values) else None for _, values in kinds] for row in range(4)]
    source = table("t", column("id", t.Integer(32), nullable=False), *cells, primary_key=("id",))
    keyed = [[number, *row] for number, row in enumerate(rows)]
    [planned] = prepared(target, source).tables
    write(target, planned, keyed)
    assert _read(place, "t", len(cells)) == _plain(keyed)


def _read(place: Place, name: str, width: int) -> list[list[Any]]:
    with closing(MySqlSource(SourceRequest(connection(place.server), place.database))) as source:
        [found] = source.tables([TableRequest(name)])
        batches = [b for c in source.chunks(found, ChunkSize(1000, 1 << 20)) for b in source.read(found, c)]
    rows = sorted(row for batch in batches for row in zip(*(c.to_pylist() for c in batch.columns), strict=True))
    return [list(row[: width + 1]) for row in rows]


def _plain(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    return [list(row) for row in rows]


def test_instants_become_datetimes_in_utc(place: Place, target: MySqlTarget) -> None:
    early, late = dt.datetime(1, 1, 1, tzinfo=UTC), dt.datetime(9999, 12, 31, 23, tzinfo=UTC)
    plan = prepared(target, table("t", column("v", t.Instant(6))))
    write(target, plan.tables[0], [[early], [late]])
    assert place.run("SELECT v FROM t") == [(early.replace(tzinfo=None),), (late.replace(tzinfo=None),)]
    assert [(f.severity, f.column) for f in plan.findings] == [(Severity.WARNING, "v")]


OWN = [
    "TINYINT(1)", "INT(6) UNSIGNED ZEROFILL", "MEDIUMINT", "YEAR", "DECIMAL(20,2) UNSIGNED", "BIT(8)",
    "CHAR(10) CHARACTER SET latin1 COLLATE latin1_german1_ci", "VARCHAR(50) CHARACTER SET gbk", "TINYTEXT",
    "MEDIUMTEXT CHARACTER SET utf16", "BINARY(4)", "VARBINARY(9)", "TINYBLOB", "DATETIME(3)", "TIMESTAMP(6) NULL",
    "TIME(2)", "JSON", "ENUM('a,b', 'c''d', 'é')", "SET('x', 'y''')", "UUID", "INET4", "INET6", "POINT", "FLOAT(7,2)",
    "INT INVISIBLE", "INT GENERATED ALWAYS AS (c2 + 1) STORED", "INT AS (c2 * 2) VIRTUAL COMMENT 'twice'",
    "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP", "VARCHAR(9) DEFAULT 'it''s \\\\'",
    "DATETIME DEFAULT '0000-00-00 00:00:00'", "INT DEFAULT (1 + 2)", "BLOB DEFAULT 'ab'", "TEXT DEFAULT 'x'",
    "BIT(3) DEFAULT b'101'", "UUID DEFAULT UUID()", "INT NOT NULL DEFAULT 5 INVISIBLE",
]  # fmt: skip


def test_a_table_of_the_same_engine_is_declared_as_it_was(place: Place) -> None:
    cells = ", ".join(f"c{number} {declared}" for number, declared in enumerate(OWN))
    place.server.execute(
        "SET sql_mode = ''",
        f"CREATE TABLE v (id INT NOT NULL PRIMARY KEY AUTO_INCREMENT, {cells})",
        database=place.database,
    )
    with closing(MySqlSource(SourceRequest(connection(place.server), place.database))) as source:
        [described] = source.tables([TableRequest("v")])
    [(_, before)] = place.run("SHOW CREATE TABLE v")
    place.run("DROP TABLE v")
    findings = load(place.target(), (described, []), dialect="mysql")
    assert place.run("SHOW CREATE TABLE v") == [("v", before)]
    assert findings == []


def test_what_cannot_be_carried_is_an_error_that_names_it(place: Place) -> None:
    cells = [
        column("odd", t.Unknown("postgresql", "thing")), column("n", t.Number()), column("d", t.Decimal(70, 2)),
        column("deep", t.Decimal(50, 39)), column("a", t.Array(t.Text(), "postgresql", "text[]")),
        column("e", t.Enum(("a ", "b"), "mood")),
    ]  # fmt: skip
    findings = place.target().plan([table("t", *cells)], "postgres", prepared=False).findings
    assert [(f.severity, f.column) for f in findings] == [
        (Severity.ERROR, "odd"), (Severity.ERROR, "n"), (Severity.ERROR, "d"), (Severity.ERROR, "deep"),
        (Severity.WARNING, "a"), (Severity.WARNING, "e"),
    ]  # fmt: skip
    assert all("shop.t" in f.message for f in findings)
    assert "typePolicies.number" in findings[1].message


MYSQL_8 = Variant("mysql", (8, 0, 36))
OLD_MARIADB = Variant("mariadb", (10, 4))


@pytest.mark.parametrize(
    ("neutral", "variant", "declared"),
    [
        (t.Uuid(), MYSQL_8, "char(36)"), (t.Uuid(), OLD_MARIADB, "char(36)"), (t.Inet(4), MYSQL_8, "varchar(43)"),
        (t.Json(), MYSQL_8, "longtext"), (t.Json(normalised=True), MYSQL_8, "longtext"),
        (t.Json(), OLD_MARIADB, "json"), (t.Decimal(65, 38), MYSQL_8, None),
        (t.Decimal(65, 30), MYSQL_8, "decimal(65,30)"),
        (t.Instant(3), MYSQL_8, "datetime(3)"), (t.Number(), MYSQL_8, None), (t.Text(16384), MYSQL_8, "longtext"),
    ],
)  # fmt: skip
def test_what_each_server_is_told(neutral: t.NeutralType, variant: Variant, declared: str | None) -> None:
    rule = write_rule(neutral, variant)
    assert (rule.declare(neutral) if rule else None) == declared


REFUSED: list[tuple[t.NeutralType, Any, str]] = [
    (t.Float(64), float("nan"), "column v"),
    (t.Float(32), float("-inf"), "column v"),
    (t.Date(), -800_000, "column v"),
    (t.DateTime(), 253402300800000000, "column v"),
    (
        t.Geometry(),
        bytes.fromhex("01E90300000000000000000000000000000000000000000000000000000000"),
        "third coordinate|no geometry",
    ),
    (t.Enum(("a", "b")), "secret-word", "column v"),
    (t.Json(), "{bad", "check"),
    (t.Text(3), "four", "column v"),
]


@pytest.mark.parametrize(("neutral", "value", "words"), REFUSED)
def test_values_that_the_servers_do_not_have_are_refused(
    place: Place, target: MySqlTarget, neutral: t.NeutralType, value: Any, words: str
) -> None:
    [planned] = prepared(target, table("t", column("v", neutral))).tables
    with pytest.raises(WriteFailed, match=words) as caught:
        write(target, planned, [[None], [value]])
    assert str(value) not in caught.value.message.replace("infinity", "")
    assert place.run("SELECT COUNT(*) FROM t") == [(0,)]


_text = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)
_cells = st.tuples(
    st.none() | st.decimals(-(10**29), 10**29, places=20),
    st.none() | st.decimals(-(10**7), 10**7, places=4),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | _text,
    st.none() | st.binary(max_size=12),
    st.none() | _text.map(json.dumps),
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.none() | st.timedeltas(-SPAN, SPAN),
    st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@pytest.fixture
def both_ways(place: Place, target: MySqlTarget) -> tuple[Place, MySqlTarget, PlannedTable, list[int]]:
    cells = [
        column("n", t.Integer(32), nullable=False), column("d", t.Decimal(50, 20)), column("e", t.Decimal(12, 4)),
        column("f", t.Float(64)), column("s", t.Text()), column("b", t.Binary()), column("j", t.Json()),
        column("u", t.Integer(64, False)), column("m", t.DateTime()), column("p", t.Duration()),
        column("r", t.Float(32)),
    ]  # fmt: skip
    return place, target, prepared(target, table("t", *cells, primary_key=("n",))).tables[0], []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_cells, min_size=1, max_size=30))
def test_whatever_goes_in_comes_out(both_ways: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> None:
    place, target, planned, count = both_ways
    number = len(count)
    count.append(number)
    keyed = [(number * 1000 + at, *row) for at, row in enumerate(rows)]
    write(target, planned, keyed, number)
    stored = place.run(f"SELECT n, d, e, f, s, b, j, u, m, p, r * 1e0 FROM t WHERE n DIV 1000 = {number} ORDER BY n")
    assert stored == [
        tuple(pa.scalar(c, pa.float32()).as_py() if at == 10 else c for at, c in enumerate(r)) for r in keyed
    ]


def test_a_domain_becomes_what_it_stands_for(place: Place) -> None:
    cell = Column("d", t.Text(9), NativeType("short", "short", kind="domain"))
    [finding] = load(place.target(), (Table(TableName("shop", "t"), (cell,)), [["a"]]))
    assert (finding.severity, finding.column) == (Severity.WARNING, "d")
    assert place.run("SELECT d FROM t") == [("a",)]
