"""Changes of rows, merged and replayed: what comes of them is what a plain list of rows comes to."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Standing
from rowferry.connectors.mysql import stage
from rowferry.connectors.mysql.apply import MySqlApplier
from rowferry.errors import Clash, WriteFailed
from rowferry.model import types as t
from rowferry.model.tables import Index, IndexPart, Table
from tests.followed import Change, Row, row_changes
from tests.mysql_target.applying import change, merged
from tests.mysql_target.conftest import Place, load, prepared, write
from tests.mysql_target.test_types import MATRIX, SPELLED
from tests.tables import column, simple, table

KINDS: list[tuple[t.NeutralType, list[Any]]] = [
    *((kind, values) for kind, _, values in MATRIX),
    *((kind, list(values)) for kind, _, values in SPELLED),
]


def everything(place: Place, name: str) -> Counter[Row]:
    """All of a table's rows, to the byte."""
    found = place.run(
        "SELECT COLUMN_NAME, DATA_TYPE = 'float' FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() "
        f"AND TABLE_NAME = '{name}' ORDER BY ORDINAL_POSITION"
    )
    # A float shows fewer digits than it has where nothing is computed.
    cells = ", ".join(f"HEX(CAST({cell}{' + 0e0' if short else ''} AS BINARY))" for cell, short in found)
    return Counter(place.run(f"SELECT {cells} FROM {name}"))


def opened(place: Place, *tables: Table) -> tuple[MySqlApplier, Sequence[PlannedTable]]:
    plan = prepared(place.target(), *tables)
    return place.applier(), plan.tables


WIDE = [column(f"c{at}", kind) for at, (kind, _) in enumerate(KINDS)]


def wide_rows() -> list[Row]:
    """Each value of each type, and NULL, in some row."""
    most = max(len(values) for _, values in KINDS)
    return [
        (number, *(values[number % len(values)] if number < most else None for _, values in KINDS))
        for number in range(most + 1)
    ]


def test_every_value_of_every_type(each_way: Place) -> None:
    """Rows that come in, are merged over, changed in part, found by all of their values, and go."""
    place = each_way
    cells = [column("id", t.Integer(32), nullable=False), *WIDE]
    keyed = table("keyed", *cells, primary_key=("id",), key=("id",))
    bare = table("bare", *cells)
    wanted = table("wanted", *cells, primary_key=("id",), key=("id",))
    rows = wide_rows()
    turned = [(rows[at][0], *rows[at - 1][1:]) for at in range(len(rows))]
    applier, [one, two, three] = opened(place, keyed, bare, wanted)
    write(place.targets[0], three, turned)
    expected = everything(place, "wanted")

    applier.merge(merged(one, ["id"], upserts=rows, new=True))
    applier.merge(merged(one, ["id"], updates={(cell.name,): turned[:2] for cell in WIDE}))
    applier.merge(merged(one, ["id"], upserts=turned[1:]))
    applier.replay(two, row_changes(bare, [change(None, row) for row in rows * 2]), checked=False)
    changes = [change(old, new) for old, new in zip(rows, turned, strict=True)]
    applier.replay(two, row_changes(bare, changes), checked=False)
    applier.replay(two, row_changes(bare, [change(row, None) for row in rows]), checked=False)
    applier.commit(Standing("1"))
    assert everything(place, "keyed") == expected
    assert everything(place, "bare") == expected

    applier.replay(
        one, row_changes(keyed, [change(new, old) for old, new in zip(rows, turned, strict=True)]), checked=False
    )
    applier.merge(merged(one, ["id"], deletes=rows[1:]))
    applier.commit(Standing("2"))
    assert place.run("SELECT id FROM keyed") == [(0,)]
    for row in turned[1:]:
        applier.replay(two, row_changes(bare, [change(row, None)]), checked=False)
    applier.commit(Standing("3"))
    assert place.run("SELECT id FROM bare") == [(0,)]


UNIQUE = table(
    "item", column("id", t.Integer(32), nullable=False), column("name", t.Text(20)), column("n", t.Integer(32)),
    primary_key=("id",), key=("id",), indexes=(Index("names", (IndexPart("name"),), unique=True),),
)  # fmt: skip


def filled(place: Place, source: Table, rows: Sequence[Row]) -> tuple[MySqlApplier, PlannedTable]:
    """An applier, and the table with these rows and its indexes."""
    target = place.target()
    load(target, (source, rows))
    [planned] = target.plan([source], "postgres", prepared=True).tables
    return place.applier(), planned


