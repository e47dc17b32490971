"""Types that a config asks for by `typeOverrides`: each value equal, or refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.policies.conftest import job, refused
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared, run


@dataclass(frozen=True)
class Case:
    """A column of a source with values as literals, the type it shall have, and what the target shows as text.

    `unfit`: a literal that has no place there.
    """

    declared: str
    values: Sequence[str]
    wanted: str
    found: Sequence[str]
    unfit: str | None = None

    def __str__(self) -> str:
        return f"{self.declared}-{self.wanted}"


INTO_POSTGRES = [
    Case("TINYINT(1)", ["0", "1"], "boolean", ["false", "true"], "2"),
    Case("BIGINT", ["-5", "7"], "integer", ["-5", "7"], "3000000000"),
    Case("BIGINT UNSIGNED", ["18446744073709551615"], "numeric(30,0)", ["18446744073709551615"]),
    Case("BIGINT UNSIGNED", ["9223372036854775807"], "bigint", ["9223372036854775807"], "9223372036854775808"),
    Case("DECIMAL(10,2)", ["1.00", "-7.00"], "int4", ["1", "-7"], "1.50"),
    Case("DECIMAL(30,10)", ["1.5"], "numeric(20,4)", ["1.5000"], "1.00001"),
    Case("CHAR(36)", ["0190a6f3-1111-7abc-8def-0123456789ab"], "uuid", ["0190a6f3-1111-7abc-8def-0123456789ab"], "x"),
    Case("DATETIME(6)", ["2020-01-02 03:04:05"], "timestamp(0)", ["2020-01-02 03:04:05"], "2020-01-02 03:04:05.5"),
    Case("DATETIME", ["2020-01-02 03:04:05"], "timestamptz", ["2020-01-02 03:04:05+00"]),
    Case("DATETIME", ["2020-01-02 00:00:00"], "date", ["2020-01-02"], "2020-01-02 00:00:01"),
    Case("DATE", ["2020-01-02"], "timestamp", ["2020-01-02 00:00:00"]),
    Case("DOUBLE", ["0.1", "1e300"], "text", ["0.1", "1e300"]),
    Case("INT", ["16777216"], "real", ["1.6777216e+07"], "16777217"),
    Case("VARCHAR(50)", ["abc"], "varchar(3)", ["abc"], "abcd"),
    Case("LONGTEXT", ['{"a": 1}'], "jsonb", ['{"a": 1}']),
    Case("VARCHAR(50)", ["10.0.0.1"], "inet", ["10.0.0.1/32"]),
    Case("YEAR", ["2020"], "integer", ["2020"]),
    Case("ENUM('a','b')", ["b"], "varchar(10)", ["b"]),
]

INTO_MARIADB = [
    Case("numeric", ["1.5", "-3"], "decimal(30,10)", ["1.5000000000", "-3.0000000000"], "1.12345678901"),
    Case("numeric", ["1.5"], "numeric(65,38)", ["1.5" + "0" * 37], "NaN"),
    Case("int8", ["1", "-128"], "tinyint", ["1", "-128"], "128"),
    Case("int8", ["255"], "TINYINT UNSIGNED", ["255"], "-1"),
    Case("text", ["word"], "varchar(5)", ["word"], "words!"),
    Case("uuid", ["0190a6f3-1111-7abc-8def-0123456789ab"], "char(36)", ["0190a6f3-1111-7abc-8def-0123456789ab"]),
    Case("interval", ["1 mon 2 days"], "varchar(40)", ["1 mon 2 days"]),
    Case("timestamptz", ["2020-01-02 03:04:05+02"], "datetime(6)", ["2020-01-02 01:04:05.000000"]),
    Case("timestamp(0)", ["2020-01-02 03:04:05"], "timestamp", ["2020-01-02 03:04:05"]),
    Case("int4", ["1"], "boolean", ["1"], "300"),
    Case("jsonb", ['{"a": 1}'], "longtext", ['{"a": 1}']),
]


def _rows(case: Case, *more: str) -> str:
    return ", ".join(f"({number}, '{value}')" for number, value in enumerate([*case.values, *more]))


@pytest.mark.parametrize("case", INTO_POSTGRES, ids=str)
def test_into_postgres(mariadb: MariaDb, postgres: Postgres, there: str, shop: str, case: Case) -> None:
    mariadb.execute(
        "SET time_zone = '+00:00'", f"CREATE TABLE t (id INT PRIMARY KEY, v {case.declared})",
        f"INSERT INTO t VALUES {_rows(case)}", database=there,
    )  # fmt: skip
    ends = mariadb.url(there), postgres.url(shop)
    made = job(*ends, typeOverrides={"t.v": case.wanted})
    run(made)
    found = postgres.execute("SET TimeZone = 'UTC'", "SELECT v::text FROM t ORDER BY id", database=shop)
    assert [value for (value,) in found] == list(case.found)
    there_is = (
        "SELECT format_type(atttypid, atttypmod) = format_type(pg_typeof(NULL::{})::oid, atttypmod) "
        "FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v'"
    )
    assert postgres.execute(there_is.format(case.wanted), database=shop) == [(True,)]
    assert compared(made).equal or compared(made).tables[0].skipped
    if case.unfit is not None:
        mariadb.execute(f"INSERT INTO t VALUES (99, '{case.unfit}')", database=there)
        message = refused(*ends, typeOverrides={f"{there}.t.v": case.wanted})
        assert "typeOverrides" in message
        assert f"{there}.t.v" in message
        assert len(case.unfit) < 3 or case.unfit not in message


@pytest.mark.parametrize("case", INTO_MARIADB, ids=str)
def test_into_mariadb(mariadb: MariaDb, postgres: Postgres, there: str, shop: str, case: Case) -> None:
    postgres.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, v {case.declared})", f"INSERT INTO t VALUES {_rows(case)}", database=shop
    )
    ends = postgres.url(shop), mariadb.url(there)
    made = job(*ends, typeOverrides={"t.v": case.wanted})
    run(made)
    found = mariadb.execute("SET time_zone = '+00:00'", "SELECT CAST(v AS CHAR) FROM t ORDER BY id", database=there)
    assert [value for (value,) in found] == list(case.found)
    assert compared(made).equal or compared(made).tables[0].skipped
    if case.unfit is not None:
        postgres.execute(f"INSERT INTO t VALUES (99, '{case.unfit}')", database=shop)
        message = refused(*ends, typeOverrides={"public.t.v": case.wanted})
        assert "typeOverrides" in message
        assert "public.t.v" in message


def test_a_policy_says_what_becomes_of_a_number_that_does_not_fit(
    mariadb: MariaDb, postgres: Postgres, there: str, shop: str
) -> None:
    postgres.execute(
        "CREATE TABLE t (id int PRIMARY KEY, v numeric, n int8)",
        "INSERT INTO t VALUES (1, 1.25, 7), (2, 1e30, 128), (3, -1e30, -3000), (4, NULL, NULL), (5, 1.04, 5)",
        database=shop,
    )
    ends = postgres.url(shop), mariadb.url(there)
    wishes = {"t.v": "decimal(5,1)", "t.n": "tinyint"}
    assert "typePolicies.number" in refused(*ends, typeOverrides=wishes)
    for policy, found in (
        ("clamp", [("1.3", 7), ("9999.9", 127), ("-9999.9", -128), (None, None), ("1.0", 5)]),
        ("null", [(None, 7), (None, None), (None, None), (None, None), (None, 5)]),
    ):
        made = job(*ends, typeOverrides=wishes, typePolicies={"number": policy})
        run(made)
        rows = mariadb.execute("SELECT CAST(v AS CHAR), n FROM t ORDER BY id", database=there)
        assert rows == found
        assert compared(made).equal


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"t.w": "text"}, "typeOverrides names t.w, and the stream's tables have no such column"),
        ({"v": "text"}, "typeOverrides names v,"),
        ({"t.v": "no_such_type"}, "typeOverrides asks for no_such_type, which is no type"),
        ({"t.v": "text); DROP TABLE t; --"}, "which is no type"),
        ({"t.v": "numeric(2000,5)"}, "which is no type"),
        ({"t.v": "polygon"}, "there is no exact way to it from int(11)"),
    ],
)
def test_what_cannot_be_is_refused(
    mariadb: MariaDb, postgres: Postgres, there: str, shop: str, asked: dict[str, str], words: str
) -> None:
    mariadb.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT)", database=there)
    assert words in refused(mariadb.url(there), postgres.url(shop), typeOverrides=asked)


@pytest.mark.parametrize("asked", ["enum('a')", "text; drop", "vector(3)", "nothing"])
def test_types_that_mariadb_has_not(mariadb: MariaDb, postgres: Postgres, there: str, shop: str, asked: str) -> None:
    postgres.execute("CREATE TABLE t (id int PRIMARY KEY, v int)", database=shop)
    message = refused(postgres.url(shop), mariadb.url(there), typeOverrides={"t.v": asked})
    assert message == f"typeOverrides asks for {asked}, which is no type that a column can be given here."


def test_files_have_no_types_of_their_own(mariadb: MariaDb, there: str, tmp_path: Path) -> None:
    mariadb.execute("CREATE TABLE t (id INT PRIMARY KEY)", database=there)
    assert "is for databases" in refused(mariadb.url(there), tmp_path.as_uri(), typeOverrides={"t.id": "text"})
