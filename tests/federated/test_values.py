"""Every type and odd value of the matrix goes through DuckDB as its source's own reader gives it, or is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pytest

from rowferry.connectors.base import Source, TableRequest
from rowferry.connectors.registry import federation
from rowferry.errors import ReadFailed, RowferryError, UnsupportedType
from rowferry.model import types as t
from rowferry.model.policies import OddValue, TypePolicy
from rowferry.model.tables import Table
from tests.federated.conftest import WHOLE, Row, World
from tests.matrix.cases import Case, load
from tests.matrix.ends import MariaDbEnd, PostgresEnd


@dataclass
class Both:
    """A member by itself, and as part of the source over several."""

    alone: Source
    together: Source


def _is_large(case: Case) -> bool:
    """Values of many megabytes need a server of its own, and say nothing about types."""
    return any("REPEAT(" in value.upper() and "16" in value for value in case.values)


def _cases(source: str) -> list[Case]:
    return [case for case in load(source).cases if not _is_large(case)]


def _both(place: World, at: int) -> Iterator[Both]:
    one = place.members[at]
    alone, together = one.open(one.request), federation().open(place.members, {})
    yield Both(alone, together)
    alone.close()
    together.close()


@pytest.fixture(scope="module")
def of_mariadb(place: World) -> Iterator[Both]:
    """Its database holds every case."""
    with closing(MariaDbEnd(place.mariadb, place.my)) as end:
        end.fill(_cases("mariadb"))
    yield from _both(place, 0)


@pytest.fixture(scope="module")
def of_postgres(place: World) -> Iterator[Both]:
    """Its database holds every case, and has settings that spell everything otherwise."""
    matrix = load("postgresql")
    place.in_postgres(*matrix.setup, *matrix.types)
    end = PostgresEnd(place.postgres, place.pg)
    end.make_strange()
    end.fill(_cases("postgresql"))
    yield from _both(place, 1)


@pytest.mark.parametrize("case", _cases("mariadb"), ids=str)
def test_a_value_of_mariadb_is_passed_on_as_it_is(world: World, of_mariadb: Both, case: Case) -> None:
    _check(world, of_mariadb, f"db1.{world.my}.{case.table}", case.table)


@pytest.mark.parametrize("case", _cases("postgresql"), ids=str)
def test_a_value_of_postgresql_is_passed_on_as_it_is(world: World, of_postgres: Both, case: Case) -> None:
    _check(world, of_postgres, f"pg1.public.{case.table}", f"public.{case.table}")


def _check(world: World, both: Both, place: str, name: str) -> None:
    """What is read through DuckDB against what the member itself reads: the same rows of the same type, or no rows."""
    [own] = both.alone.tables([TableRequest(name)])
    query = f"SELECT * FROM {place}"
    if isinstance(own.column("v").type, t.Unknown):
        with pytest.raises(UnsupportedType, match=r"column v"):
            world.table(query, both.together)
        return
    expected = _outcome(lambda: _all(both.alone, own))
    passed = world.table(query, both.together)
    assert [one.type for one in passed.columns] == [one.type for one in own.columns]
    found = _outcome(lambda: _all(both.together, passed))
    assert repr(_sorted(found)) == repr(_sorted(expected))


def _all(source: Source, table: Table) -> list[Row]:
    batches = [batch for chunk in source.chunks(table, WHOLE) for batch in source.read(table, chunk)]
    return [
        row
        for batch in batches
        for row in zip(*(_counted(values).to_pylist() for values in batch.columns), strict=True)
    ]


def _counted(values: pa.Array) -> pa.Array:
    """Dates and moments as counts: Python knows only some of their years."""
    if not pa.types.is_temporal(values.type):
        return values
    return values.view(pa.int32() if pa.types.is_date32(values.type) else pa.int64())


def _outcome(read: Callable[[], list[Row]]) -> list[Row] | type[RowferryError]:
    try:
        return read()
    except RowferryError as error:
        return type(error)


def _sorted(found: list[Row] | type[RowferryError]) -> object:
    return sorted(found, key=lambda row: int(row[0])) if isinstance(found, list) else found


COMPUTED = {
    "SELECT 1::TINYINT AS v": (t.Integer(8), 1),
    "SELECT 18446744073709551615::UBIGINT AS v": (t.Integer(64, signed=False), 18446744073709551615),
    "SELECT 170141183460469231731687303715884105727::HUGEINT AS v": (t.Decimal(39, 0), 2**127 - 1),
    "SELECT 340282366920938463463374607431768211455::UHUGEINT AS v": (t.Decimal(39, 0), 2**128 - 1),
    "SELECT sum(id) AS v FROM db1.{my}.film": (t.Decimal(39, 0), 6),
    "SELECT ('9' || repeat('0', 50))::BIGNUM AS v": (t.Number(), "9" + "0" * 50),
    "SELECT 1.10::DECIMAL(38,10) AS v": (t.Decimal(38, 10), "1.1000000000"),
    "SELECT 0.1::FLOAT AS v": (t.Float(32), 0.10000000149011612),
    "SELECT 'NaN'::DOUBLE AS v": (t.Float(64), "nan"),
    "SELECT '-0.0'::DOUBLE AS v": (t.Float(64), "-0.0"),
    "SELECT true AS v": (t.Boolean(), True),
    "SELECT '\U0001f600 ' || chr(10) AS v": (t.Text(), "\U0001f600 \n"),
    "SELECT ''::VARCHAR AS v": (t.Text(), ""),
    "SELECT '\\x00\\xFF'::BLOB AS v": (t.Binary(), b"\0\xff"),
    "SELECT '0101'::BIT AS v": (t.Bits(None, varying=True), "0101"),
    "SELECT DATE '0001-01-01' AS v": (t.Date(), "0001-01-01"),
    "SELECT TIME '23:59:59.999999' AS v": (t.Time(), "23:59:59.999999"),
    "SELECT TIMESTAMP '2024-03-31 02:30:00.000001' AS v": (t.DateTime(), "2024-03-31 02:30:00.000001"),
    "SELECT TIMESTAMP_S '2024-03-31 02:30:00' AS v": (t.DateTime(0), "2024-03-31 02:30:00"),
    "SELECT TIMESTAMP_MS '2024-03-31 02:30:00.123' AS v": (t.DateTime(3), "2024-03-31 02:30:00.123000"),
    "SELECT TIMESTAMPTZ '2024-03-31 02:30:00+02' AS v": (t.Instant(), "2024-03-31 00:30:00+00:00"),
    "SELECT INTERVAL '14 months -3 days 04:05:06.5' AS v": (t.Interval(), "1 year 2 mons -3 days 04:05:06.5"),
    "SELECT '{\"a\": 1.0}'::JSON AS v": (t.Json(), '{"a": 1.0}'),
    "SELECT 'a,b'::ENUM('a,b', '''') AS v": (t.Enum(("a,b", "'")), "a,b"),
    "SELECT '12345678-1234-1234-1234-123456789012'::UUID AS v": (
        t.Uuid(), bytes.fromhex("12345678123412341234123456789012"),
    ),
    "SELECT NULL AS v": (t.Integer(32), None),
}  # fmt: skip


@pytest.mark.parametrize("query", COMPUTED)
def test_what_duckdb_computes_has_its_neutral_type(world: World, query: str) -> None:
    neutral, value = COMPUTED[query]
    source = world.open()
    assert world.table(query, source).columns[0].type == neutral
    [(found,)] = world.rows(query, source)
    assert found == value or str(found) == str(value)


@pytest.mark.parametrize(
    "expression",
    [
        "[1, 2]", "{'a': 1}", "MAP {1: 2}", "[1, 2]::INT[2]", "TIMETZ '10:00:00+02'",
        "TIMESTAMP_NS '2024-01-01 00:00:00.000000001'", "union_value(a := 1)",
    ],
)  # fmt: skip
def test_what_has_no_neutral_type_is_unknown_to_every_target(world: World, expression: str) -> None:
    [column] = world.table(f"SELECT {expression} AS v").columns
    assert isinstance(column.type, t.Unknown)


@pytest.mark.parametrize(
    "expression", ["'infinity'::DATE", "'-infinity'::TIMESTAMP", "'infinity'::TIMESTAMPTZ", "TIME '24:00:00'"]
)
def test_what_only_duckdb_knows_ends_the_read(world: World, expression: str) -> None:
    with pytest.raises(ReadFailed, match=r"q\.v holds"):
        world.rows(f"SELECT {expression} AS v")


def test_nan_is_found_as_duckdb_compares_it(world: World) -> None:
    """Arrow compares NaN otherwise, so a condition on it must not be left to Arrow."""
    world.in_postgres(
        "CREATE TABLE IF NOT EXISTS nans (x float8)", "TRUNCATE nans", "INSERT INTO nans VALUES ('NaN'), (1)"
    )
    assert len(world.rows("SELECT x FROM pg1.public.nans WHERE x > 5")) == 1
    assert len(world.rows("SELECT x FROM pg1.public.nans WHERE x = 'NaN'::DOUBLE")) == 1


def test_odd_values_of_a_member_are_treated_as_the_config_says(world: World) -> None:
    world.mariadb.execute(
        "SET sql_mode = ''", "CREATE TABLE IF NOT EXISTS days (d DATE)", "TRUNCATE days",
        "INSERT INTO days VALUES ('0000-00-00'), ('2020-02-29')", database=world.my,
    )  # fmt: skip
    with pytest.raises(ReadFailed):
        world.rows("SELECT max(d) AS d FROM db1.{my}.days")
    source = world.open({OddValue.ZERO_DATE: TypePolicy.NULL})
    assert (
        str(world.rows("SELECT max(d) AS d, count(*) AS n, count(d) AS m FROM db1.{my}.days", source)[0][1:])
        == "(2, 1)"
    )
