"""A folder, for browsing and testing: its sub-folders stand for databases, folders of data files for tables."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from rowferry.config.connection import Connection
from rowferry.connectors.base import Namespace
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.inspection import format_of
from rowferry.connectors.files.layout import (
    MAX_NAME_BYTES,
    SCHEMA_FILE,
    base_folder,
    contents,
    inside,
    safe_name,
)
from rowferry.connectors.files.neutral import neutral_of, parse
from rowferry.errors import Conflict, ConnectionFailed, InvalidInput, NotFound
from rowferry.model.tables import Column, NativeType, Table, TableName

ROOT = frozenset({"", "."})
"""The names by which the connection's own folder is asked for as a database."""


class FilesServer:
    """The folder of a files connection."""

    def __init__(self, connection: Connection) -> None:
        self._base = base_folder(connection)

    def ping(self) -> None:
        """Return when the folder can be written, or could be created."""
        place = self._base
        while not place.exists() and place != place.parent:
            place = place.parent
        if not place.is_dir():
            raise ConnectionFailed(f"{place} is not a folder: choose another basePath.")
        try:
            with tempfile.TemporaryFile(dir=place):
                next(place.iterdir(), None)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ConnectionFailed(
                f"{place} cannot be written ({reason}): let the user that runs Rowferry read and write there."
            ) from error

    def databases(self) -> list[Namespace]:
        """The sub-folders, sorted."""
        return [Namespace(name) for name in _folders(self._base)]

    def create_database(self, name: str) -> None:
        """Make a sub-folder."""
        if safe_name(name) != name or len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidInput(
                f"{name!r} cannot be a folder's name: use at most {MAX_NAME_BYTES} bytes, no leading dot and no / or "
                'other of \\ : * ? " < > | [ ] = %.'
            )
        folder = inside(self._base, name)
        with writing(folder):
            try:
                folder.mkdir(parents=True)
            except FileExistsError as error:
                raise Conflict(f"{folder} is there already.") from error

    def create_schema(self, database: str, name: str) -> None:
        """Folders have no schemas."""
        raise InvalidInput("A folder has no schemas: create a database, which is a sub-folder.")

    def tables(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The sub-folders of `database` that hold data files, and the data files beside them."""
        return sorted(self._tables(database))

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """Folders have none."""
        return []

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The tables whose columns can be told without reading rows: Parquet, and what has a _schema.json."""
        described = (_described(name, paths) for name, paths in sorted(self._tables(database).items()))
        return [table for table in described if table is not None]

    def close(self) -> None:
        """Nothing is held."""

    def _tables(self, database: str) -> dict[str, tuple[Path, ...]]:
        if ".." in Path(database).parts or Path(database).is_absolute():
            raise NotFound(f"There is no folder {database!r} in this connection: name one below its basePath.")
        folder = self._base if database in ROOT else inside(self._base, database)
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.")
        tables: dict[str, tuple[Path, ...]] = {path.name: (path,) for path in contents(folder).data}
        for name in _folders(folder):
            held = contents(folder / name)
            if held.data:
                tables[name] = held.data
        return tables


def open_server(connection: Connection) -> FilesServer:
    """The folder that `connection` leads to."""
    return FilesServer(connection)


def _folders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except PermissionError as error:
        raise ConnectionFailed(f"{folder} cannot be read: let the user that runs Rowferry read it.") from error


def _described(name: str, paths: Sequence[Path]) -> Table | None:
    try:
        columns = _from_document(paths[0].parent / SCHEMA_FILE) or _from_parquet(paths[0])
        if not columns:
            return None
        parquet = [path for path in paths if format_of(path) == "parquet"]
        rows = sum(pq.read_metadata(path).num_rows for path in parquet)
        size = sum(path.stat().st_size for path in paths)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    return Table(TableName("", name), columns, estimated_rows=rows, estimated_bytes=size)


def _from_document(path: Path) -> tuple[Column, ...]:
    if not path.exists():
        return ()
    return tuple(
        Column(column["name"], parse(json.dumps(column["type"])), _native(column["type"]["kind"]), column["nullable"])
        for column in json.loads(path.read_text(encoding="utf-8"))["columns"]
    )


def _from_parquet(path: Path) -> tuple[Column, ...]:
    if format_of(path) != "parquet":
        return ()
    fields = pq.read_schema(path)
    return tuple(Column(field.name, neutral_of(field), _native(str(field.type)), field.nullable) for field in fields)


def _native(declared: str) -> NativeType:
    return NativeType(declared.partition("(")[0].lower(), declared)
