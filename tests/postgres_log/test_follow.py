"""What happens at the source comes out of the log: rows, their identity, transactions, truncations."""

from __future__ import annotations

import pytest

from rowferry.connectors.changes import BatchSize
from rowferry.model.changes import Truncated
from rowferry.model.tables import TableName
from tests.postgres_log.conftest import Follower, Log, changed, following

LONG = "string_agg(md5(n::text), '') FROM generate_series(1, 400) n"
"""Longer than a page after compression, so that it is kept beside the row."""


def test_changes_come_in_their_order(log: Log) -> None:
    log.run("CREATE TABLE a (n int PRIMARY KEY, v text)", "CREATE TABLE b (n int PRIMARY KEY, v text)")
    follower = following(log, "a", "b")
    log.run(
        "INSERT INTO a VALUES (1, 'x'), (2, NULL)",
        "INSERT INTO b VALUES (7, '')",
        "UPDATE a SET v = 'y' WHERE n = 1",
        "UPDATE a SET n = 3 WHERE n = 2",
        "DELETE FROM a WHERE n = 1",
        "INSERT INTO a VALUES (1, 'again')",
    )
    assert follower.rows() == [
        ("a", "insert", None, {"n": 1, "v": "x"}),
        ("a", "insert", None, {"n": 2, "v": None}),
        ("b", "insert", None, {"n": 7, "v": ""}),
        ("a", "update", {"n": 1}, {"n": 1, "v": "y"}),
        ("a", "update", {"n": 2}, {"n": 3, "v": None}),
        ("a", "delete", {"n": 1}, None),
        ("a", "insert", None, {"n": 1, "v": "again"}),
    ]


