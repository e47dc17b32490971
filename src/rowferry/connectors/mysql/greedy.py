"""ConnectorX, the quickest way from rows to Arrow: it reads on whether or not somebody takes what it has read."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pyarrow as pa

Batches = Generator[pa.RecordBatch, None, None]


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
