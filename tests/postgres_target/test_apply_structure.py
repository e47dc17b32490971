"""What a table has beside its rows, while changes are applied: numbering, computed columns, references; and DDL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from rowferry.connectors.base import PlannedTable
from rowferry.errors import Clash, RowferryError, WriteFailed
from rowferry.model import types as t
from rowferry.model.changes import TableAltered
from rowferry.model.tables import Column, Default, DefaultKind, NativeType, Numbering, Table
from tests.followed import deleted, inserted, merge_of, row_changes, rows_of, standing, updated
from tests.postgres_target.applying import Followed, followed
from tests.postgres_target.conftest import Place
from tests.tables import column, simple, table

PLAIN = "ferryman"
"""A user that may do nothing special."""


@pytest.fixture
def plain(place: Place) -> Iterator[Place]:
    """A database in which `PLAIN` may work."""
    place.run(
        f"CREATE ROLE {PLAIN} LOGIN PASSWORD 'ferry'",
        f"GRANT ALL ON DATABASE {place.database} TO {PLAIN}",
        f"GRANT ALL ON SCHEMA public TO {PLAIN}",
    )
    yield place
    place.run(f"DROP OWNED BY {PLAIN} CASCADE", f"DROP ROLE {PLAIN}")


def numbered(always: bool) -> Table:
    """A table with numbers of the server's, outside its key."""
    number = column("number", t.Integer(64), nullable=False, identity=True, numbering=Numbering(always=always))
    return table("ticket", column("id", t.Integer(32), nullable=False), number, primary_key=("id",), key=("id",))


@pytest.mark.parametrize("always", [False, True])
def test_numbers_are_taken_over(place: Place, always: bool) -> None:
    source = numbered(always)
    with followed(place, source, rows=[(1, 10), (2, 20), (3, 30)], dialect="postgres") as stream:
        place.run(f"ALTER TABLE ticket ALTER number SET GENERATED {'ALWAYS' if always else 'BY DEFAULT'}")
        place.run("ALTER TABLE ticket ADD COLUMN more int DEFAULT 7")
        place.run("UPDATE ticket SET more = 8")
        applier = stream.open()
        updates = [rows_of(source, [(1, 11)])]
        applier.merge(merge_of(stream.table, upserts=[(2, 22), (4, 40)], updates=updates))
        steps = [inserted(5, 50), updated((3, 30), (6, 33)), updated((5, 50), (5, 55)), inserted(4, 44)]
        applier.replay(stream.table, row_changes(source, steps), False)
        applier.commit(standing("p"))
        rows = place.run("SELECT id, number FROM ticket ORDER BY id")
        assert rows == [(1, 11), (2, 22), (4, 44), (5, 55), (6, 33)]
        assert place.run("SELECT more FROM ticket WHERE id IN (1, 6)") == [(8,), (8,)]


def test_numbers_that_triggers_would_see(plain: Place) -> None:
    """Taking a row out and putting it in again is no change that references could overlook; all else can be done."""
    source = table("ticket", *numbered(True).columns, column("name", t.Text(9)), primary_key=("id",), key=("id",))
    with followed(plain, source, rows=[(1, 10, "a")], dialect="postgres", user=PLAIN) as stream:
        _hand_over(plain, "ticket")
        plain.run("ALTER TABLE ticket ALTER number SET GENERATED ALWAYS")
        applier = stream.open()
        applier.merge(merge_of(stream.table, upserts=[(1, 10, "b"), (3, 30, "c")]))
        steps = [inserted(2, 20, "x"), deleted(2, 20, "x"), updated((1, 10, "b"), (1, 10, "d"))]
        applier.replay(stream.table, row_changes(source, steps), False)
        applier.commit(standing("p"))
        assert stream.rows() == [(1, 10, "d"), (3, 30, "c")]
        with pytest.raises(WriteFailed, match="session_replication_role"):
            applier.replay(stream.table, row_changes(source, [updated((1, 10, "d"), (1, 11, "d"))]), False)
        with pytest.raises(WriteFailed, match="session_replication_role"):
            stream.open().merge(merge_of(stream.table, updates=[rows_of(source, [(1, 11, "d")])]))
        assert stream.rows() == [(1, 10, "d"), (3, 30, "c")]


def _hand_over(place: Place, *tables: str) -> None:
    """Let the plain user work with what the stream has made."""
    place.run(
        *(f"ALTER TABLE {name} OWNER TO {PLAIN}" for name in tables),
        f"GRANT ALL ON SCHEMA _rowferry TO {PLAIN}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA _rowferry TO {PLAIN}",
    )