def test_two_rows_that_swap_a_unique_value(each_way: Place) -> None:
    place = each_way
    applier, item = filled(place, UNIQUE, [(1, "a", 0), (2, "b", 0), (3, "c", 0)])
    applier.merge(merged(item, ["id"], deletes=[(3, "c", 0)]))
    for new in (False, True):
        with pytest.raises(Clash, match=r"\.item meet another unique key"):
            applier.merge(merged(item, ["id"], deletes=[(1, "a", 0)], upserts=[(4, "d", 1), (5, "b", 1)], new=new))
    with pytest.raises(Clash):
        applier.merge(merged(item, ["id"], updates={("n",): [(1, "", 9)], ("name",): [(1, "b", 0), (2, "a", 0)]}))
    assert applier._session.rows(f"SELECT * FROM {place.database}.item") == [(1, "a", 0), (2, "b", 0)]
    steps = [((1, "a", 0), (1, "x", 0)), ((2, "b", 0), (2, "a", 1)), ((1, "x", 0), (1, "b", 1))]
    applier.replay(item, row_changes(UNIQUE, [change(old, new) for old, new in steps]), checked=False)
    applier.commit(Standing("1"))
    assert place.run("SELECT * FROM item ORDER BY id") == [(1, "b", 1), (2, "a", 1)]
    with pytest.raises(WriteFailed, match="same key"):
        applier.replay(item, row_changes(UNIQUE, [change(None, (9, "a", 0))]), checked=False)


def test_rows_that_should_be_new_and_are_not(each_way: Place) -> None:
    """After a load whose reads saw what the log tells again."""
    applier, item = filled(each_way, UNIQUE, [(1, "a", 0), (2, "b", 0)])
    applier.merge(merged(item, ["id"], upserts=[(0, "z", 1), (1, "a2", 1), (3, "c", 1)], new=True))
    applier.commit(Standing("1"))
    wanted = [(0, "z", 1), (1, "a2", 1), (2, "b", 0), (3, "c", 1)]
    assert each_way.run("SELECT * FROM item ORDER BY id") == wanted


def test_rows_that_are_not_there(each_way: Place) -> None:
    applier, item = filled(each_way, UNIQUE, [(1, "a", 0)])
    gone = (7, "x", 7)
    applier.merge(merged(item, ["id"], deletes=[gone], updates={("n",): [gone, (1, "", 5)]}))
    applier.replay(item, row_changes(UNIQUE, [change(gone, (8, "y", 8)), change(gone, None)]), checked=False)
    applier.commit(Standing("1"))
    assert each_way.run("SELECT * FROM item") == [(1, "a", 5)]


