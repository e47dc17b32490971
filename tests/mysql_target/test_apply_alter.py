"""Columns that change in the middle of a log: once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Standing
from rowferry.connectors.mysql import follows
from rowferry.connectors.mysql.apply import MySqlApplier
from rowferry.errors import ConnectionLost, FencedOff, WriteFailed
from rowferry.model import types as t
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Column, Default, DefaultKind, Index, IndexPart, NativeType, Table
from tests.followed import row_changes
from tests.mysql_target.applying import change, merged
from tests.mysql_target.conftest import Place, load
from tests.tables import column, table

ID = column("id", t.Integer(32), nullable=False)
NAME = column("name", t.Text(20))
ITEM = table("item", ID, NAME, primary_key=("id",), key=("id",))


def literal(text: str) -> Default:
    return Default(DefaultKind.LITERAL, text)


def declared(name: str, neutral: t.NeutralType, **more: Any) -> Column:
    """A column whose declaration tells types apart, as a catalogue's does."""
    return replace(column(name, neutral, **more), native=NativeType("native", str(neutral)))


def like(table_: Table, *columns: Column, **more: Any) -> Table:
    return replace(table_, columns=columns, **more)


def planned(place: Place, source: Table) -> PlannedTable:
    """The table as it is planned for this stream."""
    return place.target().plan([source], "postgres", prepared=True).tables[0]


def altered(before: Table, after: Table, renamed: Mapping[str, str] | None = None) -> TableAltered:
    return TableAltered(before, after, renamed or {})


def columns(place: Place) -> list[tuple[str, str]]:
    return place.run(
        "SELECT COLUMN_NAME, COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "
        "AND TABLE_NAME = 'item' ORDER BY ORDINAL_POSITION"
    )


def start(place: Place, rows: Sequence[Any] = ((1, "a"),), source: Table = ITEM) -> tuple[MySqlApplier, PlannedTable]:
    load(place.target(), (source, rows))
    applier = place.applier()
    applier.commit(Standing("0"))
    return applier, planned(place, source)


def test_columns_come_change_and_go(place: Place) -> None:
    wide = like(ITEM, ID, NAME, declared("n", t.Integer(32)), declared("m", t.Integer(32)))
    applier, first = start(place, [(1, "a", 5, 6)], wide)
    later = like(
        ITEM,
        ID,
        column("title", t.Text(20)),
        declared("n", t.Integer(64)),
        column("new", t.Text(9), nullable=False, default=literal("'d'")),
        column("more", t.Integer(32)),
    )
    event = altered(wide, later, {"title": "name"})
    second = planned(place, later)
    applier.alter(first, second, event)
    applier.replay(second, row_changes(later, [change((1, "a", 5, "d", None), (1, "b", 2**40, "é", 7))]), checked=False)
    applier.merge(merged(second, ["id"], upserts=[(2, "c", 1, "x", None)], new=True))
    applier.commit(Standing("1"))
    assert columns(place) == [
        ("id", "int(11)"), ("title", "varchar(20)"), ("n", "bigint(20)"), ("new", "varchar(9)"), ("more", "int(11)"),
    ]  # fmt: skip
    assert place.run("SELECT * FROM item ORDER BY id") == [(1, "b", 2**40, "é", 7), (2, "c", 1, "x", None)]
    assert place.run("SELECT altering FROM _rowferry.follows") == [(None,)]


def test_rows_that_are_there_get_the_default(place: Place) -> None:
    applier, first = start(place)
    later = like(ITEM, ID, NAME, column("n", t.Integer(32), nullable=False, default=literal("7")))
    applier.alter(first, planned(place, later), altered(ITEM, later))
    applier.commit(Standing("1"))
    assert place.run("SELECT * FROM item") == [(1, "a", 7)]


UNKNOWN: list[Column] = [
    column("n", t.DateTime(0), default=Default(DefaultKind.NOW)),
    column("n", t.Integer(32), default=Default(DefaultKind.EXPRESSION, "floor(random() * 10)")),
    column("n", t.Integer(32), nullable=False, identity=True),
    column("n", t.Integer(32), generated="length(some_function(name))"),
]


@pytest.mark.parametrize("added", UNKNOWN, ids=["now", "random", "numbered", "computed"])
def test_values_that_no_log_tells_are_refused(place: Place, added: Column) -> None:
    applier, first = start(place)
    later = like(ITEM, ID, NAME, added)
    with pytest.raises(WriteFailed, match=r"got the column n, whose values .* load the table again"):
        applier.alter(first, planned(place, later), altered(ITEM, later))
    assert [name for name, _ in columns(place)] == ["id", "name"]


def test_an_empty_table_may_get_any_column(place: Place) -> None:
    applier, first = start(place, [])
    later = like(ITEM, ID, NAME, UNKNOWN[0])
    applier.alter(first, planned(place, later), altered(ITEM, later))
    assert [name for name, _ in columns(place)] == ["id", "name", "n"]


