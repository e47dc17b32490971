"""What `changes.Applier` promises, kept by every target that takes changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.connectors.changes import Standing
from rowferry.errors import Clash, Conflict, FencedOff, RowferryError, WriteFailed
from rowferry.model import types as t
from rowferry.model.chunks import Chunk
from rowferry.model.tables import Index, IndexPart, Table
from tests.conformance.appliers import APPLIERS, ApplierPlace, Row, followed
from tests.conformance.streams import journal_of
from tests.followed import Change, deleted, inserted, merge_of, row_changes, rows_of, standing, updated
from tests.tables import batch, column, simple, table

ITEM = simple("item", column("stock", t.Integer(32)))
LOG = table("log", column("at", t.Integer(32)), column("word", t.Text(20)))
ROWS: list[Row] = [(1, "a", 10), (2, "b", 20), (3, "c", None)]


@pytest.fixture(params=APPLIERS)
def applier_place(request: pytest.FixtureRequest) -> Iterator[ApplierPlace]:
    """An empty database in which tables are followed."""
    made = APPLIERS[request.param](request)
    yield made
    made.close()


def unique(source: Table) -> Table:
    """The table with a unique `stock`."""
    return Table(
        source.name, source.columns, primary_key=source.primary_key, key=source.primary_key,
        indexes=(Index("one_stock", (IndexPart("stock"),), unique=True),),
    )  # fmt: skip


def test_nothing_stands_before_the_first_commit(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM)
    assert applier_place.open(tables).standing() == Standing()


def test_a_stream_that_was_not_prepared_is_refused(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM)
    with pytest.raises(Conflict):
        applier_place.open(tables, "another")


def test_the_position_commits_with_the_changes(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    applier.merge(merge_of(tables[0], upserts=[(4, "d", 40)]))
    assert applier_place.rows(tables[0]) == ROWS
    applier.commit(standing("first", seen=[1, {"x": None}]))
    applier.merge(merge_of(tables[0], deletes=[(1,)]))
    applier.close()
    assert applier_place.rows(tables[0]) == [*ROWS, (4, "d", 40)]
    assert applier_place.open(tables).standing() == standing("first", seen=[1, {"x": None}])


def test_a_copy_is_taken_back(applier_place: ApplierPlace) -> None:
    """Rows and chunks go with the commit, those of the tables alone; then the chunks can be written anew."""
    item, log = tables = followed(applier_place, ITEM, LOG, rows=ROWS)
    lost = applier_place.open(tables)
    lost.uncopy([item])
    lost.close()
    assert applier_place.rows(item) == ROWS
    applier = applier_place.open(tables)
    applier.uncopy([item])
    applier.commit(standing("begin"))
    assert applier_place.rows(item) == []
    target = applier_place.target()
    assert [one.table for one in journal_of(target).committed] == [str(log.target.name)]
    target.write(item, Chunk(item.source.name, 0), iter([batch(item.source.columns, ROWS[:1])]))
    assert applier_place.rows(item) == ROWS[:1]
    assert applier.standing() == standing("begin")


def test_what_is_undone_is_not_committed(applier_place: ApplierPlace) -> None:
    """Also where rows went by tables of the session's own, of that transaction or of one before."""
    item, log = tables = followed(applier_place, ITEM, LOG, rows=ROWS)
    applier = applier_place.open(tables)
    applier.undo()
    applier.merge(merge_of(item, updates=[rows_of(ITEM, [(1, 11)], ("id", "stock"))]))
    applier.commit(standing("first"))
    applier.merge(merge_of(item, updates=[rows_of(ITEM, [(2, 22)], ("id", "stock"))], upserts=[(4, "d", 40)]))
    applier.replay(log, row_changes(LOG, [inserted(1, "one")]), False)
    applier.undo()
    assert applier.standing() == standing("first")
    applier.merge(merge_of(item, updates=[rows_of(ITEM, [(3, 33)], ("id", "stock"))], upserts=[(5, "e", 50)]))
    applier.replay(log, row_changes(LOG, [inserted(2, "two")]), False)
    applier.commit(standing("second"))
    assert applier_place.rows(item) == [(1, "a", 11), (2, "b", 20), (3, "c", 33), (5, "e", 50)]
    assert applier_place.rows(log) == [(2, "two")]


