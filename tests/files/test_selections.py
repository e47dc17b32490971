"""Filters, orders and limits on files: the same rows that PostgreSQL gives for the same selection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import Source, SourceRequest, TableRequest
from rowferry.connectors.files.comparing import bound, form
from rowferry.connectors.files.order import ordered
from rowferry.connectors.postgres.source import open_source
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.tables import Column, Filter, FilterOperator, NativeType, Selection, Sort, Table
from rowferry.typemap.arrow import arrow_type
from tests.files.reading import WHOLE, read, source
from tests.files.tables import export, target
from tests.postgres_source.conftest import connection_to
from tests.servers import Postgres

O = FilterOperator  # noqa: E741 - short in a table
SMALL = 7
COMPARED = [O.EQ, O.NE, O.LT, O.LE, O.GT, O.GE]
TEXTUAL = [O.CONTAINS, O.NOT_CONTAINS, O.STARTS_WITH, O.ENDS_WITH, O.LIKE, O.NOT_LIKE]

POOLS: dict[str, tuple[str, list[str]]] = {
    "i": ("integer", ["-2147483648", "-10", "-9", "0", "3", "10", "9", "2147483647"]),
    "big": ("bigint", ["-9223372036854775808", "9223372036854775806", "9223372036854775807", "2", "10"]),
    "n": ("numeric(12,3)", ["-999999999.999", "-0.001", "0", "0.10", "0.1", "9.5", "10", "999999999.999"]),
    "wide": ("numeric(60,20)", ["-1", "0.00000000000000000001", "1", "9", "1234567890123456789012345678901234567890"]),
    "num": ("numeric", ["-1e40", "-0.5", "0", "1e-30", "9", "10", "1e40", "NaN"]),
    "f": ("double precision", ["-Infinity", "-1.5", "0", "-0", "0.1", "1e-300", "9", "10", "1e300", "Infinity", "NaN"]),
    "r": ("real", ["-1.5", "0", "0.1", "0.3", "9", "10", "3e38", "NaN"]),
    "s": (
        'text COLLATE "C"',
        ["", "a", "A", "b", "B", "ab", "a%b", "a_b", "a\\b", "a\nb", " a", "10", "9", "\u65e5", "it's"],
    ),
    "c": ('char(3) COLLATE "C"', ["", "a", "A", "ab", "abc"]),
    "e": ("color", ["red", "green", "blue"]),
    "b": ("boolean", ["true", "false"]),
    "d": ("date", ["0001-01-01", "1969-12-31", "1970-01-01", "2024-02-29", "9999-12-31"]),
    "ts": ("timestamp", ["0001-01-01 00:00:00", "2024-02-29 23:59:59.999999", "2024-03-01", "2024-03-01 10:00:00.5"]),
    "tz": ("timestamptz", ["1969-12-31 23:59:59+00", "2024-03-01 00:00:00+00", "2024-03-01 00:30:00+01", "2024-03-01"]),
    "tm": ("time", ["00:00:00", "10:20:30", "10:20:30.5", "23:59:59.999999"]),
    "u": ("uuid", [f"{digit * 8}-0000-0000-0000-000000000001" for digit in "019af"]),
    "x": ("bytea", ["\\x", "\\x00", "\\x0001", "\\xff", "\\x61"]),
}  # fmt: skip
"""Each column's type, and the values that it has, which are also those that it is compared with."""


@dataclass(frozen=True)
class Both:
    """The same rows in PostgreSQL and in files."""

    database: Source
    files: dict[str, Source]

    def rows(self, selection: Selection) -> tuple[list[Any], dict[str, list[Any]]]:
        """The IDs of the rows that each gives, in the order in which they come."""
        shown = Selection(("id",), selection.filters, selection.sorts, selection.limit)
        return ids(self.database, shown), {name: ids(one, shown) for name, one in self.files.items()}


def ids(opened: Source, selection: Selection) -> list[Any]:
    [table] = opened.tables([TableRequest("t", selection)])
    return list(read(opened, table)["id"].to_pylist())