def test_one_transaction_swaps_keys(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, v text)")
    log.run("ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    follower = following(log, "t")
    log.run("UPDATE t SET n = 3 - n")
    assert follower.rows() == [
        ("t", "update", {"n": 1}, {"n": 2, "v": "a"}),
        ("t", "update", {"n": 2}, {"n": 1, "v": "b"}),
    ]


@pytest.mark.parametrize(
    ("declared", "identity"),
    [
        ("n int PRIMARY KEY, m int NOT NULL", "DEFAULT"),
        ("n int PRIMARY KEY, m int NOT NULL", "FULL"),
        ("n int NOT NULL UNIQUE, m int NOT NULL", "USING INDEX t_n_key"),
        ("n int PRIMARY KEY, m int NOT NULL, UNIQUE (m, n)", "USING INDEX t_m_n_key"),
    ],
)
def test_identities(log: Log, declared: str, identity: str) -> None:
    log.run(f"CREATE TABLE t ({declared}, v text)", f"ALTER TABLE t REPLICA IDENTITY {identity}")
    follower = following(log, "t")
    log.run(
        "INSERT INTO t VALUES (1, 10, 'a')",
        "UPDATE t SET v = 'b'",
        "UPDATE t SET n = 2",
        "UPDATE t SET m = 11",
        "DELETE FROM t",
    )
    assert follower.rows() == [
        ("t", "insert", None, {"n": 1, "m": 10, "v": "a"}),
        ("t", "update", {"n": 1}, {"n": 1, "m": 10, "v": "b"}),
        ("t", "update", {"n": 1}, {"n": 2, "m": 10, "v": "b"}),
        ("t", "update", {"n": 2}, {"n": 2, "m": 11, "v": "b"}),
        ("t", "delete", {"n": 2}, None),
    ]


def test_a_table_without_a_key_tells_whole_rows(log: Log) -> None:
    log.run("CREATE TABLE t (n int, v text)", "ALTER TABLE t REPLICA IDENTITY FULL")
    follower = following(log, "t")
    log.run("INSERT INTO t VALUES (1, NULL)", "UPDATE t SET v = 'b'", "UPDATE t SET v = 'b'", "DELETE FROM t")
    assert follower.rows() == [
        ("t", "insert", None, {"n": 1, "v": None}),
        ("t", "update", {"n": 1, "v": None}, {"n": 1, "v": "b"}),
        ("t", "update", {"n": 1, "v": "b"}, {"n": 1, "v": "b"}),
        ("t", "delete", {"n": 1, "v": "b"}, None),
    ]


def test_a_long_value_that_is_not_touched_is_not_known(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, a text, b text, v int)")
    log.run(f"INSERT INTO t SELECT 1, {LONG}", f"UPDATE t SET b = (SELECT {LONG}), v = 0")
    [(long,)] = log.run("SELECT a FROM t")
    follower = following(log, "t")
    log.run("UPDATE t SET v = 1", "UPDATE t SET a = 'short'", "UPDATE t SET b = NULL", "INSERT INTO t VALUES (2)")
    log.run("UPDATE t SET n = 3 WHERE n = 1", f"UPDATE t SET b = (SELECT {LONG}) WHERE n = 3")
    assert follower.rows() == [
        ("t", "update", {"n": 1}, {"n": 1, "v": 1}),
        ("t", "update", {"n": 1}, {"n": 1, "a": "short", "v": 1}),
        ("t", "update", {"n": 1}, {"n": 1, "a": "short", "b": None, "v": 1}),
        ("t", "insert", None, {"n": 2, "a": None, "b": None, "v": None}),
        ("t", "update", {"n": 1}, {"n": 3, "a": "short", "b": None, "v": 1}),
        ("t", "update", {"n": 3}, {"n": 3, "a": "short", "b": long, "v": 1}),
    ]


def test_a_long_value_is_known_from_the_old_row(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, a text, v int)", f"INSERT INTO t SELECT 1, {LONG}")
    log.run("ALTER TABLE t REPLICA IDENTITY FULL")
    [(long,)] = log.run("SELECT a FROM t")
    follower = following(log, "t")
    log.run("UPDATE t SET v = 1")
    assert follower.rows() == [("t", "update", {"n": 1}, {"n": 1, "a": long, "v": 1})]


def test_a_long_key_that_is_not_touched(log: Log) -> None:
    log.run("CREATE TABLE t (a text PRIMARY KEY, b text, v int)", "ALTER TABLE t ALTER a SET STORAGE EXTERNAL")
    log.run("INSERT INTO t SELECT repeat('k', 2500)")
    follower = following(log, "t")
    log.run("UPDATE t SET v = 1")
    assert follower.rows() == [("t", "update", {"a": "k" * 2500}, {"a": "k" * 2500, "b": None, "v": 1})]


def test_what_was_rolled_back_did_not_happen(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    with log.server.connect(log.database) as session:
        with session.transaction(force_rollback=True):
            session.execute("INSERT INTO t VALUES (1)")
        with session.transaction():
            session.execute("INSERT INTO t VALUES (2)")
            with session.transaction(force_rollback=True):
                session.execute("INSERT INTO t VALUES (3)")
            with session.transaction():
                session.execute("INSERT INTO t VALUES (4)")
    assert [after["n"] for _, _, _, after in follower.rows() if after] == [2, 4]


def test_transactions_come_as_they_commit(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    with log.server.connect(log.database) as first, log.server.connect(log.database) as second, first.transaction():
        first.execute("INSERT INTO t VALUES (1)")
        with second.transaction():
            second.execute("INSERT INTO t VALUES (2)")
        first.execute("INSERT INTO t VALUES (3)")
    assert [after["n"] for _, _, _, after in follower.rows() if after] == [2, 1, 3]


def test_truncate(log: Log) -> None:
    log.run("CREATE TABLE a (n serial PRIMARY KEY)", "CREATE TABLE b (n int PRIMARY KEY REFERENCES a)")
    log.run("CREATE TABLE other (n int PRIMARY KEY REFERENCES a)")
    follower = following(log, "a", "b")
    log.run("INSERT INTO a VALUES (1)", "TRUNCATE a RESTART IDENTITY CASCADE", "INSERT INTO a VALUES (2)", "TRUNCATE b")
    batches = follower.to_the_end()
    told = [batch.event or changed([batch]) for batch in batches if batch.event or batch.rows]
    a, b = TableName("public", "a"), TableName("public", "b")
    assert told == [
        [("a", "insert", None, {"n": 1})],
        Truncated((a, b), restart=True),
        [("a", "insert", None, {"n": 2})],
        Truncated((b,)),
    ]
    assert all(batch.position is None for batch in batches if batch.event)


def test_generated_columns_are_left_to_the_target(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, twice int GENERATED ALWAYS AS (2 * n) STORED, v text)")
    follower = following(log, "t")
    log.run("INSERT INTO t VALUES (1, DEFAULT, 'a')", "UPDATE t SET n = 2", "DELETE FROM t")
    assert follower.rows() == [
        ("t", "insert", None, {"n": 1, "twice": None, "v": "a"}),
        ("t", "update", {"n": 1}, {"n": 2, "twice": None, "v": "a"}),
        ("t", "delete", {"n": 2}, None),
    ]


def test_partitions_are_parts_of_their_table(log: Log) -> None:
    log.run(
        "CREATE TABLE t (n int PRIMARY KEY, v text) PARTITION BY RANGE (n)",
        "CREATE TABLE t1 (v text, n int NOT NULL)",
        "ALTER TABLE t ATTACH PARTITION t1 FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
    )
    follower = following(log, "t")
    log.run("INSERT INTO t VALUES (1, 'a'), (11, 'b')", "UPDATE t SET n = 12 WHERE n = 1", "TRUNCATE t")
    batches = follower.to_the_end()
    assert changed(batches) == [
        ("t", "insert", None, {"n": 1, "v": "a"}),
        ("t", "insert", None, {"n": 11, "v": "b"}),
        ("t", "delete", {"n": 1}, None),
        ("t", "insert", None, {"n": 12, "v": "a"}),
    ]
    assert [batch.event for batch in batches if batch.event] == [Truncated((TableName("public", "t"),))]


def test_tables_that_inherit_are_tables_of_their_own(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)", "CREATE TABLE child (PRIMARY KEY (n)) INHERITS (t)")
    follower = following(log, "t")
    log.run("INSERT INTO child VALUES (1)", "INSERT INTO t VALUES (2)")
    assert follower.rows() == [("t", "insert", None, {"n": 2})]


def test_a_strange_name(log: Log) -> None:
    log.run(
        'CREATE SCHEMA "My.Schema"', """CREATE TABLE "My.Schema"."o'Ta""ble é" ("Ä b" int PRIMARY KEY, "c'" text)"""
    )
    follower = following(log, """My.Schema.o'Ta"ble é""", stream="Ä stream/with 'strange' signs " + "x" * 80)
    log.run("""INSERT INTO "My.Schema"."o'Ta""ble é" VALUES (1, 'x')""")
    assert follower.rows() == [("""o'Ta"ble é""", "insert", None, {"Ä b": 1, "c'": "x"})]


def test_a_large_transaction_comes_in_pieces(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)")
    follower = following(log, "t")
    follower.size = BatchSize(changes=1000, seconds=60)
    log.run("INSERT INTO t SELECT n, repeat('x', 100) FROM generate_series(1, 10500) n", "INSERT INTO t VALUES (0)")
    batches = follower.to_the_end()
    sizes = [batch.changes for batch in batches if batch.changes]
    assert sizes[:10] == [1000] * 10
    assert sum(sizes) == 10501
    assert all(batch.position is None for batch in batches[:10])
    assert [after["n"] for _, _, _, after in changed(batches) if after] == [*range(1, 10501), 0]
    assert all(batch.committed_at is not None and batch.size > 100 * batch.changes for batch in batches[:10])


def test_bytes_bound_a_batch(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)")
    follower = following(log, "t")
    follower.size = BatchSize(size=100_000)
    log.run("INSERT INTO t SELECT n, repeat('x', 10000) FROM generate_series(1, 100) n")
    batches = [batch for batch in follower.to_the_end() if batch.changes]
    assert max(batch.size for batch in batches) < 100_000 + 10_100
    assert len(batches) >= 10


def test_many_transactions_share_a_batch(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    log.run(*(f"INSERT INTO t VALUES ({n})" for n in range(200)))
    batches = [batch for batch in follower.to_the_end() if batch.changes]
    assert sum(batch.changes for batch in batches) == 200
    assert len(batches) < 20
    assert all(batch.position is not None for batch in batches)


def test_each_position_is_one_to_go_on_from(log: Log) -> None:
    log.run("CREATE TABLE t (n int PRIMARY KEY)")
    follower = following(log, "t")
    follower.size = BatchSize(changes=22)
    for n in range(0, 100, 5):
        log.run(f"INSERT INTO t SELECT generate_series({n}, {n + 4})")
    batches = [batch for batch in follower.to_the_end() if batch.changes]
    assert all(batch.position for batch in batches)
    seen = 0
    for batch in batches:
        seen += batch.changes
        again = Follower(log, log.changes(), follower.tables, batch.position or "")
        assert [after["n"] for _, _, _, after in again.rows() if after] == list(range(seen, 100))


def test_only_what_is_wanted_is_told(log: Log) -> None:
    log.run("CREATE TABLE t (n int)", "CREATE TABLE other (n int PRIMARY KEY)")
    follower = following(log, "t", operations=["insert"])
    log.run("INSERT INTO t VALUES (1)", "UPDATE t SET n = 2", "INSERT INTO other VALUES (1)", "DELETE FROM t")
    assert follower.rows() == [("t", "insert", None, {"n": 1})]


def test_on_postgres_18(log18: Log) -> None:
    log = log18
    log.run(
        "CREATE TABLE t (n int PRIMARY KEY, twice int GENERATED ALWAYS AS (2 * n) STORED,"
        " thrice int GENERATED ALWAYS AS (3 * n) VIRTUAL, v text)"
    )
    follower = following(log, "t")
    log.run("INSERT INTO t VALUES (1, DEFAULT, DEFAULT, 'a')", "UPDATE t SET n = 2", "TRUNCATE t", "DROP TABLE t")
    batches = follower.to_the_end()
    assert changed(batches) == [
        ("t", "insert", None, {"n": 1, "twice": 2, "thrice": None, "v": "a"}),
        ("t", "update", {"n": 1}, {"n": 2, "twice": 4, "thrice": None, "v": "a"}),
    ]
    assert [batch.event for batch in batches if batch.event] == [Truncated((TableName("public", "t"),))]
