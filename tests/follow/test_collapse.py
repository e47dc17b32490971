"""A batch of changes comes to the same as its changes one by one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge
from rowferry.model import types as t
from rowferry.model.changes import Op
from rowferry.pipeline.collapse import collapse, only, runs
from tests.follow.changes import Change, Row, row_changes
from tests.tables import column, table

ITEM = table(
    "item",
    column("id", t.Integer(64), nullable=False),
    column("place", t.Text(), nullable=False),
    column("price", t.Integer(32)),
    column("name", t.Text()),
    key=("id", "place"),
)
NAMES = [*ITEM.column_names()]
PLANNED = PlannedTable(ITEM, ITEM)
Key = tuple[int, str]


def key_of(row: Row) -> Key:
    return row[0], row[1]


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[Key, Row], list[Change]]:
    """Rows that are there, and changes that can happen to them one after another."""
    keys = st.tuples(st.integers(1, 3), st.sampled_from("ab"))
    values = st.tuples(st.none() | st.integers(0, 9), st.none() | st.sampled_from(["x", "y"]))
    rows = {key: (*key, *draw(values)) for key in draw(st.sets(keys))}
    before, changes = dict(rows), []
    for _ in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from([*Op])) if rows else Op.INSERT
        free = [key for key in ((n, p) for n in (1, 2, 3) for p in "ab") if key not in rows]
        if op is Op.INSERT and free:
            row = (*draw(st.sampled_from(free)), *draw(values))
            changes.append(Change(op, None, row))
            rows[key_of(row)] = row
        elif rows:
            old = rows.pop(draw(st.sampled_from(sorted(rows))))
            if op is Op.DELETE:
                changes.append(Change(op, old, None))
                continue
            kept = [*free, key_of(old)]
            key = draw(st.sampled_from(kept)) if draw(st.booleans()) else key_of(old)
            row = (*key, *draw(values))
            unsaid = frozenset(name for name, was, now in zip(NAMES, old, row, strict=True) if was == now)
            unsaid = unsaid - {"id", "place"} if draw(st.booleans()) else frozenset()
            changes.append(Change(Op.UPDATE, old, row, unsaid))
            rows[key] = row
    return before, changes


def done(rows: Mapping[Key, Row], merge: Merge) -> dict[Key, Row]:
    """The rows after the merge, done in its order."""
    after = dict(rows)
    for key in merge.deletes.to_pylist() if merge.deletes else []:
        after.pop((key["id"], key["place"]), None)
    for update in merge.updates:
        for said in update.to_pylist():
            key = (said["id"], said["place"])
            if key in after:
                after[key] = tuple(said.get(name, was) for name, was in zip(NAMES, after[key], strict=True))
    for row in merge.upserts.to_pylist() if merge.upserts else []:
        key = (row["id"], row["place"])
        assert not merge.new or key not in after
        after[key] = tuple(row.values())
    return after


def one_by_one(rows: Mapping[Key, Row], changes: list[Change]) -> dict[Key, Row]:
    after = dict(rows)
    for change in changes:
        if change.before is not None:
            after.pop(key_of(change.before), None)
        if change.after is not None:
            after[key_of(change.after)] = change.after
    return after


@given(histories())
def test_a_merge_does_what_its_changes_do(history: tuple[dict[Key, Row], list[Change]]) -> None:
    rows, changes = history
    if not changes:
        return
    merge = collapse(PLANNED, row_changes(ITEM, changes))
    if merge is None:
        assert any(c.unsaid and c.before and c.after and key_of(c.before) != key_of(c.after) for c in changes)
        return
    assert done(rows, merge) == one_by_one(rows, changes)
    named = [key for part in (merge.deletes, merge.upserts, *merge.updates) if part for key in keys_in(part)]
    assert len(named) == len(set(named))


def keys_in(part: Any) -> list[Key]:
    return [(row["id"], row["place"]) for row in part.to_pylist()]


def test_inserts_of_different_keys_are_new_rows() -> None:
    changes = [Change(Op.INSERT, None, (n, "a", n, "x")) for n in range(5)]
    merge = collapse(PLANNED, row_changes(ITEM, changes))
    assert merge is not None
    assert merge.new
    assert merge.upserts is not None
    assert merge.upserts.num_rows == 5


def test_a_table_without_a_key_is_replayed() -> None:
    keyless = table("log", *ITEM.columns)
    changes = row_changes(keyless, [Change(Op.INSERT, None, (1, "a", 1, "x"))])
    assert collapse(PlannedTable(keyless, keyless), changes) is None


@pytest.mark.parametrize(
    ("wanted", "left"), [((Op.INSERT,), [1]), ((Op.UPDATE, Op.DELETE), [2, 3]), (tuple(Op), [1, 2, 3])]
)
def test_only_some_kinds(wanted: tuple[Op, ...], left: list[int]) -> None:
    row, other = (1, "a", 1, "x"), (1, "a", 2, "x")
    changes = [Change(Op.INSERT, None, row), Change(Op.UPDATE, row, other), Change(Op.DELETE, other, None)]
    found = only(row_changes(ITEM, changes), wanted)
    assert found is not None
    assert found.ops.to_pylist() == left


def test_none_of_a_kind() -> None:
    assert only(row_changes(ITEM, [Change(Op.INSERT, None, (1, "a", 1, "x"))]), (Op.DELETE,)) is None


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_runs_are_in_the_order_of_the_log(owners: list[int]) -> None:
    tables = [table(f"t{number}", *ITEM.columns, key=ITEM.key) for number in range(3)]
    batch = [
        row_changes(
            tables[number],
            [Change(Op.INSERT, None, (at, "a", at, "x")) for at, owner in enumerate(owners) if owner == number],
            [at for at, owner in enumerate(owners) if owner == number],
        )
        for number in set(owners)
    ]
    found = [(int(one.table.name.name[1:]), at) for one in runs(batch) for at in one.after.column("id").to_pylist()]
    assert found == [(owner, at) for at, owner in enumerate(owners)]
