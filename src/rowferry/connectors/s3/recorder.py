"""Change files in a bucket."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rowferry.config.connection import S3Spec
from rowferry.config.storage import s3_target
from rowferry.config.stream import S3Target
from rowferry.connectors.base import PlannedTable, TargetRequest, Unwatched
from rowferry.connectors.changes import Recorder
from rowferry.connectors.files.change_log import ChangeFile, ChangeLog
from rowferry.connectors.files.change_manifest import Written
from rowferry.connectors.files.layout import JOURNALS, MANIFEST_FILE, SCHEMA_FILE, stream_name
from rowferry.connectors.files.manifest import parsed, spelled
from rowferry.connectors.files.recorder import ChangeFiles, settled
from rowferry.connectors.files.stage import Staged
from rowferry.connectors.files.write import Staging
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.sending import Uploads, kept_folder
from rowferry.connectors.s3.write import private_folder
from rowferry.errors import ConnectionLost

_PREPARED = "prepared.json"
"""The object without which a stream has no journal."""


def open_recorder(request: TargetRequest, tables: Sequence[PlannedTable]) -> Recorder:
    """The stream's writer of change files from now on; any that was opened before commits nothing more."""
    spec = s3_target(request.connection, request.spec)
    bucket = Bucket(request.connection.spec.s3 or S3Spec(), spec.upload)
    stream = stream_name(request.stream_id)
    uploads = Uploads(bucket, stream, request.uploads, kept_folder(request.connection, spec))
    depot = BucketDepot(uploads, Staging(private_folder(stream, bucket)))
    return ChangeFiles(depot, spec, stream, tables)


def settle_changes(bucket: Bucket, stream: str, staging: Staging, spec: S3Target, tables: Iterable[str]) -> None:
    """Let nobody commit changes any more, and do what a commit has left undone."""
    depot = BucketDepot(Uploads(bucket, stream, Unwatched()), staging)
    log = ChangeLog(depot)
    if depot.names() is not None and log.latest() is not None:
        settled(log, depot, spec, stream, tables)


class BucketDepot:
    """`recorder.Depot` in a bucket, for one stream."""

    def __init__(self, uploads: Uploads, staging: Staging) -> None:
        self._uploads, self._bucket = uploads, uploads.bucket
        self._root = f"{JOURNALS}/{uploads.stream_id}/"
        self._manifests: dict[str, tuple[Mapping[str, Any] | None, str | None]] = {}
        self.staging = staging

    def names(self) -> Collection[str] | None:
        """See `Shelf.names`."""
        _, found = self._bucket.look(self._root)
        return found.keys() if _PREPARED in found else None

    def read(self, name: str) -> bytes | None:
        """See `Shelf.read`."""
        return self._bucket.read(self._root + name)

    def create(self, name: str, content: bytes) -> bool:
        """See `Shelf.create`."""
        return self._bucket.create(self._root + name, content)

    def delete(self, names: Iterable[str]) -> None:
        """See `Shelf.delete`."""
        self._bucket.delete(self._root + name for name in names)

    def bring(self, file: ChangeFile, staged: Staged) -> ChangeFile:
        """Upload the file; nobody else has its number."""
        self._uploads.holds(file.final)
        self._uploads.send(file.table, file.final, staged)
        staged.path.unlink(missing_ok=True)
        return replace(file, staged=None)

    def show(self, files: Sequence[ChangeFile]) -> None:
        """They are there."""

    def discard(self, folder: str, number: int) -> None:
        """See `Depot.discard`."""
        self._bucket.delete(self._bucket.beginning(f"{folder}/", f"part-{number:08d}"))

    def manifest(self, folder: str) -> Mapping[str, Any] | None:
        """See `Depot.manifest`."""
        if folder not in self._manifests:
            content, tag = self._bucket.tagged(f"{folder}/{MANIFEST_FILE}")
            self._manifests[folder] = parsed(content), tag
        return self._manifests[folder][0]

    def tell(self, folder: str, written: Written, log: ChangeLog) -> None:
        """See `Depot.tell`: the manifest is only put in the place of the one that was read."""
        log.check()
        if written.segment is not None:
            self._put(folder, written.segment[0], written.segment[1])
        before, tag = self._manifests[folder]
        if before is None or before.get("schema") != written.document["schema"]:
            self._put(folder, SCHEMA_FILE, written.document["schema"])
        content = spelled(written.document).encode()
        done = self._bucket.replace(f"{folder}/{MANIFEST_FILE}", content, tag, self._uploads.stream_id)
        if done is None:
            log.check()
            raise ConnectionLost(f"{folder}/{MANIFEST_FILE} was changed by somebody else: it is read anew.")
        self._manifests[folder] = written.document, done

    def _put(self, folder: str, name: str, document: Mapping[str, Any]) -> None:
        self._bucket.write(f"{folder}/{name}", spelled(document).encode(), self._uploads.stream_id)
