"""A store, for browsing and testing: its buckets, or the folders in the one it leads to, stand for databases."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq

from rowferry.config.connection import Connection
from rowferry.config.storage import folder_of
from rowferry.config.stream import S3Upload
from rowferry.connectors.base import Namespace
from rowferry.connectors.files.inspection import format_of
from rowferry.connectors.files.layout import MAX_NAME_BYTES, SCHEMA_FILE, safe_name, told_apart
from rowferry.connectors.files.server import ROOT, columns_of, parquet_columns
from rowferry.connectors.s3.bucket import Bucket, Entry
from rowferry.connectors.s3.signed import SignedRequests
from rowferry.errors import Conflict, InvalidInput, NotFound
from rowferry.model.tables import Table, TableName

_KEEP = ".keep"
"""The object that stands for a folder in which nothing lies yet."""


class S3Server:
    """The store of a connection."""

    def __init__(self, connection: Connection) -> None:
        if connection.spec.s3 is None:
            raise InvalidInput(f"Connection {connection.name} leads to no object store: write its spec.s3.")
        self._spec = connection.spec.s3
        scope = self._spec.scope
        self._bucket = (scope.bucket or None) if scope else None
        self._prefix = folder_of(scope.prefix or "") if scope else ""

    def ping(self) -> None:
        """Return when the bucket can be listed; without one, the buckets."""
        if self._bucket is None:
            self._signed().ask("GET")
        else:
            self._open("").look()

    def databases(self) -> list[Namespace]:
        """The folders in the bucket, or the buckets."""
        if self._bucket is not None:
            folders, _ = self._open("").look()
            return [Namespace(name) for name in folders if not name.startswith(".")]
        store = self._signed()
        return [Namespace(bucket["Name"]) for bucket in store.names(store.ask("GET"), "Bucket")]

    def create_database(self, name: str) -> None:
        """Make a folder, or a bucket."""
        if name in [one.name for one in self.databases()]:
            raise Conflict(f"{name} is there already.")
        if self._bucket is None:
            self._signed().ask("PUT", name)
            return
        if safe_name(name) != name or len(name.encode()) > MAX_NAME_BYTES:
            raise InvalidInput(
                f"{name!r} cannot be a folder's name: leave out / and signs that programs read otherwise."
            )
        self._open("").write(f"{name}/{_KEEP}", b"", "")

    def create_schema(self, database: str, name: str) -> None:
        """Object stores have no schemas."""
        raise InvalidInput("An object store has no schemas: create a database, which is a folder or a bucket.")

    def tables(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """The folders of the database that hold data files, and the data files beside them."""
        return sorted(self._tables(self._database(database)))

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """Object stores have none."""
        return []

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The tables whose columns can be told without reading rows: Parquet, and what has a _schema.json."""
        place = self._database(database)
        found = (_described(place, name, files) for name, files in sorted(self._tables(place).items()))
        return [table for table in found if table is not None]

    def close(self) -> None:
        """Nothing is held."""

    def _signed(self) -> SignedRequests:
        return SignedRequests(self._spec)

    def _open(self, folder: str) -> Bucket:
        prefix = "/".join(part for part in (self._prefix, folder) if part)
        return Bucket(self._spec, S3Upload(bucket=self._bucket or "", prefix=prefix))

    def _database(self, name: str) -> Bucket:
        if self._bucket is None:
            if name in ROOT:
                raise NotFound("This connection leads to a whole store: name a bucket as the database.")
            return Bucket(self._spec, S3Upload(bucket=name))
        place = self._open("" if name in ROOT else folder_of(name))
        if name not in ROOT and not place.below():
            raise NotFound(f"There is no folder {name} in bucket {self._bucket}.")
        return place

    def _tables(self, place: Bucket) -> dict[str, dict[str, Entry]]:
        folders, files = place.look()
        tables = {path.name: {path.name: files[path.name]} for path in told_apart(map(PurePosixPath, files)).data}
        for name in folders:
            if not name.startswith("."):
                _, found = place.look(f"{name}/")
                held = told_apart(map(PurePosixPath, found)).data
                if held:
                    tables[name] = {f"{name}/{path.name}": found[path.name] for path in held}
        return tables


def open_server(connection: Connection) -> S3Server:
    """The store that `connection` leads to."""
    return S3Server(connection)


def _described(place: Bucket, name: str, files: Mapping[str, Entry]) -> Table | None:
    first, *_ = files
    try:
        document = place.read(f"{name}/{SCHEMA_FILE}")
        columns = columns_of(json.loads(document)) if document else ()
        rows = 0
        if format_of(PurePosixPath(first)) == "parquet":
            footers = [pq.read_metadata(place.open(key)) for key in files]
            columns = columns or parquet_columns(footers[0].schema.to_arrow_schema())
            rows = sum(footer.num_rows for footer in footers)
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException, io.UnsupportedOperation):
        return None
    size = sum(entry.size for entry in files.values())
    return Table(TableName("", name), columns, estimated_rows=rows, estimated_bytes=size) if columns else None
