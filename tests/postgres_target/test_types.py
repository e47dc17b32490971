"""Every neutral type, written both ways and read back."""

from __future__ import annotations

import datetime as dt
import json
import math
import uuid
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.postgres.encode import Field
from rowferry.connectors.postgres.encode_binary import BINARY, BinaryCopy, binary_copy
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.tables import Column, NativeType
from tests.postgres_target.conftest import Place, load, prepared, write
from tests.tables import column, table

UTC = dt.UTC
SPAN = dt.timedelta(hours=838, minutes=59, seconds=59, microseconds=999999)
ONE = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
EWKB = bytes.fromhex("0101000020E6100000000000000000F03F0000000000000040")

MATRIX: list[tuple[t.NeutralType, str, list[Any]]] = [
    (t.Boolean(), "boolean", [True, False]),
    (t.Integer(8), "smallint", [-128, 127]),
    (t.Integer(8, False), "smallint", [0, 255]),
    (t.Integer(16), "smallint", [-32768, 32767]),
    (t.Integer(16, False), "integer", [0, 65535]),
    (t.Integer(24), "integer", [-8388608, 8388607]),
    (t.Integer(24, False), "integer", [16777215]),
    (t.Integer(32), "integer", [-(2**31), 2**31 - 1]),
    (t.Integer(32, False), "bigint", [0, 2**32 - 1]),
    (t.Integer(64), "bigint", [-(2**63), 2**63 - 1]),
    (t.Integer(64, False), "numeric(20,0)", [0, 1, 9999, 10000, 10**19, 2**63, 2**64 - 1]),
    (
        t.Decimal(65, 30),
        "numeric(65,30)",
        [Decimal("1E-30"), Decimal("-" + "9" * 35 + "." + "9" * 30), Decimal("0E-30")],
    ),
    (t.Decimal(38, 0), "numeric(38,0)", [Decimal("9" * 38), Decimal("-1"), Decimal(10000)]),
    (t.Decimal(20, 15), "numeric(20,15)", [Decimal("12345.000000000000001"), Decimal("0.000010000000000")]),
    (t.Float(32), "real", [-0.0, 3.4028235e38, 1e-45, 0.1, math.inf]),
    (t.Float(64), "double precision", [-0.0, 5e-324, 1.7976931348623157e308, 0.1, -math.inf, math.nan]),
    (t.Text(5), "character varying(5)", ["", "a  ", "\U0001f600", "\\N", "\\."]),
    (t.Text(5, fixed=True), "character varying(5)", ["ab", "a\tb\n"]),
    (t.Text(), "text", ["a\n\\.\nb", "'\"`\\", "\r\n", "NULL", ",", "x" * 100_000]),
    (t.Binary(4, fixed=True), "bytea", [b"\0\0\0\0", b"ab\0\0"]),
    (t.Binary(), "bytea", [b"", bytes(range(256)), b"\\x00"]),
    (t.Date(), "date", [dt.date(1, 1, 1), dt.date(1970, 1, 1), dt.date(9999, 12, 31)]),
    (t.Time(6), "time without time zone", [dt.time(), dt.time(23, 59, 59, 999999)]),
    (t.DateTime(6), "timestamp without time zone", [dt.datetime(1000, 1, 1), dt.datetime(9999, 12, 31, 23, 59, 59, 9)]),
    (t.DateTime(3), "timestamp(3) without time zone", [dt.datetime(1969, 12, 31, 23, 59, 59, 999000)]),
    (t.Instant(0), "timestamp(0) with time zone", [dt.datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]),
    (t.Instant(6), "timestamp with time zone", [dt.datetime(1, 1, 1, tzinfo=UTC)]),
    (t.Duration(6), "interval", [SPAN, -SPAN, dt.timedelta()]),
    (t.Year(), "smallint", [0, 1901, 2155]),
    (t.Enum(("a", "b,'c")), "text", ["a", "b,'c"]),
    (t.Set(("a", "b")), "text", ["", "a,b"]),
    (t.Geometry("point", 4326), "bytea", [EWKB]),
]
"""Type, declaration, and values that Python shows as they are."""

