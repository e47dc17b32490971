"""DuckDB as it computes here: in memory, with no way to a file, a network, an extension or a setting.

It sees nothing but the relations that are given to it, so a query has no more to read than they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from rowferry.connectors.federated.spill import private_folder

MEMORY = "320MiB"
"""What a query may keep in memory; more of it lies in its private folder meanwhile."""

THREADS = 2

_CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "python_enable_replacements": False,
    "memory_limit": MEMORY,
    "threads": THREADS,
    "preserve_insertion_order": False,
}


@contextmanager
def computing() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB, gone with all that it has written when the block ends. Close its doors by `lock` before a query."""
    with private_folder() as folder:
        connection = duckdb.connect(":memory:", config={**_CLOSED, "temp_directory": str(folder / "spilled")})
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("SET Calendar = 'gregorian'")
            yield connection
        finally:
            connection.close()


def lock(connection: duckdb.DuckDBPyConnection) -> None:
    """From now on no setting can be changed."""
    connection.execute("SET lock_configuration = true")


def quoted(name: str) -> str:
    """The name as an identifier."""
    return '"' + name.replace('"', '""') + '"'
