"""The two private servers of a benchmark, set up the same for every contestant."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.servers import MariaDb, Postgres, mariadb_server, postgres_server, wait_until

MARIADB_OPTIONS = ("--innodb-buffer-pool-size=1G", "--innodb-flush-log-at-trx-commit=1", "--innodb-log-file-size=512M")
POSTGRES_OPTIONS = ("shared_buffers=512MB", "fsync=on", "synchronous_commit=on", "max_wal_size=8GB")
SOURCE = "bench"
TINY = "tiny"
FLUSHING = ("SET GLOBAL innodb_io_capacity = 20000", "SET GLOBAL innodb_max_dirty_pages_pct = 0")
RUNNING = ("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT", "SET GLOBAL innodb_io_capacity = DEFAULT")
"""MariaDB writes back what it has changed at once, or in its own time."""

FEW_PAGES = 100
"""Changed pages that a server at rest may keep in memory."""


@dataclass(frozen=True)
class Servers:
    """Both servers, and the environment in which their command line clients find their passwords."""

    mariadb: MariaDb
    postgres: Postgres

    @property
    def environment(self) -> dict[str, str]:
        """For a shell: passwords, not visible in the list of processes."""
        passwords = {"MYSQL_PWD": self.mariadb.password, "PGPASSWORD": self.postgres.password}
        return {**os.environ, **passwords}

    def mariadb_client(self, database: str) -> str:
        """The command that sends a query and writes its rows as they come."""
        server = self.mariadb
        return f"mariadb --no-defaults -h {server.host} -P {server.port} -u {server.user} --quick -BN {database}"

    def psql(self, database: str) -> str:
        """The command that runs SQL on PostgreSQL."""
        server = self.postgres
        return f"psql -X -q -v ON_ERROR_STOP=1 -h {server.host} -p {server.port} -U {server.user} -d {database}"

    def shell(self, command: str) -> None:
        """Run a command line in bash, any part of a pipe failing it."""
        subprocess.run(["bash", "-o", "pipefail", "-c", command], env=self.environment, check=True, capture_output=True)

    def fresh_database(self, name: str) -> None:
        """An empty PostgreSQL database of that name on a server at rest."""
        self.clear()
        self.postgres.execute(f"CREATE DATABASE {name}", "CHECKPOINT")

    def fresh_mariadb(self, name: str) -> None:
        """No MariaDB database of that name on a server at rest, which has written back all that it had changed."""
        self.clear()
        self.mariadb.execute(f"DROP DATABASE IF EXISTS {name}", *FLUSHING)
        wait_until(self._all_written, 60, "MariaDB's pages on disk")
        self.mariadb.execute(*RUNNING)

    def clear(self) -> None:
        """Drop what a contestant has filled, so that the server does not vacuum it while the next one runs."""
        filled = self.postgres.execute("SELECT datname FROM pg_database WHERE datname LIKE 'by\\_%'")
        self.postgres.execute(*(f"DROP DATABASE {name} WITH (FORCE)" for (name,) in filled), "CHECKPOINT")
        filled = self.mariadb.execute("SHOW DATABASES LIKE 'by\\_%'")
        self.mariadb.execute(*(f"DROP DATABASE {name}" for (name,) in filled), "DO 0")

    def add_key(self, database: str) -> str:
        """The command that gives PostgreSQL's table products its key."""
        return f'{self.psql(database)} -c "ALTER TABLE products ADD PRIMARY KEY (id)"'

    def _all_written(self) -> bool:
        ((_, dirty),) = self.mariadb.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
        return int(str(dirty)) < FEW_PAGES


@contextmanager
def servers() -> Iterator[Servers]:
    """Both servers, gone afterwards."""
    with mariadb_server(*MARIADB_OPTIONS) as mariadb, postgres_server(*POSTGRES_OPTIONS) as postgres:
        mariadb.execute(f"CREATE DATABASE {SOURCE}")
        yield Servers(mariadb, postgres)
