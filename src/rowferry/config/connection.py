"""A connection as the user writes it: flat or nested, for a database, a folder or object storage."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, model_validator

from rowferry.config.fields import Endpoint, Host, Name, Reference, Spec, Whole, Words
from rowferry.config.roots import ANYWHERE, Roots


class ConnectionType(StrEnum):
    """What is at the other end."""

    MYSQL = "mysql"
    MARIADB = "mariadb"
    POSTGRESQL = "postgresql"
    FILES = "files"
    S3 = "s3"


DEFAULT_PORTS = {ConnectionType.MYSQL: 3306, ConnectionType.MARIADB: 3306, ConnectionType.POSTGRESQL: 5432}
DATABASES = frozenset(DEFAULT_PORTS)
"""The types that are database servers."""

TYPE_ALIASES = {"postgres": "postgresql", "file": "files"}


class SslMode(StrEnum):
    """How far TLS is asked for and checked; the words are libpq's."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


def _fold_type(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    folded = value.strip().lower()
    return TYPE_ALIASES.get(folded, folded)


def _fold_ssl_mode(value: Any) -> Any:
    return "disable" if value == "disabled" else value


class Ssl(Spec):
    """TLS towards a database. Certificates and keys are PEM text, or a path on the server's machine."""

    mode: Annotated[SslMode, BeforeValidator(_fold_ssl_mode)] = SslMode.REQUIRE
    ca: Words | None = None
    client_cert: Annotated[Words | None, Field(alias="client_cert")] = None
    client_key: Annotated[SecretStr | None, Field(alias="client_key")] = None


class DatabaseSpec(Spec):
    """A database server. `database` narrows the connection to one database by default.

    `passwordRef` says where the password is kept, in the place of the password itself.
    """

    host: Host
    port: Whole | None = Field(default=None, ge=1, le=65535)
    username: Words = ""
    password: SecretStr | None = None
    password_ref: Reference | None = None
    database: Words | None = None

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if self.password is not None and self.password_ref:
            raise ValueError("takes either password or passwordRef")
        return self


class FilesSpec(Spec):
    """A folder, under which everything of this connection lies."""

    base_path: Name


class S3Credentials(Spec):
    """Keys of an object store, or where they are kept."""

    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    session_token: SecretStr | None = None
    credentials_ref: Reference | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.credentials_ref and (self.access_key or self.secret_key or self.session_token):
            raise ValueError("takes either credentialsRef or the keys themselves")
        return self


class S3Scope(Spec):
    """The part of a store that the connection may see."""

    bucket: Words | None = None
    prefix: Words | None = None


class S3Spec(Spec):
    """An S3-compatible object store; without credentials the usual AWS chain is asked.

    `endpoint` is for other stores than AWS; one that begins with http:// does without TLS. `pathStyle` puts the bucket
    into the path of an address and not into its host; left out, that is so with an endpoint.
    """

    region: Words | None = None
    endpoint: Endpoint | None = None
    path_style: bool | None = None
    credentials: S3Credentials | None = None
    scope: S3Scope | None = None


class ConnectionSpec(Spec):
    """Exactly one of the places a connection can lead to."""

    database: DatabaseSpec | None = None
    files: FilesSpec | None = None
    s3: S3Spec | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set & {"database", "files", "s3"} - self._unset()) != 1:
            raise ValueError("needs exactly one of database, files and s3")
        return self

    def _unset(self) -> set[str]:
        return {name for name in ("database", "files", "s3") if getattr(self, name) is None}


class StorageConfig(Spec):
    """The older spelling of an object store, with a URI."""

    provider: Literal["local", "s3"]
    uri: Name
    region: Words | None = None
    endpoint: Endpoint | None = None
    credentials_ref: Annotated[Reference | None, Field(alias="credentials_ref")] = None
    credentials: S3Credentials | None = None


class Connection(Spec):
    """A connection. The flat form (`host`, `port` …) and `storage_config` are folded into `spec` when it is read.

    `roots`, which no document holds, are the folders of this machine that it may lead to.
    """

    name: Name
    type: Annotated[ConnectionType, BeforeValidator(_fold_type)]
    spec: ConnectionSpec
    ssl: Ssl | None = None
    file_format: Annotated[Literal["csv", "json", "jsonl", "parquet"] | None, Field(alias="file_format")] = None
    _roots: Roots = PrivateAttr(default=ANYWHERE)

    @model_validator(mode="before")
    @classmethod
    def _fold_forms(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return _fold_storage(_fold_flat(dict(value)))

    @model_validator(mode="after")
    def _spec_fits_type(self) -> Self:
        wanted = "database" if self.type in DATABASES else "s3" if self.type is ConnectionType.S3 else None
        if wanted and getattr(self.spec, wanted) is None:
            raise ValueError(f"a connection of type {self.type.value} needs spec.{wanted}")
        if self.type is ConnectionType.FILES and self.spec.database is not None:
            raise ValueError("a connection of type files needs spec.files or spec.s3")
        return self

    @property
    def roots(self) -> Roots:
        """The folders of this machine that it may lead to."""
        return self._roots

    def within(self, roots: Roots) -> Connection:
        """This connection, which leads nowhere else on this machine."""
        copy = self.model_copy()
        copy._roots = roots
        return copy

    @property
    def engine(self) -> str:
        """The connector that serves this connection: mysql, postgresql, files or s3."""
        if self.spec.s3 is not None:
            return "s3"
        if self.spec.files is not None:
            return "files"
        return "postgresql" if self.type is ConnectionType.POSTGRESQL else "mysql"

    @property
    def port(self) -> int | None:
        """The database's port, the type's usual one where none was written."""
        if self.spec.database is None:
            return None
        return self.spec.database.port or DEFAULT_PORTS[self.type]


_FLAT = {
    "host": "host",
    "port": "port",
    "username": "username",
    "password": "password",
    "passwordRef": "passwordRef",
    "password_ref": "passwordRef",
    "defaultDatabase": "database",
    "default_database": "database",
    "database": "database",
}


def _fold_flat(document: dict[str, Any]) -> dict[str, Any]:
    found = {key: document.pop(key) for key in list(document) if key in _FLAT}
    if not found:
        return document
    if document.get("spec"):
        raise ValueError(f"write {', '.join(sorted(found))} either flat or inside spec.database, not both")
    document["spec"] = {"database": {_FLAT[key]: value for key, value in found.items()}}
    return document


def _fold_storage(document: dict[str, Any]) -> dict[str, Any]:
    if "storage_config" not in document:
        return document
    storage = StorageConfig.model_validate(document.pop("storage_config"))
    if document.get("spec"):
        raise ValueError("write either storage_config or spec, not both")
    if storage.provider == "local":
        document["spec"] = {"files": {"basePath": storage.uri.removeprefix("file://")}}
        return document
    uri = urlsplit(storage.uri)
    if uri.scheme != "s3" or not uri.netloc:
        raise ValueError("storage_config.uri must look like s3://bucket/prefix/")
    credentials = storage.credentials
    if credentials is None and storage.credentials_ref:
        credentials = S3Credentials(credentials_ref=storage.credentials_ref)
    document["spec"] = {
        "s3": S3Spec(
            region=storage.region,
            endpoint=storage.endpoint,
            credentials=credentials,
            scope=S3Scope(bucket=uri.netloc, prefix=uri.path.lstrip("/")),
        )
    }
    return document
