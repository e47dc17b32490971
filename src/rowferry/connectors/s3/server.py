"""A store, for browsing and testing: its buckets, or the folders in the one it leads to, stand for databases."""

from __future__ import annotations

from collections.abc import Sequence

from rowferry.config.connection import Connection
from rowferry.config.source_files import SourceCsv
from rowferry.config.storage import check_parts, folder_of, scope_of, spec_of
from rowferry.config.stream import S3Upload
from rowferry.connectors.base import Namespace
from rowferry.connectors.files.describe import described
from rowferry.connectors.files.discover import discover
from rowferry.connectors.files.layout import MAX_NAME_BYTES, safe_name
from rowferry.connectors.files.server import ROOT
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.signed import SignedRequests
from rowferry.connectors.s3.store import BucketStore
from rowferry.errors import Conflict, InvalidInput, NotFound
from rowferry.model.tables import Table

_KEEP = ".keep"
"""The object that stands for a folder in which nothing lies yet."""


class S3Server:
    """The store of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._spec = spec_of(connection)
        bucket, self._prefix = scope_of(self._spec)
        self._bucket = bucket or None

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
        return [found.name for found in discover(BucketStore(self._database(database)), folder_of(database), ())]

    def views(self, database: str, schemas: Sequence[str], include_system: bool) -> list[str]:
        """Object stores have none."""
        return []

    def describe(self, database: str, schemas: Sequence[str], include_system: bool) -> list[Table]:
        """The tables as they can be told from what lies there; those that cannot are passed over."""
        store = BucketStore(self._database(database))
        return described(store, discover(store, folder_of(database), ()), SourceCsv())

    def close(self) -> None:
        """Nothing is held."""

    def _signed(self) -> SignedRequests:
        return SignedRequests(self._spec)

    def _open(self, folder: str) -> Bucket:
        prefix = "/".join(part for part in (self._prefix, folder) if part)
        return Bucket(self._spec, S3Upload(bucket=self._bucket or "", prefix=prefix), hasty=True)

    def _database(self, name: str) -> Bucket:
        if self._bucket is None:
            if name in ROOT:
                raise NotFound("This connection leads to a whole store: name a bucket as the database.")
            bucket, _, prefix = name.strip("/").partition("/")
            check_parts(name)
            return Bucket(self._spec, S3Upload(bucket=bucket, prefix=folder_of(prefix)), hasty=True)
        check_parts("" if name in ROOT else name)
        place = self._open("" if name in ROOT else folder_of(name))
        if name not in ROOT and not place.below():
            raise NotFound(f"There is no folder {name} in bucket {self._bucket}.")
        return place


def open_server(connection: Connection) -> S3Server:
    """The store that `connection` leads to."""
    return S3Server(connection)