SPELLED: list[tuple[t.NeutralType, str, dict[str, str]]] = [
    (t.Number(), "numeric", {v: v for v in ("NaN", "0.10", "1" * 200, "-0.000000000000000000001")}),
    (t.Bits(1), "bit(1)", {"1": "1"}),
    (t.Bits(64), "bit(64)", {"01" * 32: "01" * 32}),
    (t.Bits(9, varying=True), "bit varying(9)", {"": "", "101": "101"}),
    (t.Bits(None, varying=True), "bit varying", {"10": "10"}),
    (
        t.Interval(),
        "interval",
        {"1 mon 2 days 00:00:03": "1 mon 2 days 00:00:03", "-1 mons +2 days": "-1 mons +2 days"},
    ),
    (t.Json(), "json", {'{"a": 1.0, "a":2}': '{"a": 1.0, "a":2}', '"\\u00e9"': '"\\u00e9"'}),
    (
        t.Json(normalised=True),
        "jsonb",
        {'{"b":12345678901234567890, "a": 1.0}': '{"a": 1.0, "b": 12345678901234567890}'},
    ),
    (t.Inet(), "inet", {"10.0.0.1": "10.0.0.1/32", "::1": "::1/128", "10.1.2.3/8": "10.1.2.3/8"}),
    (
        t.Array(t.Integer(32), "postgresql", "integer[]"),
        "integer[]",
        {"{1,NULL,3}": "{1,NULL,3}", "{{1},{2}}": "{{1},{2}}"},
    ),
    (t.Foreign("postgresql", "macaddr"), "macaddr", {"08:00:2b:01:02:03": "08:00:2b:01:02:03"}),
    (t.Foreign("postgresql", "int4range"), "int4range", {"[1,5)": "[1,5)", "empty": "empty"}),
]
"""Type, declaration, and what is written with the server's own spelling of it."""


@pytest.mark.parametrize("forced_text", [False, True], ids=["own way", "as text"])
def test_values_come_back_equal(place: Place, forced_text: bool) -> None:
    """An inet column in the table makes it cross as text."""
    extra = [column("way", t.Inet())] if forced_text else []
    target = place.target()
    sources = [table(f"t{at}", column("v", neutral), *extra) for at, (neutral, _, _) in enumerate(MATRIX)]
    plan = prepared(target, *sources)
    for at, (_, declared, values) in enumerate(MATRIX):
        planned = plan.tables[at]
        assert planned.target.columns[0].native.declared == declared
        assert (binary_copy(planned) is None) == forced_text
        write(target, planned, [[value, *([None] * len(extra))] for value in [*values, None]])
        stored = [row[0] for row in place.run(f"SELECT v FROM t{at} ORDER BY ctid")]
        assert [repr(value) for value in stored[:-1]] == [
            repr(Decimal(v) if declared == "numeric(20,0)" else v) for v in values
        ]
        assert stored[-1] is None
        [(kind,)] = place.run(
            f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't{at}'::regclass "
            "AND attnum = 1"
        )
        assert kind == declared


def test_values_that_cross_as_text(place: Place) -> None:
    target = place.target()
    plan = prepared(target, *(table(f"t{at}", column("v", kind)) for at, (kind, _, _) in enumerate(SPELLED)))
    for at, (_, declared, values) in enumerate(SPELLED):
        assert plan.tables[at].target.columns[0].native.declared == declared
        write(target, plan.tables[at], [[value] for value in (*values, None)])
        stored = [row[0] for row in place.run(f"SELECT v::text FROM t{at} ORDER BY ctid")]
        assert stored == [*values.values(), None]


