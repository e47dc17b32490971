"""Following a log: a million inserts in one statement, and many transactions of one row each, from commit to commit.

Beside it Debezium's engine reads the same inserts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from statistics import quantiles

from bench import debezium
from bench.ferry import Ferry, ferry
from bench.ground import Ground
from bench.servers import MARIADB_OPTIONS, POSTGRES_OPTIONS, Servers
from bench.timing import Series, Target, Verdict
from tests.servers import MariaDb, Postgres, mariadb_server, postgres_server, wait_until

MOST = 1_000_000
"""Rows that are inserted in one statement, as long as the benchmark has so many."""

CLIENTS = 8
TRANSACTIONS = 240_000
"""Transactions of one row that wait for a stream to be resumed, where the rows are as many as that."""

RATE = 12_500
SECONDS = 10
"""How many such transactions a second the clients commit to a stream that follows, and how long."""

PATIENCE = 900
"""Seconds that inserts are given to arrive."""

STEP = 0.02
"""Seconds between two calls of a client that keeps to a rate."""

STRIKE = (
    "CREATE PROCEDURE strike(first int, times int) BEGIN DECLARE n int DEFAULT 0; WHILE n < times DO "
    "UPDATE products SET price = price + 1 WHERE id = 1 + (first + n * 8) % 8000; SET n = n + 1; END WHILE; END"
)
"""Commits as many updates of one row each, with no client's own speed in it."""

LOGGED = (
    *MARIADB_OPTIONS,
    "--innodb-flush-log-at-trx-commit=2",
    "--log-bin=log",
    "--server-id=1",
    "--binlog-format=ROW",
)
COLUMNS = "id bigint PRIMARY KEY, name varchar(80), price decimal(10,2), weight double precision"
MARIADB_TABLE = f"CREATE TABLE products ({COLUMNS}, created datetime)"
POSTGRES_TABLE = f"CREATE TABLE products ({COLUMNS}, created timestamp)"
MARIADB_INSERTS = (
    "INSERT INTO products SELECT seq, CONCAT('product number ', seq), seq / 100, seq / 3, "
    "'2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_{rows}"
)
POSTGRES_INSERTS = (
    "INSERT INTO products SELECT n, 'product number ' || n, n / 100.0, n / 3.0, "
    "'2020-01-01'::timestamp + n * interval '1 second' FROM generate_series(1, {rows}) n"
)


def measure(ground: Ground) -> None:
    """On servers of its own, since the others keep no log; Debezium's engine reads when Rowferry's is gone."""
    options = (*POSTGRES_OPTIONS, "wal_level=logical")
    with mariadb_server(*LOGGED) as mariadb, postgres_server(*options) as postgres:
        both = Servers(mariadb, postgres)
        place = ground.folder / "follow"
        place.mkdir()
        with ferry(both, place) as ours:
            from_mariadb = _to_postgres(ground, ours, mariadb, postgres)
            _to_mariadb(ground, ours, mariadb, postgres)
            from_postgres = _between_postgres(ground, ours, postgres)
        rows = min(MOST, ground.rows)
        source = debezium.Source("PostgreSQL", postgres, POSTGRES_TABLE, POSTGRES_INSERTS)
        debezium.beside(ground, source, rows, from_postgres)
    with mariadb_server(*LOGGED, *debezium.DISGUISE) as mariadb:
        source = debezium.Source("MariaDB", mariadb, MARIADB_TABLE, MARIADB_INSERTS)
        debezium.beside(ground, source, rows, from_mariadb)
    if not ground.no_debezium:
        ground.results.notes.append(debezium.DISGUISED)


