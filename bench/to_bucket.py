"""MariaDB to Parquet: into a bucket of a store on the same machine, and into a folder."""

from __future__ import annotations

import shutil

import obstore

from bench.ground import Contestant, Ground
from bench.timing import Target, Verdict
from tests.stores import BUCKET, ObjectStore, object_store

PREFIX = "exports"
FOLDER = "Rowferry, MariaDB to Parquet (zstd) in a folder"
OURS = "Rowferry, MariaDB to Parquet (zstd) in a bucket"


def measure(ground: Ground) -> None:
    """The table products, to both."""
    with object_store() as store:
        place = ground.ferry.folder
        local = ground.ferry.to_parquet()
        remote = ground.ferry.to_bucket(store.connection(BUCKET, PREFIX))
        folder = Contestant(FOLDER, lambda: ground.ferry.run(local), lambda: shutil.rmtree(place, ignore_errors=True))
        bucket = Contestant(
            OURS, lambda: ground.ferry.run(remote), lambda: _empty(store), lambda: _check(store, ground)
        )
        series = ground.turns([folder, bucket])
    how = "median into the bucket / median into the folder"
    ratio = series[OURS].median / series[FOLDER].median
    ground.results.verdicts.append(Verdict("MariaDB to Parquet on S3", ratio, Target(1.3, " times"), how))


def _empty(store: ObjectStore) -> None:
    obstore.delete(store.open(BUCKET), list(store.objects(BUCKET, PREFIX)))


def _check(store: ObjectStore, ground: Ground) -> None:
    """See that the manifest counts all rows, and that its files are there."""
    found = store.objects(BUCKET, PREFIX)
    manifest = store.manifest(BUCKET, f"{PREFIX}/products/_manifest.json")
    there = {key.rpartition("/")[2]: size for key, size in found.items()}
    whole = all(there.get(one["path"]) == one["size"] for one in manifest["objects"])
    if not whole or manifest["metadata"]["row_count"] != ground.rows:
        raise RuntimeError(f"the bucket does not hold {ground.rows} rows")