def test_an_older_writer_commits_nothing(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    older = applier_place.open(tables)
    older.merge(merge_of(tables[0], deletes=[(1,)]))
    newer = applier_place.open(tables)
    with pytest.raises(FencedOff):
        older.commit(standing("older"))
    assert newer.standing() == Standing()
    newer.merge(merge_of(tables[0], deletes=[(1,), (2,)]))
    newer.commit(standing("newer"))
    assert applier_place.rows(tables[0]) == ROWS[2:]
    assert newer.standing() == standing("newer")


def test_a_forgotten_stream_commits_nothing(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    applier.commit(standing("first"))
    applier_place.target().forget()

    def go_on() -> None:
        applier.merge(merge_of(tables[0], deletes=[(1,)]))
        applier.commit(standing("second"))

    with pytest.raises(FencedOff):
        go_on()
    assert applier_place.rows(tables[0]) == ROWS


def test_every_part_of_a_merge(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    updates = [
        rows_of(ITEM, [(3, 33), (8, 1)], ("id", "stock")),
        rows_of(ITEM, [(2, None)], ("id", "name")),
        rows_of(ITEM, [(7, "not there", 7)]),
    ]
    applier.merge(merge_of(tables[0], deletes=[(1,), (9,)], updates=updates, upserts=[(4, "d", None)]))
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == sorted([(2, None, 20), (3, "c", 33), (4, "d", None)], key=str)


@pytest.mark.parametrize("new", [False, True])
def test_upserts_replace_what_is_there(applier_place: ApplierPlace, new: bool) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    applier.merge(merge_of(tables[0], upserts=[(2, None, 5), (4, "d", 40)], new=new))
    applier.merge(merge_of(tables[0], upserts=[(5, "e", 50)], new=new))
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == [ROWS[0], (2, None, 5), ROWS[2], (4, "d", 40), (5, "e", 50)]


def test_a_clash_leaves_what_was_before(applier_place: ApplierPlace) -> None:
    """Two rows swap a unique value; in order, by way of a third one, it can be done."""
    tables = followed(applier_place, unique(ITEM), rows=ROWS)
    applier = applier_place.open(tables)
    applier.merge(merge_of(tables[0], updates=[rows_of(ITEM, [(3, "cc")], ("id", "name"))]))
    with pytest.raises(Clash):
        applier.merge(merge_of(tables[0], deletes=[(3,)], upserts=[(1, "a", 20), (2, "b", 10)]))
    steps = [updated(ROWS[0], (1, "a", 0)), updated(ROWS[1], (2, "b", 10)), updated((1, "a", 0), (1, "a", 20))]
    applier.replay(tables[0], row_changes(unique(ITEM), steps), False)
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == [(1, "a", 20), (2, "b", 10), (3, "cc", None)]


def test_changes_are_replayed_in_order(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    steps: list[Change] = [
        updated(ROWS[0], (7, "a", 10)),
        inserted(1, "new", 1),
        deleted(*ROWS[1]),
        updated((3, "c", None), (3, "c", 3), "stock"),
        updated((7, "a", 10), (2, "z", None), "id", "name"),
        updated((50, "q", 0), (50, "r", 0)),
        deleted(51, "q", 0),
    ]
    applier.replay(tables[0], row_changes(ITEM, steps), False)
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == [(1, "new", 1), (2, "z", 10), (3, "c", 3)]


def test_replaying_what_a_load_has_seen_already(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    steps = [inserted(1, "as it came", 0), updated(ROWS[1], (3, "moved", 2)), inserted(2, "again", None)]
    applier.replay(tables[0], row_changes(ITEM, steps), False)
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == [(1, "as it came", 0), (2, "again", None), (3, "moved", 2)]


def test_equal_rows_without_a_key(applier_place: ApplierPlace) -> None:
    rows: list[Row] = [(1, "a"), (1, "a"), (None, None), (2, None)]
    tables = followed(applier_place, LOG, rows=rows)
    applier = applier_place.open(tables)
    steps = [
        deleted(1, "a"),
        updated((None, None), (5, None)),
        inserted(1, "a"),
        updated((1, "a"), (1, "b"), "word"),
        inserted(None, None),
    ]
    applier.replay(tables[0], row_changes(LOG, steps), True)
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == sorted([(1, "a"), (1, "b"), (2, None), (5, None), (None, None)], key=str)


@pytest.mark.parametrize("step", [deleted(9, "x"), updated((9, "x"), (9, "y"))])
def test_a_row_without_a_key_must_be_there(applier_place: ApplierPlace, step: Change) -> None:
    tables = followed(applier_place, LOG, rows=[(1, "a")])
    applier = applier_place.open(tables)
    with pytest.raises(WriteFailed, match="log"):
        applier.replay(tables[0], row_changes(LOG, [inserted(2, "b"), step]), False)
    with pytest.raises(RowferryError):
        applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == [(1, "a")]
    assert applier_place.open(tables).standing() == Standing()


def test_long_runs_of_inserts(applier_place: ApplierPlace) -> None:
    many: list[Row] = [(number, f"w{number}") for number in range(2000)]
    tables = followed(applier_place, LOG)
    applier = applier_place.open(tables)
    steps = [*(inserted(*row) for row in many), deleted(*many[7]), inserted(-1, "")]
    applier.replay(tables[0], row_changes(LOG, steps), False)
    applier.commit(standing("p"))
    assert applier_place.rows(tables[0]) == sorted([*(row for row in many if row[0] != 7), (-1, "")], key=str)


def test_tables_are_emptied_and_no_others(applier_place: ApplierPlace) -> None:
    other = simple("other")
    tables = followed(applier_place, ITEM, LOG, other, rows=ROWS)
    applier = applier_place.open(tables)
    applier.merge(merge_of(tables[2], upserts=[(1, "stays")]))
    applier.replay(tables[1], row_changes(LOG, [inserted(1, "goes")]), False)
    applier.truncate(tables[:2], restart=False)
    applier.replay(tables[1], row_changes(LOG, [inserted(2, "after")]), False)
    applier.commit(standing("p"))
    assert [applier_place.rows(one) for one in tables] == [[], [(2, "after")], [(1, "stays")]]


def test_an_applier_that_failed_is_of_no_more_use(applier_place: ApplierPlace) -> None:
    tables = followed(applier_place, ITEM, rows=ROWS)
    applier = applier_place.open(tables)
    applier.merge(merge_of(tables[0], deletes=[(1,)]))
    with pytest.raises(WriteFailed, match=r"item.*name"):
        applier.merge(merge_of(tables[0], upserts=[(9, "x" * 30, None)]))
    with pytest.raises(RowferryError):
        applier.merge(merge_of(tables[0], deletes=[(2,)]))
    with pytest.raises(RowferryError):
        applier.commit(standing("p"))
    applier.close()
    assert applier_place.rows(tables[0]) == ROWS


def test_the_journal_keeps_where_chunks_were_read(applier_place: ApplierPlace) -> None:
    target = applier_place.target()
    plan = target.plan([ITEM], "", prepared=False)
    target.prepare(plan, {str(plan.tables[0].target.name): "mark"})
    planned: PlannedTable = plan.tables[0]
    for number, at in ((0, None), (1, "mysql-bin.000001:4"), (2, "0/16B3748")):
        chunk = Chunk(ITEM.name, number, at=at)
        done = target.write(planned, chunk, iter([batch(ITEM.columns, [(number, "x", None)])]))
        assert done.at == at
        again = applier_place.target().write(planned, Chunk(ITEM.name, number, at="another"), iter([]))
        assert again == done
    committed = journal_of(applier_place.target()).committed
    assert [(one.number, one.at) for one in committed] == [(0, None), (1, "mysql-bin.000001:4"), (2, "0/16B3748")]
    target.forget()
    assert applier_place.target().journal() is None
