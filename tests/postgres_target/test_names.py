"""Names of any length, kept apart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowferry.connectors.postgres.names import LIMIT, Names, column_names, literal, quoted, shortened

names = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1, max_size=90)


@given(names)
def test_a_name_fits_and_stays_if_it_can(name: str) -> None:
    short = shortened(name)
    assert len(short.encode()) <= LIMIT
    assert shortened(name) == short
    assert short == name or len(name.encode()) > LIMIT


@given(st.sets(names, max_size=20), st.integers(0, 3))
def test_columns_stay_apart(wanted: set[str], tails: int) -> None:
    wanted |= {"x" * LIMIT + "y" * at for at in range(tails)} | {shortened("x" * LIMIT + "y"), "ctid", "ctid_"}
    mapped = column_names(sorted(wanted))
    assert len(set(mapped.values())) == len(wanted)
    assert all(len(name.encode()) <= LIMIT for name in mapped.values())
    assert mapped["ctid"] not in ("ctid", "ctid_")


def test_names_are_taken_in_turn() -> None:
    pool = Names()
    assert [pool.take("a", "t_a") for _ in range(4)] == ["a", "t_a", "t_a_2", "t_a_3"]


def test_quoting() -> None:
    assert quoted('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
    assert literal("\\'") == "E'\\\\'''"
