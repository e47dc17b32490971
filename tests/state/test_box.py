from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.config.settings import Settings
from rowferry.errors import SecretUnreadable
from rowferry.state.box import KEY_FILE, Box
from rowferry.state.store import Store


def box_in(folder: Path, key: str | None = None) -> Box:
    settings = Settings(data_dir=folder, secret_key=key)
    store = Store.open(settings)
    try:
        return Box.open(settings, store)
    finally:
        store.close()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_sealed_opens_for_its_owner_alone(text: str, owner: str) -> None:
    box = Box(b"k" * 32)
    sealed = box.seal(text, owner)
    assert box.unseal(sealed, owner) == text
    assert sealed != box.seal(text, owner)
    with pytest.raises(SecretUnreadable):
        box.unseal(sealed, owner + "x")


@given(st.text())
def test_damage_is_noticed(sealed: str) -> None:
    with pytest.raises(SecretUnreadable):
        Box(b"k" * 32).unseal(sealed, "owner")


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    sealed = box_in(tmp_path).seal("s", "o")
    assert box_in(tmp_path).unseal(sealed, "o") == "s"
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} >= {KEY_FILE}
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]


def test_processes_that_start_at_once_share_the_key_file(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        boxes = list(pool.map(box_in, [tmp_path] * 8))
    sealed = boxes[0].seal("s", "o")
    assert {box.unseal(sealed, "o") for box in boxes} == {"s"}


@pytest.mark.parametrize("key", ["k", "a long sentence of many words " * 50, "ключ"])
def test_a_secret_key_may_have_any_length(tmp_path: Path, key: str) -> None:
    sealed = box_in(tmp_path, key).seal("s", "o")
    assert box_in(tmp_path, key).unseal(sealed, "o") == "s"
    assert not (tmp_path / KEY_FILE).exists()
    with pytest.raises(SecretUnreadable, match="ROWFERRY_SECRET_KEY"):
        box_in(tmp_path, key + "x").unseal(sealed, "o")


def test_a_damaged_key_file_is_named(tmp_path: Path) -> None:
    (tmp_path / KEY_FILE).write_text("short")
    with pytest.raises(SecretUnreadable, match=KEY_FILE):
        box_in(tmp_path)
    (tmp_path / KEY_FILE).write_bytes(os.urandom(40) + b"\xff")
    with pytest.raises(SecretUnreadable, match=KEY_FILE):
        box_in(tmp_path)


def test_derived_keys_differ_by_purpose() -> None:
    box = Box(b"k" * 32)
    assert box.derive("a") == box.derive("a") != box.derive("b")
    assert len(box.derive("a")) == 32
