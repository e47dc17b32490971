"""Programs that write into a source: each row goes through known steps, so that a change too many or too few shows."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Any

import psycopg
import pymysql

from tests.servers import MariaDb, Postgres

STEPS = (1, 2, 3, 4, 5, 6, 7, 8)
"""What a counter goes through; it begins at 1, at 5 it is deleted, at 6 it comes anew."""

STOCK = "stock"
COMPARED = ("id, step FROM counter", "id, step FROM audit", "word, owner, n FROM loose", "id, place, n FROM seat",
            "id, n FROM bulk", "id, n FROM stock")  # fmt: skip
"""All that is written into; audit and loose have no key."""

TABLES = (
    "CREATE TABLE counter (id bigint PRIMARY KEY, step int NOT NULL)",
    "CREATE TABLE audit (id bigint NOT NULL, step int NOT NULL)",
    "CREATE TABLE loose (word varchar(20), owner int NOT NULL, n int)",
    "CREATE TABLE seat (id int PRIMARY KEY, place int UNIQUE, n int NOT NULL)",
    "CREATE TABLE bulk (id bigint PRIMARY KEY, n int NOT NULL)",
    "CREATE TABLE stock (id int PRIMARY KEY, n int NOT NULL, word varchar(60))",
    "CREATE TABLE mark (id int PRIMARY KEY)",
)
SEATS = 10
"""Of each client."""

LOST = (psycopg.OperationalError, psycopg.InterfaceError, pymysql.err.OperationalError, pymysql.err.InterfaceError,
        pymysql.err.InternalError, ConnectionError)  # fmt: skip
"""What a client meets when its server goes away, or picks it to end a deadlock."""

Cursor = Any
Server = MariaDb | Postgres


def make_tables(server: Server, database: str, stock: int, clients: int) -> None:
    """The tables, with the rows that are there before anybody follows them."""
    numbers = _numbers(server)
    server.execute(
        *TABLES,
        *(["ALTER TABLE audit REPLICA IDENTITY FULL", "ALTER TABLE loose REPLICA IDENTITY FULL"]
          if isinstance(server, Postgres) else []),
        f"INSERT INTO stock SELECT i, 0, CONCAT('some words about the number ', i) FROM {numbers(1, stock)}",
        f"INSERT INTO seat SELECT i, i, 0 FROM {numbers(1, clients * SEATS)}",
        f"INSERT INTO loose SELECT CONCAT('w', i % 3), i % {clients}, i % 5 FROM {numbers(1, 60)}",
        "INSERT INTO loose SELECT * FROM loose WHERE n = 1",
        database=database,
    )  # fmt: skip


def _numbers(server: Server) -> Callable[[int, int], str]:
    if isinstance(server, Postgres):
        return lambda first, last: f"generate_series({first}, {last}) AS numbers (i)"
    return lambda first, last: f"(SELECT seq AS i FROM seq_{first}_to_{last}) AS numbers"


class Client:
    """One session's writing, transaction by transaction. What it does depends on `number` and on luck alone."""

    def __init__(self, server: Server, database: str, number: int, stock: int, bulk: int) -> None:
        self._server, self._database, self.number = server, database, number
        self._luck = random.Random(number)
        self._stock, self._bulk = stock, bulk
        self._numbers = _numbers(server)
        self._session: Any = None
        self._doubtful: tuple[int, int] | None = None
        self.open: dict[int, int] = {}
        """Rows on their way, and the last step that is known to be done."""
        self.done = 0
        self._left = False
        self._most = 40
        self.begun = 0

    def some(self) -> None:
        """One transaction."""
        kinds: Sequence[tuple[Callable[[], None], int]] = (
            (self._step, 60), (self._stock_moves, 10), (self._loose, 10), (self._swap, 4), (self._another_key, 4),
            (self._out_and_in, 4), (self._comes_to_nothing, 4), (self._large, 1),
        )  # fmt: skip
        self._do(self._luck.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0])

    def finish(self) -> None:
        """Take every row to its last step."""
        self._most = 0
        while (self.open or self._doubtful) and not self._left:
            self._do(self._step)

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()

    def leave(self) -> None:
        """Begin nothing more."""
        self._left = True

    def _do(self, kind: Callable[[], None]) -> None:
        """A transaction whose server went away has come to something or to nothing; which one is found out."""
        try:
            if self._session is None:
                self._session = self._server.connect(self._database)
                if isinstance(self._server, MariaDb):
                    self._session.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self._settle()
            kind()
        except LOST:
            with suppress(Exception):
                self._session.close()
            self._session = None
            time.sleep(0.05)  # a server that is away need not be asked all the time

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        with closing(self._session.cursor()) as cursor:
            cursor.execute("BEGIN")
            yield cursor
            cursor.execute("COMMIT")

    def _settle(self) -> None:
        if self._doubtful is not None:
            row, step = self._doubtful
            with self._transaction() as cursor:
                cursor.execute("SELECT count(*) FROM audit WHERE id = %s AND step = %s", (row, step))
                ((found,),) = cursor.fetchall()
            assert found in (0, 1)
            self._stepped(row, step if found else step - 1)

    def _stepped(self, row: int, step: int) -> None:
        self._doubtful = None
        self.open[row] = step
        if step in (0, STEPS[-1]):
            del self.open[row]
            self.done += step == STEPS[-1]

    def _step(self) -> None:
        if not self.open or (len(self.open) < self._most and self._luck.random() < 0.15 and self._doubtful is None):
            self.begun += 1
            row, step = self.number * 10_000_000 + self.begun, 1
        else:
            row = self._luck.choice([*self.open])
            step = self.open[row] + 1
        self._doubtful = (row, step)
        with self._transaction() as cursor:
            self._counted(cursor, row, step)
            cursor.execute("INSERT INTO audit VALUES (%s, %s)", (row, step))
        self._stepped(row, step)

    def _counted(self, cursor: Cursor, row: int, step: int) -> None:
        if self._luck.random() < 0.05:
            cursor.execute("SAVEPOINT s")
            cursor.execute("INSERT INTO audit VALUES (%s, %s)", (row, -step))
            cursor.execute("UPDATE counter SET step = -1 WHERE id = %s", (row,))
            cursor.execute("ROLLBACK TO SAVEPOINT s")
        if step in (1, 6):
            cursor.execute("INSERT INTO counter VALUES (%s, %s)", (row, step))
        elif step == 5:
            cursor.execute("DELETE FROM counter WHERE id = %s AND step = 4", (row,))
        else:
            cursor.execute("UPDATE counter SET step = %s WHERE id = %s AND step = %s", (step, row, step - 1))
        assert cursor.rowcount == 1

    def _stock_moves(self) -> None:
        with self._transaction() as cursor:
            first = self._luck.randint(1, self._stock)
            cursor.execute("UPDATE stock SET n = n + 1 WHERE id BETWEEN %s AND %s", (first, first + 3))

    def _loose(self) -> None:
        kind = self._luck.choice(("come", "change", "change all", "go"))
        owner, n = self.number, self._luck.randint(0, 4)
        with self._transaction() as cursor:
            if kind == "come":
                cursor.execute("INSERT INTO loose VALUES (%s, %s, %s), (NULL, %s, NULL)", (f"w{n}", owner, n, owner))
            elif kind == "change all":
                cursor.execute("UPDATE loose SET n = 0 WHERE owner = %s AND n = %s", (owner, n))
            else:
                self._one_loose(cursor, kind == "go", owner)

    def _one_loose(self, cursor: Cursor, goes: bool, owner: int) -> None:
        done = "DELETE FROM loose" if goes else "UPDATE loose SET n = coalesce(n, 0) + 1"
        if isinstance(self._server, Postgres):
            cursor.execute(
                f"{done} WHERE ctid = (SELECT ctid FROM loose WHERE owner = %s LIMIT 1 FOR UPDATE)".encode(), (owner,)
            )
        else:
            cursor.execute(f"{done} WHERE owner = %s LIMIT 1", (owner,))

    def _seat(self) -> int:
        return self.number * SEATS + self._luck.randint(1, SEATS)

    def _swap(self) -> None:
        """Two rows swap a value of which there is only one."""
        one, other = self._seat(), self._seat()
        with self._transaction() as cursor:
            cursor.execute("SELECT id, place FROM seat WHERE id IN (%s, %s, %s, %s)", (one, -one, other, -other))
            found = cursor.fetchall()
            if len(found) == 2:
                (first, place), (second, another) = found
                moves = ((-1 - self.number, first), (place, second), (another, first))
                for to, row in moves:
                    cursor.execute("UPDATE seat SET place = %s, n = n + 1 WHERE id = %s", (to, row))

    def _another_key(self) -> None:
        seat = self._seat()
        with self._transaction() as cursor:
            cursor.execute("UPDATE seat SET id = -id, n = n + 1 WHERE id IN (%s, %s)", (seat, -seat))

    def _out_and_in(self) -> None:
        """A row goes and comes back under its key, in one transaction."""
        seat = self._seat()
        with self._transaction() as cursor:
            cursor.execute("SELECT id, place, n FROM seat WHERE id IN (%s, %s)", (seat, -seat))
            ((key, place, n),) = cursor.fetchall()
            cursor.execute("DELETE FROM seat WHERE id = %s", (key,))
            cursor.execute("INSERT INTO seat VALUES (%s, %s, %s)", (key, place, n + 1))

    def _comes_to_nothing(self) -> None:
        with closing(self._session.cursor()) as cursor:
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO audit VALUES (-1, -1)")
            cursor.execute("UPDATE stock SET n = -1 WHERE id BETWEEN 1 AND 20")
            cursor.execute("DELETE FROM loose WHERE owner = %s", (self.number,))
            cursor.execute("ROLLBACK")

    def _large(self) -> None:
        first = (self.number + 1) * 1_000_000
        last = first + self._bulk - 1
        with self._transaction() as cursor:
            cursor.execute("DELETE FROM bulk WHERE id BETWEEN %s AND %s", (first, last))
            some = self._luck.randint(0, 99)
            cursor.execute(f"INSERT INTO bulk SELECT i, %s FROM {self._numbers(first, last)}", (some,))
            cursor.execute("UPDATE bulk SET n = n + 100 WHERE id BETWEEN %s AND %s AND id %% 3 = 0", (first, last))


class Traffic:
    """Several clients at once. `pause`: seconds that each rests after a transaction."""

    def __init__(self, server: Server, database: str, *, clients: int, stock: int, bulk: int, pause: float) -> None:
        self.clients = [Client(server, database, number, stock, bulk) for number in range(clients)]
        self.transactions = 0
        self._pause = pause
        self._over = threading.Event()
        self._failed: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(client,), daemon=True) for client in self.clients]

    def begin(self) -> None:
        """Let them write."""
        for thread in self._threads:
            thread.start()

    def finish(self) -> int:
        """Let them take all rows to their last step; how many rows there were."""
        self._over.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive()
        self.check()
        return sum(client.done for client in self.clients)

    def stop(self) -> None:
        """Let them go, whatever they have come to."""
        self._over.set()
        for client in self.clients:
            client.leave()

    def check(self) -> None:
        """Raises what a client failed by."""
        for error in self._failed:
            raise error

    def _run(self, client: Client) -> None:
        try:
            while not self._over.is_set():
                client.some()
                self.transactions += 1
                self._over.wait(self._pause)
            client.finish()
        except BaseException as error:
            self._failed.append(error)
        finally:
            client.close()