def test_uuid_both_ways(place: Place) -> None:
    target = place.target()
    plan = prepared(target, table("a", column("v", t.Uuid())), table("b", column("v", t.Uuid()), column("i", t.Inet())))
    write(target, plan.tables[0], [[ONE.bytes], [None]])
    write(target, plan.tables[1], [[ONE.bytes, None], [None, None]])
    assert place.run("SELECT v FROM a") == place.run("SELECT v FROM b") == [(ONE,), (None,)]


def test_dates_before_christ_and_after_9999(place: Place) -> None:
    """As text, where Arrow's own spelling ends; binary COPY needs none."""
    days, moments = [-800_000, -719_163, 2_932_897], [-(10**17), -62135596800000001, 253402300800000000]
    target = place.target()
    cells = [column("d", t.Date()), column("m", t.DateTime()), column("i", t.Instant())]
    plan = prepared(target, table("a", *cells), table("b", *cells, column("way", t.Inet())))
    rows = [[day, moment, moment] for day, moment in zip(days, moments, strict=True)]
    write(target, plan.tables[0], rows)
    write(target, plan.tables[1], [[*row, None] for row in rows])
    query = "SELECT d::text, m::text, i::text, d - date '1970-01-01' FROM {} ORDER BY 4"
    stored = place.run(query.format("b"))
    assert stored == place.run(query.format("a"))
    assert [row[3] for row in stored] == days
    assert str(stored[0][0]).endswith("BC")


def test_native_enum_of_a_postgres_source(place: Place) -> None:
    mood = t.Enum(("sad", "so 'so'"), "Mood")
    source = table("t", column("m", mood), column("l", t.Array(mood, "postgresql", '"Mood"[]')), schema="public")
    findings = load(place.target(), (source, [["so 'so'", "{sad}"], [None, None]]), dialect="postgres")
    assert findings == []
    assert place.run("SELECT m::text, l::text, pg_typeof(m)::text FROM t LIMIT 1") == [("so 'so'", "{sad}", '"Mood"')]


def test_fixed_text_of_a_postgres_source_stays_padded(place: Place) -> None:
    source = table("t", column("c", t.Text(4, fixed=True)))
    load(place.target(), (source, [["ab  "]]), dialect="postgres")
    assert place.run("SELECT c, c = 'ab', pg_typeof(c)::text FROM t") == [("ab  ", True, "character")]


def test_what_cannot_be_carried_is_an_error_that_names_it(place: Place) -> None:
    cells = [
        column("odd", t.Unknown("mysql", "vector(3)")),
        column("f", t.Foreign("mysql", "thing")),
        column("g", t.Geometry()),
    ]
    findings = place.target().plan([table("t", *cells)], "mysql", prepared=False).findings
    assert [(f.severity, f.column) for f in findings] == [
        (Severity.ERROR, "odd"), (Severity.WARNING, "f"), (Severity.WARNING, "g"),
    ]  # fmt: skip
    assert all("shop.t" in f.message for f in findings)
    assert "selectedColumns" in findings[0].message


def test_a_domain_becomes_what_it_stands_for(place: Place) -> None:
    cell = Column("d", t.Text(9), NativeType("short", "short", kind="domain"))
    [finding] = load(place.target(), (table("t", cell), [["a"]]), dialect="postgres")
    assert (finding.severity, finding.column) == (Severity.WARNING, "d")
    assert place.run("SELECT d, pg_typeof(d)::text FROM t") == [("a", "character varying")]


def test_a_type_the_target_lacks_is_an_error(place: Place) -> None:
    cells = [
        column("h", t.Foreign("postgresql", "hstore")),
        column("a", t.Array(t.Text(), "postgresql", "public.odd[]")),
    ]
    findings = place.target().plan([table("t", *cells)], "postgres", prepared=False).findings
    assert [(f.severity, f.column) for f in findings] == [(Severity.ERROR, "h"), (Severity.ERROR, "a")]


