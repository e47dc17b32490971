"""A folder, for browsing and testing: its sub-folders stand for databases, folders of data files for tables."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceCsv
from rowferry.connectors.base import Namespace
from rowferry.connectors.files.describe import described
from rowferry.connectors.files.discover import discover
from rowferry.connectors.files.failures import writing
from rowferry.connectors.files.layout import (
    MAX_NAME_BYTES,
    base_folder,
    inside,
    safe_name,
)
from rowferry.connectors.files.store import LocalStore, safe_path
from rowferry.errors import Conflict, ConnectionFailed, InvalidInput, NotFound, Refused
from rowferry.model.tables import Table

ROOT = frozenset({"", "."})
"""The names by which the connection's own folder is asked for as a database."""


class FilesServer:
    """The folder of a files connection."""

    def __init__(self, connection: Connection) -> None:
        self._base = base_folder(connection)

    def ping(self) -> None:
        """Return when the folder can be written, or could be created."""
        place = self._base
        try:
            while not place.exists() and place != place.parent:
                place = place.parent
            if not place.is_dir():
                raise ConnectionFailed(f"{place} is not a folder: choose another basePath.")
            with tempfile.TemporaryFile(dir=place):
                next(place.iterdir(), None)
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            if place == self._base:
                raise ConnectionFailed(
                    f"{place} cannot be written ({reason}): let the user that runs Rowferry read and write there."
                ) from error
            raise ConnectionFailed(
                f"{self._base} is not there, and cannot be created because {place} cannot be written ({reason}): "
                "create it and let the user that runs Rowferry read and write there, or choose another basePath."
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
        """The tables that a source finds in `database`: data files, and sub-folders with data files."""
        return [found.name for found in discover(*self._place(database), ())]

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """Folders have none."""
        return []

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The tables as a source describes them; those that cannot be read are passed over."""
        store, name = self._place(database)
        return described(store, discover(store, name, ()), SourceCsv())

    def close(self) -> None:
        """Nothing is held."""

    def _place(self, database: str) -> tuple[LocalStore, str]:
        try:
            folder = self._base if database in ROOT else inside(self._base, safe_path(database))
        except Refused as error:
            raise InvalidInput(error.message) from error
        if not folder.is_dir():
            raise NotFound(f"There is no folder {folder}.")
        return LocalStore(folder, self._base), folder.name


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