def test_more_kinds_of_updates_than_are_kept_ready(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each set of columns has a table of the session's own, and only so many stay."""
    monkeypatch.setattr(stage, "MOST", 2)
    applier, item = filled(place, UNIQUE, [(number, f"n{number}", number) for number in range(4)])
    for turn in range(3):
        for names in (("n",), ("name",), ("name", "n"), ("n",)):
            rows: list[Row] = [(number, f"{turn}-{number}", turn) for number in range(4)]
            applier.merge(merged(item, ["id"], updates={names: rows}))
    applier.commit(Standing("1"))
    assert place.run("SELECT * FROM item ORDER BY id") == [(number, f"2-{number}", 2) for number in range(4)]
    assert len(applier._stages._made) == 2


NAMED = table("named", column("k", t.Text(9), nullable=False), column("v", t.Integer(32)),
              primary_key=("k",), key=("k",))  # fmt: skip
KEYS = ["a", "A", "á", "a ", "", " ", "ss", "ß", "\U0001f600", "\U0001f601", "a'\\b"]


def test_keys_are_told_apart_by_every_character(each_way: Place) -> None:
    applier, named = filled(each_way, NAMED, [(key, 0) for key in KEYS])
    applier.merge(merged(named, ["k"], upserts=[("a", 1), ("A", 2)], deletes=[("a ", 0), ("ß", 0)]))
    applier.merge(merged(named, ["k"], updates={("v",): [("á", 3), ("", 4)]}))
    swap = [(("ss", 0), ("ß", 5)), ((" ", 0), ("  ", 6)), (("\U0001f600", 0), ("\U0001f602", 7))]
    applier.replay(named, row_changes(NAMED, [change(old, new) for old, new in swap]), checked=False)
    applier.commit(Standing("1"))
    wanted = {"a": 1, "A": 2, "á": 3, "": 4, "ß": 5, "  ": 6, "\U0001f602": 7, "\U0001f601": 0, "a'\\b": 0}
    assert dict(each_way.run("SELECT k, v FROM named")) == wanted


def test_a_key_that_the_target_takes_for_another_is_no_key(place: Place) -> None:
    """In a table that was there, whose collation does not tell A from a."""
    place.run(
        "CREATE TABLE named (k VARCHAR(9) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT, mine INT DEFAULT 5)",
        "INSERT INTO named VALUES ('a', 1, 6)",
    )
    target = place.target(policy="create_missing_only", mode="append")
    [named] = prepared(target, NAMED).tables
    applier = place.applier()
    applier.merge(merged(named, ["k"], deletes=[("A", 0)], updates={("v",): [("A", 9)]}))
    applier.replay(named, row_changes(NAMED, [change(("A", 0), None), change(("A", 0), ("A", 9))]), checked=False)
    for new in (False, True):
        with pytest.raises(Clash):
            applier.merge(merged(named, ["k"], upserts=[("A", 2)], new=new))
    applier.merge(merged(named, ["k"], upserts=[("a", 3), ("b", 4)]))
    applier.merge(merged(named, ["k"], deletes=[("b", 0)], upserts=[("c", 4)]))
    applier.commit(Standing("1"))
    assert place.run("SELECT * FROM named") == [("a", 3, 6), ("c", 4, 5)]


def test_what_the_target_would_set_by_itself(each_way: Place) -> None:
    """A time of the last update stays as it was, what is computed is computed, and a 0 is no number to hand out."""
    place = each_way
    place.run(
        "CREATE TABLE item (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20), "
        "at DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, twice INT AS (LENGTH(name) * 2) STORED)"
    )
    moment, later = dt.datetime(2001, 2, 3, 4, 5, 6), dt.datetime(2002, 2, 3)
    source = simple("item", column("at", t.DateTime(0)), column("twice", t.Integer(32)), key=("id",))
    target = place.target(policy="create_missing_only", mode="append")
    [item] = prepared(target, source, dialect="mysql").tables
    applier = place.applier()
    applier.merge(merged(item, ["id"], upserts=[(0, "z", moment, 9), (5, "a", moment, 9)], new=True))
    applier.merge(merged(item, ["id"], updates={("name",): [(0, "y", None, 0)], ("twice",): [(5, "", None, 1)]}))
    part = change((5, "a", moment, 9), (5, "b", None, 9), frozenset({"id", "name", "twice"}))
    same = change(part.before, (5, "", None, 3), frozenset({"twice"}))
    applier.replay(item, row_changes(source, [part, same]), checked=False)
    applier.commit(Standing("1"))
    shown = "SELECT id, name, at, twice FROM item ORDER BY id"
    assert place.run(shown) == [(0, "y", moment, 2), (5, "b", moment, 2)]
    applier.merge(merged(item, ["id"], upserts=[(5, "cc", later, 9)]))
    applier.commit(Standing("2"))
    assert place.run(shown)[1] == (5, "cc", later, 4)


BARE = table("bare", column("a", t.Integer(32)), column("b", t.Text(20)))


def test_equal_rows_of_a_table_without_a_key_go_one_by_one(place: Place) -> None:
    applier, bare = filled(place, BARE, [(1, "x"), (1, "x"), (1, "X"), (None, None), (None, None)])
    first = [change((1, "x"), None), change((None, None), (2, None)), change((1, "X"), (1, "x"))]
    applier.replay(bare, row_changes(BARE, first), checked=False)
    applier.commit(Standing("1"))
    assert sorted(place.run("SELECT * FROM bare"), key=str) == [(1, "x"), (1, "x"), (2, None), (None, None)]
    same = [change((1, "x"), (1, "x"))] * 2
    applier.replay(bare, row_changes(BARE, same), checked=False)
    for missing in (change((1, "X"), None), change((3, None), (4, None))):
        other = place.applier()
        with pytest.raises(WriteFailed, match=r"\.bare lacks a row that was changed or deleted at the source"):
            other.replay(bare, row_changes(BARE, [change((1, "x"), None), missing]), checked=False)
    assert place.run("SELECT COUNT(*) FROM bare") == [(4,)]


def test_long_values_are_replayed(each_way: Place) -> None:
    source = table("doc", column("id", t.Integer(32)), column("v", t.Text()), column("b", t.Binary()))
    applier, doc = filled(each_way, source, [])
    long = ("é'\\" * 500_000, b"\0'" * 500_000)
    applier.replay(doc, row_changes(source, [change(None, (1, *long)), change((1, *long), (2, *long))]), checked=False)
    applier.replay(
        doc, row_changes(source, [change((2, *long), (2, "", None)), change((2, "", None), None)]), checked=False
    )
    applier.replay(doc, row_changes(source, [change(None, (3, None, None))] * 3), checked=False)
    huge = change((3, None, None), (3, "x" * (17 << 20), None))
    if each_way.way == "load":
        applier.replay(doc, row_changes(source, [change(None, huge.after)]), checked=False)
    applier.commit(Standing("1"))
    assert each_way.run("SELECT COUNT(*) FROM doc WHERE id = 3") == [(4 if each_way.way == "load" else 3,)]
    with pytest.raises(WriteFailed, match=r"\.doc is longer than the target server's max_allowed_packet"):
        applier.replay(doc, row_changes(source, [huge]), checked=False)


MISFITS: list[tuple[str, Callable[[MySqlApplier, PlannedTable], None]]] = [
    ("merged", lambda one, item: one.merge(merged(item, ["id"], upserts=[(2, "secret")], new=True))),
    ("staged", lambda one, item: one.merge(merged(item, ["id"], upserts=[(1, "secret")]))),
    ("partly", lambda one, item: one.merge(merged(item, ["id"], updates={("name",): [(1, "secret")]}))),
    ("added", lambda one, item: one.replay(item, row_changes(item.source, [change(None, (2, "secret"))]), False)),
    ("changed", lambda one, item: one.replay(item, row_changes(item.source, [change((1, "a"), (1, "secret"))]), False)),
]


def test_a_value_that_does_not_fit_names_its_column(each_way: Place) -> None:
    place = each_way
    for name, write_it in MISFITS:
        [planned] = prepared(place.target(name), simple(name, key=("id",))).tables
        place.run(f"INSERT INTO {name} VALUES (1, 'a')", f"ALTER TABLE {name} MODIFY name VARCHAR(3)")
        with pytest.raises(WriteFailed, match=r"\(column name\)") as caught:
            write_it(place.applier(name), planned)
        assert "secret" not in caught.value.message
        assert place.run(f"SELECT * FROM {name}") == [(1, "a")]


_numbers = count()
VALUES = st.sampled_from([None, "", "a", "A", "a ", "é\U0001f600'\\"])
STEPS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), VALUES, st.integers(-2, 2), st.sets(st.sampled_from(["v", "n"]))),
    max_size=25,
)
"""Each: a key, another, what the row becomes, and the columns that stay unknown where the row is only changed."""


