"""What policies and other types make of values is the same whether they are copied or come by MySQL's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cdc.pairs import Pair, pair_of
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry

# `begin` returns when a row has arrived, be it by the copy; the second one after it comes by the log, behind the copy.

MODE = "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'"


@pytest.fixture
def pair(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> Iterator[Pair]:
    with pair_of(rowferry, logged, postgres) as pair:
        yield pair


@dataclass(frozen=True)
class Odd:
    """A column of the source with values as literals; by policy, what the target shows of them."""

    declared: str
    values: Sequence[str]
    shown: Mapping[str, Sequence[str | None]]


COLUMNS = {
    "day": Odd(
        "DATE", ["'0000-00-00'", "'2020-02-30'", "'2020-02-29'"],
        {
            "null": [None, None, "2020-02-29"],
            "other": ["1970-01-01", "1970-01-01", "2020-02-29"],
            "text": ["0000-00-00", "2020-02-30", "2020-02-29"],
        },
    ),
    "moment": Odd(
        "DATETIME(3)", ["'0000-00-00'", "'2020-00-10 01:02:03.5'", "'2020-02-29 01:02:03.456'"],
        {
            "null": [None, None, "2020-02-29 01:02:03.456"],
            "other": ["1970-01-01 00:00:00", "1970-01-01 00:00:00", "2020-02-29 01:02:03.456"],
            "text": ["0000-00-00 00:00:00.000", "2020-00-10 01:02:03.500", "2020-02-29 01:02:03.456"],
        },
    ),
    "instant": Odd(
        "TIMESTAMP(2) NULL", ["'0000-00-00'", "'2020-02-29 01:02:03.45'", "NULL"],
        {
            "null": [None, "2020-02-29 01:02:03.45+00", None],
            "other": ["1970-01-01 00:00:00+00", "2020-02-29 01:02:03.45+00", None],
            "text": ["0000-00-00 00:00:00.00", "2020-02-29 01:02:03.45", None],
        },
    ),
    "word": Odd(
        "VARCHAR(9)", [r"'a\0b'", r"'\0'", "'é'"],
        {"null": [None, None, "é"], "other": ["ab", "", "é"], "text": ["ab", "", "é"]},
    ),
    "small": Odd(
        "DECIMAL(12,3)", ["123456.789", "-1.2345", "0.500"],
        {"null": [None, None, None], "other": ["32767", "-1", "1"], "text": ["123456.789", "-1.235", "0.500"]},
    ),
    "number": Odd(
        "DOUBLE", ["1039514241563211.8", "-1e-20", "0.1"],
        {name: ["1039514241563211.8", "-1e-20", "0.1"] for name in ("null", "other", "text")},
    ),
    "clock": Odd(
        "TIME(1)", ["'-838:59:59'", "'00:00:00.5'", "'101:02:03'"],
        {name: ["-838:59:59.0", "00:00:00.5", "101:02:03.0"] for name in ("null", "other", "text")},
    ),
}  # fmt: skip

POLICIES = {
    "null": dict.fromkeys(("zeroDate", "nulCharacter", "number"), "null"),
    "other": {"zeroDate": "epoch", "nulCharacter": "clamp", "number": "clamp"},
    "text": {"zeroDate": "text", "nulCharacter": "clamp"},
}
OVERRIDES = {
    **{f"{policy}.{name}": "text" for policy in POLICIES for name in ("number", "clock")},
    **{f"{policy}.small": "smallint" for policy in ("null", "other")},
    "text.small": "text",
}


def _rows(first: int) -> str:
    """Every value once, under keys from that on."""
    lines = zip(*(one.values for one in COLUMNS.values()), strict=True)
    return ", ".join(f"({first + number}, {', '.join(values)})" for number, values in enumerate(lines))


def test_what_is_followed_is_what_is_copied(pair: Pair) -> None:
    """For each policy, of the stream or of a table alone: as rows come in, as they change, and as they go."""
    declared = ", ".join(f"{name} {one.declared}" for name, one in COLUMNS.items())
    pair.run(MODE, *(f"CREATE TABLE `{name}` (k INT PRIMARY KEY, {declared})" for name in POLICIES))
    pair.run(MODE, *(f"INSERT INTO `{name}` VALUES {_rows(0)}" for name in POLICIES))
    tables = [{"name": "null"}, *({"name": name, "typePolicies": POLICIES[name]} for name in ("other", "text"))]
    pair.begin(part={"tables": [{"name": "mark"}, *tables]}, typePolicies=POLICIES["null"], typeOverrides=OVERRIDES)
    pair.caught_up()
    expected = {name: _expected(name) for name in POLICIES}
    assert {name: _shown(pair, name) for name in POLICIES} == expected
    pair.run(MODE, *(f"INSERT INTO `{name}` VALUES {_rows(100)}" for name in POLICIES))
    pair.caught_up()
    both = {name: [*rows, *((key + 100, *row) for key, *row in rows)] for name, rows in expected.items()}
    assert {name: _shown(pair, name) for name in POLICIES} == both
    pair.run(MODE, *(f"UPDATE `{name}` SET k = k - 1000" for name in POLICIES))
    pair.run(MODE, *(f"DELETE FROM `{name}` WHERE k < -900" for name in POLICIES))
    pair.caught_up()
    assert {name: _shown(pair, name) for name in POLICIES} == {
        name: [(key - 900, *row) for key, *row in rows] for name, rows in expected.items()
    }


Row = tuple[Any, ...]


def _expected(policy: str) -> list[Row]:
    shown = [one.shown[policy] for one in COLUMNS.values()]
    return [(number, *values) for number, values in enumerate(zip(*shown, strict=True))]


def _shown(pair: Pair, table: str) -> list[Row]:
    columns = ", ".join(f"{name}::text" for name in COLUMNS)
    return pair.target.execute(
        "SET TimeZone = 'UTC'", f'SELECT k, {columns} FROM "{table}" ORDER BY k', database=pair.there
    )


def test_keys_are_found_again(pair: Pair) -> None:
    """A row whose key, or every column, is read otherwise is updated and deleted as it was written."""
    pair.run(
        MODE, "CREATE TABLE keyed (d DATE, w VARCHAR(9), n INT, PRIMARY KEY (d, w))",
        "CREATE TABLE bare (d DATE, e ENUM('x'))",
        r"INSERT INTO keyed VALUES ('0000-00-00', 'a\0', 1), ('2020-00-00', 'b', 1)",
        "INSERT INTO bare VALUES ('0000-00-00', 'x'), ('0000-00-00', 'x'), ('2020-01-01', NULL)",
    )  # fmt: skip
    pair.begin(typePolicies={"zeroDate": "epoch", "nulCharacter": "clamp"})
    pair.caught_up()
    pair.run(
        MODE, "UPDATE keyed SET n = 2, w = 'c' WHERE n = 1 AND d = 0", r"INSERT INTO keyed VALUES (0, 'n\0', 3)",
        "DELETE FROM keyed WHERE w = 'b'",
        "UPDATE bare SET e = NULL WHERE d = 0 LIMIT 1", "DELETE FROM bare WHERE e = 'x'",
        "ALTER TABLE keyed ADD COLUMN more DATETIME", "UPDATE keyed SET more = '0000-00-00' WHERE n = 3",
    )  # fmt: skip
    pair.caught_up()
    assert pair.rows("keyed", "d::text, w, n, more::text") == [
        ("1970-01-01", "c", 2, None),
        ("1970-01-01", "n", 3, "1970-01-01 00:00:00"),
    ]
    assert pair.rows("bare", "d::text, e") == [("1970-01-01", None), ("2020-01-01", None)]


def test_members_that_are_none(rowferry: Rowferry, logged: MariaDb) -> None:
    """From MariaDB into MariaDB, where zero dates need no policy: they cross beside it, in the same rows."""
    with pair_of(rowferry, logged, logged) as pair:
        for name in ("a", "b"):
            pair.run("SET sql_mode = ''", f"CREATE TABLE {name} (k INT PRIMARY KEY, e ENUM('x'), d DATETIME(1))")
            pair.run("SET sql_mode = ''", f"INSERT INTO {name} VALUES (1, 'wrong', '0000-00-00'), (2, 'x', NULL)")
        tables = [{"name": "mark"}, {"name": "a"}, {"name": "b", "typePolicies": {"emptyEnum": "text"}}]
        pair.begin(part={"tables": tables}, typePolicies={"emptyEnum": "null"})
        pair.caught_up()
        pair.run("SET sql_mode = ''", *(f"INSERT INTO {name} SELECT k + 10, e, d FROM {name}" for name in ("a", "b")))
        pair.caught_up()
        for name, empty in (("a", None), ("b", "")):
            rows = [(empty, "0000-00-00 00:00:00.0"), ("x", None)]
            expected = [(key + more, *row) for more in (0, 10) for key, row in enumerate(rows, 1)]
            assert pair.rows(name, "k, CAST(e AS CHAR), CAST(d AS CHAR)") == sorted(expected, key=repr)


def test_what_the_log_cannot_give_is_refused(pair: Pair) -> None:
    """By name, before anything is written."""
    pair.run("CREATE TABLE t (k INT PRIMARY KEY, b BIT(3), f FLOAT(7,2), day DATE)")
    pair.run("CREATE TABLE mark (id int PRIMARY KEY)")
    pair.stream = pair.rowferry.begin(pair.configure(typeOverrides={"t.b": "text", "t.f": "text", "t.day": "text"}))
    message = pair.fails()["error"]
    assert "t.b is read through an expression, which cannot be done with changes" in message
    assert "t.f is read through an expression" in message
    assert "t.day" not in message
    assert pair.rows("t", "k") is None