@pytest.fixture(scope="module")
def both(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    name = postgres.new_database()
    columns = ", ".join(f"{column} {kind}" for column, (kind, _) in POOLS.items())
    longest = max(len(values) for _, values in POOLS.values())
    rows = []
    for at in range(3 * longest):
        values = [
            (None if (at * 7 + len(of)) % 11 == 0 else of[(at * (1 + n)) % len(of)])
            for n, (_, of) in enumerate(POOLS.values())
        ]
        rows.append(
            f"({at}, "
            + ", ".join(
                "NULL" if one is None else "E'" + one.replace("\\", "\\\\").replace("'", "''") + "'" for one in values
            )
            + ")"
        )
    postgres.execute(f"ALTER DATABASE {name} SET timezone = 'UTC'", database=name)
    postgres.execute(
        "CREATE TYPE color AS ENUM ('red', 'green', 'blue')", f"CREATE TABLE t (id integer PRIMARY KEY, {columns})",
        "INSERT INTO t VALUES " + ", ".join(rows), database=name,
    )  # fmt: skip
    database = open_source(SourceRequest(connection_to(postgres), name, None))
    [table] = database.tables([TableRequest("t")])
    files = {}
    for kind in ("parquet", "csv", "jsonl"):
        base = tmp_path_factory.mktemp(kind)
        batches = [batch for chunk in database.chunks(table, WHOLE) for batch in database.read(table, chunk)]
        export(target(base, kind), table, [batches])
        files[kind] = source(base)
    yield Both(database, files)
    database.close()


def values(column: str) -> st.SearchStrategy[str]:
    return st.sampled_from(POOLS[column][1])


@st.composite
def filters(draw: st.DrawFn) -> Filter:
    column = draw(st.sampled_from(sorted(POOLS)))
    kind = draw(st.sampled_from(["compare", "list", "between", "text", "null"]))
    plain = values(column).filter(lambda one: "," not in one)
    if kind == "compare":
        return Filter(column, draw(st.sampled_from(COMPARED)), draw(plain))
    if kind == "list":
        return Filter(
            column, draw(st.sampled_from([O.IN, O.NOT_IN])), ", ".join(draw(st.lists(plain, min_size=1, max_size=4)))
        )
    if kind == "between":
        return Filter(column, O.BETWEEN, f"{draw(plain)},{draw(plain)}")
    if kind == "null":
        return Filter(column, draw(st.sampled_from([O.IS_NULL, O.IS_NOT_NULL])))
    operator = draw(st.sampled_from(TEXTUAL))
    words = draw(
        st.lists(
            st.sampled_from(["%", "_", "\\\\", "\\%", "a", "A", "B", "1", "0", ".", "\n", "-", "e", ":", "\u65e5"]),
            max_size=4,
        )
    )
    return Filter(column, operator, "".join(words))


def plain_text(one: Filter) -> bool:
    """Whether the column's text is the same in both: of a float or of padded text it is not."""
    return one.operator not in TEXTUAL or one.column not in ("f", "r", "c", "num")


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(filters().filter(plain_text), min_size=1, max_size=2))
def test_filters_take_the_rows_that_postgresql_takes(both: Both, chosen: list[Filter]) -> None:
    wanted, found = both.rows(Selection(filters=tuple(chosen)))
    for name, rows in found.items():
        assert sorted(rows) == sorted(wanted), (name, chosen)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(sorted(POOLS)), st.booleans()), max_size=3),
    st.none() | st.integers(0, 60),
    st.lists(filters().filter(plain_text), max_size=1),
)
def test_orders_are_those_of_postgresql(
    both: Both, sorts: list[tuple[str, bool]], limit: int | None, chosen: list[Filter]
) -> None:
    every = (*(Sort(*one) for one in sorts), Sort("id"))
    wanted, found = both.rows(Selection(filters=tuple(chosen), sorts=every, limit=limit))
    for name, rows in found.items():
        assert rows == wanted, (name, every, limit)


def test_a_limit_alone_takes_the_first_rows_as_they_lie(both: Both) -> None:
    for limit in (0, 1, 5, 1000):
        for one in both.files.values():
            assert ids(one, Selection(limit=limit)) == list(range(45))[:limit]
            kept = ids(one, Selection(filters=(Filter("id", O.GT, "9"),), limit=limit))
            assert kept == list(range(10, 45))[:limit]


def test_rows_that_are_equal_stay_as_they_come(both: Both) -> None:
    for one in both.files.values():
        everything = ids(one, Selection(sorts=(Sort("b"),)))
        cut = [at for at in range(1, len(everything)) if everything[at] < everything[at - 1]]
        assert len(cut) <= 2


# Numbers


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(
        [t.Integer(8), t.Integer(16, signed=False), t.Integer(64), t.Integer(64, signed=False), t.Decimal(5, 2)]
    ),
    st.lists(st.integers(-(2**63), 2**64) | st.integers(-300, 300), min_size=1),
    st.decimals(allow_nan=False, allow_infinity=False) | st.decimals(-400, 400, places=3),
)
def test_numbers_of_bounded_types_compare_with_any_number(
    kind: t.Integer | t.Decimal, numbers: list[int], written: Decimal
) -> None:
    lowest, highest = (
        (-99999, 99999)
        if isinstance(kind, t.Decimal)
        else (-(2 ** (kind.bits - 1)), 2 ** (kind.bits - 1) - 1)
        if kind.signed
        else (0, 2**kind.bits - 1)
    )
    scale = kind.scale if isinstance(kind, t.Decimal) else 0
    fitting = [min(max(one, lowest), highest) for one in numbers]
    array = pa.array([Decimal(one).scaleb(-scale) for one in fitting] if scale else fitting, arrow_type(kind))
    limit = bound(str(written), column(kind))
    formed = form(array, column(kind))
    exact = [Fraction(one, 10**scale) for one in fitting]
    assert limit.less(formed).to_pylist() == [one < written for one in exact]
    assert limit.at_most(formed).to_pylist() == [one <= written for one in exact]


