"""What goes wrong on the way to a store: cut connections, a busy or slow store, one that is not there or refuses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from rowferry.config.connection import Connection
from rowferry.connectors.registry import connector
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.errors import ConnectionFailed, RowferryError
from rowferry.model.streams import StreamState
from rowferry.pipeline.signals import Signals
from tests.s3.reading import fill
from tests.s3.relay import Relay, relay
from tests.servers import MariaDb, free_port
from tests.stores import BUCKET, READER, ObjectStore
from tests.verify.conftest import Silent, compared, run

ROWS = 200_000
MEGABYTE = 1 << 20


@pytest.fixture
def way(store_of_objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """A way to the store, whose keys are in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", store_of_objects.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", store_of_objects.secret_key)
    with relay(store_of_objects.port) as made:
        yield made


@pytest.fixture(scope="module")
def items(mariadb: MariaDb) -> str:
    """A database with a table whose files are larger than one request."""
    database = mariadb.new_database()
    mariadb.execute(
        "CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(200) NOT NULL)",
        f"INSERT INTO items SELECT seq, CONCAT('item ', MD5(seq), SHA1(seq)) FROM seq_1_to_{ROWS}",
        database=database,
    )
    return database


def cuts(way: Relay) -> None:
    way.down, way.up = [3 * MEGABYTE, 64 * 1024, 2 * MEGABYTE], [3 * MEGABYTE, 64 * 1024, 2 * MEGABYTE]


def busy(way: Relay) -> None:
    way.busy = 6


def slow(way: Relay) -> None:
    way.lag = 0.01


FAULTS: dict[str, Callable[[Relay], None]] = {"cuts": cuts, "busy": busy, "slow": slow}


@pytest.mark.parametrize(
    ("fault", "form"), [("cuts", "parquet&compression=none"), ("busy", "csv&compression=gzip"), ("slow", "csv")]
)
def test_a_stream_there_and_back_lives_through_faults(
    mariadb: MariaDb, items: str, store_of_objects: ObjectStore, way: Relay, fault: str, form: str
) -> None:
    place = f"s3://{BUCKET}/{store_of_objects.new_folder()}?endpoint={way.endpoint}"
    FAULTS[fault](way)
    out = job_from_urls(mariadb.url(items), f"{place}&format={form}")
    run(out)
    FAULTS[fault](way)
    back = job_from_urls(place, mariadb.url(mariadb.new_database()))
    run(back)
    assert fault != "cuts" or way.cuts >= 2
    assert fault != "busy" or way.busy == 0
    FAULTS[fault](way)
    for job in (out, back):
        found = compared(job)
        assert (found.equal, found.rows) == (True, 2 * ROWS)


def failure(source: str, target: str) -> RowferryError:
    """Why a stream ended."""
    outcome = oneshot.run(job_from_urls(source, target), Silent(), Signals())
    assert outcome.state is StreamState.FAILED
    assert outcome.error is not None
    return outcome.error


def test_a_store_that_goes_away_for_good_fails_the_stream_with_the_reason(
    mariadb: MariaDb, items: str, store_of_objects: ObjectStore, way: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection is cut: there is no end of it, and the stream has one."""
    monkeypatch.setattr("rowferry.pipeline.copy.PATIENCE", 5.0)
    prefix = fill(store_of_objects, store_of_objects.new_folder(), {"t.csv": "a\n" + "word\n" * 3_000_000})
    place = f"s3://{BUCKET}/{prefix}?endpoint={way.endpoint}"
    way.down = [9 * MEGABYTE] + [1024] * 10_000
    assert "does not answer: see that it runs" in failure(place, mariadb.url(mariadb.new_database())).message
    way.down, way.up = [], [64 * 1024] * 10_000
    assert "does not answer: see that it runs" in failure(mariadb.url(items), f"{place}&format=csv").message


@pytest.mark.parametrize("secret", ["", "wrong"])
@pytest.mark.parametrize(("access", "bucket", "said"), [
    ("nobody", BUCKET, "does not know the access key"), (READER, "not-there", "no bucket not-there"),
    (READER, BUCKET, "no files of a table"),
])  # fmt: skip
def test_a_source_that_refuses_fails_the_stream_with_the_reason(
    mariadb: MariaDb, store_of_objects: ObjectStore, monkeypatch: pytest.MonkeyPatch, way: Relay, access: str,
    bucket: str, said: str, secret: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", access)
    if secret:
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        said = said if access == "nobody" else "secret key does not fit"
    url = f"s3://{bucket}/{store_of_objects.new_folder()}/?endpoint={way.endpoint}"
    outcome = oneshot.run(job_from_urls(url, mariadb.url("d"), tables=["t"]), Silent(), Signals())
    assert outcome.error is not None
    assert said in outcome.error.message
    assert store_of_objects.secret_key not in outcome.error.message


def pinged(spec: dict[str, Any]) -> str:
    """Why a connection with that store does not answer."""
    made = Connection.model_validate({"name": "s", "type": "s3", "spec": {"s3": spec}})
    with closing(connector("s3").open_server(made)) as server, pytest.raises(ConnectionFailed) as caught:
        server.ping()
    return caught.value.message


@pytest.mark.parametrize("scope", [{"bucket": BUCKET}, {}], ids=["a bucket", "all buckets"])
@pytest.mark.parametrize(("change", "said"), [
    ({"credentials": {"accessKey": "nobody", "secretKey": "x"}}, "does not know the access key: correct it"),
    ({"credentials": {"accessKey": "ferry", "secretKey": "x"}}, "secret key does not fit the access key"),
    ({"endpoint": "http://127.0.0.1:{free}"}, "does not answer: see that it runs"),
    ({"endpoint": "http://nowhere.invalid"}, "no machine of that name"),
    ({"endpoint": "https://127.0.0.1:{port}"}, "does not speak TLS: write its endpoint with http://"),
])  # fmt: skip
def test_a_ping_says_what_to_change(
    store_of_objects: ObjectStore, scope: dict[str, str], change: dict[str, Any], said: str
) -> None:
    spec = store_of_objects.connection()["spec"]["s3"]
    change = {
        key: value.format(free=free_port(), port=store_of_objects.port) if isinstance(value, str) else value
        for key, value in change.items()
    }
    assert said in pinged({**spec, "scope": scope, **change})


def test_a_ping_of_a_bucket_that_is_not_there(store_of_objects: ObjectStore) -> None:
    assert "no bucket not-there: create it" in pinged(store_of_objects.connection("not-there")["spec"]["s3"])


def test_a_ping_without_any_keys(store_of_objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    spec = store_of_objects.connection(BUCKET)["spec"]["s3"]
    del spec["credentials"]
    assert "There are no keys for the object store" in pinged(spec)
