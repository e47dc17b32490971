"""Checksums of the rows in a bucket's files, made by reading them here."""

from __future__ import annotations

from rowferry.config.storage import s3_target, spec_of
from rowferry.connectors.base import DigestRequest, SourceRequest
from rowferry.connectors.files.digest import FilesDigests, ReadFiles, WrittenFiles
from rowferry.connectors.files.rows import pass_over, refuse
from rowferry.connectors.s3.bucket import Bucket
from rowferry.connectors.s3.folders import BucketFolders
from rowferry.connectors.s3.source import open_source


def open_digests(request: DigestRequest) -> FilesDigests:
    """The objects that a stream planned to write, if the request says how, else those that it reads."""
    if request.spec is None:
        where = SourceRequest(request.connection, request.database, request.schema, request.files, s3=request.s3)
        return FilesDigests(ReadFiles(open_source(where, pass_over if request.skipping else refuse)))
    target = s3_target(request.connection, request.spec)
    folders = BucketFolders(Bucket(spec_of(request.connection), target.upload))
    return FilesDigests(WrittenFiles(folders, target, request.planned))
