"""The installation's one account: who may use the API and the app."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import time
import uuid

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from rowferry.control.throttle import Throttle
from rowferry.errors import Conflict, Detail, InvalidInput, NotFound, Unauthenticated
from rowferry.state.box import Box
from rowferry.state.records import AccountRecord
from rowferry.state.store import Store

SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024

_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\Z")
_INSTALL_ID = "install_id"
_KEY_OWNER = "account.api_key"
_WHERE = (
    "both are shown on the Account page, and a new installation must first be opened once in a browser and its "
    "account connected"
)


class Accounts:
    """The account, its password, its API key, and the installation's identifier. Thread-safe.

    The API key is stored twice: hashed, to be compared, and sealed, so that the Account page can show it.
    """

    def __init__(self, store: Store, box: Box, throttle: Throttle | None = None) -> None:
        self._store = store
        self._box = box
        self._throttle = throttle or Throttle()
        self._hasher = PasswordHasher()
        self._setup_token = secrets.token_urlsafe(16)
        self._claiming = threading.Lock()
        self.install_id: str = store.settings.ensure(_INSTALL_ID, str(uuid.uuid4()))

    def get(self) -> AccountRecord | None:
        """The account, or None on a new installation."""
        return self._store.account.get()

    @property
    def setup_token(self) -> str | None:
        """The token with which a browser may create the account; None once there is one. New at every start."""
        return None if self.get() else self._setup_token

    def claim(self, token: str, email: str, password: str) -> AccountRecord:
        """Create the account from a browser; Unauthenticated with a wrong token."""
        self._throttle.check("setup")
        if not _same(token, self._setup_token):
            self._throttle.failed("setup")
            raise Unauthenticated("The set-up token is wrong: copy it from what the server printed when it started.")
        with self._claiming:
            record = self.create(email, password)
            self._setup_token = secrets.token_urlsafe(16)
        return record

    def create(self, email: str, password: str) -> AccountRecord:
        """Create the account; Conflict when there is one, InvalidInput for an e-mail or password that cannot be."""
        email = email.strip()
        _check_email(email)
        _check_password(password)
        key = _new_key()
        record = AccountRecord(
            email=email,
            password_hash=self._hasher.hash(password),
            key_hash=_hash(key),
            key_box=self._box.seal(key, _KEY_OWNER),
            created=int(time.time()),
        )
        if not self._store.account.create(record):
            raise Conflict("This installation already has an account: log in with it.")
        return record

    def api_key(self) -> str:
        """The API key in clear, for the Account page; NotFound without an account."""
        return self._box.unseal(self._account().key_box, _KEY_OWNER)

    def replace_key(self) -> str:
        """Make a new API key; the old one is refused from now on."""
        self._account()
        key = _new_key()
        self._store.account.update(key_hash=_hash(key), key_box=self._box.seal(key, _KEY_OWNER))
        return key

    def set_password(self, password: str) -> None:
        """Give the account another password; sessions that began with the old one end."""
        self._account()
        _check_password(password)
        self._store.account.update(password_hash=self._hasher.hash(password))

    def verify_login(self, email: str, password: str, origin: str = "") -> AccountRecord:
        """The account, if e-mail and password are its own; Unauthenticated if not, or tried too often by `origin`."""
        self._throttle.check(origin)
        account = self.get()
        right = self._verify(account, password) and account is not None and _same_email(email, account.email)
        if not right or account is None:
            self._throttle.failed(origin)
            raise Unauthenticated("E-mail or password is wrong.")
        self._throttle.succeeded(origin)
        if self._hasher.check_needs_rehash(account.password_hash):
            self._store.account.update(password_hash=self._hasher.hash(password))
        return account

    def check(self, api_key: str | None, install_id: str | None) -> None:
        """Return if both belong to this installation; Unauthenticated, saying which of them does not."""
        account = self.get()
        if account is None:
            raise Unauthenticated(
                "This installation has no account yet: open it once in a browser and connect your account, then send "
                "X-API-Key and X-Install-ID."
            )
        missing = [name for name, value in (("X-API-Key", api_key), ("X-Install-ID", install_id)) if not value]
        if missing:
            raise Unauthenticated(
                f"{' and '.join(missing)} missing: send the headers X-API-Key and X-Install-ID; {_WHERE}."
            )
        wrong = [
            name
            for name, right in (
                ("X-API-Key", _same(_hash(api_key or ""), account.key_hash)),
                ("X-Install-ID", _same(install_id or "", self.install_id)),
            )
            if not right
        ]
        if wrong:
            raise Unauthenticated(f"{' and '.join(wrong)} wrong: {_WHERE}.")

    def _account(self) -> AccountRecord:
        account = self.get()
        if account is None:
            raise NotFound("This installation has no account yet: open it once in a browser and connect your account.")
        return account

    def _verify(self, account: AccountRecord | None, password: str) -> bool:
        if len(password) > LONGEST_PASSWORD:
            return False
        if account is None:
            self._hasher.hash(password)  # takes as long as a check, so that nobody learns whether there is an account
            return False
        try:
            return self._hasher.verify(account.password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def _new_key() -> str:
    return f"rf_{secrets.token_urlsafe(32)}"


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), right.encode())


def _same_email(given: str, right: str) -> bool:
    return _same(given.strip().casefold(), right.casefold())


def _check_email(email: str) -> None:
    if not _EMAIL.match(email):
        message = "must look like name@example.org"
        raise InvalidInput(f"email {message}.", details=[Detail("email", message)])


def _check_password(password: str) -> None:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        message = f"must have {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters"
        raise InvalidInput(f"password {message}.", details=[Detail("password", message)])
