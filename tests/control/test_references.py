"""Secrets that are kept elsewhere: found in Vault, in the environment and in files; every way that they are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from rowferry.config.connection import Connection
from rowferry.config.secrets import reveal
from rowferry.control.connections import Connections
from rowferry.control.references import References
from rowferry.errors import SecretUnavailable
from rowferry.state.box import Box
from rowferry.state.store import Store
from tests.servers import free_port
from tests.stores import Vault, vault_server


def database(reference: str, **fields: Any) -> Connection:
    return Connection.model_validate({"name": "a", "type": "mysql", "host": "h", "passwordRef": reference, **fields})


def bucket(reference: str) -> Connection:
    storage = {"provider": "s3", "uri": "s3://my-bucket/exports/", "credentials_ref": reference}
    return Connection.model_validate({"name": "s", "type": "files", "storage_config": storage})


def password(found: Connection) -> str:
    assert found.spec.database is not None
    assert found.spec.database.password is not None
    assert found.spec.database.password_ref is None
    return found.spec.database.password.get_secret_value()


def keys(found: Connection) -> dict[str, str]:
    return dict(reveal(found)["spec"]["s3"]["credentials"])


@pytest.mark.parametrize(
    ("fields", "reference"),
    [
        ({"password": "one"}, "secret/data/db"),
        ({"word": "one"}, "secret/data/db"),
        ({"password": "two", "other": "one"}, "secret/data/db#other"),
        ({"password": "one", "other": "two"}, "/secret/data/db"),
    ],
)
def test_a_password_out_of_vault(vault: Vault, fields: dict[str, str], reference: str) -> None:
    vault.keep("secret/data/db", fields)
    assert password(References(vault.environment).filled(database(reference))) == "one"


@pytest.mark.parametrize(
    "fields",
    [
        {"access_key": "a", "secret_key": "b", "session_token": "c"},
        {"accessKey": "a", "secretKey": "b", "sessionToken": "c"},
        {"aws_access_key_id": "a", "aws_secret_access_key": "b", "aws_session_token": "c"},
    ],
)
def test_the_keys_of_a_bucket_out_of_vault(vault: Vault, fields: dict[str, str]) -> None:
    vault.keep("secret/data/aws/my-bucket", fields)
    found = References(vault.environment).filled(bucket("secret/data/aws/my-bucket"))
    assert keys(found) == {"accessKey": "a", "secretKey": "b", "sessionToken": "c"}


def test_an_older_engine_and_an_app_role(vault: Vault) -> None:
    vault.ask("POST", "sys/mounts/plain", {"type": "kv", "options": {"version": "1"}})
    vault.ask("POST", "plain/db", {"password": "one"})
    vault.ask("PUT", "sys/policies/acl/reader", {"policy": 'path "plain/*" { capabilities = ["read"] }'})
    vault.ask("POST", "sys/auth/approle", {"type": "approle"})
    vault.ask("POST", "auth/approle/role/ferry", {"token_policies": "reader"})
    role = vault.ask("GET", "auth/approle/role/ferry/role-id")["data"]["role_id"]
    secret = vault.ask("POST", "auth/approle/role/ferry/secret-id")["data"]["secret_id"]
    access = {"VAULT_ADDR": vault.address, "VAULT_ROLE_ID": role, "VAULT_SECRET_ID": secret}
    assert password(References(access).filled(database("plain/db"))) == "one"
    with pytest.raises(SecretUnavailable, match=r"forbids to read secret/data/db: let the token's policy"):
        References(access).filled(database("secret/data/db"))
    with pytest.raises(SecretUnavailable, match="check VAULT_ROLE_ID and VAULT_SECRET_ID"):
        References({**access, "VAULT_SECRET_ID": "other"}).filled(database("plain/db"))


def test_what_vault_has_not(vault: Vault) -> None:
    vault.keep("secret/data/few", {"user": "u", "word": "w"})
    vault.keep("secret/data/gone", {"password": "p"})
    vault.ask("DELETE", "secret/data/gone")
    references = References(vault.environment)
    for reference, said in {
        "secret/data/none": "no secret secret/data/none",
        "secret/data/gone": "no secret secret/data/gone",
        "nowhere/data/x": "no secret nowhere/data/x|forbids",
        "secret/data/few": "several fields and none is called password: write #field",
        "secret/data/few#other": "secret/data/few has no field other",
    }.items():
        with pytest.raises(SecretUnavailable, match=said) as caught:
            references.filled(database(reference))
        assert vault.token not in caught.value.message
    with pytest.raises(SecretUnavailable, match="no field access_key and no field secret_key"):
        references.filled(bucket("secret/data/few"))


def test_a_vault_that_does_not_let_us_in(vault: Vault) -> None:
    cases: dict[str, Mapping[str, str]] = {
        "set VAULT_ADDR": {},
        "set VAULT_TOKEN, or VAULT_ROLE_ID": {"VAULT_ADDR": vault.address},
        "forbids to read secret/data/db": {**vault.environment, "VAULT_TOKEN": "another"},
        "does not answer: check VAULT_ADDR": {**vault.environment, "VAULT_ADDR": f"http://127.0.0.1:{free_port()}"},
        "as VAULT_CACERT names": {**vault.environment, "VAULT_ADDR": "https://x", "VAULT_CACERT": "/no/such"},
    }
    for said, environment in cases.items():
        with pytest.raises(SecretUnavailable, match=said):
            References(environment).filled(database("secret/data/db"))


def test_a_vault_that_is_sealed() -> None:
    with vault_server() as vault:
        vault.ask("PUT", "sys/seal")
        with pytest.raises(SecretUnavailable, match="Vault is sealed: unseal it"):
            References(vault.environment).filled(database("secret/data/db"))


def test_out_of_the_environment_and_out_of_files(tmp_path: Path) -> None:
    document = '{"access_key": "a", "secret_key": "b"}'
    references = References({"DB_WORD": "one", "KEYS": document, "ROWFERRY_SECRET_KEY": "own"})
    (tmp_path / "word").write_text("one\n")
    (tmp_path / "keys").write_text(document)
    for reference in ("env:DB_WORD", f"file:{tmp_path}/word"):
        assert password(references.filled(database(reference))) == "one"
    for reference in ("env:KEYS", f"file:{tmp_path}/keys"):
        assert keys(references.filled(bucket(reference))) == {"accessKey": "a", "secretKey": "b"}
        assert password(references.filled(database(f"{reference}#secret_key"))) == "b"
    for reference, said in {
        "env:NONE": "no environment variable NONE",
        "env:ROWFERRY_SECRET_KEY": "is the server's own",
        "file:/no/such": "/no/such cannot be read",
        "env:DB_WORD#field": "has no field field",
    }.items():
        with pytest.raises(SecretUnavailable, match=said):
            references.filled(database(reference))


def test_a_reference_is_stored_and_what_it_leads_to_is_not(store: Store, box: Box) -> None:
    connections = Connections(store, box, references=References({"DB_WORD": "the secret"}))
    first = connections.create(database("env:DB_WORD"))
    assert password(connections.resolve(first.id)) == "the secret"
    copy = connections.clone(first.id)
    for record in (first, copy):
        assert record.document["spec"]["database"]["passwordRef"] == "env:DB_WORD"
        assert box.unseal(record.secrets, record.id) == "{}"
    plain = Connection.model_validate({"name": "a", "type": "mysql", "host": "h", "password": "old"})
    other = connections.create(plain)
    connections.update(other.id, database("env:DB_WORD"))
    assert password(connections.resolve(other.id)) == "the secret"


@pytest.mark.parametrize("reference", ["http://x", "env:", "vault:x", " "])
def test_what_is_no_reference_is_refused(reference: str) -> None:
    with pytest.raises(ValidationError):
        database(reference)


def test_a_password_stands_in_one_place() -> None:
    with pytest.raises(ValidationError, match="either password or passwordRef"):
        database("env:X", password="p")