def _planned(place: Place) -> tuple[Any, PlannedTable, PlannedTable]:
    cells = [
        column("n", t.Integer(32), nullable=False), column("d", t.Decimal(50, 20)), column("e", t.Decimal(12, 4)),
        column("f", t.Float(64)), column("s", t.Text()), column("b", t.Binary()), column("j", t.Json()),
        column("u", t.Integer(64, False)), column("m", t.DateTime()), column("p", t.Duration()),
    ]  # fmt: skip
    target = place.target()
    plan = prepared(target, table("fast", *cells), table("slow", *cells, column("way", t.Inet())))
    return target, plan.tables[0], plan.tables[1]


_text = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=12)
_cells = st.tuples(
    st.none() | st.decimals(-(10**29), 10**29, places=20),
    st.none() | st.decimals(-(10**7), 10**7, places=4),
    st.none() | st.floats(),
    st.none() | _text,
    st.none() | st.binary(max_size=12),
    st.none() | _text.map(json.dumps),
    st.none() | st.integers(0, 2**64 - 1),
    st.none() | st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.none() | st.timedeltas(-SPAN, SPAN),
)


@pytest.fixture
def both_ways(place: Place) -> tuple[Any, PlannedTable, PlannedTable, Place, list[int]]:
    return *_planned(place), place, []


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_cells, min_size=1, max_size=30))
def test_both_ways_store_what_they_were_given(both_ways: tuple[Any, ...], rows: list[tuple[Any, ...]]) -> None:
    target, fast, slow, place, count = both_ways
    number = len(count)
    count.append(number)
    keyed = [(number * 1000 + at, *row) for at, row in enumerate(rows)]
    write(target, fast, keyed, number)
    write(target, slow, [(*row, None) for row in keyed], number)
    query = f"SELECT n, d, e, f, s, b, j::text, u::text, m, p FROM {{}} WHERE n / 1000 = {number} ORDER BY n"
    expected = [tuple(str(cell) if at == 7 and cell is not None else cell for at, cell in enumerate(r)) for r in keyed]
    for name in ("fast", "slow"):
        assert repr(place.run(query.format(name))) == repr(expected).replace(
            "Decimal('-0E-20')", "Decimal('0E-20')"
        ).replace("Decimal('-0.0000')", "Decimal('0.0000')").replace("Decimal('-0')", "Decimal('0')")


@st.composite
def _decimals(draw: st.DrawFn) -> tuple[pa.DataType, list[Decimal | None]]:
    """A decimal type and values that it holds, short ones and long ones."""
    precision = draw(st.integers(1, 76))
    scale = draw(st.integers(0, precision))
    kinds = [pa.decimal256(precision, scale)] + ([pa.decimal128(precision, scale)] if precision <= 38 else [])
    whole = st.integers(-(10**precision) + 1, 10**precision - 1) | st.integers(-min(9999, 10**precision - 1), 9)
    values = draw(st.lists(st.none() | whole.map(lambda n: Decimal(n).scaleb(-scale, WIDE)), min_size=1, max_size=20))
    return draw(st.sampled_from(kinds)), values


WIDE = Context(prec=100)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(decimals=_decimals(), skipped=st.integers(0, 3))
def test_decimals_of_every_size(place: Place, decimals: tuple[pa.DataType, list[Decimal | None]], skipped: int) -> None:
    kind, values = decimals
    batch = pa.RecordBatch.from_arrays([pa.array(values, kind)], names=["v"]).slice(skipped)
    copy = BinaryCopy([Field(0, "v", BINARY[t.Decimal]["numeric"])])
    with place.connect() as session, session.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE d (n serial, v numeric)")
        with cursor.copy("COPY d (v) FROM STDIN (FORMAT binary)") as sending:
            for piece in copy.sent([batch]):
                sending.write(piece)
        stored = [row[0] for row in cursor.execute("SELECT v::text FROM d ORDER BY n").fetchall()]
        session.rollback()
    assert stored == [None if v is None else f"{v if v else abs(v):f}" for v in values[skipped:]]
