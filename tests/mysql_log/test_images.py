"""What is left out of the log: columns that have not changed, hidden ones, history."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rowferry.errors import ReadFailed
from tests.mysql_log.conftest import Change, Log

COLUMNS = "id INT PRIMARY KEY, a INT, b BLOB, d INT DEFAULT 7"
STATEMENTS = (
    "INSERT INTO t (id, a, b) VALUES (1, 5, 'xx')",
    "UPDATE t SET a = 6",
    "UPDATE t SET id = id + 1",
    "UPDATE t SET b = NULL",
    "DELETE FROM t",
)


def _under(log: Log, image: str, *statements: str) -> list[Change]:
    """What is told of the table t with that image of rows."""
    return log.while_(lambda: log.run(f"SET SESSION binlog_row_image = {image}", *statements), log.table("t"))


@pytest.mark.parametrize("image", ["FULL", "NOBLOB", "MINIMAL"])
def test_what_is_known(log: Log, image: str) -> None:
    """The key always is, before and after; of a new row everything; what is not known has not changed."""
    log.run(f"CREATE TABLE t ({COLUMNS})")
    found = _under(log, image, *STATEMENTS)
    assert found[0] == ("insert", None, {"id": 1, "a": 5, "b": b"xx", "d": 7})
    assert [before for _, before, _ in found] == [None, {"id": 1}, {"id": 1}, {"id": 2}, {"id": 2}]
    row: dict[str, object] = {}
    rows = []
    for _, _, after in found:
        row = row | after if after is not None else {}
        rows.append(row)
    assert rows[1:] == [
        {"id": 1, "a": 6, "b": b"xx", "d": 7},
        {"id": 2, "a": 6, "b": b"xx", "d": 7},
        {"id": 2, "a": 6, "b": None, "d": 7},
        {},
    ]
    known = [set(after) for _, _, after in found if after]
    assert known[1] == {"FULL": {"id", "a", "b", "d"}, "NOBLOB": {"id", "a", "d"}, "MINIMAL": {"id", "a"}}[image]


def test_what_cannot_be_known(log: Log) -> None:
    """Which row it was, and what a new one has in a column that is left out."""
    log.run("CREATE TABLE t (id INT PRIMARY KEY, at INT AS (id + 1) VIRTUAL, n INT)")
    with pytest.raises(ReadFailed, match=r"t\.at of a new row.*binlog_row_image=FULL"):
        _under(log, "MINIMAL", "INSERT INTO t (id) VALUES (1)")
    log.run("DROP TABLE t", "CREATE TABLE t (id INT UNIQUE NOT NULL, other INT PRIMARY KEY, n INT)")
    log.run("INSERT INTO t VALUES (1, 2, 3)")
    assert _under(log, "MINIMAL", "UPDATE t SET n = 4") == [("update", {"other": 2}, {"other": 2, "n": 4})]


WAYS: list[tuple[str, Callable[[int], dict[str, object]]]] = [
    ("WITH SYSTEM VERSIONING", lambda v: {"id": 1, "v": v}),
    (", u TEXT UNIQUE", lambda v: {"id": 1, "v": v, "u": None}),
    (", g INT AS (v * 2) VIRTUAL, s INT AS (v * 3) STORED", lambda v: {"id": 1, "v": v, "g": 2 * v, "s": 3 * v}),
    (", h INT INVISIBLE DEFAULT 3", lambda v: {"id": 1, "v": v, "h": 3}),
]


@pytest.mark.parametrize("metadata", ["NO_LOG", "FULL"])
@pytest.mark.parametrize(("more", "row"), WAYS, ids=["history", "hash", "computed", "invisible"])
def test_columns_beside(log: Log, more: str, row: Callable[[int], dict[str, object]], metadata: str) -> None:
    """Computed and invisible columns are there; those that the server adds for itself are not, and no history is."""
    inside, behind = (more, "") if more.startswith(",") else ("", more)
    log.run(f"SET GLOBAL binlog_row_metadata = {metadata}")
    log.run(f"CREATE TABLE t (id INT PRIMARY KEY, v INT{inside}) {behind}")
    found = _under(log, "FULL", "INSERT INTO t (id, v) VALUES (1, 5)", "UPDATE t SET v = 6", "DELETE FROM t")
    log.run("SET GLOBAL binlog_row_metadata = NO_LOG")
    assert found == [("insert", None, row(5)), ("update", {"id": 1}, row(6)), ("delete", {"id": 1}, None)]