def _to_postgres(ground: Ground, ours: Ferry, mariadb: MariaDb, postgres: Postgres) -> float:
    """Seconds that the inserts take."""
    rows = min(MOST, ground.rows)
    clock = ("CREATE TABLE mark (id int PRIMARY KEY, at double)", "INSERT INTO mark VALUES (1, 0)")
    mariadb.execute("CREATE DATABASE shop")
    mariadb.execute(MARIADB_TABLE, *clock, STRIKE, database="shop")
    postgres.execute("CREATE DATABASE shop")
    with followed(ours, "mariadb", "postgres") as stream:
        seconds = inserted(
            lambda: mariadb.execute(MARIADB_INSERTS.format(rows=rows), database="shop"),
            lambda: postgres.execute("SELECT count(*) FROM products", database="shop") == [(rows,)],
        )
        _rate(ground, "MariaDB to PostgreSQL, inserts", seconds, 200_000)
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
        _catch_up(ground, ours, stream, mariadb, postgres)
        _behind(ground, mariadb, postgres)
        mariadb.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    return seconds


def _to_mariadb(ground: Ground, ours: Ferry, mariadb: MariaDb, postgres: Postgres) -> None:
    rows = min(MOST, ground.rows)
    postgres.execute("CREATE DATABASE back")
    postgres.execute(POSTGRES_TABLE, database="back")
    mariadb.execute("CREATE DATABASE back")
    with followed(ours, "postgres", "mariadb", "back"):
        seconds = inserted(
            lambda: postgres.execute(POSTGRES_INSERTS.format(rows=rows), database="back"),
            lambda: mariadb.execute("SELECT count(*) FROM products", database="back") == [(rows,)],
        )
        _rate(ground, "PostgreSQL to MariaDB, inserts", seconds, 80_000)


def _between_postgres(ground: Ground, ours: Ferry, postgres: Postgres) -> float:
    """Seconds that the inserts take into another database of the same server."""
    rows = min(MOST, ground.rows)
    postgres.execute("CREATE DATABASE here", "CREATE DATABASE there")
    postgres.execute(POSTGRES_TABLE, database="here")
    with followed(ours, "postgres", "postgres", "here", "there"):
        seconds = inserted(
            lambda: postgres.execute(POSTGRES_INSERTS.format(rows=rows), database="here"),
            lambda: postgres.execute("SELECT count(*) FROM products", database="there") == [(rows,)],
        )
    what = f"Rowferry follows PostgreSQL to PostgreSQL, inserts: {rows:,} rows in one transaction"
    ground.results.figures[what] = Series((seconds,))
    return seconds


@contextmanager
def followed(ours: Ferry, source: str, target: str, database: str = "shop", into: str = "") -> Iterator[str]:
    """A stream that has caught up; its ID. It goes into a database of the same name, or `into` another one."""
    document = {
        "name": f"bench {source} to {target}", "mode": "cdc",
        "source": {"connections": [{"connectionId": ours.connections[source], "database": database}]},
        "target": {"id": ours.connections[target], "spec": {"db": {"database": into or database, "schema": "public"}}},
    }  # fmt: skip
    if target == "mariadb":
        document["target"]["spec"]["db"].pop("schema")  # type: ignore[index]
    stream = ours.server.start_stream(ours.server.create("stream-configs", document))
    wait_until(lambda: _lag(ours, stream) is not None, 60, "a stream that follows")
    try:
        yield stream
    finally:
        ours.server.call("POST", f"/streams/{stream}/stop")


def _lag(ours: Ferry, stream: str) -> float | None:
    stats = ours.server.stats(stream)
    if stats["status"] not in ("READY", "RUNNING"):
        raise RuntimeError(f"the stream ended as {stats['status']}: {stats['error']}")
    found: float | None = stats["lagSeconds"]
    return found


def inserted(insert: Callable[[], object], arrived: Callable[[], bool]) -> float:
    """Seconds from the source's commit until the target has committed all."""
    insert()
    began = time.perf_counter()
    wait_until(arrived, PATIENCE, "all rows on the target")
    return time.perf_counter() - began