def test_computed_columns_are_left_to_the_target(place: Place) -> None:
    twice = column("twice", t.Integer(32))
    source = simple("item", twice, key=("id",))
    place.run("CREATE TABLE item (id int PRIMARY KEY, name text, twice int GENERATED ALWAYS AS (id * 2) STORED)")
    with followed(place, source, rows=[(1, "a", 0)], policy="validate_existing") as stream:
        applier = stream.open()
        applier.merge(merge_of(stream.table, upserts=[(2, "b", 0)], updates=[rows_of(source, [(1, "A", 0)])]))
        applier.replay(
            stream.table, row_changes(source, [updated((2, "b", 0), (5, "B", 0)), inserted(7, "c", 0)]), False
        )
        bare = replace(stream.table, source=replace(source, primary_key=(), key=()))
        applier.replay(bare, row_changes(bare.source, [deleted(1, "A", 99)]), False)
        applier.commit(standing("p"))
        assert stream.rows() == [(5, "B", 10), (7, "c", 14)]


def test_a_key_that_is_not_unique_on_the_target(place: Place) -> None:
    place.run("CREATE TABLE item (id int, name text)")
    source = simple()
    with followed(place, source, rows=[(1, "a"), (2, "b")], policy="validate_existing") as stream:
        applier = stream.open()
        applier.merge(merge_of(stream.table, upserts=[(2, "bb"), (3, "c")]))
        applier.replay(
            stream.table, row_changes(source, [inserted(3, "cc"), inserted(4, "d"), inserted(1, "aa")]), False
        )
        applier.commit(standing("p"))
        assert stream.rows() == [(1, "aa"), (2, "bb"), (3, "cc"), (4, "d")]


FAMILY = """
CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES item ON DELETE CASCADE ON UPDATE CASCADE)
"""
CHILD = table(
    "child", column("id", t.Integer(32), nullable=False), column("parent", t.Integer(32)), primary_key=("id",)
)


@contextmanager
def family(place: Place, user: str | None = None) -> Iterator[Followed]:
    """A table, and another one that refers to it."""
    with followed(place, simple(), rows=[(1, "a"), (2, "b")], user=user) as stream:
        place.run(FAMILY, "INSERT INTO child VALUES (10, 1), (20, 2)")
        yield stream


