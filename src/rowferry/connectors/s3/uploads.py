"""Uploads in parts that nobody will end: a store keeps their parts, unseen, until somebody takes them back."""

from __future__ import annotations

from collections.abc import Iterable

from rowferry.config.connection import S3Spec
from rowferry.connectors.s3.bucket import Bucket, keys_of
from rowferry.connectors.s3.signed import SignedRequests


def abort_uploads(spec: S3Spec, bucket: Bucket, folders: Iterable[str]) -> None:
    """Take back every upload under way into these folders. Without keys in the connection they stay with the store."""
    if keys_of(spec.credentials) is None:
        return
    store = SignedRequests(spec)
    for folder in folders:
        prefix = f"{bucket.prefix}/{folder}/part-" if bucket.prefix else f"{folder}/part-"
        answer = store.ask("GET", bucket.name, uploads="", prefix=prefix)
        for upload in store.names(answer, "Upload"):
            if upload["Key"].startswith(prefix):
                store.ask("DELETE", bucket.name, upload["Key"], uploadId=upload["UploadId"])
