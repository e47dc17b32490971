"""Any sequence of changes, merged, or replayed, comes to what a model in Python says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Merge
from rowferry.connectors.postgres.apply import PostgresApplier
from rowferry.errors import Clash
from rowferry.model import types as t
from rowferry.model.changes import Op
from rowferry.model.tables import Index, IndexPart, Table
from tests.followed import Change, deleted, inserted, row_changes, rows_of, standing, updated
from tests.postgres_target.applying import Row, followed
from tests.postgres_target.conftest import Place
from tests.tables import column, table

COLUMNS = (
    column("id", t.Integer(32), nullable=False),
    column("word", t.Text(20), nullable=False),
    column("stock", t.Integer(32)),
    column("weight", t.Float(64)),
    column("paper", t.Json()),
)
KEYED = table("keyed", *COLUMNS, primary_key=("id", "word"), key=("id", "word"))
UNIQUE = Table(
    KEYED.name, COLUMNS, primary_key=("id", "word"), key=("id", "word"),
    indexes=(Index("one_stock", (IndexPart("stock"),), unique=True),),
)  # fmt: skip
BARE = table("bare", *COLUMNS)

KEYS = st.tuples(st.integers(1, 3), st.sampled_from(["a", "A"]))
REST = st.tuples(
    st.none() | st.integers(1, 4),
    st.sampled_from([None, 0.5, float("inf"), float("nan")]),
    st.sampled_from([None, "[1]", "[ 1]", '"x"']),
)
STEPS = st.lists(st.tuples(st.sampled_from(["put", "part", "move", "drop"]), KEYS, KEYS, REST), max_size=25)
ROUNDS = st.lists(STEPS, min_size=1, max_size=4)
OFTEN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

Rows = dict[Row, Row]
PARTS = (frozenset({"stock"}), frozenset({"weight", "paper"}), frozenset({"id", "word", "stock", "paper"}))


def play(rows: Rows, steps: Sequence[tuple[str, Row, Row, Row]], unique: bool) -> list[Change]:
    """The changes that a source with these rows would tell; `rows` come to what it has afterwards."""
    changes = []
    for what, key, other, rest in steps:
        there = rows.get(key)
        wanted = (*(other if what == "move" else key), *rest)
        if unique and what != "drop" and _taken(rows, key, rest[0]):
            continue
        if what == "drop" and there is not None:
            changes.append(deleted(*rows.pop(key)))
        elif what == "move" and there is not None and other not in rows:
            changes.append(updated(rows.pop(key), wanted))
            rows[other] = wanted
        elif what == "put" and there is None:
            changes.append(inserted(*wanted))
            rows[key] = wanted
        elif what == "put" and there is not None:
            changes.append(updated(there, wanted))
            rows[key] = wanted
        elif what == "part" and there is not None:
            known = PARTS[(rest[0] or 0) % len(PARTS)]
            after = tuple(wanted[n] if c.name in known else there[n] for n, c in enumerate(COLUMNS))
            changes.append(updated(there, after, *known))
            rows[key] = after
    return changes


def _taken(rows: Rows, key: Row, stock: Any) -> bool:
    return stock is not None and any(row[2] == stock for at, row in rows.items() if at != key)


def merged(planned: PlannedTable, before: Rows, after: Rows, changes: Sequence[Change]) -> Merge:
    """What the changes come to by key: rows that stayed are updated in the columns that changed, others put whole."""
    touched = {row[:2] for change in changes for row in (change.before, change.after) if row}
    anew = {change.after[:2] for change in changes if change.op is Op.INSERT and change.after}
    anew |= {c.after[:2] for c in changes if c.op is Op.UPDATE and c.after and c.before and c.after[:2] != c.before[:2]}
    source = planned.source
    gone = [key for key in touched if key not in after and key in before]
    stayed = {key: after[key] for key in touched if key in after and key in before and key not in anew}
    whole = [after[key] for key in touched if key in after and key not in stayed]
    names = [c.name for c in COLUMNS]
    updates = []
    for key, row in stayed.items():
        differing = [n for n in range(2, len(names)) if repr(row[n]) != repr(before[key][n])]
        chosen = [0, 1, *differing]
        updates.append(rows_of(source, [tuple(row[n] for n in chosen)], [names[n] for n in chosen]))
    return Merge(
        planned,
        source.primary_key,
        deletes=rows_of(source, gone, source.primary_key) if gone else None,
        upserts=rows_of(source, whole) if whole else None,
        updates=updates,
        new=not any(row[:2] in before for row in whole),
    )


def spelled(rows: Sequence[Row]) -> Counter[str]:
    """Rows that can be compared, whatever NaN is."""
    return Counter(repr(row) for row in rows)


def seen(place: Place, planned: PlannedTable) -> Counter[str]:
    """The rows that are there, JSON to the letter."""
    return spelled(place.run(f"SELECT id, word, stock, weight, paper::text FROM {planned.target.name}"))


def apply(applier: PostgresApplier, planned: PlannedTable, merge: Merge, changes: Sequence[Change]) -> None:
    """As a stream does: what cannot be merged is replayed."""
    try:
        applier.merge(merge)
    except Clash:
        applier.replay(planned, row_changes(planned.source, changes), False)


@pytest.mark.parametrize("source", [KEYED, UNIQUE], ids=["keyed", "unique"])
@pytest.mark.parametrize("way", ["merge", "replay"])
def test_with_a_key(place: Place, source: Table, way: str) -> None:
    with followed(place, source) as stream:
        applier = stream.open()

        @OFTEN
        @given(rounds=ROUNDS)
        def run(rounds: Sequence[Sequence[Any]]) -> None:
            applier.truncate([stream.table], restart=False)
            rows: Rows = {}
            for steps in rounds:
                before = dict(rows)
                changes = play(rows, steps, source is UNIQUE)
                if way == "replay" and changes:
                    applier.replay(stream.table, row_changes(source, changes), False)
                elif way == "merge":
                    apply(applier, stream.table, merged(stream.table, before, rows, changes), changes)
            applier.commit(standing("p"))
            assert seen(place, stream.table) == spelled(list(rows.values()))

        run()


def test_without_a_key(place: Place) -> None:
    """Rows that are equal count; those that only look equal to the server (0.0 and -0.0) are told apart."""
    with followed(place, BARE) as stream:
        applier = stream.open()
        row = st.tuples(KEYS, REST, st.sampled_from([0.0, -0.0])).map(lambda r: (*r[0], r[1][0], r[2], r[1][2]))
        steps = st.lists(st.tuples(st.sampled_from(["put", "change", "drop"]), st.integers(0, 99), row), max_size=25)

        @OFTEN
        @given(steps=steps)
        def run(steps: Sequence[tuple[str, int, Row]]) -> None:
            applier.truncate([stream.table], restart=False)
            rows: list[Row] = []
            changes = []
            for what, number, new in steps:
                if what == "put" or not rows:
                    changes.append(inserted(*new))
                    rows.append(new)
                    continue
                old = rows.pop(number % len(rows))
                changes.append(deleted(*old) if what == "drop" else updated(old, new))
                rows += [] if what == "drop" else [new]
            if changes:
                applier.replay(stream.table, row_changes(BARE, changes), False)
            applier.commit(standing("p"))
            assert seen(place, stream.table) == spelled(rows)

        run()
