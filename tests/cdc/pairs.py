"""A source and a target with a followed stream between them, as a test sees them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pymysql

from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import ENDED, Rowferry

PATIENCE = 120.0
"""Seconds within which a change arrives, on a machine that has much else to do."""

Server = MariaDb | Postgres


@dataclass
class Pair:
    """Two servers, a fresh database on each."""

    rowferry: Rowferry
    source: Server
    target: Server
    here: str
    there: str
    config: str = ""
    stream: str = ""
    marks: int = 0
    more: dict[str, Any] = field(default_factory=dict)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements at the source, each of which commits; the rows of the last one."""
        return self.source.execute(*statements, database=self.here)

    def together(self, *statements: str) -> None:
        """Run statements at the source in one transaction."""
        self.run("BEGIN", *statements, "COMMIT")

    def configure(self, **more: Any) -> str:
        """A config of a stream between the two; `options`: of its source."""
        source = {"options": more.pop("options")} if "options" in more else {}
        self.config = self.rowferry.configure(
            connection_to(self.rowferry, self.source), self.here, connection_to(self.rowferry, self.target),
            {"db": {"database": self.there, **more.pop("spec", {})}}, mode="cdc", source=source, **more,
        )  # fmt: skip
        return self.config

    def begin(self, *tables: str, **more: Any) -> None:
        """Make the tables, start a stream, and wait until it follows."""
        self.run("CREATE TABLE mark (id int PRIMARY KEY)", *tables)
        self.stream = self.rowferry.begin(self.configure(**more))
        self.until(lambda: self.rowferry.stats(self.stream)["lagSeconds"] is not None, "the end of the copy")
        self.caught_up()

    def caught_up(self) -> None:
        """Return once everything that was written before has arrived."""
        self.marks += 1
        self.run(f"INSERT INTO mark VALUES ({self.marks})")
        self.until(lambda: (self.marks,) in (self.rows("mark", "id") or ()), "changes")

    def arrives(self, *tables: str, columns: str = "*") -> Counter[tuple[Any, ...]]:
        """Everything that was written before has arrived as it is; the rows of the last table."""
        self.caught_up()
        found: Counter[tuple[Any, ...]] = Counter()
        for table in tables:
            query = f"SELECT {columns} FROM {table}"
            found = Counter(self.run(query))
            assert Counter(self.target.execute(query, database=self.there)) == found, table
        return found

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]] | None:
        """What the target has; None where there is no such table."""
        with contextlib.suppress(psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError):
            return sorted(self.target.execute(f"SELECT {columns} FROM {table}", database=self.there), key=repr)
        return None

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait, but not for a stream that has ended."""

        def come() -> bool:
            if condition():
                return True
            stats = self.rowferry.stats(self.stream)
            assert stats["status"] not in ENDED, f"waiting for {what}: {stats['status']} {stats['error']}"
            return False

        wait_until(come, PATIENCE, what)

    def fails(self) -> dict[str, Any]:
        """The error that the stream ends by."""
        stats = self.rowferry.wait(self.stream, seconds=PATIENCE)
        assert stats["status"] == "FAILED"
        error: dict[str, Any] = stats["error"]
        return error

    def pause(self) -> None:
        self.rowferry.post(f"/streams/{self.stream}/pause")

    def resume(self) -> None:
        self.rowferry.post(f"/streams/{self.stream}/resume")

    def stop(self) -> None:
        """End the stream if there is one."""
        if self.stream and self.rowferry.stats(self.stream)["status"] not in ENDED - {"FAILED"}:
            self.rowferry.post(f"/streams/{self.stream}/stop")


@contextlib.contextmanager
def pair_of(rowferry: Rowferry, source: Server, target: Server) -> Iterator[Pair]:
    """Fresh databases; the stream is stopped in the end."""
    pair = Pair(rowferry, source, target, source.new_database(), target.new_database())
    yield pair
    pair.stop()


def connection_to(rowferry: Rowferry, server: Server) -> str:
    """A connection to that server; its id."""
    return rowferry.connect_mariadb(server) if isinstance(server, MariaDb) else rowferry.connect_postgres(server)
