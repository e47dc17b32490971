"""The engines spell every value alike, whatever it is: hypothesis looks for one that they do not."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from rowferry.connectors.files.spell import spelled as files_spelled
from rowferry.connectors.files.text import texts
from rowferry.connectors.mysql.spell import spelled as mysql_spelled
from rowferry.connectors.postgres.spell import spelled as postgres_spelled
from rowferry.model import types as t
from rowferry.model.digests import Compared
from rowferry.model.tables import Column, NativeType
from rowferry.typemap.arrow import arrow_type
from rowferry.typemap.spelling import spelling
from tests.servers import MariaDb, Postgres

EXAMPLES = 12
_QUICK = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Speller:
    """A column of one type on both servers, and its values' spellings there and in a file."""

    def __init__(self, mariadb: MariaDb, postgres: Postgres) -> None:
        self._here = mariadb.connect(mariadb.new_database())
        self._there: psycopg.Connection[tuple[Any, ...]] = postgres.connect(postgres.new_database())
        self._there.prepare_threshold = None  # the table has another type each time
        self._here.query("SET time_zone = '+00:00', sql_mode = ''")
        for setting in ("timezone = 'UTC'", "extra_float_digits = 3", "bytea_output = 'hex'"):
            self._there.execute(f"SET {setting}".encode())

    def close(self) -> None:
        self._here.close()
        self._there.close()

    def spell(self, neutral: t.NeutralType, types: tuple[str, str], values: Sequence[Any]) -> list[list[str]]:
        """The spellings by MariaDB, PostgreSQL and a file."""
        agreed = spelling(neutral, neutral, same_engine=False)
        assert not isinstance(agreed, str)
        seconds = getattr(neutral, "precision", None) if not isinstance(neutral, t.Decimal) else None
        mine = NativeType(types[0].partition("(")[0].lower(), types[0].lower(), scale=seconds, charset="utf8mb4")
        theirs = NativeType(types[1].partition("(")[0], types[1])
        return [
            self._by_mariadb(types[0], Compared(Column("v", neutral, mine), agreed), values),
            self._by_postgres(types[1], Compared(Column("v", neutral, theirs), agreed), values),
            _by_file(Compared(Column("v", neutral, theirs), agreed), values),
        ]

    def _by_mariadb(self, declared: str, column: Compared, values: Sequence[Any]) -> list[str]:
        with self._here.cursor() as cursor:
            cursor.execute(f"CREATE OR REPLACE TEMPORARY TABLE t (id INT PRIMARY KEY, v {declared} NULL)")
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(map(_for_mariadb, values))))
            cursor.execute(f"SELECT CONCAT({mysql_spelled(column)}) FROM t ORDER BY id")
            return [_word(word) for (word,) in cursor.fetchall()]

    def _by_postgres(self, declared: str, column: Compared, values: Sequence[Any]) -> list[str]:
        self._there.execute("DROP TABLE IF EXISTS t")
        self._there.execute(f"CREATE TEMPORARY TABLE t (id int PRIMARY KEY, v {declared})".encode())
        with self._there.cursor() as cursor:
            cursor.executemany("INSERT INTO t VALUES (%s, %s)", list(enumerate(values)))
        query = SQL("SELECT concat({}) FROM t ORDER BY id").format(postgres_spelled(column, utf8=True))
        return [word for (word,) in self._there.execute(query)]


def _by_file(column: Compared, values: Sequence[Any]) -> list[str]:
    kind = column.column.type
    array = texts(pa.array(values, arrow_type(kind)), kind, pa.large_string())
    found: list[str] = files_spelled(array, column).to_pylist()
    return found


def _for_mariadb(value: Any) -> Any:
    if isinstance(value, float):
        # As text a number is read exactly; as SQL it would be a decimal first.
        return repr(value)
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