def _rate(ground: Ground, what: str, seconds: float, least: int) -> None:
    rows = min(MOST, ground.rows)
    ground.results.figures[f"Rowferry follows {what}: {rows:,} rows in one transaction"] = Series((seconds,))
    how = "rows / seconds between the commit at the source and the one on the target"
    ground.results.verdicts.append(
        Verdict(f"followed, {what}", rows / seconds, Target(least, " rows/s", least=True), how)
    )


def _catch_up(ground: Ground, ours: Ferry, stream: str, mariadb: MariaDb, postgres: Postgres) -> None:
    """Transactions of one row each that waited for a paused stream: how fast it takes them.

    So the clients' own speed bounds nothing; the start of a worker is in the time.
    """
    count = TRANSACTIONS * min(MOST, ground.rows) // MOST
    ours.server.call("POST", f"/streams/{stream}/pause")
    with ThreadPoolExecutor(CLIENTS) as team:
        for done in [team.submit(_strike, mariadb, number, count // CLIENTS) for number in range(CLIENTS)]:
            done.result()
    total = "SELECT sum(price) FROM products WHERE id <= 8000"
    wanted = mariadb.execute(total, database="shop")
    began = time.perf_counter()
    ours.server.call("POST", f"/streams/{stream}/resume")
    wait_until(lambda: postgres.execute(total, database="shop") == wanted, 120, "all updates on the target")
    seconds = time.perf_counter() - began
    how = f"{count:,} updates of {CLIENTS} clients, from the stream's resume until the target has all"
    target = Target(25_000, " rows/s", least=True)
    ground.results.verdicts.append(Verdict("followed, transactions of one row", count / seconds, target, how))


def _strike(mariadb: MariaDb, number: int, times: int) -> None:
    mariadb.execute(f"CALL strike({number}, {times})", database="shop")


def _behind(ground: Ground, mariadb: MariaDb, postgres: Postgres) -> None:
    """How far the target is behind while clients commit: the age of the source's clock, as the target has it."""
    seconds = SECONDS * min(MOST, ground.rows) / MOST
    with ThreadPoolExecutor(CLIENTS + 1) as team:
        clients = [team.submit(_client, mariadb, number, seconds) for number in range(CLIENTS)]
        clock = team.submit(_clock, mariadb, clients)
        ages = _ages(postgres, clock)
        done = sum(client.result() for client in clients)
    results = ground.results
    results.figures[f"… {done / seconds:,.0f} a second, how far behind, 50th percentile"] = Series(
        (quantiles(ages, n=100)[49],)
    )
    how = f"{CLIENTS} clients commit {done / seconds:,.0f} updates a second; age of a clock that is followed, too"
    target = Target(0.5, " s")
    verdict = Verdict("followed, 99th percentile of how far behind", quantiles(ages, n=100)[98], target, how)
    results.verdicts.append(verdict)


def _client(mariadb: MariaDb, number: int, seconds: float) -> int:
    """Commit changes of one row each, as many a second as are this client's part; how many they were."""
    done = 0
    with mariadb.connect("shop") as session, session.cursor() as cursor:
        began = time.perf_counter()
        while (now := time.perf_counter() - began) < seconds:
            due = int(now * RATE / CLIENTS) - done
            cursor.execute(f"CALL strike({number + done * 8}, {due})")
            done += due
            time.sleep(STEP)
    return done


def _clock(mariadb: MariaDb, clients: list[Future[int]]) -> None:
    with mariadb.connect("shop") as session, session.cursor() as cursor:
        while not all(client.done() for client in clients):
            cursor.execute(f"UPDATE mark SET at = {time.time()!r}")
            time.sleep(STEP)


def _ages(postgres: Postgres, clock: Future[None]) -> list[float]:
    """How old the clock is on the target, again and again until it stops."""
    ages: list[float] = []
    with postgres.connect("shop") as session:
        while not clock.done() or len(ages) < 2:
            row = session.execute("SELECT at FROM mark").fetchone()
            if row is not None and row[0]:
                ages.append(time.time() - row[0])
            time.sleep(STEP)
    return ages