def column(kind: t.NeutralType) -> Column:
    return Column("x", kind, NativeType("x", "x"))


@pytest.mark.parametrize("written", ["1e999999999", "-1e999999999", "1e-999999999", "9" * 5000])
def test_numbers_beyond_all_others_take_no_time(written: str) -> None:
    for kind in (t.Integer(64), t.Decimal(38, 10), t.Float(64), t.Float(32), t.Number()):
        array = pa.array(["1"] if isinstance(kind, t.Number) else pa.array([1]).cast(arrow_type(kind)))
        assert bound(written, column(kind)).less(form(array, column(kind))).to_pylist() == [
            not written.startswith("-") and "e-" not in written
        ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.decimals(), min_size=2, max_size=8))
def test_keys_of_numbers_of_any_length_sort_as_they_do(numbers: list[Decimal]) -> None:
    numbers = [one for one in numbers if not one.is_snan()]
    keys = form(
        pa.array([str(one).replace("-NaN", "NaN") for one in numbers], pa.string()), column(t.Number())
    ).to_pylist()
    for one, key in zip(numbers, keys, strict=True):
        for other, beside in zip(numbers, keys, strict=True):
            assert (key < beside) == (not one.is_nan() and (other.is_nan() or one < other))


# What is refused


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (t.Integer(32), "x"), (t.Integer(32), ""), (t.Integer(32), "1 2"), (t.Integer(32), "\u0663"),
        (t.Decimal(5, 2), "1,5"),
        (t.Float(64), "0x10"), (t.Boolean(), "2"), (t.Date(), "2024-02-30"), (t.DateTime(), "2024-02-29T00:00:00Z"),
        (t.Time(), "24:00:00"), (t.Uuid(), "x"), (t.Bits(3), "12"), (t.Binary(), "\\xzz"), (t.Enum(("a",)), "b"),
        (t.Duration(), "x"), (t.Json(), "{}"), (t.Geometry(), "x"), (t.Interval(), "1 day"), (t.Inet(), "::1"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused(kind: t.NeutralType, written: str) -> None:
    with pytest.raises(InvalidInput, match="x") as caught:
        bound(written, column(kind))
    assert len(written) < 3 or written not in caught.value.message


def test_it_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,doc\n1,a\n")
    opened = source(tmp_path)
    for selection in (
        Selection(filters=(Filter("id", O.EQ, "x"),)),
        Selection(filters=(Filter("id", O.BETWEEN, "1,x"),)),
        Selection(filters=(Filter("doc", O.LIKE, "a\\"),)),
        Selection(filters=(Filter("doc", O.LIKE, "a_" * 1_000_000),)),
        Selection(filters=(Filter("none", O.EQ, "1"),)),
        Selection(sorts=(Sort("none"),)),
    ):
        with pytest.raises(InvalidInput):
            opened.tables([TableRequest("t", selection)])


# Memory


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.none() | st.integers(0, 30), max_size=40), max_size=12),
    st.booleans(),
    st.none() | st.integers(0, 200),
    st.integers(1, 2000),
    st.integers(1, 400),
)
def test_what_does_not_fit_into_memory_is_sorted_all_the_same(
    parts: list[list[int | None]], descending: bool, limit: int | None, memory: int, piece: int
) -> None:
    numbered, count = [], 0
    for part in parts:
        numbered.append(
            pa.record_batch(
                {"v": pa.array(part, pa.int64()), "at": pa.array(range(count, count + len(part)), pa.int64())}
            )
        )
        count += len(part)
    rows = ((batch, [batch.column("v")]) for batch in numbered)
    found = [row for batch in ordered(rows, [descending], limit, memory, piece) for row in batch.to_pylist()]
    every = [row for batch in numbered for row in batch.to_pylist()]
    key = (
        (lambda row: (row["v"] is not None, -(row["v"] or 0)))
        if descending
        else (lambda row: (row["v"] is None, row["v"] or 0))
    )
    assert found == sorted(every, key=key)[:limit]


def test_a_selection_in_an_order_is_one_chunk_and_a_filtered_one_many(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("".join(f'{{"id": {at}}}\n' for at in range(1000)))
    opened = source(tmp_path)
    size = type(WHOLE)(100, 500)

    def chosen(selection: Selection) -> Table:
        return opened.tables([TableRequest("t", selection)])[0]

    assert len(opened.chunks(chosen(Selection(sorts=(Sort("id"),))), size)) == 1
    assert len(opened.chunks(chosen(Selection(limit=5)), size)) == 1
    filtered = chosen(Selection(filters=(Filter("id", O.GE, "500"),)))
    assert len(opened.chunks(filtered, size)) > 1
    assert sorted(read(opened, filtered, size)["id"].to_pylist()) == list(range(500, 1000))
