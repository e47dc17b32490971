"""Objects of a store in queries: by s3:// and by the alias as a scheme."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.base import SourceRequest
from rowferry.connectors.federated.statement import named
from rowferry.connectors.members import Member
from rowferry.connectors.registry import connector
from rowferry.errors import InvalidInput, RowferryError
from tests.federated.conftest import World
from tests.stores import BUCKET, ObjectStore

pytestmark = pytest.mark.skipif(connector("s3").open_source is None, reason="buckets are no sources yet")


@pytest.fixture
def shelves(store_of_objects: ObjectStore) -> str:
    """A folder of the store with two files of one table, and one of another."""
    prefix = store_of_objects.new_folder()
    store = store_of_objects.open(BUCKET)
    for number, film in enumerate((1, 2)):
        sink = io.BytesIO()
        pq.write_table(pa.table({"film": [film], "shelf": [f"s{film}"]}), sink)
        store.put(f"{prefix}/shelves/part-{number}.parquet", sink.getvalue())
    store.put(f"{prefix}/codes.csv", b"film,code\n1,007\n")
    return prefix


def members(world: World, store: ObjectStore, alias: str = "aws") -> list[Member]:
    """Those of the world, and the store."""
    opener = connector("s3").open_source
    assert opener is not None
    return [*world.members, Member(alias, SourceRequest(Connection.model_validate(store.connection())), opener)]


@pytest.mark.parametrize("scheme", ["s3", "aws"])
def test_objects_are_joined_with_databases(
    world: World, store_of_objects: ObjectStore, shelves: str, scheme: str
) -> None:
    place = f"{scheme}://{BUCKET}/{shelves}"
    query = (
        "SELECT f.title, s.shelf, c.code FROM db1.{my}.film f "
        f"JOIN read_parquet('{place}/shelves/*.parquet') s ON s.film = f.id "
        f"LEFT JOIN read_csv_auto('{place}/codes.csv') c USING (film)"
    )
    source = world.open(members=members(world, store_of_objects))
    assert sorted(world.rows(query, source), key=str) == [("ACE", "s1", "007"), ("BEE", "s2", None)]
    folder = f"SELECT count(*) AS n FROM read_parquet('{place}/shelves/')"
    assert world.rows(folder, source) == [(2,)]


def test_a_store_is_named_without_doubt(world: World, store_of_objects: ObjectStore) -> None:
    two = [*members(world, store_of_objects), members(world, store_of_objects, "other")[-1]]
    with pytest.raises(InvalidInput, match="aws, other"):
        named("SELECT * FROM read_parquet('s3://bucket/x.parquet')", two)
    assert named("SELECT * FROM read_parquet('other://bucket/x.parquet')", two) == {"other"}
    for path in ("gone://bucket/x.parquet", "aws://bucket", "aws:///x.parquet", "aws://b/../x.parquet"):
        with pytest.raises(InvalidInput):
            named(f"SELECT * FROM read_parquet('{path}')", two)


def test_no_key_of_the_store_is_told(world: World, store_of_objects: ObjectStore) -> None:
    source = world.open(members=members(world, store_of_objects))
    with pytest.raises(RowferryError) as caught:
        world.table(f"SELECT * FROM read_parquet('s3://{BUCKET}/nowhere/x.parquet')", source)
    assert store_of_objects.secret_key not in caught.value.message
