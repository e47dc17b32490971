"""Both ends of a crossing as their own clients see them: servers by their drivers, files by their formats' readers."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
import pymysql

from tests.matrix.cases import Case, Pack
from tests.matrix.forms import FORMS, Form, Shown
from tests.servers import MariaDb, Postgres

Values = dict[int, Shown]
"""By key: what is shown of the column v."""

WHOLE, MADE, FILLED = slice(None), slice(1), slice(1, None)
"""Which of the statements of a case: its table without rows, and what comes then."""


class End(Protocol):
    """A place that has a table for each case, with the columns k and v."""

    @property
    def url(self) -> str:
        """Its address for a stream."""

    def pack(self, packs: Sequence[Pack]) -> None:
        """Put the values of cases side by side."""

    def shown(self, case: Case, form: Form) -> Values:
        """The rows of its table."""

    def next_number(self, case: Case) -> Shown:
        """What a row gets that has no value, as long as it is there."""

    def close(self) -> None:
        """Let go of its session."""


def _next(case: Case) -> tuple[str, str]:
    return f"INSERT INTO {case.table} (k) VALUES (999)", f"SELECT v FROM {case.table} WHERE k = 999"


def _gone(case: Case) -> str:
    return f"DELETE FROM {case.table} WHERE k = 999"


_STRICT = "SET sql_mode = 'STRICT_ALL_TABLES,ALLOW_INVALID_DATES'"


@dataclass
class MariaDbEnd:
    """A database of MariaDB."""

    server: MariaDb
    database: str

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def fill(self, cases: Sequence[Case], part: slice = WHOLE) -> None:
        """Make the tables; only a value of a case that is `loose` may be something else than what is written."""
        with contextlib.closing(self.server.connect(self.database)) as session, session.cursor() as cursor:
            cursor.execute("SET time_zone = '+00:00'")
            for case in cases:
                cursor.execute("SET sql_mode = ''" if case.loose else _STRICT)
                for statement in case.statements[part]:
                    cursor.execute(statement)

    def pack(self, packs: Sequence[Pack]) -> None:
        for pack in packs:
            self.server.execute(_STRICT, *pack.statements, database=self.database)

    def shown(self, case: Case, form: Form) -> Values:
        with self._session.cursor() as cursor:
            cursor.execute(f"SELECT k, {case.sql('mariadb', form)} FROM `{case.table}`")
            return dict(cursor.fetchall())

    def next_number(self, case: Case) -> Shown:
        with self._session.cursor() as cursor:
            for statement in _next(case):
                cursor.execute(statement)
            ((number,),) = cursor.fetchall()
            cursor.execute(_gone(case))
        return int(number)

    @cached_property
    def _session(self) -> pymysql.connections.Connection:
        session = self.server.connect(self.database)
        session.query("SET time_zone = '+00:00'")
        return session

    def close(self) -> None:
        self._session.close()


_SPELLED = (
    "TimeZone = 'UTC'",
    "DateStyle = ISO",
    "IntervalStyle = postgres",
    "extra_float_digits = 3",
    "bytea_output = hex",
    "xmloption = content",
)
_STRANGE = (
    "TimeZone = 'Europe/Berlin'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = sql_standard",
    "extra_float_digits = 0",
    "bytea_output = escape",
    "xmloption = document",
)
"""A database whose own settings spell everything otherwise, and whose zone puts its clocks back."""


@dataclass
class PostgresEnd:
    """A database of PostgreSQL."""

    server: Postgres
    database: str

    @property
    def url(self) -> str:
        return self.server.url(self.database)

    def make_strange(self) -> None:
        """Give the database settings that a session of ours must not be impressed by."""
        self.server.execute(*(f"ALTER DATABASE {self.database} SET {setting}" for setting in _STRANGE))

    def fill(self, cases: Sequence[Case], part: slice = WHOLE) -> None:
        """Make the tables."""
        self.server.execute(
            *(f"SET {setting}" for setting in _SPELLED),
            *(statement for case in cases for statement in case.statements[part]),
            database=self.database,
        )

    def pack(self, packs: Sequence[Pack]) -> None:
        self.server.execute(*(each for pack in packs for each in pack.statements), database=self.database)

    def shown(self, case: Case, form: Form) -> Values:
        query = f"SELECT k, {case.sql('postgresql', form)} FROM {case.table}"
        return dict(self._session.execute(query.encode()).fetchall())

    def next_number(self, case: Case) -> Shown:
        for statement in _next(case):
            cursor = self._session.execute(statement.encode())
        ((number,),) = cursor.fetchall()
        self._session.execute(_gone(case).encode())
        return int(number)

    @cached_property
    def _session(self) -> psycopg.Connection:
        session = self.server.connect(self.database)
        for setting in _SPELLED:
            session.execute(f"SET {setting}".encode())
        return session

    def close(self) -> None:
        self._session.close()


@dataclass
class FilesEnd:
    """A folder of files of one format."""

    folder: Path
    file_format: str

    @property
    def url(self) -> str:
        return f"{self.folder.as_uri()}?format={self.file_format}"

    def shown(self, case: Case, form: Form) -> Values:
        read = _json_documents if form is FORMS["json line"] else _READERS[self.file_format]
        rows = [row for part in self.folder.glob(f"**/{case.table}/part-*") for row in read(part)]
        assert len(rows) == len(dict(rows))
        return dict(rows)

    def pack(self, packs: Sequence[Pack]) -> None:
        raise NotImplementedError("files are written by streams")

    def next_number(self, case: Case) -> Shown:
        raise NotImplementedError("files number nothing")

    def close(self) -> None:
        """There is nothing to close."""


def _parquet(part: Path) -> Iterator[tuple[int, Shown]]:
    read = pq.read_table(part)
    keys, values = read.column("k").to_pylist(), read.column("v")
    return zip(keys, _plain(values), strict=True)


def _plain(values: pa.ChunkedArray) -> list[Shown]:
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType):
        held = [value for chunk in values.chunks for value in chunk.storage.to_pylist()]
        return [value.hex() if pa.types.is_fixed_size_binary(kind.storage_type) and value else value for value in held]
    if pa.types.is_date32(kind):
        return [None if day is None else day * 86_400_000_000 for day in values.cast(pa.int32()).to_pylist()]
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) or pa.types.is_time(kind):
        assert kind in (pa.time64("us"), pa.duration("us")) or kind.unit == "us"
        return list(values.cast(pa.int64()).to_pylist())
    return [_spelled(value) for value in values.to_pylist()]


def _spelled(value: Any) -> Shown:
    if value is None or isinstance(value, str | bytes):
        return value
    return format(value, "f") if isinstance(value, Decimal) else str(value)


_LARGE = 128 * 1024 * 1024


def _csv(part: Path) -> Iterator[tuple[int, Shown]]:
    read = pcsv.read_csv(
        part,
        read_options=pcsv.ReadOptions(block_size=_LARGE),
        parse_options=pcsv.ParseOptions(newlines_in_values=True),
        convert_options=pcsv.ConvertOptions(
            column_types={"k": pa.int32(), "v": pa.string()}, strings_can_be_null=True, null_values=[""],
            quoted_strings_can_be_null=False,
        ),
    ).to_pydict()  # fmt: skip
    return zip(read["k"], read["v"], strict=True)


def _jsonl(part: Path) -> Iterator[tuple[int, Shown]]:
    for line in _lines(part):
        read = json.loads(line, parse_float=str, parse_int=str, parse_constant=_no_json)
        value = read["v"]
        yield int(read["k"]), str(value).lower() if isinstance(value, bool) else value


def _json_documents(part: Path) -> Iterator[tuple[int, Shown]]:
    """The documents as they are spelled in their lines; a NULL has no place there."""
    for line in _lines(part):
        read = json.loads(line, parse_constant=_no_json)
        yield int(read["k"]), line[line.index('"v":') + 4 : -1] if "v" in read else None


def _lines(part: Path) -> list[str]:
    return part.read_bytes().decode().removesuffix("\n").split("\n")


def _no_json(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


_READERS: dict[str, Callable[[Path], Iterator[tuple[int, Shown]]]] = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}
