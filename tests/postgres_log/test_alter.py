"""Columns that come, go and change while a table is followed, told at the right place in the order."""

from __future__ import annotations

import pytest

from rowferry.connectors.postgres.replication.renames import Attribute, renamed
from rowferry.errors import SourceChanged
from rowferry.model.changes import Position, TableAltered
from rowferry.model.tables import DefaultKind, TableName
from tests.postgres_log.conftest import Change, Follower, Log, changed, following

NAME = TableName("public", "t")


def told(follower: Follower) -> list[TableAltered | Change]:
    """Rows and alterations, in their order."""
    found: list[TableAltered | Change] = []
    for batch in follower.to_the_end():
        if batch.event is not None:
            assert isinstance(batch.event, TableAltered)
            assert batch.position is None
            found.append(batch.event)
        found += changed([batch])
    return found


def start(log: Log, columns: str = "n int PRIMARY KEY, v varchar(10)") -> Follower:
    log.run(f"CREATE TABLE t ({columns})", "INSERT INTO t (n) VALUES (0)")
    return following(log, "t")


def test_a_column_is_added(log: Log) -> None:
    follower = start(log)
    log.run("INSERT INTO t VALUES (1, 'a')", "ALTER TABLE t ADD COLUMN w int NOT NULL DEFAULT 7")
    log.run("INSERT INTO t VALUES (2, 'b', 8)", "UPDATE t SET v = 'c' WHERE n = 1")
    first, altered, *rest = told(follower)
    assert first == ("t", "insert", None, {"n": 1, "v": "a"})
    assert isinstance(altered, TableAltered)
    assert altered.added == ("w",)
    assert altered.dropped == altered.retyped == ()
    assert altered.before == follower.tables[0]
    assert altered.after == log.tables("t")[0]
    default = altered.after.column("w").default
    assert default is not None
    assert (default.kind, default.value) == (DefaultKind.LITERAL, "7")
    assert rest == [
        ("t", "insert", None, {"n": 2, "v": "b", "w": 8}),
        ("t", "update", {"n": 1}, {"n": 1, "v": "c", "w": 7}),
    ]


def test_in_the_middle_of_a_transaction(log: Log) -> None:
    follower = start(log)
    with log.server.connect(log.database) as session, session.transaction():
        session.execute("INSERT INTO t VALUES (1, 'a')")
        session.execute("ALTER TABLE t ADD COLUMN w int")
        session.execute("INSERT INTO t VALUES (2, 'b', 8)")
        session.execute("ALTER TABLE t DROP COLUMN v")
        session.execute("INSERT INTO t VALUES (3, 9)")
    one, added, two, dropped, three = told(follower)
    assert isinstance(added, TableAltered)
    assert isinstance(dropped, TableAltered)
    assert (added.added, dropped.dropped) == (("w",), ("v",))
    assert dropped.before == added.after
    assert [change[3] for change in (one, two, three) if isinstance(change, tuple)] == [
        {"n": 1, "v": "a"},
        {"n": 2, "v": "b", "w": 8},
        {"n": 3, "w": 9},
    ]


