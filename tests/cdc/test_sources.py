"""What each kind of source alone does: its images, identities and logs, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.cdc.conftest import LOGGED
from tests.cdc.pairs import PATIENCE, Pair, pair_of
from tests.servers import MariaDb, Postgres, mariadb_server, postgres_server, wait_until
from tests.serving import Rowferry


@pytest.fixture
def from_mariadb(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> Iterator[Pair]:
    with pair_of(rowferry, logged, postgres) as pair:
        yield pair


@pytest.fixture
def from_postgres(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> Iterator[Pair]:
    with pair_of(rowferry, postgres, logged) as pair:
        yield pair


@pytest.mark.parametrize("image", ["MINIMAL", "NOBLOB", "FULL"])
def test_images_of_rows(from_mariadb: Pair, image: str) -> None:
    """What an update does not tell has not changed."""
    pair = from_mariadb
    pair.begin(
        "CREATE TABLE t (id int PRIMARY KEY, word varchar(20) DEFAULT 'given', doc text, n int)",
        "INSERT INTO t VALUES (1, 'a', REPEAT('long ', 9000), 1), (2, 'b', 'short', 2)",
    )
    pair.run(
        f"SET SESSION binlog_row_image = {image}",
        "UPDATE t SET n = 5 WHERE id = 1",
        "INSERT INTO t (id, n) VALUES (3, 3)",
        "UPDATE t SET id = 4 WHERE id = 2",
        "UPDATE t SET word = NULL WHERE id = 4",
        "DELETE FROM t WHERE id = 3",
    )
    rows = pair.arrives("t")
    assert {(row[0], row[1], row[3]) for row in rows} == {(1, "a", 5), (4, None, 2)}


def test_rows_without_a_key_are_told_whole_even_so(from_mariadb: Pair) -> None:
    """A server that logs no more than it must logs all of a row that nothing else tells from others."""
    pair = from_mariadb
    pair.begin("CREATE TABLE bare (word varchar(20), n int)", "INSERT INTO bare VALUES ('a', 1), ('b', 1), ('b', 1)")
    pair.run("SET SESSION binlog_row_image = MINIMAL", "UPDATE bare SET n = 2 WHERE word = 'b' LIMIT 1")
    assert pair.arrives("bare") == {("a", 1): 1, ("b", 1): 1, ("b", 2): 1}


def test_statements_in_the_log_are_refused(from_mariadb: Pair) -> None:
    pair = from_mariadb
    pair.begin("CREATE TABLE t (id int PRIMARY KEY)")
    pair.run("INSERT INTO t VALUES (1)")
    pair.caught_up()
    pair.run("SET SESSION binlog_format = STATEMENT", "INSERT INTO t VALUES (2)")
    assert "binlog_format" in pair.fails()["error"]
    assert pair.rows("t") == [(1,)]


@pytest.mark.timeout(300)
def test_a_log_that_was_purged(rowferry: Rowferry, postgres: Postgres) -> None:
    with mariadb_server(*LOGGED) as server, pair_of(rowferry, server, postgres) as pair:
        pair.begin("CREATE TABLE t (id int PRIMARY KEY)")
        pair.pause()
        pair.run("INSERT INTO t VALUES (1)", "FLUSH BINARY LOGS")
        ((newest, *_),) = pair.run("SHOW MASTER STATUS")

        def purged() -> bool:
            pair.run(f"PURGE BINARY LOGS TO '{newest}'")
            return len(pair.run("SHOW BINARY LOGS")) == 1

        wait_until(purged, PATIENCE, "the log to be purged")
        pair.resume()
        assert "new stream" in pair.fails()["error"]
        assert pair.rows("t") == []


def test_what_foreign_keys_do_at_the_source_is_done_on_the_target(from_mariadb: Pair) -> None:
    """InnoDB logs the parent's row alone."""
    pair = from_mariadb
    pair.begin(
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (id int PRIMARY KEY, parent int,"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
        "CREATE TABLE pet (id int PRIMARY KEY, child int,"
        " FOREIGN KEY (child) REFERENCES child (id) ON DELETE SET NULL)",
        "INSERT INTO parent VALUES (1), (2), (3)",
        "INSERT INTO child VALUES (11, 1), (12, 1), (21, 2), (31, 3)",
        "INSERT INTO pet VALUES (111, 11), (211, 21)",
    )
    pair.run("DELETE FROM parent WHERE id = 1", "UPDATE parent SET id = 20 WHERE id = 2")
    assert pair.arrives("parent", "pet", "child") == {(21, 20): 1, (31, 3): 1}
    pair.together(
        "INSERT INTO parent VALUES (4)", "INSERT INTO child VALUES (41, 4)", "DELETE FROM parent WHERE id = 3"
    )
    assert pair.arrives("parent", "pet", "child") == {(21, 20): 1, (41, 4): 1}


def test_long_values_that_are_not_touched(from_postgres: Pair) -> None:
    """PostgreSQL does not log them; they stay."""
    pair = from_postgres
    long = "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) i)"
    pair.begin(
        "CREATE TABLE t (id int PRIMARY KEY, doc text, n int)",
        "ALTER TABLE t ALTER doc SET STORAGE EXTERNAL",
        f"INSERT INTO t VALUES (1, {long}, 1), (2, {long}, 2), (3, {long}, 3)",
    )
    pair.run("UPDATE t SET n = 10 WHERE id = 1", "UPDATE t SET id = 20 WHERE id = 2")
    pair.arrives("t")
    pair.together(
        "UPDATE t SET n = 30 WHERE id = 3",
        f"UPDATE t SET doc = {long} || 'end' WHERE id = 3",
        "UPDATE t SET n = 31 WHERE id = 3",
        f"INSERT INTO t VALUES (4, {long}, 4)",
        "UPDATE t SET n = 40 WHERE id = 4",
        "UPDATE t SET id = 5 WHERE id = 4",
    )
    rows = pair.arrives("t")
    assert {(row[0], len(row[1]), row[2]) for row in rows} == {
        (1, 32_000, 10), (20, 32_000, 2), (3, 32_003, 31), (5, 32_000, 40),
    }  # fmt: skip


IDENTITIES = {
    "DEFAULT": "CREATE TABLE t (id int PRIMARY KEY, other int NOT NULL, word varchar(20))",
    "FULL": "CREATE TABLE t (id int, other int, word varchar(20))",
    "USING INDEX t_other": "CREATE TABLE t (id int, other int NOT NULL, word varchar(20))",
}


@pytest.mark.parametrize("identity", IDENTITIES)
def test_identities_of_rows(from_postgres: Pair, identity: str) -> None:
    pair = from_postgres
    pair.begin(
        IDENTITIES[identity],
        "CREATE UNIQUE INDEX t_other ON t (other)",
        f"ALTER TABLE t REPLICA IDENTITY {identity}",
        "INSERT INTO t VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 3, NULL)",
    )
    pair.run(
        "UPDATE t SET word = 'z' WHERE id = 1",
        "UPDATE t SET other = 9, id = 9 WHERE id = 2",
        "DELETE FROM t WHERE id = 3",
    )
    assert pair.arrives("t") == {(1, 1, "z"): 1, (9, 9, "b"): 1}


def test_what_foreign_keys_do_during_the_copy(from_mariadb: Pair) -> None:
    """Nothing of it is in the log; so all is copied at one moment, and the target's own keys do it from there on."""
    pair = from_mariadb
    _begin_with_cascades(pair)
    number = 0

    def follows() -> bool:
        nonlocal number
        number += 2
        pair.run(f"DELETE FROM parent WHERE id = {number}", f"UPDATE parent SET id = -id WHERE id = {number + 1}")
        return pair.rowferry.stats(pair.stream)["lagSeconds"] is not None

    pair.until(follows, "the end of the copy")
    assert pair.arrives("parent", "child").total() < 200_000
    assert number > 2


def test_a_copy_at_one_moment_begins_anew_after_a_crash(from_mariadb: Pair) -> None:
    """What foreign keys did between the two moments is not in the log: rows of the first are taken back."""
    pair = from_mariadb
    _begin_with_cascades(pair)
    pair.rowferry.wait_for_rows(pair.stream, 10_000)
    pair.rowferry.kill()
    pair.run("DELETE FROM parent WHERE id < 1000", "UPDATE parent SET id = -id WHERE id > 1500")
    pair.rowferry.start()
    pair.until(lambda: pair.rowferry.stats(pair.stream)["lagSeconds"] is not None, "the end of the copy")
    log = pair.rowferry.client.get(f"/streams/{pair.stream}/logs").text
    assert "The copy begins anew" in log
    pair.run("DELETE FROM parent WHERE id = 1200")
    pair.arrives("parent", "child")
    parents = 2000 - 999
    assert parents * 101 < pair.rowferry.stats(pair.stream)["target"]["counter"] < parents * 101 + 10


def _begin_with_cascades(pair: Pair) -> None:
    pair.run(
        "CREATE TABLE mark (id int PRIMARY KEY)",
        "CREATE TABLE parent (id int PRIMARY KEY)",
        "CREATE TABLE child (id int PRIMARY KEY, parent int, word char(200),"
        " FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE)",
        "INSERT INTO parent SELECT seq FROM seq_1_to_2000",
        "INSERT INTO child SELECT seq, 1 + seq % 2000, 'x' FROM seq_1_to_200000",
    )
    pair.stream = pair.rowferry.begin(pair.configure(options={"dataBundleSize": 10}))


def test_a_long_transaction_that_is_rolled_back_in_part(from_mariadb: Pair) -> None:
    """What a table that cannot roll back keeps of it arrives, and nothing else."""
    pair = from_mariadb
    pair.begin(
        "CREATE TABLE t (id int PRIMARY KEY)", "CREATE TABLE kept (id int PRIMARY KEY) ENGINE=MyISAM",
        "INSERT INTO t VALUES (1)",
    )  # fmt: skip
    pair.run(
        "BEGIN", "INSERT INTO t SELECT seq FROM seq_2_to_60000", "INSERT INTO kept VALUES (1)",
        "INSERT INTO t SELECT seq FROM seq_60001_to_120000", "ROLLBACK",
    )  # fmt: skip
    assert pair.run("SELECT count(*) FROM t") == [(1,)]
    pair.run("INSERT INTO t VALUES (2)")
    assert pair.arrives("t", "kept") == {(1,): 1}
    assert pair.rows("t") == [(1,), (2,)]


def test_without_an_identity_a_table_is_refused(from_postgres: Pair) -> None:
    """And says so for every table, before anything is written."""
    pair = from_postgres
    pair.run(
        "CREATE TABLE bare (n int)",
        "CREATE TABLE nothing (id int PRIMARY KEY)",
        "ALTER TABLE nothing REPLICA IDENTITY NOTHING",
    )
    answer = rowferry_validates(pair)
    told = [finding["message"] for finding in answer["findings"] if finding["severity"] == "error"]
    assert not answer["ok"]
    for table in ("bare", "nothing"):
        assert [one for one in told if table in one and "REPLICA IDENTITY" in one]
    pair.stream = pair.rowferry.begin(pair.config)
    error = pair.fails()["error"]
    assert "bare" in error
    assert "nothing" in error
    assert pair.rows("bare") is None


def test_triggers_of_a_mariadb_target_are_told(from_postgres: Pair) -> None:
    """It has no way to let them rest."""
    pair = from_postgres
    pair.run("CREATE TABLE t (id int PRIMARY KEY, n int)")
    pair.target.execute(
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        "CREATE TRIGGER doubles BEFORE INSERT ON t FOR EACH ROW SET NEW.n = NEW.n * 2",
        database=pair.there,
    )
    answer = rowferry_validates(pair)
    assert answer["ok"]
    [told] = [finding for finding in answer["findings"] if "triggers" in finding["message"]]
    assert (told["severity"], told["table"]) == ("warning", f"{pair.there}.t")
    assert "(doubles)" in told["message"]


def rowferry_validates(pair: Pair) -> dict[str, Any]:
    """What a dry run says."""
    return pair.rowferry.post(f"/stream-configs/{pair.configure()}/validate")


def test_everything_that_a_postgresql_lacks_is_said(rowferry: Rowferry, logged: MariaDb) -> None:
    with postgres_server("max_replication_slots=0") as bare, pair_of(rowferry, bare, logged) as pair:
        pair.run("CREATE TABLE bare (n int)")
        answer = rowferry_validates(pair)
        told = " ".join(str(finding["message"]) for finding in answer["findings"])
    assert not answer["ok"]
    for lack in ("wal_level = 'logical'", "max_replication_slots", "REPLICA IDENTITY FULL"):
        assert lack in told


def test_everything_that_a_mariadb_lacks_is_said(rowferry: Rowferry, postgres: Postgres) -> None:
    options = ("--log-bin=log", "--server-id=7", "--binlog-format=MIXED", "--binlog-row-image=MINIMAL")
    with mariadb_server(*options) as bare, pair_of(rowferry, bare, postgres) as pair:
        pair.run("CREATE TABLE bare (n int)")
        answer = rowferry_validates(pair)
        told = " ".join(str(finding["message"]) for finding in answer["findings"])
    assert not answer["ok"]
    for lack in ("SET GLOBAL binlog_format = 'ROW'", "SET GLOBAL binlog_row_image = 'FULL'"):
        assert lack in told


def test_a_mariadb_without_a_log_is_refused(rowferry: Rowferry, mariadb: MariaDb, postgres: Postgres) -> None:
    with pair_of(rowferry, mariadb, postgres) as pair:
        pair.run("CREATE TABLE t (id int PRIMARY KEY)")
        answer = rowferry_validates(pair)
        assert [finding for finding in answer["findings"] if "log_bin" in finding["message"]]
        pair.stream = rowferry.begin(pair.config)
        assert "log_bin" in pair.fails()["error"]
        assert pair.rows("t") is None


def test_a_slot_that_was_dropped(from_postgres: Pair) -> None:
    pair = from_postgres
    pair.begin("CREATE TABLE t (id int PRIMARY KEY)")
    pair.pause()
    slots = "FROM pg_replication_slots WHERE database = current_database()"
    wait_until(lambda: pair.run(f"SELECT count(*) {slots} AND NOT active") == [(1,)], PATIENCE, "the slot at rest")
    pair.run(f"SELECT pg_drop_replication_slot(slot_name) {slots}", "INSERT INTO t VALUES (1)")
    pair.resume()
    assert "new stream" in pair.fails()["error"]
    assert pair.rows("t") == []


def test_a_table_where_nothing_happens_holds_nothing_back(from_postgres: Pair) -> None:
    pair = from_postgres
    pair.begin("CREATE TABLE t (id int PRIMARY KEY)")
    pair.run("CREATE TABLE other (n int)", "INSERT INTO other SELECT generate_series(1, 50000)")
    ((end,),) = pair.run("SELECT pg_current_wal_lsn()")
    passed = f"SELECT confirmed_flush_lsn >= '{end}' FROM pg_replication_slots WHERE database = current_database()"
    pair.until(lambda: pair.run(passed) == [(True,)], "the slot to let go")
