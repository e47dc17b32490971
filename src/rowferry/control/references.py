"""Secrets that are kept elsewhere: looked up when a connection is opened, never stored and never logged.

| reference | where |
|---|---|
| `secret/data/aws/my-bucket`, `secret/data/db#password` | Vault or OpenBao, by the path of its HTTP interface |
| `env:NAME` | the server's environment |
| `file:/path` | a file on the server's machine, below one of the folders for secrets |

Behind `#` stands the name of a field; a variable or a file has fields when it holds a JSON object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from rowferry.config.connection import Connection, DatabaseSpec, S3Credentials, S3Spec, Ssl
from rowferry.config.roots import ANYWHERE, Roots
from rowferry.connectors.files.anchored import opened
from rowferry.errors import InvalidInput, SecretUnavailable

_LONGEST = 64 * 1024
_LONGEST_PEM = 4 * 1024 * 1024
_PATIENCE = 10
"""Seconds that Vault is given to answer."""

_OWN = ("ROWFERRY_", "VAULT_")
"""What the names of variables begin with that are the server's own secrets: no connection is told those."""

_KEYS = {
    "access_key": ("access_key", "accessKey", "aws_access_key_id", "access_key_id"),
    "secret_key": ("secret_key", "secretKey", "aws_secret_access_key", "secret_access_key"),
    "session_token": ("session_token", "sessionToken", "aws_session_token"),
}
"""The keys of an object store, and the names that fields of a secret have for them."""

Secret = str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VaultAccess:
    """How Vault or OpenBao is reached: by a token, or by the role and secret IDs of an AppRole."""

    address: str | None = None
    token: str | None = None
    role_id: str | None = None
    secret_id: str | None = None
    namespace: str | None = None
    ca: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> VaultAccess:
        """As VAULT_ADDR and its like say."""
        names = ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_NAMESPACE", "VAULT_CACERT")
        return cls(*(environment.get(name) or None for name in names))


