"""Reading a secret from Vault or OpenBao."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hvac
import requests
from hvac import exceptions

from rowferry.errors import SecretUnavailable

if TYPE_CHECKING:
    from rowferry.control.references import VaultAccess

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.VaultDown, "Vault is sealed: unseal it."),
    (exceptions.Forbidden, "Vault forbids to read {path}: let the token's policy allow it, or renew the token."),
    (exceptions.Unauthorized, "Vault does not know the token: set VAULT_TOKEN anew."),
    (exceptions.InvalidPath, "Vault has no secret {path}: write it there, or correct the reference."),
    (exceptions.InvalidRequest, "Vault does not take the request for {path}: check VAULT_ROLE_ID and VAULT_SECRET_ID."),
    (exceptions.VaultError, "Vault failed to read {path}: look at its own log."),
    (requests.exceptions.SSLError, "Vault's certificate cannot be verified: name the authority in VAULT_CACERT."),
    (requests.exceptions.RequestException, "Vault at {address} does not answer: check VAULT_ADDR and that it runs."),
)
"""What may go wrong, the narrower kinds first, and what is said of it."""


def read(access: VaultAccess, path: str, patience: float) -> Mapping[str, Any]:
    """The fields of the secret; SecretUnavailable, with what to change, when they cannot be had.

    `path` is the one of Vault's HTTP interface, which for the engine KV v2 has `data` behind the mount.
    """
    if access.address is None:
        raise SecretUnavailable(f"The secret {path} is kept in Vault: set VAULT_ADDR for the server.")
    if access.ca is not None and not Path(access.ca).exists():
        raise SecretUnavailable("There is no file as VAULT_CACERT names it: correct it for the server.")
    try:
        answer = _ask(access, path, patience)
    except tuple(kind for kind, _ in _REFUSALS) as error:
        said = next(text for kind, text in _REFUSALS if isinstance(error, kind))
        raise SecretUnavailable(said.format(path=path, address=access.address)) from None
    return _fields(answer, path)


def _ask(access: VaultAccess, path: str, patience: float) -> Any:
    with requests.Session() as session:
        client = hvac.Client(
            url=access.address, token=access.token or "", namespace=access.namespace, verify=access.ca or True,
            timeout=patience, session=session, strict_http=True,
        )  # fmt: skip
        session.verify = access.ca or True
        if not access.token:
            if not (access.role_id and access.secret_id):
                raise SecretUnavailable("Vault asks who we are: set VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID.")
            client.auth.approle.login(access.role_id, access.secret_id)
        return client.adapter.get(f"/v1/{path.strip('/')}")


def _fields(answer: Any, path: str) -> Mapping[str, Any]:
    body = answer.get("data") if isinstance(answer, Mapping) else None
    if isinstance(body, Mapping) and isinstance(body.get("metadata"), Mapping) and "data" in body:
        body = body["data"]
    if not isinstance(body, Mapping) or not body:
        raise SecretUnavailable(f"Vault has no secret {path}: write it there, or correct the reference.")
    return body
