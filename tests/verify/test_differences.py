"""Every kind of difference between two tables is found, counted and named; what is equal is equal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_document
from rowferry.errors import Refused
from rowferry.model.streams import StreamState
from rowferry.pipeline import pairs
from rowferry.pipeline.job import Job
from rowferry.pipeline.signals import Signals
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import Silent, compared, compared_table, moved, named, run

ROWS = 2000


@dataclass
class Pair:
    """A database at each end."""

    mariadb: MariaDb
    postgres: Postgres
    source: str
    target: str

    @property
    def urls(self) -> tuple[str, str]:
        return self.mariadb.url(self.source), self.postgres.url(self.target)

    def here(self, *statements: str) -> None:
        self.mariadb.execute(*statements, database=self.source)

    def there(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.postgres.execute(*statements, database=self.target)

    def moved(self, *statements: str) -> Job:
        self.here(*statements)
        return moved(*self.urls)

    def job(self, part: dict[str, Any], **more: Any) -> Job:
        """A stream of a config whose source has `part`."""
        db = {"database": self.target, **more.pop("db", {})}
        source = {"connections": [{"connectionId": self.urls[0], "database": self.source, **part}]}
        target = {"id": self.urls[1], "spec": {"db": db}}
        return job_from_document({"name": "t", "mode": "convert", "source": source, "target": target, **more})


@pytest.fixture
def pair(mariadb: MariaDb, postgres: Postgres) -> Pair:
    return Pair(mariadb, postgres, mariadb.new_database(), postgres.new_database())


Shown = Callable[[int], tuple[str, ...]]

KEYS: dict[str, tuple[str, str, Shown | None]] = {
    "number": ("id INT PRIMARY KEY", "seq", lambda n: (str(n),)),
    "numbers": ("a INT, b BIGINT UNSIGNED, PRIMARY KEY (a, b)", "seq DIV 100, seq", lambda n: (str(n // 100), str(n))),
    "text": ("code VARCHAR(20) PRIMARY KEY", "CONCAT('k', seq)", lambda n: (f"k{n}",)),
    "mixed": ("a INT, b CHAR(8), PRIMARY KEY (a, b)", "seq DIV 7, CONCAT('k', seq)", lambda n: (str(n // 7), f"k{n}")),
    "date": ("at DATETIME(6) PRIMARY KEY", "'2020-01-01' + INTERVAL seq MICROSECOND", None),
}


@pytest.mark.parametrize("kind", KEYS)
def test_rows_are_named_by_their_keys(pair: Pair, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "CHUNK_ROWS", 300)
    declared, made, shown = KEYS[kind]
    job = pair.moved(
        f"CREATE TABLE t ({declared}, n INT, w VARCHAR(20), d DOUBLE)",
        f"INSERT INTO t SELECT {made}, seq, CONCAT('w', seq), seq / 7 FROM seq_1_to_{ROWS}",
    )
    equal = compared_table(job)
    assert equal.equal
    assert (equal.source_rows, equal.target_rows, equal.rows) == (ROWS, ROWS, ())
    pair.there(
        "DELETE FROM t WHERE n IN (5, 1999)",
        "UPDATE t SET w = 'other' WHERE n = 700",
        "UPDATE t SET d = -0.0, w = w || ' ' WHERE n = 701",
        "UPDATE t SET w = upper(w) WHERE n = 702",
    )
    found = compared_table(job)
    assert (found.missing, found.extra, found.different) == (2, 0, 3)
    assert (found.source_rows, found.target_rows, found.complete) == (ROWS, ROWS - 2, True)
    if shown is not None:
        assert named(found) == sorted(
            [
                ("missing", shown(5), ()),
                ("missing", shown(1999), ()),
                ("different", shown(700), ("w",)),
                ("different", shown(701), ("w", "d")),
                ("different", shown(702), ("w",)),
            ],
            key=str,
        )
    pair.here("DELETE FROM t WHERE n = 100")
    assert compared_table(job).extra == 1


def test_rows_that_swap_their_values_are_found(pair: Pair) -> None:
    job = pair.moved(
        "CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)", "INSERT INTO t VALUES (1, 10, 20), (2, 30, 40), (3, 5, 6)"
    )
    pair.there("UPDATE t SET a = CASE id WHEN 1 THEN 30 ELSE 10 END WHERE id IN (1, 2)")
    assert named(compared_table(job)) == [("different", ("1",), ("a",)), ("different", ("2",), ("a",))]
    pair.there("UPDATE t SET a = 10 WHERE id = 1", "UPDATE t SET a = 30 WHERE id = 2")
    assert compared_table(job).equal
    pair.there("UPDATE t SET a = b, b = a WHERE id = 3")
    assert named(compared_table(job)) == [("different", ("3",), ("a", "b"))]


def test_values_that_run_into_each_other_are_told_apart(pair: Pair) -> None:
    job = pair.moved(
        "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(20), b VARCHAR(20))",
        "INSERT INTO t VALUES (1, 'x', 'y'), (2, 'a,1:b', ''), (3, NULL, ''), (4, '', NULL), (5, ';6,', ':')",
    )
    assert compared_table(job).equal
    pair.there(
        "UPDATE t SET a = 'xy', b = '' WHERE id = 1",
        "UPDATE t SET a = 'a', b = '1:b' WHERE id = 2",
        "UPDATE t SET a = '', b = NULL WHERE id = 3",
        "UPDATE t SET a = NULL, b = '' WHERE id = 4",
    )
    both = ("a", "b")
    assert named(compared_table(job)) == [("different", (str(number),), both) for number in (1, 2, 3, 4)]


def test_a_table_without_a_key_is_a_bag_of_rows(pair: Pair) -> None:
    job = pair.moved(
        "CREATE TABLE t (n INT, w VARCHAR(20))",
        f"INSERT INTO t SELECT seq, CONCAT('w', seq) FROM seq_1_to_{ROWS}",
        "INSERT INTO t VALUES (1, 'w1'), (1, 'w1'), (NULL, NULL)",
    )
    assert compared_table(job).equal
    pair.there(
        "DELETE FROM t WHERE ctid = (SELECT min(ctid) FROM t WHERE n = 1)",
        "UPDATE t SET n = 0 WHERE n = 77",
        "INSERT INTO t VALUES (9, 'w9')",
    )
    found = compared_table(job)
    assert (found.missing, found.extra, found.different) == (2, 2, 0)
    assert {row.key for row in found.rows} == {None}


@pytest.mark.parametrize("declared", ["id INT PRIMARY KEY, v INT", "v INT", "w VARCHAR(9) PRIMARY KEY"])
def test_an_empty_table_is_equal_to_an_empty_one_only(pair: Pair, declared: str) -> None:
    job = pair.moved(f"CREATE TABLE t ({declared})")
    found = compared_table(job)
    assert found.equal
    assert found.source_rows == found.target_rows == 0
    pair.there("INSERT INTO t VALUES (1)" if declared.startswith(("v", "w")) else "INSERT INTO t VALUES (1, 1)")
    assert compared_table(job).extra == 1


def test_values_of_16_megabytes_are_compared(pair: Pair) -> None:
    job = pair.moved(
        "CREATE TABLE t (id INT PRIMARY KEY, w LONGTEXT, b LONGBLOB)",
        "INSERT INTO t VALUES (1, REPEAT('\u00e9x', 5500000), ''), (2, '', REPEAT(x'00ff', 8300000))",
    )
    assert compared_table(job).equal
    pair.there("UPDATE t SET w = w || ' ' WHERE id = 1", "UPDATE t SET b = set_bit(b, 132799999, 0) WHERE id = 2")
    assert named(compared_table(job)) == [("different", ("1",), ("w",)), ("different", ("2",), ("b",))]


def test_rows_that_are_together_longer_than_a_packet_are_compared(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "CHUNK_BYTES", 1 << 30)
    job = pair.moved(
        "CREATE TABLE t (id INT PRIMARY KEY, w VARCHAR(250))",
        "INSERT INTO t SELECT seq, REPEAT('\U0001f600', 250) FROM seq_1_to_20000",
    )
    assert compared_table(job).equal
    pair.there("UPDATE t SET w = substr(w, 2) WHERE id = 19999")
    assert named(compared_table(job)) == [("different", ("19999",), ("w",))]


def test_more_differences_than_can_be_named_are_counted_up_to_there(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "CHUNK_ROWS", 60)
    job = pair.moved(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT)", f"INSERT INTO t SELECT seq, seq FROM seq_1_to_{ROWS}"
    )
    pair.there("UPDATE t SET n = n + 1")
    found = compared_table(job)
    assert not found.equal
    assert not found.complete
    assert 100 <= found.different <= 120
    assert len(found.rows) == 100
    assert len(found.ranges) == -(-ROWS // 60)
    assert "at least" in found.summary


def test_a_missing_table_and_a_missing_column_are_differences(pair: Pair) -> None:
    job = pair.moved("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "CREATE TABLE u (id INT PRIMARY KEY)")
    pair.there("DROP TABLE u", "ALTER TABLE t DROP COLUMN n")
    found = compared(job)
    assert not found.equal
    assert [table.reason for table in found.tables] == ["lacks the column n on the target", "is not on the target"]


def test_only_what_was_selected_is_compared(pair: Pair) -> None:
    pair.here(
        "CREATE TABLE t (id INT PRIMARY KEY, n INT, w VARCHAR(20))",
        f"INSERT INTO t SELECT seq, seq % 10, CONCAT('w', seq) FROM seq_1_to_{ROWS}",
    )
    filters = [{"column": "n", "operator": "<", "value": "4"}]
    selections: list[dict[str, Any]] = [
        {"filters": filters},
        {"filters": filters, "selectedColumns": ["w"]},
        {"selectedColumns": ["id", "w"], "sorts": [{"column": "n", "direction": "DESC"}]},
        {"filters": filters, "sorts": [{"column": "id", "direction": "DESC"}], "limit": 300},
    ]
    counts = [ROWS * 4 // 10, ROWS * 4 // 10, ROWS, 300]
    for selection, count in zip(selections, counts, strict=True):
        db = {"schemaPolicy": "drop_and_recreate"}
        job = pair.job({"tables": [{"name": "t", "selection": selection}]}, db=db)
        run(job)
        found = compared_table(job)
        assert found.equal
        assert (found.source_rows, found.target_rows) == (count, count)
        pair.there("UPDATE t SET w = 'x' WHERE w = 'w1991'", "UPDATE t SET w = 'x' WHERE w = 'w2000'")
        assert not compared_table(job).equal


def test_a_limit_that_says_not_which_rows_is_refused(pair: Pair) -> None:
    pair.here("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1), (2, 1)")
    selection = {"sorts": [{"column": "n", "direction": "ASC"}], "limit": 1}
    job = pair.job({"tables": [{"name": "t", "selection": selection}]})
    run(job)
    with pytest.raises(Refused, match="do not say which ones"):
        compared(job)


def test_a_query_is_compared_with_what_became_of_it(pair: Pair) -> None:
    pair.here("CREATE TABLE t (id INT PRIMARY KEY, n INT)", f"INSERT INTO t SELECT seq, seq FROM seq_1_to_{ROWS}")
    query = "SELECT n % 3 AS rest, COUNT(*) AS many, NULL AS nothing FROM t GROUP BY n % 3;"
    job = pair.job({"queries": [{"name": "rests", "query": query}]})
    run(job)
    assert compared_table(job).equal
    pair.there("UPDATE rests SET many = many + 1 WHERE rest = 2")
    found = compared_table(job)
    assert (found.missing, found.extra) == (1, 1)


def test_rows_that_were_there_before_do_not_count_where_a_stream_adds(pair: Pair) -> None:
    pair.here("CREATE TABLE t (id INT PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 1), (2, 2)")
    pair.there("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (7, 7), (8, 8)")
    db = {"schemaPolicy": "validate_existing", "writeMode": "append"}
    job = pair.job({"tables": [{"name": "t"}]}, db=db)
    run(job)
    found = compared_table(job)
    assert found.equal
    assert (found.extra, found.extra_allowed, found.target_rows) == (2, True, 4)
    pair.there("UPDATE t SET n = 0 WHERE id = 2")
    assert named(compared_table(job)) == [("different", ("2",), ("n",))]


def test_types_that_are_wider_on_the_target_hold_the_same(pair: Pair) -> None:
    pair.here(
        "CREATE TABLE t (id INT PRIMARY KEY, d DECIMAL(10,2), f FLOAT, e ENUM('a','b'), j JSON, "
        "at DATETIME, u CHAR(3))",
        """INSERT INTO t VALUES (1, 1.50, 0.1, 'a', '{"a":1}', '2020-01-01', 'x')""",
        "INSERT INTO t VALUES (2, 100, 1, 'b', '1', '2021-01-01', '')",
    )
    pair.there(
        "CREATE TABLE t (id bigint PRIMARY KEY, d numeric(20,6), f double precision, e text, j jsonb, "
        "at timestamp, u text, twice int GENERATED ALWAYS AS (id * 2) STORED)"
    )
    job = pair.job({"tables": [{"name": "t"}]}, db={"schemaPolicy": "validate_existing"})
    run(job)
    found = compared_table(job)
    assert found.equal
    assert [one.column for one in found.skipped] == ["j"]
    pair.there("UPDATE t SET d = 1.500001, at = at + interval '1 microsecond' WHERE id = 1")
    assert named(compared_table(job)) == [("different", ("1",), ("d", "at"))]


def test_an_ending_ends_a_verification(pair: Pair) -> None:
    job = pair.moved(
        "CREATE TABLE t (w VARCHAR(20))", "INSERT INTO t SELECT CONCAT('w', seq) FROM seq_1_to_200000"
    ).model_copy(update={"verify_only": True})
    signals = Signals()
    signals.end_after(0.05, StreamState.STOPPED)
    outcome = oneshot.run(job, Silent(), signals)
    assert (outcome.state, outcome.error, outcome.comparison) == (StreamState.STOPPED, None, None)