def _word(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture(scope="module")
def speller(mariadb: MariaDb, postgres: Postgres) -> Iterator[Speller]:
    made = Speller(mariadb, postgres)
    yield made
    made.close()


def agree(speller: Speller, neutral: t.NeutralType, types: tuple[str, str], values: Sequence[Any]) -> None:
    """The three spell each value alike, and no two different ones the same."""
    given_values = [*values, None]
    mine, theirs, ours = speller.spell(neutral, types, given_values)
    assert mine == theirs == ours
    different = {struct.pack(">d", one) if isinstance(one, float) else one for one in given_values}
    assert len(set(mine)) == len(different)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, min_size=1, max_size=30, unique_by=lambda one: (str(one), one))


CHARACTERS = st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00")
FINITE = st.floats(allow_nan=False, allow_infinity=False).map(lambda one: one or 0.0)


@_QUICK
@given(some(st.text(CHARACTERS, max_size=40)))
def test_texts(speller: Speller, values: list[str]) -> None:
    agree(speller, t.Text(200), ("VARCHAR(200)", "varchar(200)"), values)
    agree(speller, t.Text(), ("LONGTEXT", "text"), values)


@_QUICK
@given(some(st.binary(max_size=40)))
def test_bytes(speller: Speller, values: list[bytes]) -> None:
    agree(speller, t.Binary(200), ("VARBINARY(200)", "bytea"), values)
    agree(speller, t.Binary(), ("LONGBLOB", "bytea"), values)


@_QUICK
@given(some(FINITE))
def test_doubles(speller: Speller, values: list[float]) -> None:
    agree(speller, t.Float(64), ("DOUBLE", "double precision"), values)


@_QUICK
@given(some(st.integers(-(2**63), 2**63 - 1)))
def test_whole_numbers(speller: Speller, values: list[int]) -> None:
    agree(speller, t.Integer(64), ("BIGINT", "bigint"), values)


@_QUICK
@given(some(st.decimals(-(10**10), 10**10, places=5)))
def test_decimals(speller: Speller, values: list[Decimal]) -> None:
    agree(speller, t.Decimal(20, 5), ("DECIMAL(20,5)", "numeric(20,5)"), [one or abs(one) for one in values])


@_QUICK
@given(some(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31))))
def test_moments(speller: Speller, values: list[datetime]) -> None:
    agree(speller, t.DateTime(6), ("DATETIME(6)", "timestamp"), values)
    whole = list({one.replace(microsecond=0) for one in values})
    agree(speller, t.DateTime(0), ("DATETIME", "timestamp"), whole)


@_QUICK
@given(some(st.datetimes(datetime(1970, 1, 2), datetime(2038, 1, 1), timezones=st.just(UTC))))
def test_instants(speller: Speller, values: list[datetime]) -> None:
    agree(speller, t.Instant(6), ("TIMESTAMP(6)", "timestamptz"), values)


@_QUICK
@given(some(st.dates(date(1000, 1, 1))))
def test_days(speller: Speller, values: list[date]) -> None:
    agree(speller, t.Date(), ("DATE", "date"), values)


SPAN = timedelta(hours=838, minutes=59, seconds=59)


@_QUICK
@given(some(st.timedeltas(-SPAN, SPAN)))
def test_spans(speller: Speller, values: list[timedelta]) -> None:
    mine, theirs, ours = speller.spell(t.Duration(6), ("TIME(6)", "interval"), values)
    assert mine == ours
    assert len(set(mine)) == len(values)
    # The driver writes days and hours apart; a stream writes microseconds alone, and so does this.
    assert len(theirs) == len(values)


@_QUICK
@given(some(st.from_regex(r"[0-9a-f]{0,4}(:[0-9a-f]{1,4}){7}", fullmatch=True).filter(lambda one: one[0] != ":")))
def test_addresses(speller: Speller, values: list[str]) -> None:
    found = speller.spell(t.Inet(6), ("INET6", "inet"), values)
    assert found[0] == found[1] == found[2]
