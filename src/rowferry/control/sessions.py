"""Browser sessions: a signed value for a cookie, and the token that proves that our own page made a request."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer

from rowferry.control.accounts import Accounts
from rowferry.state.box import Box
from rowferry.state.records import AccountRecord

COOKIE = "rowferry_session"
CSRF_HEADER = "X-CSRF-Token"
LIFETIME_SECONDS = 30 * 24 * 3600

COOKIE_OPTIONS: dict[str, Any] = {
    "httponly": True,
    "samesite": "strict",
    "path": "/",
    "max_age": LIFETIME_SECONDS,
}
"""How the cookie is to be set; add `secure=True` behind TLS."""


class Sessions:
    """Issues and verifies sessions. They end after 30 days, and all at once when the password changes."""

    def __init__(self, accounts: Accounts, box: Box) -> None:
        self._accounts = accounts
        self._key = box.derive("sessions")
        self._signer = URLSafeTimedSerializer(self._key, salt="session")

    def issue(self, email: str) -> str:
        """A session for the account of that e-mail address, whose password has just been verified."""
        account = self._accounts.get()
        return self._signer.dumps([email, _mark(account) if account else ""])

    def verify(self, value: str) -> str | None:
        """The e-mail address the session was issued for; None when it is forged, too old or ended."""
        try:
            content = self._signer.loads(value, max_age=LIFETIME_SECONDS)
        except BadData:
            return None
        account = self._accounts.get()
        if account is None or content != [account.email, _mark(account)]:
            return None
        return account.email

    def csrf_token(self, value: str) -> str:
        """What a page of this session sends as `X-CSRF-Token` with everything that changes something."""
        return hmac.new(self._key, b"csrf:" + value.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def csrf_fits(self, value: str, token: str) -> bool:
        """Whether the token is that session's."""
        return hmac.compare_digest(self.csrf_token(value).encode(), token.encode("utf-8", "surrogatepass"))


def _mark(account: AccountRecord) -> str:
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]