def test_a_column_is_dropped(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t DROP COLUMN v", "INSERT INTO t VALUES (1)")
    altered, row = told(follower)
    assert isinstance(altered, TableAltered)
    assert (altered.added, altered.dropped, altered.renamed) == ((), ("v",), {})
    assert altered.after == log.tables("t")[0]
    assert row == ("t", "insert", None, {"n": 1})


def test_a_column_is_renamed(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t RENAME v TO w", "INSERT INTO t VALUES (1, 'a')")
    altered, row = told(follower)
    assert isinstance(altered, TableAltered)
    assert (altered.added, altered.dropped, altered.renamed) == ((), (), {"w": "v"})
    assert altered.after == log.tables("t")[0]
    assert row == ("t", "insert", None, {"n": 1, "w": "a"})


def test_a_key_is_renamed(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t RENAME n TO id", "UPDATE t SET id = 5")
    altered, row = told(follower)
    assert isinstance(altered, TableAltered)
    assert (altered.renamed, altered.after.key) == ({"id": "n"}, ("id",))
    assert row == ("t", "update", {"id": 0}, {"id": 5, "v": None})


def test_a_column_that_was_dropped_and_another_added_is_no_rename(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t DROP COLUMN v, ADD COLUMN w varchar(10)", "INSERT INTO t VALUES (1, 'a')")
    altered, _ = told(follower)
    assert isinstance(altered, TableAltered)
    assert (altered.added, altered.dropped, altered.renamed) == (("w",), ("v",), {})


def test_a_column_that_was_dropped_and_made_anew_is_refused(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t DROP COLUMN v", "ALTER TABLE t ADD COLUMN v varchar(10)", "INSERT INTO t VALUES (1, 'a')")
    with pytest.raises(SourceChanged, match=r"public.t.v was dropped and made anew"):
        told(follower)


def test_types_are_widened(log: Log) -> None:
    follower = start(log, "n int PRIMARY KEY, v varchar(10), d numeric(5,2)")
    log.run("ALTER TABLE t ALTER v TYPE varchar(20), ALTER n TYPE bigint, ALTER d TYPE numeric(8,2)")
    log.run("INSERT INTO t VALUES (5000000000, 'abcdefghijklm', 123456.78)")
    altered, row = told(follower)
    assert isinstance(altered, TableAltered)
    assert (altered.added, altered.dropped, altered.retyped) == ((), (), ("n", "v", "d"))
    assert altered.after == log.tables("t")[0]
    assert isinstance(row, tuple)
    assert row[3] is not None
    assert row[3]["n"] == 5_000_000_000


def test_what_does_not_concern_columns_is_not_told(log: Log) -> None:
    follower = start(log)
    log.run("INSERT INTO t VALUES (1)", "CREATE INDEX ON t (v)", "ANALYZE t", "ALTER TABLE t ADD CHECK (n < 100)")
    log.run("INSERT INTO t VALUES (2)", "VACUUM FULL t", "INSERT INTO t VALUES (3)")
    assert [row[3]["n"] for row in told(follower) if isinstance(row, tuple) and row[3]] == [1, 2, 3]


def test_a_computed_column_is_added_and_renamed(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t ADD COLUMN g int GENERATED ALWAYS AS (2 * n) STORED", "INSERT INTO t VALUES (1)")
    added, row = told(follower)
    assert isinstance(added, TableAltered)
    assert (added.added, added.after) == (("g",), log.tables("t")[0])
    assert row == ("t", "insert", None, {"n": 1, "v": None, "g": None})
    follower.tables = [added.after]
    log.run("ALTER TABLE t RENAME g TO h", "INSERT INTO t VALUES (2)")
    renaming, _ = told(follower)
    assert isinstance(renaming, TableAltered)
    assert (renaming.added, renaming.dropped, renaming.renamed) == ((), (), {"h": "g"})


def test_a_column_that_is_no_longer_computed_is_refused(log: Log) -> None:
    follower = start(log, "n int PRIMARY KEY, g int GENERATED ALWAYS AS (2 * n) STORED")
    log.run("ALTER TABLE t ALTER g DROP EXPRESSION", "INSERT INTO t VALUES (1, 7)")
    with pytest.raises(SourceChanged, match=r"public\.t\.g is no longer computed"):
        told(follower)


def test_the_catalogue_is_ahead_of_the_log(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t ADD COLUMN w int", "INSERT INTO t VALUES (1, 'a', 2)")
    log.run("ALTER TABLE t ALTER w TYPE text, ADD COLUMN x date, DROP COLUMN v", "INSERT INTO t VALUES (2, 'two')")
    first, one, second, two = told(follower)
    assert isinstance(first, TableAltered)
    assert isinstance(second, TableAltered)
    assert [column.native.declared for column in first.after.columns] == ["integer", "character varying(10)", "integer"]
    assert first.after.key == ("n",)
    assert second.after == log.tables("t")[0]
    assert (second.added, second.dropped, second.retyped) == (("x",), ("v",), ("w",))
    assert one == ("t", "insert", None, {"n": 1, "v": "a", "w": 2})
    assert two == ("t", "insert", None, {"n": 2, "w": "two", "x": None})


def test_a_rename_while_nobody_followed(log: Log) -> None:
    follower = start(log, "n int PRIMARY KEY, a int, b int")
    log.run("ALTER TABLE t RENAME a TO c", "INSERT INTO t VALUES (1, 2, 3)")
    altered, _ = told(follower)
    assert isinstance(altered, TableAltered)
    assert altered.renamed == {"c": "a"}


def test_the_log_before_the_load_may_not_have_other_columns(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t ADD COLUMN w int", "UPDATE t SET w = 1")
    follower.known = {NAME: mark(log)}
    with pytest.raises(SourceChanged, match="after the stream was planned"):
        follower.to_the_end()


def test_a_column_added_before_the_load_without_a_row(log: Log) -> None:
    follower = start(log)
    log.run("ALTER TABLE t ADD COLUMN w int")
    follower.known = {NAME: mark(log)}
    log.run("INSERT INTO t VALUES (1)")
    altered, row = told(follower)
    assert isinstance(altered, TableAltered)
    assert row == ("t", "insert", None, {"n": 1, "v": None, "w": None})


def mark(log: Log) -> Position:
    source = log.source()
    source.hold_logged([], 1)
    place = source.held_at()
    assert place is not None
    return place


def test_a_table_that_was_renamed(log: Log) -> None:
    follower = start(log)
    log.run("INSERT INTO t VALUES (1)", "ALTER TABLE t RENAME TO u", "INSERT INTO u VALUES (2)")
    with pytest.raises(SourceChanged, match=r"public\.t was renamed to public\.u"):
        told(follower)


def test_a_replica_identity_that_no_longer_does(log: Log) -> None:
    follower = start(log)
    log.run("INSERT INTO t VALUES (1)", "ALTER TABLE t REPLICA IDENTITY NOTHING", "INSERT INTO t VALUES (2)")
    with pytest.raises(SourceChanged, match="REPLICA IDENTITY"):
        told(follower)


@pytest.mark.parametrize(
    ("old", "new", "numbers", "attributes", "expected"),
    [
        ("a b", "a c", {"a": 1, "b": 2}, "a c", {"c": "b"}),
        ("a b", "a c", {"a": 1, "b": 2}, "a - c", {}),
        ("a b c", "b a d", {"a": 1, "b": 2, "c": 3}, "a b d", {"d": "c"}),
        ("a b c", "x y c", {"a": 1, "b": 2, "c": 3}, "x y c", {"x": "a", "y": "b"}),
        ("a b c", "x c y", {"a": 1, "b": 2, "c": 3}, "x - c y", {"x": "a"}),
        # The catalogue knows a later name still.
        ("a b", "a c", {"a": 1, "b": 2}, "a d", {"c": "b"}),
        # Nobody remembers the numbers of what is gone.
        ("a b c", "a x c", {"a": 1, "c": 3}, "a x c", {"x": "b"}),
        ("a b", "a x", {"a": 1}, "a x", {"x": "b"}),
        ("a b", "a x y", {"a": 1}, "a x y", {"x": "b"}),
        ("a b c", "a x", {"a": 1}, "a x -", {"x": "b"}),
        ("a b", "a x", {"a": 1}, "a - x", None),
        ("a b", "a", {"a": 1}, "a -", {}),
    ],
)
def test_renames(old: str, new: str, numbers: dict[str, int], attributes: str, expected: dict[str, str] | None) -> None:
    now = [Attribute(at, None if name == "-" else name) for at, name in enumerate(attributes.split(), 1)]
    if expected is None:
        with pytest.raises(SourceChanged):
            renamed(NAME, old.split(), new.split(), numbers, now)
        return
    assert renamed(NAME, old.split(), new.split(), numbers, now) == expected


def test_rows_before_another_identity_are_read_by_the_one_before(log: Log) -> None:
    """What was not told of a large value has not changed; by the other identity it would be NULL."""
    log.run("CREATE TABLE t (n int PRIMARY KEY, v text)", "ALTER TABLE t ALTER v SET STORAGE EXTERNAL")
    log.run("INSERT INTO t VALUES (1, repeat('x', 20000))")
    follower = following(log, "t")
    log.run("UPDATE t SET n = 2", "ALTER TABLE t REPLICA IDENTITY FULL", "INSERT INTO t VALUES (3, 'y')")
    assert follower.rows() == [("t", "update", {"n": 1}, {"n": 2}), ("t", "insert", None, {"n": 3, "v": "y"})]
