"""Logs of servers that are not here: decoded to what was put into them, or refused by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rowferry.connectors.changes import BatchSize
from rowferry.connectors.mysql.binlog.frames import Event
from rowferry.connectors.mysql.binlog.headers import read_format
from rowferry.connectors.mysql.binlog.history import History
from rowferry.connectors.mysql.binlog.kinds import Kind
from rowferry.connectors.mysql.binlog.position import Place
from rowferry.connectors.mysql.binlog.rolled import Undone
from rowferry.connectors.mysql.binlog.story import Story
from rowferry.errors import ReadFailed, SourceChanged
from tests.mysql_log.conftest import told
from tests.mysql_log.files import MYSQL, followed, opened, sample, table

VERSIONS = {
    "binlog_transaction_with_GTID.000001": ("5.6.24-debug-log", 11),
    "bug40482-bin.000001": ("5.1.30-debug-log", 3),
    "json.binlog.000001": ("8.0.22", 36),
    "mariadb-bin.000001": ("10.5.15-MariaDB-1:10.5.15+maria~focal-log", 13),
    "master-bin.000001": ("8.0.2-dmr-debug-log-asan", 3),
    "minimal_row_metadata.000001": ("8.0.40", 8),
    "mysql-bin.000080": ("5.7.40-log", 37),
    "mysql-bin.checksum-crc32": ("5.7.21-log", 303),
    "mysql-enum-string-set.000001": ("8.0.28", 21),
    "mysql_type_bit.000001": ("8.0.26", 11),
    "time_issue.000001": ("8.0.40", 8),
    "transaction_compression.000001": ("8.0.32", 5),
}
LONG = "0123456789" * 10


@pytest.mark.parametrize("name", VERSIONS)
def test_every_event_is_whole(name: str) -> None:
    """Each is cut as long as it is, and its checksum fits."""
    events = list(opened(sample(name)))
    version, count = VERSIONS[name]
    assert [read_format(event).version for event in events if event.kind == Kind.FORMAT_DESCRIPTION] == [version]
    assert len(events) == count


@pytest.mark.parametrize("place", [40, 200, 300])
def test_a_flipped_bit_is_found(place: int) -> None:
    """Wherever it is."""
    content = bytearray(sample("minimal_row_metadata.000001"))
    content[place] ^= 1
    with pytest.raises(ReadFailed, match="checksum"):
        list(opened(bytes(content)))


def _after(content: bytes, kind: int, number: int) -> int:
    """Where that one of the events of its kind ends."""
    ends = [event.after for event in opened(content) if event.kind == kind]
    return ends[number]


def test_json() -> None:
    """Documents as the server spells them, with the columns that it computes from them."""
    content = sample("json.binlog.000001")
    t = table("mysql.t", "id INT, json_col JSON, name VARCHAR(100), age INT", ("id",))
    until = content[: _after(content, Kind.UPDATE_ROWS, 0)]
    found = told(followed(until, t, since=_after(content, Kind.QUERY, 1)))
    assert found[0] == (
        "insert",
        None,
        {"id": 1, "json_col": '{"age": 24, "data": "xxxxxxxxxx", "name": "Joe"}', "name": "Joe", "age": 24},
    )
    assert [op for op, _, _ in found] == ["insert"] * 6 + ["update"] * 6
    assert [(before, after["age"]) for _, before, after in found[6:] if after] == [
        ({"id": number}, age) for number, age in enumerate((25, 33, 41, 25, 33, 41), 1)
    ]


def test_json_in_part_without_what_it_was() -> None:
    """A change of a document is refused when the log does not tell the document."""
    content = sample("json.binlog.000001")
    t = table("mysql.t", "id INT, json_col JSON, name VARCHAR(100), age INT", ("id",))
    with pytest.raises(ReadFailed, match=r"only what changed in mysql\.t\.json_col.*binlog_row_image=FULL"):
        followed(content, t, since=_after(content, Kind.QUERY, 1))


def test_strings_enum_set() -> None:
    """Short and long texts, members by number."""
    content = sample("mysql-enum-string-set.000001")
    columns = "f1 CHAR(128), f2 VARCHAR(300), f3 ENUM('var1', 'variant2', 'foo'), f4 SET('one', 'two', 'three', 'four')"
    t = table("mysql.t", f"{columns}, f5 TEXT")
    insert, update, delete = told(followed(content, t, since=_after(content, Kind.QUERY, 1)))
    assert insert[2] is not None
    assert update[2] is not None
    assert (insert[2]["f1"], insert[2]["f3"], insert[2]["f4"]) == (LONG, "var1", "one,three")
    assert (update[2]["f1"], update[2]["f2"], update[2]["f3"]) == ("field1", "field_2", "variant2")
    assert update[2]["f4"] == "two,four"
    assert update[1] == insert[2]
    assert delete[1] == update[2]


def test_bits() -> None:
    content = sample("mysql_type_bit.000001")
    t = table("mysql.foo", "a BIT(3), b TEXT, c BIT(8)")
    (one,) = told(followed(content, t, since=_after(content, Kind.QUERY, 1)))
    assert one == ("insert", None, {"a": "100", "b": "foo", "c": "00100000"})


def test_times() -> None:
    (one,) = told(followed(sample("time_issue.000001"), table("noria.t", "t TIME")))
    assert one == ("insert", None, {"t": -timedelta(hours=507, minutes=48, seconds=27)})


def test_compressed() -> None:
    """A whole transaction in one event."""
    batches = followed(sample("transaction_compression.000001"), table("test.tb1", "a INT"))
    assert told(batches) == [("insert", None, {"a": 1})]
    assert batches[-1].position == "binlog.000043:4"


def test_minimal_metadata() -> None:
    t = table("noria.t1", "a INT, b TEXT, c CHAR(2), d INT, e INT")
    (one,) = told(followed(sample("minimal_row_metadata.000001"), t))
    assert one[2] == {"a": 1, "b": None, "c": "a", "d": None, "e": -1064764973}


def test_mariadb() -> None:
    """Rows of version 1, with members that the log itself names."""
    columns = "id INT, topic VARCHAR(255), event_type ENUM('other', 'words'), event BLOB, created TIMESTAMP"
    batches = followed(sample("mariadb-bin.000001"), table("toddy_test.outbox", columns, ("id",)))
    first, second = told(batches)
    assert first[2] == {
        "id": 62,
        "topic": "foo",
        "event_type": "JSON",
        "event": b'{"foo":1}',
        "created": datetime(2022, 4, 20, 22, 18, 4, tzinfo=UTC),
    }
    assert second[2] is not None
    assert second[2]["id"] == 63
    assert batches[-1].committed_at == datetime(2022, 4, 20, 22, 19, 55, tzinfo=UTC).timestamp()


def test_files_of_5_7() -> None:
    """Inserts, updates and deletes of a wide table, with dates, flags and sizes."""
    columns = (
        "a BIGINT, b VARCHAR(255), c VARCHAR(55), d BIGINT, e BIGINT, f VARCHAR(512), g BIGINT, h TIMESTAMP, i DOUBLE,"
        " j TINYINT, k TINYINT, l INT, m TINYINT, n TIMESTAMP, o BIGINT, p BIGINT, q BIGINT"
    )
    found = told(followed(sample("mysql-bin.checksum-crc32"), table("simu_file_dev.file", columns, ("a",))))
    assert [op for op, _, _ in found].count("insert") == 8
    alive: set[int] = set()
    for op, before, after in found:
        if op == "insert" and after:
            assert after["h"].year in range(2015, 2025)
            alive.add(after["a"])
        elif op == "update" and before and after and before["a"] in alive:
            assert after["a"] == before["a"]


def test_incident() -> None:
    """The server itself says that something is missing."""
    with pytest.raises(ReadFailed, match=r"INCIDENT.*start a new stream"):
        followed(sample("bug40482-bin.000001"), table("a.b", "c INT"))


def test_statements() -> None:
    """A log of statements is refused where it is about a followed table."""
    content = sample("binlog_transaction_with_GTID.000001")
    assert told(followed(content, table("test.other", "a INT"))) == []
    with pytest.raises(SourceChanged, match="created anew"):
        followed(content, table("test.t1", "c1 INT"))
    with pytest.raises(ReadFailed, match="set binlog_format=ROW"):
        followed(content, table("test.t1", "c1 INT"), since=_after(content, Kind.QUERY, 0))


def test_named_in_messages() -> None:
    """What no reader knows is refused by its number, unless it may be passed over."""
    unknown = Event(0, 200, 1, 19, 500, 0, bytes(19), 19)
    story = Story(Place("log.000001", 4), History([], MYSQL, lambda _: None), {}, BatchSize(), Undone())
    with pytest.raises(ReadFailed, match="unknown kind 200"):
        story.take(unknown)
    assert list(story.take(unknown._replace(flags=0x80))) == []