def history(steps: Sequence[tuple[int, int, Any, int, set[str]]], rows: dict[int, Row]) -> list[Change]:
    """Changes that can happen one after the other; `rows` become what they come to."""
    changes = []
    for key, other, v, n, hidden in steps:
        old = rows.get(key)
        if old is None:
            rows[key] = (key, v, n)
            changes.append(change(None, rows[key]))
        elif n == 0:
            changes.append(change(rows.pop(key), None))
        else:
            moved = other if other not in rows else key
            new = (moved, old[1] if "v" in hidden else v, old[2] if "n" in hidden else n)
            del rows[key]
            rows[moved] = new
            changes.append(change(old, new, frozenset({"k", "v", "n"} - hidden) if hidden else None))
    return changes


def outcome(planned: PlannedTable, before: dict[int, Row], after: dict[int, Row]) -> Any:
    """What it came to by key; where one column of a row changed, only that."""
    updates: dict[tuple[str, ...], list[Row]] = {}
    upserts = []
    for key, row in after.items():
        was = before.get(key)
        if was is not None and was != row and was[1] == row[1]:
            updates.setdefault(("n",), []).append((key, "not looked at", row[2]))
        elif was is not None and was != row and was[2] == row[2]:
            updates.setdefault(("v",), []).append((key, row[1], 77))
        elif was != row:
            upserts.append(row)
    deletes = [row for key, row in before.items() if key not in after]
    return merged(planned, ["k"], deletes, upserts, updates, new=not set(before) & {row[0] for row in upserts})


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(STEPS, min_size=1, max_size=4))
def test_whatever_happens_both_ways_come_to_the_same(place: Place, batches: list[Any]) -> None:
    number = next(_numbers)
    stream = f"s{number}"
    cells = (column("k", t.Integer(32), nullable=False), column("v", t.Text(20)), column("n", t.Integer(32)))
    sources = [table(f"{kind}{number}", *cells, primary_key=("k",), key=("k",)) for kind in "mr"]
    bare = table(f"b{number}", *cells)
    plan = prepared(place.target(stream), *sources, bare)
    applier = place.applier(stream)
    rows: dict[int, Row] = {}
    for position, steps in enumerate(batches):
        before = dict(rows)
        changes = history(steps, rows)
        applier.merge(outcome(plan.tables[0], before, rows))
        if changes:
            applier.replay(plan.tables[1], row_changes(sources[1], changes), checked=False)
            applier.replay(plan.tables[2], row_changes(bare, changes), checked=False)
        applier.commit(Standing(str(position)))
        for planned in plan.tables:
            found = place.run(f"SELECT k, v, n FROM {planned.target.name.name} ORDER BY k")
            assert found == sorted(rows.values())
    applier.close()