class References:
    """Puts secrets and certificates into connections in the place of references and paths.

    Thread-safe. SecretUnavailable when one is missing, InvalidInput for a file that lies outside of `roots`.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ, roots: Roots = ANYWHERE) -> None:
        self._environment = environment
        self._roots = roots
        self._read: dict[str, Callable[[str], Secret]] = {"env": self._variable, "file": self._file}

    def filled(self, connection: Connection) -> Connection:
        """The connection with its secrets; the same one when it has no references."""
        spec = connection.spec
        if spec.database is not None and spec.database.password_ref:
            spec = spec.model_copy(update={"database": self._database(spec.database, spec.database.password_ref)})
        if spec.s3 is not None and spec.s3.credentials is not None and spec.s3.credentials.credentials_ref:
            spec = spec.model_copy(update={"s3": self._s3(spec.s3, spec.s3.credentials.credentials_ref)})
        ssl = connection.ssl if connection.ssl is None else self._ssl(connection.ssl)
        if spec is connection.spec and ssl is connection.ssl:
            return connection
        return connection.model_copy(update={"spec": spec, "ssl": ssl})

    def check(self, connection: Connection) -> None:
        """InvalidInput for a file that could not be read later on, because it lies outside of the roots."""
        spec = connection.spec
        written = [
            spec.database and spec.database.password_ref,
            spec.s3 and spec.s3.credentials and spec.s3.credentials.credentials_ref,
        ]
        for reference in (one for one in written if isinstance(one, str)):
            kind, _, rest = reference.partition("#")[0].partition(":")
            if kind == "file":
                self._roots.place(rest, "The secret's file")
        for name in ("ca", "client_cert"):
            path = getattr(connection.ssl, name, None)
            if path and not _is_pem(path):
                self._roots.place(path, f"ssl.{name}")

    def _ssl(self, ssl: Ssl) -> Ssl:
        """With PEM texts in the place of paths, so that nobody has to follow a path later on."""
        key = ssl.client_key.get_secret_value() if ssl.client_key else None
        found = {"ca": self._pem(ssl.ca, "ssl.ca"), "client_cert": self._pem(ssl.client_cert, "ssl.client_cert")}
        text = self._pem(key, "ssl.client_key")
        if (found["ca"], found["client_cert"], text) == (ssl.ca, ssl.client_cert, key):
            return ssl
        return ssl.model_copy(update={**found, "client_key": None if text is None else SecretStr(text)})

    def _pem(self, written: str | None, what: str) -> str | None:
        if not written or _is_pem(written) or self._roots.folders is None:
            return written
        try:
            text = _content(self._roots.place(written, what), _LONGEST_PEM)
        except InvalidInput:
            raise InvalidInput(
                f"{what} must be PEM text, or a file below one of the folders that {self._roots.setting} names."
            ) from None
        except (OSError, UnicodeDecodeError):
            text = ""
        if not _is_pem(text):
            raise SecretUnavailable(f"{what} names no file that can be read and holds PEM text: correct its path.")
        return text

    def _file(self, name: str) -> Secret:
        path = self._roots.place(name, "The secret's file")
        try:
            return _parsed(_content(path, _LONGEST).rstrip("\r\n"))
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise SecretUnavailable(f"The secret's file {path} cannot be read: {reason}.") from error
        except UnicodeDecodeError:
            raise SecretUnavailable(f"The secret's file {path} holds no text.") from None

    def _database(self, spec: DatabaseSpec, reference: str) -> DatabaseSpec:
        password = SecretStr(_one(self._secret(reference), reference))
        return spec.model_copy(update={"password": password, "password_ref": None})

    def _s3(self, spec: S3Spec, reference: str) -> S3Spec:
        secret = self._secret(reference)
        found = {
            ours: SecretStr(str(secret[name]))
            for ours, names in _KEYS.items()
            for name in reversed(names)
            if isinstance(secret, Mapping) and secret.get(name)
        }
        missing = [name for name in ("access_key", "secret_key") if name not in found]
        if missing:
            raise SecretUnavailable(f"The secret {reference} has no field {' and no field '.join(missing)}: add it.")
        return spec.model_copy(update={"credentials": S3Credentials(**found)})

    def _secret(self, reference: str) -> Secret:
        place, _, field = reference.partition("#")
        kind, separator, rest = place.partition(":")
        read = self._read.get(kind) if separator else None
        secret = read(rest) if read else self._vault(place)
        if not field:
            return secret
        if not isinstance(secret, Mapping) or field not in secret:
            raise SecretUnavailable(f"The secret {place} has no field {field}: add it, or name another.")
        value = secret[field]
        return value if isinstance(value, Mapping) else str(value)

    def _variable(self, name: str) -> Secret:
        if name.startswith(_OWN):
            raise SecretUnavailable(f"The variable {name} is the server's own: keep the secret in another one.")
        value = self._environment.get(name)
        if value is None:
            raise SecretUnavailable(f"The server has no environment variable {name}: set it and start the server anew.")
        return _parsed(value)

    def _vault(self, path: str) -> Secret:
        from rowferry.control.vault import read  # noqa: PLC0415 - few connections lead there

        return read(VaultAccess.of(self._environment), path, _PATIENCE)


def _is_pem(written: str) -> bool:
    return "-----BEGIN" in written


def _content(path: Path, longest: int) -> str:
    with os.fdopen(opened(path), "rb") as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise SecretUnavailable(f"The secret's file {path} is too long for a secret.")
    return content.decode()


def _parsed(text: str) -> Secret:
    """The fields of a JSON object; any other text is the secret itself."""
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except ValueError:
            return text
        if isinstance(document, dict):
            return document
    return text


def _one(secret: Secret, reference: str) -> str:
    """The secret as one text: itself, its field `password`, or the only field that it has."""
    if isinstance(secret, str):
        return secret
    if "password" in secret:
        return str(secret["password"])
    if len(secret) == 1:
        return str(next(iter(secret.values())))
    raise SecretUnavailable(
        f"The secret {reference} has several fields and none is called password: write #field behind it."
    )
