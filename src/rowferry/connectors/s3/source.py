"""A bucket as a source: the tables that lie in it as files, read as those of a folder are."""

from __future__ import annotations

from functools import partial

from rowferry.config.storage import s3_source, spec_of
from rowferry.config.stream import S3Upload
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.files.discover import discover
from rowferry.connectors.files.rejects import Rejects
from rowferry.connectors.files.rows import Refusal, refuse
from rowferry.connectors.files.source import FilesSource
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.listed import Manifest
from rowferry.connectors.s3.store import BucketStore
from rowferry.errors import InvalidInput


def open_source(request: SourceRequest, otherwise: Refusal = refuse) -> FilesSource:
    """The objects that the request names; InvalidInput when they lie outside of the connection's scope.

    `otherwise`: what is done with malformed rows for which the request has no folder.
    """
    if request.schema:
        raise InvalidInput("An object store has no schemas: leave schema out.")
    place = s3_source(request.connection, request.database, request.files, request.s3)
    bucket = Bucket(spec_of(request.connection), S3Upload(bucket=place.bucket, prefix=place.prefix))
    store, rejects = BucketStore(bucket), Rejects(request.rejects, otherwise)
    if place.manifest:
        manifest = Manifest(store, place)
        return FilesSource(store, manifest.find, place.csv, rejects, manifest.check)
    return FilesSource(store, partial(discover, store, place.name, place.paths), place.csv, rejects)
