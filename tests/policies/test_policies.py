"""Values that a target has not: refused by name, or treated as `typePolicies` asks, and compared so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rowferry.control.oneshot import job_from_urls
from rowferry.model.streams import StreamState
from tests.policies.conftest import job, outcome_of, refused
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import compared, run

FAR: list[tuple[str, list[str | None]]] = [
    ("null", [None, None, None, "2024-02-29"]),
    ("clamp", ["9999-12-31", "0001-01-01", "0001-01-01", "2024-02-29"]),
    ("epoch", ["1970-01-01", "1970-01-01", "1970-01-01", "2024-02-29"]),
    ("text", ["infinity", "-infinity", "0044-03-15 BC", "2024-02-29"]),
]
MOMENTS: list[tuple[str, list[str | None]]] = [
    ("null", [None, None, None, "2024-02-29 01:02:03.456789"]),
    (
        "clamp",
        [
            "9999-12-31 23:59:59.999999",
            "0001-01-01 00:00:00.000000",
            "9999-12-31 23:59:59.999999",
            "2024-02-29 01:02:03.456789",
        ],
    ),
    ("text", ["infinity", "-infinity", "12000-01-01 00:00:00", "2024-02-29 01:02:03.456789"]),
]
DAYS = ["infinity", "-infinity", "0044-03-15 BC", "2024-02-29"]
INSTANTS = ["infinity", "-infinity", "12000-01-01", "2024-02-29 01:02:03.456789"]


@dataclass(frozen=True)
class Case:
    """A column of a source, its values as literals, a policy, and what the target shows of them as text."""

    declared: str
    values: Sequence[str]
    kind: str
    policy: str
    found: Sequence[str | None]

    def __str__(self) -> str:
        return f"{self.declared}-{self.kind}-{self.policy}"


FROM_POSTGRES = [
    *(Case("date", DAYS, "farDate", policy, found) for policy, found in FAR),
    *(Case("timestamp", INSTANTS, "farDate", policy, found) for policy, found in MOMENTS),
    Case("timestamp(0)", ["infinity"], "farDate", "clamp", ["9999-12-31 23:59:59"]),
    Case("timestamptz", ["infinity", "-infinity"], "farDate", "null", [None, None]),
    Case("time", ["24:00:00", "12:00:00"], "lateTime", "clamp", ["23:59:59.999999", "12:00:00.000000"]),
    Case("time(0)", ["24:00:00"], "lateTime", "clamp", ["23:59:59"]),
    Case("time", ["24:00:00"], "lateTime", "text", ["24:00:00"]),
    Case("float8", ["NaN", "-Infinity", "1.5"], "notFinite", "null", [None, None, "1.5"]),
    Case("float4", ["NaN", "Infinity", "1.5"], "notFinite", "text", ["NaN", "Infinity", "1.5"]),
    Case("numeric(10,2)", ["NaN", "1.50"], "notFinite", "null", [None, "1.50"]),
    Case("numeric(10,2)", ["NaN", "1.50"], "notFinite", "text", ["NaN", "1.50"]),
    Case("float8", ["-0", "0", "-1"], "negativeZero", "clamp", ["0", "0", "-1"]),
    Case("float4", ["-0", "2"], "negativeZero", "null", [None, "2"]),
    Case("numeric", ["12345678901234567890.12345678901234567890", "1e60"], "number", "text",
         ["12345678901234567890.12345678901234567890", "1" + "0" * 60]),
    Case("numeric", ["1e60", "-1e60", "1.5"], "number", "clamp",
         ["9" * 27 + "." + "9" * 38, "-" + "9" * 27 + "." + "9" * 38, "1.5" + "0" * 37]),
    Case("numeric", ["1e60", "1.5"], "number", "null", [None, "1.5" + "0" * 37]),
    Case("numeric(80,2)", ["1.25"], "number", "text", ["1.25"]),
]  # fmt: skip

FROM_MARIADB = [
    Case("DATE", ["0000-00-00", "2020-00-10", "2020-02-01"], "zeroDate", "null", [None, None, "2020-02-01"]),
    Case("DATE", ["0000-00-00", "2020-00-10"], "zeroDate", "epoch", ["1970-01-01", "1970-01-01"]),
    Case("DATE", ["0000-00-00", "2020-00-10"], "zeroDate", "text", ["0000-00-00", "2020-00-10"]),
    Case("DATETIME(3)", ["0000-00-00", "2020-01-02 03:04:05.678"], "zeroDate", "null",
         [None, "2020-01-02 03:04:05.678"]),
    Case("DATETIME", ["0000-00-00", "2020-02-30"], "zeroDate", "epoch", ["1970-01-01 00:00:00", "1970-01-01 00:00:00"]),
    Case("TIMESTAMP NULL", ["0000-00-00", "2020-01-02 03:04:05"], "zeroDate", "epoch",
         ["1970-01-01 00:00:00+00", "2020-01-02 03:04:05+00"]),
    Case("VARCHAR(9)", ["a\\0b", "c"], "nulCharacter", "null", [None, "c"]),
    Case("VARCHAR(9) CHARACTER SET utf16", ["ab\\0", "\\0"], "nulCharacter", "clamp", ["ab", ""]),
    Case("LONGTEXT", ["a\\0\\0b", "é\\0"], "nulCharacter", "clamp", ["ab", "é"]),
    Case("CHAR(9) CHARACTER SET latin1 COLLATE latin1_swedish_ci", ["é\\0é"], "nulCharacter", "clamp", ["éé"]),
]  # fmt: skip

INTO_MARIADB = [
    Case("ENUM('a','b')", ["a", "wrong"], "emptyEnum", "null", ["a", None]),
    Case("ENUM('a','b')", ["a", "wrong"], "emptyEnum", "text", ["a", ""]),
]


def _quoted(values: Sequence[str]) -> str:
    return ", ".join(f"({number}, '{value}')" for number, value in enumerate(values))


def _filled_postgres(postgres: Postgres, shop: str, case: Case) -> None:
    postgres.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, v {case.declared})",
        f"INSERT INTO t VALUES {_quoted(case.values)}",
        database=shop,
    )


def _filled_mariadb(mariadb: MariaDb, database: str, case: Case) -> None:
    mariadb.execute(
        "SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
        f"CREATE TABLE t (id INT PRIMARY KEY, v {case.declared}) CHARACTER SET utf8mb4",
        f"INSERT INTO t VALUES {_quoted(case.values)}",
        database=database,
    )


@pytest.mark.parametrize("case", FROM_POSTGRES, ids=str)
def test_from_postgres_into_mariadb(postgres: Postgres, mariadb: MariaDb, shop: str, there: str, case: Case) -> None:
    _filled_postgres(postgres, shop, case)
    ends = postgres.url(shop), mariadb.url(there)
    message = refused(*ends)
    assert f"typePolicies.{case.kind}" in message
    assert "public.t" in message
    assert not any(value in message for value in case.values if len(value) > 8)
    made = job(*ends, typePolicies={case.kind: case.policy})
    run(made)
    assert [value for (value,) in mariadb.execute("SELECT CAST(v AS CHAR) FROM t ORDER BY id", database=there)] == list(
        case.found
    )
    found = compared(made)
    assert found.equal, found.document()
    assert not found.tables[0].skipped


@pytest.mark.parametrize("case", FROM_MARIADB, ids=str)
def test_from_mariadb_into_postgres(postgres: Postgres, mariadb: MariaDb, shop: str, there: str, case: Case) -> None:
    _filled_mariadb(mariadb, there, case)
    ends = mariadb.url(there), postgres.url(shop)
    message = refused(*ends)
    assert f"typePolicies.{case.kind}" in message
    assert f"{there}.t.v" in message
    made = job(*ends, typePolicies={case.kind: case.policy})
    run(made)
    shown = "to_char(v, 'YYYY-MM-DD HH24:MI:SSTZH')" if "TIMESTAMP" in case.declared else "v::text"
    rows = postgres.execute("SET TimeZone = 'UTC'", f"SELECT {shown} FROM t ORDER BY id", database=shop)
    assert [value for (value,) in rows] == list(case.found)
    found = compared(made)
    assert found.equal, found.document()


@pytest.mark.parametrize("case", INTO_MARIADB, ids=str)
def test_from_mariadb_into_mariadb(mariadb: MariaDb, there: str, case: Case) -> None:
    source = mariadb.new_database()
    mariadb.execute(
        "SET sql_mode = ''",
        f"CREATE TABLE t (id INT PRIMARY KEY, v {case.declared})",
        f"INSERT INTO t VALUES {_quoted(case.values)}",
        database=source,
    )
    ends = mariadb.url(source), mariadb.url(there)
    assert f"typePolicies.{case.kind}" in refused(*ends)
    made = job(*ends, typePolicies={case.kind: case.policy})
    run(made)
    rows = mariadb.execute("SELECT CAST(v AS CHAR) FROM t ORDER BY id", database=there)
    assert [value for (value,) in rows] == list(case.found)
    assert compared(made).equal


def test_zero_dates_go_from_mariadb_to_mariadb_as_they_are(mariadb: MariaDb, there: str) -> None:
    source = mariadb.new_database()
    mariadb.execute(
        "SET sql_mode = 'ALLOW_INVALID_DATES'",
        "CREATE TABLE t (id INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00', m DATETIME(6), "
        "s TIMESTAMP(3) NOT NULL DEFAULT '0000-00-00 00:00:00')",
        "INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00', '0000-00-00'), (2, '2020-00-10', "
        "'2021-02-31 01:02:03.5', '2020-02-01 03:04:05.678'), (3, '0000-01-01', NULL, '2038-01-19 03:14:07.999'), "
        "(4, '9999-12-31', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01')",
        database=source,
    )
    made = job(mariadb.url(source), mariadb.url(there))
    run(made)
    rows = [mariadb.execute("SELECT id, CAST(d AS CHAR), CAST(m AS CHAR), CAST(s AS CHAR) FROM t ORDER BY id",
                            database=place) for place in (source, there)]  # fmt: skip
    assert rows[0] == rows[1]
    assert compared(made).equal
    shown = [mariadb.execute("SHOW CREATE TABLE t", database=place)[0][1] for place in (source, there)]
    assert shown[0] == shown[1]


def test_a_tables_own_policies_go_before_the_streams(
    postgres: Postgres, mariadb: MariaDb, shop: str, there: str
) -> None:
    for name in ("a", "b"):
        mariadb.execute(
            "SET sql_mode = ''", f"CREATE TABLE {name} (id INT PRIMARY KEY, v DATE)",
            f"INSERT INTO {name} VALUES (1, '0000-00-00')", database=there,
        )  # fmt: skip
    source = job_from_urls(mariadb.url(there), postgres.url(shop)).config.source.model_dump(
        mode="json", by_alias=True, exclude_unset=True
    )
    source["connections"][0]["tables"] = [{"name": "a"}, {"name": "b", "typePolicies": {"zeroDate": "epoch"}}]
    made = job(mariadb.url(there), postgres.url(shop), typePolicies={"zeroDate": "null"}, source=source)
    outcome = outcome_of(made)
    assert outcome.state is StreamState.FINISHED, outcome.error
    assert postgres.execute("SELECT v FROM a", database=shop) == [(None,)]
    assert postgres.execute("SELECT v::text FROM b", database=shop) == [("1970-01-01",)]
    said = [finding.message for finding in outcome.report if "typePolicies" in finding.message]
    assert [message.split(": ")[0] for message in said] == [f"{there}.a, column v", f"{there}.b, column v"]
    assert said[0].endswith("is NULL, as typePolicies.zeroDate asks.")


def test_null_needs_a_column_that_may_be_null(postgres: Postgres, mariadb: MariaDb, shop: str, there: str) -> None:
    mariadb.execute(
        "SET sql_mode = ''", "CREATE TABLE t (day DATE PRIMARY KEY, other DATE NOT NULL)",
        "INSERT INTO t VALUES ('2020-01-01', '0000-00-00')", database=there,
    )  # fmt: skip
    ends = mariadb.url(there), postgres.url(shop)
    assert "part of the primary key" in refused(*ends, typePolicies={"zeroDate": "null"})
    mariadb.execute("ALTER TABLE t DROP PRIMARY KEY", database=there)
    run(job(*ends, typePolicies={"zeroDate": "null"}))
    assert postgres.execute("SELECT other FROM t", database=shop) == [(None,)]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"typePolicies": {"zerodate": "null"}}, "there are zeroDate, farDate"),
        ({"typePolicies": {"zeroDate": "clamp"}}, "zeroDate must be one of error, null, epoch, text"),
        ({"typePolicies": {"zeroDate": 1}}, "zeroDate must be one of"),
        ({"typePolicies": "null"}, "dictionary"),
        ({"typeOverrides": {"t.v": ""}}, "must not be empty"),
    ],
)
def test_what_is_no_policy_is_refused(wishes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        job("mysql://u@localhost/a", "postgresql://u@localhost/b", **wishes)


def test_files_get_what_a_policy_says(mariadb: MariaDb, there: str, tmp_path: Path) -> None:
    mariadb.execute(
        "SET sql_mode = ''", "CREATE TABLE t (id INT PRIMARY KEY, v DATE)", "INSERT INTO t VALUES (1, '0000-00-00')",
        database=there,
    )  # fmt: skip
    ends = mariadb.url(there), tmp_path.as_uri()
    assert "typePolicies.zeroDate" in refused(*ends)
    made = job(*ends, typePolicies={"zeroDate": "epoch"})
    run(made)
    assert compared(made).equal


@pytest.mark.parametrize("more", ["int", "int[]"], ids=["binary", "text"])
def test_what_only_postgres_has_goes_from_postgres_to_postgres(postgres: Postgres, shop: str, more: str) -> None:
    postgres.execute(
        f"CREATE TABLE t (id int PRIMARY KEY, d date, m timestamp, i timestamptz(3), c time, more {more})",
        "INSERT INTO t VALUES (1, 'infinity', 'infinity', 'infinity', '24:00:00'), (2, NULL, NULL, NULL, NULL), "
        "(3, '-infinity', '-infinity', '-infinity', '23:59:59.999999'), (4, '4713-11-24 BC', '4713-11-24 BC', "
        "'4713-11-24 BC', '00:00'), (5, '5874897-12-31', '294276-12-31 23:59:59.999999', '294276-12-31', '12:00'), "
        "(6, '5874897-12-31', '294247-01-10 04:00:54.775808', '294247-01-10 04:00:54.775Z', '12:00')",
        database=shop,
    )
    target = postgres.new_database()
    made = job(postgres.url(shop), postgres.url(target), typePolicies={"farDate": "null", "lateTime": "null"})
    run(made)
    shown = "SELECT id, d::text, m::text, i::text, c::text FROM t ORDER BY id"
    assert postgres.execute(shown, database=target) == postgres.execute(shown, database=shop)
    assert compared(made).equal
