"""The box that secrets lie in: what it seals can be read with the same key alone."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
import tempfile
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from rowferry.config.settings import Settings
from rowferry.errors import SecretUnreadable
from rowferry.state.store import Store

KEY_FILE = "secret.key"

_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "1."
_SALT = "secret_salt"
_WRONG_KEY = (
    "A stored secret cannot be opened: start the server with the ROWFERRY_SECRET_KEY or the key file that it was "
    "stored with, or write the secret again."
)


class Box:
    """Seals text with AES-GCM. Usable from any thread."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def open(cls, settings: Settings, store: Store) -> Self:
        """The box of this installation: its key is made from `secret_key`, or read from the data directory.

        A `secret_key` may have any length; it is stretched with a salt that the state keeps.
        """
        if settings.secret_key is None:
            return cls(_file_key(settings.data_dir / KEY_FILE))
        salt = base64.b64decode(store.settings.ensure(_SALT, base64.b64encode(secrets.token_bytes(16)).decode()))
        stretch = Scrypt(salt=salt, length=_KEY_BYTES, n=2**14, r=8, p=1)
        return cls(stretch.derive(settings.secret_key.get_secret_value().encode()))

    def seal(self, text: str, owner: str) -> str:
        """Encrypt the text for `owner`, such as an identifier: it opens under the same name alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())
        return _VERSION + base64.b64encode(sealed).decode()

    def unseal(self, sealed: str, owner: str) -> str:
        """The text that `seal` was given; SecretUnreadable with another key, another owner, or a damaged value."""
        try:
            raw = base64.b64decode(sealed.removeprefix(_VERSION), validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], owner.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SecretUnreadable(_WRONG_KEY) from error

    def derive(self, purpose: str) -> bytes:
        """A key of 32 bytes for another purpose, always the same for the same box."""
        return HKDF(hashes.SHA256(), _KEY_BYTES, salt=None, info=purpose.encode()).derive(self._key)


def _file_key(path: Path) -> bytes:
    if not path.exists():
        _create_key(path)
    try:
        key = base64.b64decode(path.read_text(encoding="ascii"), validate=False)
    except (OSError, ValueError) as error:
        raise SecretUnreadable(f"The key file {path} cannot be read: check its owner, or restore it.") from error
    if len(key) != _KEY_BYTES:
        raise SecretUnreadable(f"The key file {path} is damaged: restore it from a copy.")
    return key


def _create_key(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
    whole = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(whole)  # either the whole key appears under this name, or another process was first
    except FileExistsError:
        pass
    finally:
        whole.unlink()
