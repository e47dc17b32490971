"""What can happen to rows while they are followed, between real servers in both directions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cdc.pairs import Pair, pair_of
from tests.servers import MariaDb, Postgres, knows, wait_until
from tests.serving import Rowferry

ITEMS = (
    "CREATE TABLE item (id int PRIMARY KEY, word varchar(40) UNIQUE, n int)",
    "INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4)",
    "CREATE TABLE bare (word varchar(40), n int)",
    "INSERT INTO bare VALUES ('a', 1), ('a', 1), ('b', NULL), (NULL, NULL)",
)
WHOLE = "ALTER TABLE bare REPLICA IDENTITY FULL"


@pytest.fixture(params=["mariadb to postgresql", "postgresql to mariadb"])
def pair(request: pytest.FixtureRequest, rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> Iterator[Pair]:
    """A stream that follows two tables, one of which has no key."""
    ends = (logged, postgres) if request.param == "mariadb to postgresql" else (postgres, logged)
    with pair_of(rowferry, *ends) as made:
        made.begin(*ITEMS, *([WHOLE] if made.source is postgres else []))
        yield made


def test_rows_of_every_shape(pair: Pair) -> None:
    """Keys that change, swap and come back; unique values that swap; what was undone; rows without a key."""
    pair.run("UPDATE item SET id = 10 WHERE id = 1", "UPDATE item SET id = 1 WHERE id = 2")
    pair.together(*(f"UPDATE item SET id = {to} WHERE id = {at}" for at, to in ((3, -3), (4, 3), (-3, 4))))
    assert pair.arrives("item") == {(10, "a", 1): 1, (1, "b", 2): 1, (3, "d", 4): 1, (4, "c", 3): 1}
    pair.together(
        "UPDATE item SET word = 'x' WHERE id = 3",
        "UPDATE item SET word = 'd' WHERE id = 4",
        "UPDATE item SET word = 'c' WHERE id = 3",
    )
    assert pair.arrives("item")[3, "c", 4] == 1
    pair.together(
        "DELETE FROM item WHERE id = 3",
        "INSERT INTO item VALUES (3, 'again', 1)",
        "DELETE FROM item WHERE id = 3",
        "INSERT INTO item VALUES (3, 'once more', 2)",
    )
    pair.run("DELETE FROM item WHERE id = 4", "INSERT INTO item VALUES (4, 'c', NULL)")
    assert {(3, "once more", 2), (4, "c", None)} <= set(pair.arrives("item"))


def test_what_was_undone_did_not_happen(pair: Pair) -> None:
    before = pair.arrives("item", "bare")
    pair.run("BEGIN", "DELETE FROM bare", "UPDATE item SET n = 99", "ROLLBACK")
    pair.together(
        "INSERT INTO item VALUES (7, 'stays', 1)",
        "SAVEPOINT s",
        "UPDATE item SET word = 'goes' WHERE id = 7",
        "DELETE FROM bare",
        "ROLLBACK TO SAVEPOINT s",
        "INSERT INTO item VALUES (8, 'stays, too', 1)",
    )
    assert pair.arrives("item", "bare") == before
    assert {(7, "stays", 1), (8, "stays, too", 1)} <= set(pair.rows("item") or ())


def test_rows_without_a_key(pair: Pair) -> None:
    """Of rows that are the same, as many change as did at the source."""
    one = "ctid = (SELECT min(ctid) FROM bare WHERE word = 'a')" if isinstance(pair.source, Postgres) else "word = 'a'"
    limit = "" if isinstance(pair.source, Postgres) else " LIMIT 1"
    pair.run(f"UPDATE bare SET n = 2 WHERE {one}{limit}")
    assert pair.arrives("bare") == {("a", 1): 1, ("a", 2): 1, ("b", None): 1, (None, None): 1}
    pair.run("INSERT INTO bare VALUES (NULL, NULL), ('a', 2)", "UPDATE bare SET word = 'z' WHERE n IS NULL")
    pair.run("DELETE FROM bare WHERE n = 1")
    assert pair.arrives("bare") == {("a", 2): 2, ("z", None): 3}


def test_nothing_stays_open_at_the_source(pair: Pair) -> None:
    """A transaction left over from the load would keep the server from changing tables, or from removing rows."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
        if isinstance(pair.source, Postgres)
        else "SELECT COUNT(*) FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p"
        " ON p.ID = t.trx_mysql_thread_id WHERE p.DB = DATABASE() AND p.COMMAND = 'Sleep'"
    )
    pair.until(lambda: pair.run(query) == [(0,)], "no transaction open at the source")


def test_a_table_is_emptied(pair: Pair) -> None:
    pair.run("INSERT INTO item VALUES (5, 'e', 5)", "TRUNCATE TABLE item", "INSERT INTO item VALUES (1, 'a', 2)")
    pair.run("INSERT INTO bare VALUES ('x', 1)", "TRUNCATE TABLE bare")
    assert pair.arrives("bare", "item") == {(1, "a", 2): 1}
    assert pair.rows("bare") == []