def test_an_index_goes_with_its_column(place: Place) -> None:
    """PostgreSQL's way: the servers here would keep an index over what is left, and that might be unique."""
    index = Index("both", (IndexPart("name"), IndexPart("n")), unique=True)
    wide = like(ITEM, ID, NAME, column("n", t.Integer(32)), indexes=(index,))
    applier, first = start(place, [(1, "a", 1), (2, "a", 2)], wide)
    applier.alter(first, planned(place, ITEM), altered(wide, ITEM))
    applier.commit(Standing("1"))
    assert place.run("SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS "
                     "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'item'") == [("PRIMARY",)]  # fmt: skip
    assert place.run("SELECT * FROM item ORDER BY id") == [(1, "a"), (2, "a")]


SWAPPED = like(ITEM, ID, column("b", t.Text(20)), column("a", t.Text(20)))
PAIR = like(ITEM, ID, column("a", t.Text(20)), column("b", t.Text(20)))


def before_it(applier: MySqlApplier, alter: Callable[[MySqlApplier], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Dies when it is written down, and not done."""
    run = applier._session.execute

    def die(statement: str) -> int:
        if statement.startswith("ALTER"):
            applier._session.cancel()
        return run(statement)

    monkeypatch.setattr(applier._session, "execute", die)
    with pytest.raises(ConnectionLost):
        alter(applier)


def after_it(applier: MySqlApplier, alter: Callable[[MySqlApplier], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Dies when it is done, and the position not moved."""
    alter(applier)
    applier.close()


@pytest.mark.parametrize("die", [before_it, after_it])
def test_a_death_in_between(place: Place, monkeypatch: pytest.MonkeyPatch, die: Callable[..., None]) -> None:
    """Two columns swap their names: nothing that is there says whether it has happened, but what was written down."""
    applier, first = start(place, [(1, "was a", "was b")], PAIR)
    second = planned(place, SWAPPED)
    event = altered(PAIR, SWAPPED, {"a": "b", "b": "a"})

    def alter(one: MySqlApplier) -> None:
        one.alter(first, second, event)

    die(applier, alter, monkeypatch)
    for _ in range(2):
        again = place.applier()
        assert again.standing() == Standing("0")
        alter(again)
        again.close()
    last = place.applier()
    alter(last)
    last.commit(Standing("1"))
    assert place.run("SELECT a, b FROM item") == [("was b", "was a")]
    assert place.run("SELECT altering FROM _rowferry.follows") == [(None,)]


def test_it_happens_again_when_it_does_at_the_source(place: Place) -> None:
    applier, _ = start(place, [(1, "was a", "was b")], PAIR)
    for number in range(3):
        here, there = (PAIR, SWAPPED) if number % 2 == 0 else (SWAPPED, PAIR)
        applier.alter(planned(place, here), planned(place, there), altered(here, there, {"a": "b", "b": "a"}))
        applier.commit(Standing(str(number)))
    assert place.run("SELECT a, b FROM item") == [("was b", "was a")]


def test_new_columns_in_the_middle_of_a_transaction(place: Place) -> None:
    """The changes before cannot stay without being committed: they are undone, and done again after it."""
    applier, first = start(place)
    later = like(ITEM, ID, NAME, column("n", t.Integer(32), default=literal("7")))
    wider = like(later, ID, NAME, declared("n", t.Integer(64), default=literal("7")))
    tables = [first, planned(place, later), planned(place, wider)]
    tries = 0

    def follow(one: MySqlApplier) -> None:
        one.merge(merged(first, ["id"], upserts=[(2, "b")], new=True))
        one.alter(first, tables[1], altered(ITEM, later))
        one.merge(merged(tables[1], ["id"], upserts=[(3, "c", 8)], new=True))
        one.alter(tables[1], tables[2], altered(later, wider))
        one.merge(merged(tables[2], ["id"], upserts=[(4, "d", 2**40)], new=True))

    while True:
        try:
            follow(applier)
            break
        except ConnectionLost:
            tries += 1
            assert place.run("SELECT id FROM item") == [(1,)]
            applier = place.applier()
            assert applier.standing() == Standing("0")
    assert tries == 2
    applier.commit(Standing("1"))
    assert place.run("SELECT * FROM item ORDER BY id") == [(1, "a", 7), (2, "b", 7), (3, "c", 8), (4, "d", 2**40)]
    assert place.run("SELECT altering FROM _rowferry.follows") == [(None,)]


def test_columns_do_not_go_in_the_middle_of_a_transaction(place: Place) -> None:
    applier, first = start(place)
    later = like(ITEM, ID)
    applier.merge(merged(first, ["id"], upserts=[(2, "b")], new=True))
    with pytest.raises(WriteFailed, match="within a transaction that had changed rows before"):
        applier.alter(first, planned(place, later), altered(ITEM, later))
    assert place.run("SELECT * FROM item") == [(1, "a")]


def test_an_older_writer_alters_nothing(place: Place) -> None:
    applier, first = start(place)
    later = like(ITEM, ID)
    place.run("UPDATE _rowferry.follows SET epoch = epoch + 1")
    with pytest.raises(FencedOff):
        applier.alter(first, planned(place, later), altered(ITEM, later))
    assert [name for name, _ in columns(place)] == ["id", "name"]
    assert follows.altering(place.applier()._session, "stream_1") == []
