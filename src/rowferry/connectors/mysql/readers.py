"""The drivers that read rows into Arrow: one fast and greedy, one that waits, one for very wide rows."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pymysql
from pymysql.connections import Connection as Session
from pymysql.cursors import SSCursor

from rowferry.connectors.mysql.connect import Access
from rowferry.connectors.mysql.failures import error_code

Batches = Generator[pa.RecordBatch, None, None]
Register = Callable[[Callable[[], None]], None]
"""Takes the function that ends a read from another thread."""

_MEMORY = "256MB"
_SETTINGS = (
    "SET mysql_query_timeout_enabled = false",
    "SET mysql_tinyint1_as_boolean = false",
    "SET mysql_bit1_as_boolean = false",
    "SET mysql_session_time_zone = '+00:00'",
    "SET mysql_pool_size = 1",
)


class DriverFailed(Exception):
    """A driver gave up; its own text may hold values or a password and goes no further than this module's caller."""


def read_bounded(url: str, settings: str, sql: str, batch_rows: int) -> Batches:
    """The rows by ConnectorX, which reads on whether or not somebody takes them: only for a bounded result.

    Its panics are no `Exception`s; a reader that failed once must not be asked again, it would say "no more".
    """
    import connectorx  # noqa: PLC0415 - only a process that reads rows pays for it

    try:
        reader = connectorx.read_sql(
            url, sql, return_type="arrow_stream", batch_size=batch_rows, pre_execution_query=settings
        )
        while (batch := _next(reader)) is not None:
            yield batch
    except BaseException as error:
        if _panicked(error):
            raise DriverFailed(str(error)) from None
        raise


def _next(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _panicked(error: BaseException) -> bool:
    """Whether it is the driver's; a panic's class cannot be imported."""
    return isinstance(error, RuntimeError | pa.ArrowException | OSError) or type(error).__name__ == "PanicException"


def read_streamed(access: Access, database: str, sql: str, batch_rows: int, register: Register) -> Batches:
    """The rows by DuckDB, which asks the server for more only as they are taken."""
    connection = duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY, **_OFFLINE})
    try:
        _attach(connection, access.secret(database))
        register(connection.interrupt)
        connection.execute("SELECT * FROM mysql_query('source', ?)", [sql])
        reader = connection.to_arrow_reader(batch_rows)
        with reader:
            while (batch := _next(reader)) is not None:
                yield batch
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise DriverFailed(str(error)) from None
    finally:
        with suppress(duckdb.Error):
            connection.interrupt()
            connection.close()


_OFFLINE = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def _attach(connection: duckdb.DuckDBPyConnection, secret: dict[str, str]) -> None:
    _load_extension(connection)
    for setting in _SETTINGS:
        connection.execute(setting)
    parts = ", ".join(f"{name} {_text(value)}" for name, value in secret.items())
    connection.execute(f"CREATE SECRET source (TYPE mysql, {parts})")
    connection.execute("ATTACH '' AS source (TYPE mysql, SECRET source, READ_ONLY)")


def read_wide(session: Session, sql: str, batch_bytes: int) -> Batches:
    """The rows by PyMySQL, one at a time, so that a batch ends by its bytes and not by the number of its rows.

    Values come as the server's text, or bytes where they have no charset.
    """
    session.decoders = {}  # the driver's own would make objects of them
    cursor = SSCursor(session)
    try:
        cursor.execute(sql)
        names = [str(item[0]) for item in cursor.description]
        rows: list[tuple[str | bytes | None, ...]] = []
        size = 0
        for row in cursor.fetchall_unbuffered():
            rows.append(row)
            size += sum(map(len, filter(None, row)))
            if size >= batch_bytes:
                yield _batch(rows, names)
                rows, size = [], 0
        if rows:
            yield _batch(rows, names)
    except (pymysql.Error, OSError) as error:
        raise DriverFailed(f"ERROR {error_code(error) or 2013}") from None
    finally:
        _abandon(session)


def _batch(rows: list[tuple[str | bytes | None, ...]], names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([_column(values) for values in zip(*rows, strict=True)], names)


def _column(values: tuple[str | bytes | None, ...]) -> pa.Array:
    first = next((value for value in values if value is not None), None)
    if first is None:
        return pa.nulls(len(values))
    return pa.array(values, pa.large_binary() if isinstance(first, bytes) else pa.large_string())


def _abandon(session: Session) -> None:
    """Hang up without taking the rest of the result, which the driver would do by itself."""
    result = session._result  # type: ignore[attr-defined]
    if result is not None:
        result.unbuffered_active = False
    with suppress(pymysql.Error, OSError):
        session.close()


def _load_extension(connection: duckdb.DuckDBPyConnection) -> None:
    """Load the extension from its package: it answers only to a file of its older name."""
    import duckdb_extension_mysql  # noqa: PLC0415 - a package without code, wanted for its place

    place = Path(duckdb_extension_mysql.__file__).parent
    packaged = place / "extensions" / f"v{duckdb.__version__}" / "mysql.duckdb_extension"
    with tempfile.TemporaryDirectory(prefix="rowferry-") as folder:
        link = Path(folder, "mysql_scanner.duckdb_extension")
        link.symlink_to(packaged)
        connection.execute(f"LOAD {_text(str(link))}")


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