@pytest.mark.timeout(300)
def test_a_large_transaction(pair: Pair) -> None:
    """It is one transaction on the target as well: nobody sees a part of it."""
    numbers = "generate_series(1001, 101000) AS t (i)" if isinstance(pair.source, Postgres) else "seq_1001_to_101000"
    column = "i" if isinstance(pair.source, Postgres) else "seq"
    pair.together(
        f"INSERT INTO item SELECT {column}, NULL, 0 FROM {numbers}",
        "UPDATE item SET n = n + 1 WHERE id > 1000",
        "DELETE FROM item WHERE id > 1000 AND id % 2 = 0",
    )
    seen: set[int] = set()

    def all_there() -> bool:
        seen.update(count for (count,) in pair.rows("item", "count(*)") or ())
        return 50_004 in seen

    pair.until(all_there, "the transaction")
    assert seen <= {4, 50_004}
    pair.arrives("item")


@pytest.mark.timeout(300)
def test_a_transaction_that_is_under_way(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> None:
    """It is applied as it comes, and nobody sees it; what others commit comes before it, and nothing may die of it."""
    with pair_of(rowferry, postgres, logged) as pair:
        pair.run(f"ALTER DATABASE {pair.here} SET logical_decoding_work_mem = '64kB'")
        pair.begin("CREATE TABLE t (id int PRIMARY KEY, word char(40))")

        def there() -> int:
            """Rows that were committed, and rows that were not."""
            everything = "SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED"
            ((rows,),) = logged.execute(everything, "SELECT count(*) FROM t", database=pair.there)
            assert isinstance(rows, int)
            return rows

        with postgres.connect(pair.here) as session:

            def insert(first: int) -> None:
                rows = f"SELECT n, 'word ' || n FROM generate_series({first}, {first + 59_999}) n"
                session.execute(f"BEGIN; INSERT INTO t {rows}".encode())

            insert(1)
            pair.until(lambda: there() >= 50_000, "rows that are not committed")
            assert pair.rows("t", "count(*)") == [(0,)]
            pair.caught_up()
            assert there() == 0
            session.execute("COMMIT")
            pair.until(lambda: pair.rows("t", "count(*)") == [(60_000,)], "the transaction")

            insert(60_001)
            pair.until(lambda: there() >= 110_000, "rows that are not committed")
            session.execute("ROLLBACK")
            pair.until(lambda: there() == 60_000, "the end of rows that were rolled back")

            insert(120_001)
            pair.until(lambda: there() >= 110_000, "rows that are not committed")
            rowferry.kill()
            rowferry.start()
            session.execute("COMMIT")
        assert pair.arrives("t").total() == 120_000


@pytest.mark.parametrize(
    ("wanted", "left"),
    [
        (["insert"], {(1, 1), (2, 2), (5, 5)}),
        (["update", "delete"], {(1, 9)}),
        (["insert", "update"], {(1, 9), (2, 2), (5, 6)}),
    ],
    ids=["insert", "update and delete", "insert and update"],
)
def test_only_some_kinds_are_wanted(
    rowferry: Rowferry, logged: MariaDb, postgres: Postgres, wanted: list[str], left: set[tuple[int, int]]
) -> None:
    for source, target in ((logged, postgres), (postgres, logged)):
        with pair_of(rowferry, source, target) as pair:
            pair.run("CREATE TABLE t (id int PRIMARY KEY, n int)", "INSERT INTO t VALUES (1, 1), (2, 2)")
            tables = [{"name": "t", "operations": wanted}, {"name": "mark"}]
            pair.begin(part={"tables": tables})
            pair.run("INSERT INTO t VALUES (5, 5)", "UPDATE t SET n = 9 WHERE id = 1", "DELETE FROM t WHERE id = 2")
            pair.run("UPDATE t SET n = 6 WHERE id = 5")
            pair.caught_up()
            assert set(pair.rows("t") or ()) == left


def test_the_limit_of_events_ends_it(rowferry: Rowferry, logged: MariaDb, postgres: Postgres) -> None:
    with pair_of(rowferry, logged, postgres) as pair:
        pair.begin("CREATE TABLE t (id int PRIMARY KEY)", limits={"numberOfEvents": 10})
        for first in range(1, 31, 6):
            pair.run(f"INSERT INTO t SELECT seq FROM seq_{first}_to_{first + 5}")
        stats = rowferry.wait(pair.stream)
        assert stats["status"] == "EVENT_LIMIT_REACHED"
        rows = pair.rows("t") or []
        assert len(rows) >= 9
        assert len(rows) % 6 == 0


def test_stopping_leaves_nothing_behind(pair: Pair) -> None:
    postgres = next(server for server in (pair.source, pair.target) if isinstance(server, Postgres))
    database = pair.here if pair.source is postgres else pair.there
    slots = "SELECT slot_name FROM pg_replication_slots WHERE database = current_database()"
    publications = "SELECT pubname FROM pg_publication"
    if pair.source is postgres:
        assert postgres.execute(slots, database=database)
        assert postgres.execute(publications, database=database)
    pair.stop()
    wait_until(lambda: not knows(pair.target, pair.there, pair.stream), what="the journal to go")
    wait_until(lambda: not postgres.execute(slots, database=database), what="the slot to go")
    wait_until(lambda: not postgres.execute(publications, database=database), what="the publication to go")