def test_references_do_not_act_on_what_is_merged(place: Place) -> None:
    place.run("CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
    with family(place) as stream:
        place.run("CREATE TRIGGER stop BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION stop()")
        applier = stream.open()
        applier.merge(merge_of(stream.table, deletes=[(1,)], upserts=[(3, "c")]))
        applier.commit(standing("p"))
        assert stream.rows() == [(2, "b"), (3, "c")]
        assert place.run("SELECT * FROM child ORDER BY id") == [(10, 1), (20, 2)]


def test_references_act_where_it_is_asked_for(place: Place) -> None:
    """And no longer than for these changes."""
    with family(place) as stream:
        applier = stream.open()
        steps = [deleted(1, "a"), updated((2, "b"), (7, "b"))]
        applier.replay(stream.table, row_changes(simple(), steps), True)
        applier.replay(stream.table, row_changes(simple(), [deleted(7, "b")]), False)
        applier.commit(standing("p"))
        assert place.run("SELECT * FROM child ORDER BY id") == [(20, 7)]


def test_a_user_without_rights(plain: Place) -> None:
    """References and triggers act; what they refuse is a Clash, and the rest goes on."""
    with family(plain, PLAIN) as stream:
        plain.run("ALTER TABLE child DROP CONSTRAINT child_parent_fkey")
        plain.run("ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES item")
        _hand_over(plain, "item", "child")
        applier = stream.open()
        with pytest.raises(Clash, match="child_parent_fkey"):
            applier.merge(merge_of(stream.table, deletes=[(1,)]))
        applier.merge(merge_of(stream.table, upserts=[(2, "bb"), (3, "c")]))
        applier.replay(stream.table, row_changes(simple(), [updated((3, "c"), (4, "c"))]), True)
        applier.commit(standing("p"))
        assert stream.rows() == [(1, "a"), (2, "bb"), (4, "c")]


def test_a_constraint_that_speaks_at_the_commit(plain: Place) -> None:
    with family(plain, PLAIN) as stream:
        plain.run("ALTER TABLE child DROP CONSTRAINT child_parent_fkey")
        plain.run("ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES item DEFERRABLE INITIALLY DEFERRED")
        _hand_over(plain, "item", "child")
        applier = stream.open()
        applier.merge(merge_of(stream.table, deletes=[(1,)]))
        with pytest.raises(WriteFailed, match="child_parent_fkey"):
            applier.commit(standing("p"))
        assert stream.rows() == [(1, "a"), (2, "b")]


def test_a_table_that_others_refer_to_is_emptied(place: Place) -> None:
    """They keep their rows, and what the table has numbered begins anew if that is asked for."""
    with family(place) as stream:
        place.run("ALTER TABLE item ALTER id ADD GENERATED BY DEFAULT AS IDENTITY")
        place.run("SELECT setval(pg_get_serial_sequence('item', 'id'), 50)")
        applier = stream.open()
        applier.truncate([stream.table], restart=False)
        applier.commit(standing("p"))
        assert stream.rows() == []
        assert place.run("INSERT INTO item (name) VALUES ('next') RETURNING id") == [(51,)]
        applier.truncate([stream.table], restart=True)
        applier.commit(standing("q"))
        assert place.run("INSERT INTO item (name) VALUES ('next') RETURNING id") == [(1,)]
        assert place.run("SELECT count(*) FROM child") == [(2,)]


def test_tables_that_refer_to_each_other_are_emptied_at_once(plain: Place) -> None:
    """One of them by DELETE, since a third refers to it; as a user on whose deletes references act."""
    with followed(plain, simple(), CHILD, rows=[(1, "a")], user=PLAIN) as stream:
        plain.run("INSERT INTO child VALUES (10, 1)", "ALTER TABLE child ADD FOREIGN KEY (parent) REFERENCES item")
        plain.run("CREATE TABLE third (id int REFERENCES child)")
        _hand_over(plain, "item", "child")
        applier = stream.open()
        applier.truncate(stream.tables, restart=True)
        applier.commit(standing("p"))
        assert [stream.rows(one) for one in stream.tables] == [[], []]


def test_others_rows_are_never_emptied_along(plain: Place) -> None:
    with family(plain, PLAIN) as stream:
        _hand_over(plain, "item", "child")
        applier = stream.open()
        with pytest.raises(WriteFailed, match="session_replication_role"):
            applier.truncate([stream.table], restart=False)
        assert plain.run("SELECT count(*) FROM child") == [(2,)]


# ---------------------------------------------------------------------------------------------------------------- DDL


def _native(declared: str) -> NativeType:
    return NativeType(declared.split("(", maxsplit=1)[0], declared)


def altered(before: Table, *columns: Column, **renamed: str) -> TableAltered:
    """The table with other columns."""
    return TableAltered(before, replace(before, columns=columns), renamed)


def planned_after(stream: Followed, change: TableAltered, dialect: str = "mysql") -> PlannedTable:
    """As the target plans the table anew."""
    target = stream.place.target("stream_1")
    return target.plan([change.after], dialect, prepared=True).tables[0]


def test_columns_come_go_and_change(place: Place) -> None:
    source = simple("item", column("old", t.Integer(16)), column("size", t.Integer(16)), key=("id",))
    with followed(place, source, rows=[(1, "a", 7, 300)]) as stream:
        applier = stream.open()
        applier.merge(merge_of(stream.table, upserts=[(2, "b", 8, 301)]))
        identity, name, _, size = source.columns
        change = altered(
            source,
            identity,
            replace(name, name="title", type=t.Text(40), native=_native("varchar(40)")),
            replace(size, type=t.Integer(64), native=_native("bigint")),
            column("state", t.Text(5), nullable=False, default=Default(DefaultKind.LITERAL, "new")),
            column("note", t.Text(None)),
            title="name",
        )
        after = planned_after(stream, change)
        applier.alter(stream.table, after, change)
        applier.merge(merge_of(after, upserts=[(3, "c" * 40, 1 << 40, "x", "n")]))
        applier.replay(
            after, row_changes(change.after, [updated((2, "b", 301, "new", None), (2, "b", 5, "y", "m"))]), False
        )
        assert place.run("SELECT count(*) FROM information_schema.columns WHERE table_name = 'item'") == [(4,)]
        applier.commit(standing("p"))
        names = place.run("SELECT column_name FROM information_schema.columns WHERE table_name = 'item' ORDER BY 1")
        assert names == [("id",), ("note",), ("size",), ("state",), ("title",)]
        rows = place.run("SELECT id, title, size, state, note FROM item ORDER BY id")
        assert rows == [(1, "a", 300, "new", None), (2, "b", 5, "y", "m"), (3, "c" * 40, 1 << 40, "x", "n")]


def test_an_alteration_is_rolled_back_with_the_rest(stream_of_one: Followed) -> None:
    source = stream_of_one.table.source
    change = altered(source, *source.columns, column("more", t.Integer(32)))
    after = planned_after(stream_of_one, change)
    applier = stream_of_one.open()
    applier.alter(stream_of_one.table, after, change)
    applier.close()
    assert stream_of_one.rows() == [(1, "a")]
    again = stream_of_one.open()
    for _ in range(2):
        again.alter(stream_of_one.table, after, change)
    again.commit(standing("p"))
    assert stream_of_one.rows() == [(1, "a", None)]


@pytest.fixture
def stream_of_one(place: Place) -> Iterator[Followed]:
    """A table with one row."""
    with followed(place, simple(key=("id",)), rows=[(1, "a")]) as made:
        yield made


def test_columns_that_trade_names(place: Place) -> None:
    source = simple("item", column("one", t.Integer(32)), column("two", t.Integer(32)), key=("id",))
    with followed(place, source, rows=[(1, "a", 1, 2)]) as stream:
        identity, name, one, two = source.columns
        change = altered(
            source, identity, name, replace(one, name="two"), replace(two, name="one"), two="one", one="two"
        )
        after = planned_after(stream, change)
        applier = stream.open()
        applier.alter(stream.table, after, change)
        applier.merge(merge_of(after, updates=[rows_of(change.after, [(1, 11)], ("id", "two"))]))
        applier.commit(standing("p"))
        assert place.run("SELECT one, two FROM item") == [(2, 11)]


@pytest.mark.parametrize(
    "more",
    [
        column("more", t.Integer(32), nullable=False),
        column("more", t.DateTime(0), default=Default(DefaultKind.NOW)),
        column("more", t.Text(36), default=Default(DefaultKind.EXPRESSION, "uuid()")),
    ],
    ids=["not null", "now", "expression"],
)
def test_values_that_no_log_tells_are_refused(stream_of_one: Followed, more: Column) -> None:
    """What the rows that were there have got in a new column is known only where its declaration says so."""
    source = stream_of_one.table.source
    change = altered(source, *source.columns, more)
    after = planned_after(stream_of_one, change)
    applier = stream_of_one.open()
    with pytest.raises(WriteFailed, match=r"column more .*resume"):
        applier.alter(stream_of_one.table, after, change)
    empty = stream_of_one.open()
    empty.truncate([stream_of_one.table], restart=False)
    empty.alter(stream_of_one.table, after, change)
    empty.commit(standing("p"))
    assert "more" in [
        row[0] for row in stream_of_one.place.run("SELECT attname FROM pg_attribute WHERE attrelid = 'item'::regclass")
    ]


def test_null_comes_and_goes(stream_of_one: Followed) -> None:
    source = stream_of_one.table.source
    strict = altered(source, source.columns[0], replace(source.columns[1], nullable=False))
    after = planned_after(stream_of_one, strict)
    applier = stream_of_one.open()
    applier.alter(stream_of_one.table, after, strict)
    applier.alter(after, stream_of_one.table, TableAltered(strict.after, source))
    applier.merge(merge_of(stream_of_one.table, upserts=[(2, None)]))
    applier.alter(stream_of_one.table, stream_of_one.table, TableAltered(source, source))
    applier.commit(standing("p"))
    assert stream_of_one.rows() == [(1, "a"), (2, None)]
    with pytest.raises(RowferryError, match="NULL"):
        applier.alter(stream_of_one.table, after, strict)


def test_an_enum_gets_members(place: Place) -> None:
    mood = t.Enum(("sad", "ok"), name="mood")
    source = simple("item", column("mood", mood), key=("id",))
    with followed(place, source, rows=[(1, "a", "ok")], dialect="postgres") as stream:
        wider = t.Enum(("sad", "so so", "ok", "it's"), name="mood")
        change = altered(source, *source.columns[:2], column("mood", wider))
        before, after = stream.table, planned_after(stream, change, "postgres")
        applier = stream.open()
        applier.merge(merge_of(before, upserts=[(2, "b", "sad")]))
        applier.alter(before, after, change)
        applier.merge(merge_of(after, upserts=[(3, "c", "it's"), (4, "d", "so so")]))
        applier.commit(standing("p"))
        assert place.run("SELECT string_agg(mood::text, ',' ORDER BY mood) FROM item") == [("sad,so so,ok,it's",)]


def test_what_depends_on_a_column_is_named(stream_of_one: Followed) -> None:
    source = stream_of_one.table.source
    stream_of_one.place.run("CREATE VIEW looked AS SELECT name FROM item")
    change = altered(source, source.columns[0])
    applier = stream_of_one.open()
    with pytest.raises(WriteFailed, match="depend on a column"):
        applier.alter(stream_of_one.table, planned_after(stream_of_one, change), change)
    assert stream_of_one.rows() == [(1, "a")]
