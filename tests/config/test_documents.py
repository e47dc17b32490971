"""What a user writes: accepted, folded, or refused by name."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from rowferry.config.connection import Connection
from rowferry.config.secrets import join, reveal, split
from rowferry.config.stream import SchemaPolicy, StreamConfig, WriteMode
from rowferry.config.urls import parse
from rowferry.errors import InvalidInput

FLAT = {
    "name": "a",
    "type": "MySQL",
    "host": "h",
    "port": 3306,
    "username": "u",
    "password": "p",
    "defaultDatabase": "d",
}


def config(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": "c",
        "mode": "convert",
        "source": {"connections": [{"connectionId": "conn_1"}]},
        "target": {"id": "conn_2", "spec": {"db": {"database": "d"}}},
    }
    return {**document, **changes}


def test_flat_and_nested_forms_are_one() -> None:
    flat = Connection.model_validate(FLAT)
    spec = {"database": {"host": "h", "port": 3306, "username": "u", "password": "p", "database": "d"}}
    assert flat == Connection.model_validate({"name": "a", "type": "mysql", "spec": spec})
    assert flat.engine == "mysql"


def test_the_older_form_of_an_object_store_is_folded() -> None:
    storage = {"provider": "s3", "uri": "s3://bucket/a/b/", "region": "r", "credentials_ref": "secret/data/x"}
    found = Connection.model_validate({"name": "s", "type": "files", "file_format": "csv", "storage_config": storage})
    assert found.engine == "s3"
    assert found.spec.s3 is not None
    assert found.spec.s3.scope is not None
    assert (found.spec.s3.scope.bucket, found.spec.s3.scope.prefix) == ("bucket", "a/b/")


def test_secrets_are_taken_out_and_put_back() -> None:
    connection = Connection.model_validate(FLAT)
    public, secrets = split(connection)
    assert secrets == {"spec.database.password": "p"}
    assert "password" not in public["spec"]["database"]
    assert join(public, secrets) == reveal(connection)
    assert "'p'" not in repr(connection)


@pytest.mark.parametrize(
    "changes",
    [
        {"shcemaPolicy": "x"},
        {"name": " "},
        {"mode": "move"},
        {"reportingInterval": 0.5},
        {"limits": {"numberOfEvents": -1}},
        {"source": {"connections": []}},
        {"source": {"connections": [{"connectionId": "a", "alias": "x"}]}},
        {"source": {"connections": [{"connectionId": "a", "alias": "x"}, {"connectionId": "b"}]}},
        {"source": {"connections": [{"connectionId": "a", "alias": "x"}, {"connectionId": "b", "alias": "x"}]}},
        {"source": {"connections": [{"connectionId": "a", "alias": "1x"}, {"connectionId": "b", "alias": "y"}]}},
        {"source": {"connections": [{"connectionId": "a"}], "options": {"dataBundleSize": 9}}},
        {"source": {"connections": [{"connectionId": "a"}], "options": {"dataBundleSize": 1001}}},
        {"target": {"id": "b", "spec": {}}},
        {"target": {"id": "b", "spec": {"db": {"database": "d"}, "files": {"fileFormat": "csv"}}}},
        {"target": {"id": "b", "spec": {"files": {"fileFormat": "csv", "format": {"compression": "snappy"}}}}},
        {"target": {"id": "b", "spec": {"db": {"database": "d", "writeMode": "merge"}}}},
    ],
)
def test_what_cannot_be_right_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StreamConfig.model_validate(config(**changes))


def test_what_a_worker_is_told_is_json() -> None:
    """Also the policies, whose names are words of a kind of their own."""
    tables = [{"name": "t", "typePolicies": {"emptyEnum": "text"}}]
    source = {"connections": [{"connectionId": "conn_1", "tables": tables}]}
    found = StreamConfig.model_validate(config(typePolicies={"zeroDate": "null"}, source=source))
    assert StreamConfig.model_validate(orjson.loads(orjson.dumps(reveal(found)))) == found


def test_defaults_never_destroy_data() -> None:
    found = StreamConfig.model_validate(config(mode="load"))
    assert found.mode.value == "convert"
    assert found.schema_policy is SchemaPolicy.FAIL_IF_EXISTS
    assert found.write_mode is WriteMode.FAIL_IF_NOT_EMPTY


def test_urls_name_places() -> None:
    place = parse("mariadb://us%40er:p%2Fw@[::1]:3307/da%20ta")
    assert place.connection.spec.database is not None
    assert place.connection.spec.database.host == "::1"
    assert place.connection.spec.database.username == "us@er"
    assert place.connection.spec.database.password is not None
    assert place.connection.spec.database.password.get_secret_value() == "p/w"
    assert (place.database, place.connection.port) == ("da ta", 3307)
    assert parse("file:///tmp/x?format=csv&compression=gzip").compression == "gzip"


@pytest.mark.parametrize(
    "url", ["oracle://h/d", "mysql:///d", "mysql://h:99999/d", "mysql://u:sesame@h/d?x=1", "file://x"]
)
def test_a_wrong_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(url)
    assert "sesame" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "scope", "objects"),
    [
        ("s3://Lake", ("Lake", ""), ()),
        ("s3://lake/exports/shop/", ("lake", "exports/shop"), ()),
        ("s3://lake/exports/shop?format=csv", ("lake", "exports/shop"), ()),
        ("s3://lake/a%20b/", ("lake", "a b"), ()),
        ("s3://lake/in/t.csv.gz", ("lake", ""), ("in/t.csv.gz",)),
        ("s3://lake/in/2024-*/", ("lake", "in/2024-*"), ()),
        ("s3://lake/in/2024-*.csv", ("lake", ""), ("in/2024-*.csv",)),
        ("s3://lake/in/t.csv/", ("lake", "in/t.csv"), ()),
    ],
)
def test_a_url_leads_to_a_bucket(url: str, scope: tuple[str, str], objects: tuple[str, ...]) -> None:
    found = parse(url)
    assert found.connection.spec.s3 is not None
    assert found.connection.spec.s3.scope is not None
    assert (found.connection.spec.s3.scope.bucket, found.connection.spec.s3.scope.prefix) == scope
    assert found.objects == objects


def test_a_url_says_where_a_store_is() -> None:
    store = parse("s3://lake/x?region=eu-central-1&endpoint=http://localhost:9000&pathstyle=false").connection.spec.s3
    assert store is not None
    assert (store.region, store.endpoint, store.path_style) == ("eu-central-1", "http://localhost:9000", False)
