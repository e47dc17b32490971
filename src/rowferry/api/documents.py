"""What clients write: the documents of connections and stream configs, as requests carry them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, SecretStr, WithJsonSchema, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from rowferry.config.connection import DATABASES, Connection, Ssl, StorageConfig
from rowferry.config.fields import Name, Spec, Words
from rowferry.config.secrets import reveal
from rowferry.config.stream import StreamConfig
from rowferry.model.streams import Mode

_READ_ONLY: dict[str, Any] = {"readOnly": True}
_FLAT_FIELDS = ("host", "port", "username", "password", "passwordRef", "password_ref", "defaultDatabase")
_SERVER_FIELDS = frozenset({"id", "created", "databasesInfo"})

ConnectionTypeName = Annotated[
    str, WithJsonSchema({"type": "string", "enum": ["mysql", "mariadb", "postgresql", "files", "s3"]})
]


class FlatConnection(Spec):
    """A database, its fields side by side."""

    name: Name
    type: Annotated[str, WithJsonSchema({"type": "string", "enum": ["mysql", "mariadb", "postgresql"]})]
    host: Name
    port: int | None = Field(default=None, ge=1, le=65535, description="Without it the type's usual port.")
    username: Words = ""
    password: SecretStr | None = None
    password_ref: Words | None = Field(
        default=None, description="Where the password is kept: secret/data/db#password, env:NAME or file:/path."
    )
    default_database: Words | None = Field(default=None, description="Without it the whole server is meant.")
    ssl: Ssl | None = None


class StorageConnection(Spec):
    """Files, their place written as a URI."""

    name: Name
    type: Annotated[str, WithJsonSchema({"type": "string", "enum": ["files", "s3"]})]
    file_format: Annotated[
        str | None,
        Field(alias="file_format"),
        WithJsonSchema({"type": "string", "enum": ["csv", "json", "jsonl", "parquet"]}),
    ] = None
    storage_config: Annotated[StorageConfig, Field(alias="storage_config")]


class ConnectionBody(Connection):
    """A connection in any of its forms: flat, nested under `spec`, or with a `storage_config`.

    `id`, `created` and `databasesInfo` are the server's: a connection may be sent back as it was received.
    """

    id: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    created: int | None = Field(default=None, json_schema_extra=_READ_ONLY)
    databases_info: list[Any] | None = Field(default=None, json_schema_extra=_READ_ONLY)

    other_names: ClassVar = (*_FLAT_FIELDS, "storage_config")
    """Fields that the other forms have."""

    @model_validator(mode="before")
    @classmethod
    def _ask_for_a_host(cls, value: Any) -> Any:
        if not isinstance(value, dict) or {"spec", "storage_config", *_FLAT_FIELDS, "database"} & value.keys():
            return value
        if str(value.get("type")).strip().lower() in {*DATABASES, "postgres"}:
            return {**value, "spec": {"database": {}}}
        return value

    @classmethod
    def written_path(cls, path: list[str | int], body: Any) -> list[str | int]:
        """The path of a field as it stands in `body`, where the other forms have been folded away."""
        if not isinstance(body, dict) or not path:
            return path
        if isinstance(body.get("storage_config"), dict) and path[0] not in {*body, "name", "type", "spec"}:
            return ["storage_config", *path]
        if "spec" not in body and path[:2] == ["spec", "database"] and len(path) > 2:
            flat = "defaultDatabase" if path[2] == "database" and "database" not in body else path[2]
            return [flat, *path[3:]]
        return path

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Any of the forms; what this class itself declares is the nested one."""
        forms = [handler(form.__pydantic_core_schema__) for form in (FlatConnection, StorageConnection)]
        return {"title": "ConnectionBody", "anyOf": [*forms, handler(schema)]}

    def connection(self) -> Connection:
        """The connection alone."""
        document = {name: value for name, value in reveal(self).items() if name not in _SERVER_FIELDS}
        return Connection.model_validate(document)


class ConfigBody(StreamConfig):
    """A stream config. `id` and `created` are the server's: a config may be sent back as it was received."""

    mode: Annotated[
        Mode,
        BeforeValidator(lambda value: "convert" if value == "load" else value),
        WithJsonSchema({"type": "string", "enum": ["convert", "load", "cdc"], "description": "load means convert."}),
    ]
    id: str | None = Field(default=None, json_schema_extra=_READ_ONLY)
    created: int | None = Field(default=None, json_schema_extra=_READ_ONLY)

    def config(self) -> StreamConfig:
        """The config alone, with what was left out still left out."""
        return StreamConfig.model_validate(
            self.model_dump(by_alias=True, exclude_unset=True, exclude={"id", "created"})
        )
