from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from rowferry.config.settings import Settings
from rowferry.control.accounts import Accounts
from rowferry.control.throttle import FIRST_WAIT, FREE_FAILURES, LONGEST_WAIT, Throttle
from rowferry.errors import Conflict, InvalidInput, NotFound, SecretUnreadable, Unauthenticated
from rowferry.state.box import Box
from rowferry.state.store import STATE_FILE, Store

EMAIL, PASSWORD = "owner@example.org", "a long password"


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def accounts(store: Store, box: Box, clock: Clock) -> Accounts:
    return Accounts(store, box, Throttle(clock))


def test_the_install_id_stays(store: Store, box: Box, accounts: Accounts) -> None:
    assert Accounts(store, box).install_id == accounts.install_id


def test_a_new_installation_is_claimed_with_its_token(accounts: Accounts) -> None:
    token = accounts.setup_token
    assert token
    with pytest.raises(Unauthenticated, match="set-up token"):
        accounts.claim("wrong", EMAIL, PASSWORD)
    assert accounts.claim(token, EMAIL, PASSWORD).email == EMAIL
    assert accounts.setup_token is None
    with pytest.raises(Unauthenticated):
        accounts.claim(token, "other@example.org", PASSWORD)


def test_a_token_survives_a_mistake(accounts: Accounts) -> None:
    token = accounts.setup_token
    assert token
    with pytest.raises(InvalidInput, match="password"):
        accounts.claim(token, EMAIL, "short")
    assert accounts.claim(token, EMAIL, PASSWORD)


def test_tokens_cannot_be_guessed(accounts: Accounts, clock: Clock) -> None:
    token = accounts.setup_token
    assert token
    for _ in range(FREE_FAILURES):
        with pytest.raises(Unauthenticated):
            accounts.claim("wrong", EMAIL, PASSWORD)
    with pytest.raises(Unauthenticated, match="try again in"):
        accounts.claim(token, EMAIL, PASSWORD)
    clock.now += FIRST_WAIT
    assert accounts.claim(token, EMAIL, PASSWORD)


def test_there_is_one_account(accounts: Accounts) -> None:
    def create(number: int) -> bool:
        try:
            accounts.create(f"{number}@example.org", PASSWORD)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(create, range(4))) == 1


@pytest.mark.parametrize("email", ["", "x", "a@", "@b", "a b@c", "a@b@c", "a@b\n.c", "a@\0"])
def test_odd_addresses_are_refused(accounts: Accounts, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        accounts.create(email, PASSWORD)
    assert refused.value.details[0].path == "email"


def test_the_key_is_shown_checked_and_replaced(accounts: Accounts) -> None:
    with pytest.raises(NotFound):
        accounts.api_key()
    with pytest.raises(Unauthenticated, match="no account yet"):
        accounts.check("rf_x", accounts.install_id)
    accounts.create(EMAIL, PASSWORD)
    key = accounts.api_key()
    assert key.startswith("rf_")
    accounts.check(key, accounts.install_id)
    new = accounts.replace_key()
    assert new == accounts.api_key() != key
    accounts.check(new, accounts.install_id)
    with pytest.raises(Unauthenticated, match="X-API-Key wrong"):
        accounts.check(key, accounts.install_id)


def test_neither_key_nor_password_are_stored_in_clear(accounts: Accounts, settings: Settings, store: Store) -> None:
    accounts.create(EMAIL, PASSWORD)
    key = accounts.api_key()
    store.close()
    content = b"".join(file.read_bytes() for file in settings.data_dir.glob(f"{STATE_FILE}*"))
    assert EMAIL.encode() in content
    assert PASSWORD.encode() not in content
    assert key.encode() not in content


def test_with_another_box_the_key_still_opens_the_door(accounts: Accounts, store: Store) -> None:
    accounts.create(EMAIL, PASSWORD)
    key = accounts.api_key()
    other = Accounts(store, Box(b"x" * 32))
    other.check(key, other.install_id)
    with pytest.raises(SecretUnreadable):
        other.api_key()
    assert other.replace_key() == other.api_key()


class TestLogin:
    """Logging in."""

    @pytest.fixture(autouse=True)
    def account(self, accounts: Accounts) -> None:
        accounts.create(EMAIL, PASSWORD)

    def test_right_and_wrong(self, accounts: Accounts) -> None:
        assert accounts.verify_login(f" {EMAIL.upper()} ", PASSWORD).email == EMAIL
        for email, password in ((EMAIL, "wrong"), ("x@y.z", PASSWORD), (EMAIL, ""), (EMAIL, "x" * 2000)):
            with pytest.raises(Unauthenticated, match="E-mail or password"):
                accounts.verify_login(email, password)

    def test_guessing_becomes_slow(self, accounts: Accounts, clock: Clock) -> None:
        for _ in range(FREE_FAILURES):
            with pytest.raises(Unauthenticated, match="E-mail"):
                accounts.verify_login(EMAIL, "wrong", "10.0.0.1")
        with pytest.raises(Unauthenticated, match="try again in 15 seconds"):
            accounts.verify_login(EMAIL, PASSWORD, "10.0.0.1")
        assert accounts.verify_login(EMAIL, PASSWORD, "10.0.0.2")
        clock.now += FIRST_WAIT
        assert accounts.verify_login(EMAIL, PASSWORD, "10.0.0.1")

    def test_a_new_password_holds(self, accounts: Accounts) -> None:
        accounts.set_password("another password")
        assert accounts.verify_login(EMAIL, "another password")
        with pytest.raises(Unauthenticated):
            accounts.verify_login(EMAIL, PASSWORD)


def test_without_an_account_nobody_logs_in(accounts: Accounts) -> None:
    with pytest.raises(Unauthenticated, match="E-mail or password"):
        accounts.verify_login(EMAIL, PASSWORD)


def test_waits_double_and_are_forgotten(clock: Clock) -> None:
    throttle = Throttle(clock)
    waits = []
    for _ in range(FREE_FAILURES + 9):
        throttle.failed("o")
        before = clock.now
        while True:
            try:
                throttle.check("o")
            except Unauthenticated:
                clock.now += 1
            else:
                break
        waits.append(clock.now - before)
    assert waits[: FREE_FAILURES - 1] == [0] * (FREE_FAILURES - 1)
    assert waits[FREE_FAILURES - 1 : FREE_FAILURES + 2] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT
    throttle.succeeded("o")
    throttle.failed("o")
    throttle.check("o")
