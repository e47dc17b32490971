"""Changes that are kept in files: what stands in them, in every format, and that a copy with them is the source."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.cdc.change_files import (
    Change,
    Folder,
    Place,
    Prefix,
    changes,
    listed,
    load,
    no_gap,
    ordinals,
    replayed,
    replayed_bag,
)
from tests.cdc.pairs import PATIENCE, Server, connection_to
from tests.servers import MariaDb, Postgres, wait_until
from tests.serving import ENDED, Rowferry
from tests.stores import BUCKET, ObjectStore

SOON = {"changeFiles": {"seconds": 2}}


@dataclass
class Kept:
    """A source, and the files that its changes go to."""

    rowferry: Rowferry
    source: Server
    place: Place
    target: str
    spec: dict[str, Any]
    here: str = ""
    stream: str = ""
    marks: int = 0
    tables: list[str] = field(default_factory=list)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements at the source, each of which commits; the rows of the last one."""
        return self.source.execute(*statements, database=self.here)

    def together(self, *statements: str) -> None:
        """Run statements at the source in one transaction."""
        self.run("BEGIN", *statements, "COMMIT")

    def begin(self, *tables: str, **more: Any) -> None:
        """Make the tables, start a stream, and wait until it follows."""
        self.stream = self.rowferry.begin(self.configure(*tables, **more))
        self.until(lambda: self.stats()["lagSeconds"] is not None)

    def configure(self, *tables: str, **more: Any) -> str:
        """Make the tables, and a config that follows them."""
        self.here = self.source.new_database()
        self.run("CREATE TABLE mark (id int PRIMARY KEY)", *tables)
        source = {"options": more.pop("options")} if "options" in more else {}
        connection = connection_to(self.rowferry, self.source)
        return self.rowferry.configure(connection, self.here, self.target, self.spec, mode="cdc", source=source, **more)

    def stats(self) -> dict[str, Any]:
        return self.rowferry.stats(self.stream)

    def caught_up(self) -> None:
        """Return once everything that was written before is in files.

        The tables' manifests come one after another, so that of `mark` may be there before the others.
        """
        self.marks += 1
        self.run(f"INSERT INTO mark VALUES ({self.marks})")
        self.until(self._is_marked)

    def _is_marked(self) -> bool:
        if not any(one.after and int(one.after["id"]) == self.marks for one in changes(self.place, "mark")):
            return False
        folders = (name for name in self.place.names("") if name.endswith(".changes"))
        numbers = ordinals(self.place, *(name.removesuffix(".changes") for name in folders))
        return numbers == list(range(1, len(numbers) + 1))

    def until(self, condition: Any) -> None:
        """Wait, but not for a stream that has ended."""

        def come() -> bool:
            if condition():
                return True
            stats = self.stats()
            assert stats["status"] not in ENDED, f"{stats['status']} {stats['error']}"
            return False

        wait_until(come, PATIENCE, "change files")

    def stop(self) -> None:
        if self.stream and self.stats()["status"] not in ENDED - {"FAILED"}:
            self.rowferry.post(f"/streams/{self.stream}/stop")


@pytest.fixture
def folder(rowferry: Rowferry, tmp_path: Path) -> tuple[Place, str]:
    """A folder, and the connection to it."""
    return Folder(tmp_path / "out"), rowferry.connect_folder(tmp_path / "out")


@pytest.fixture
def prefix(rowferry: Rowferry, store_of_objects: ObjectStore) -> tuple[Place, str]:
    """A prefix in a bucket, and the connection to it."""
    top = store_of_objects.new_folder()
    connection = rowferry.post("/connections", store_of_objects.connection(BUCKET, top))
    return Prefix(store_of_objects, BUCKET, top), str(connection["id"])


@pytest.fixture
def in_parquet(rowferry: Rowferry, logged: MariaDb, folder: tuple[Place, str]) -> Iterator[Kept]:
    """From MariaDB into Parquet in a folder."""
    kept = Kept(rowferry, logged, *folder, spec={"files": {"fileFormat": "parquet", **SOON}})
    yield kept
    kept.stop()


@pytest.fixture
def in_jsonl(rowferry: Rowferry, postgres: Postgres, prefix: tuple[Place, str]) -> Iterator[Kept]:
    """From PostgreSQL into JSON Lines in a store."""
    kept = Kept(rowferry, postgres, *prefix, spec={"files": {"fileFormat": "jsonl", **SOON}})
    yield kept
    kept.stop()


def told(found: list[Change]) -> list[tuple[Any, ...]]:
    """What does not depend on when it happened."""
    return [(one.op, one.before, one.after, one.unchanged) for one in found]


def test_mariadb_into_parquet(in_parquet: Kept) -> None:
    kept = in_parquet
    kept.begin(
        "CREATE TABLE t (id int PRIMARY KEY, word varchar(20), n decimal(9,2), at datetime(6), raw varbinary(9))",
        "INSERT INTO t VALUES (1, 'a', 1.50, '2024-02-29 23:59:59.123456', x'00ff')",
        "CREATE TABLE bare (word varchar(20), n int)",
        "INSERT INTO bare VALUES ('a', 1), ('a', 1), (NULL, NULL)",
    )
    began = datetime.now(UTC) - timedelta(seconds=2)
    kept.run("INSERT INTO t VALUES (2, NULL, NULL, NULL, NULL)", "UPDATE t SET word = '' WHERE id = 1")
    kept.together("UPDATE t SET id = 5 WHERE id = 2", "DELETE FROM t WHERE id = 1")
    kept.run("UPDATE bare SET n = 2 WHERE word = 'a' LIMIT 1", "DELETE FROM bare WHERE word IS NULL")
    kept.caught_up()
    row = {"id": 1, "word": "a", "n": load(kept.place, "t")[0]["n"], "at": datetime(2024, 2, 29, 23, 59, 59, 123456)}
    row["raw"] = b"\x00\xff"
    empty = {"id": 2, "word": None, "n": None, "at": None, "raw": None}
    found = changes(kept.place, "t")
    assert told(found) == [
        ("insert", None, empty, ()),
        ("update", row, {**row, "word": ""}, ()),
        ("update", empty, {**empty, "id": 5}, ()),
        ("delete", {**row, "word": ""}, None, ()),
    ]
    assert len({one.position for one in found}) == 3
    assert found[2].position == found[3].position
    assert all(began < one.committed_at < datetime.now(UTC) for one in found)
    assert told(changes(kept.place, "bare")) == [
        ("update", {"word": "a", "n": 1}, {"word": "a", "n": 2}, ()),
        ("delete", {"word": None, "n": None}, None, ()),
    ]
    kept.run("TRUNCATE TABLE t", "ALTER TABLE t ADD COLUMN more int", "INSERT INTO t (id, more) VALUES (7, 8)")
    kept.caught_up()
    later = changes(kept.place, "t")[4:]
    assert told(later) == [("truncate", None, None, ()), ("insert", None, {**empty, "id": 7, "more": 8}, ())]
    assert replayed(kept.place, "t", "id") == {7: {**empty, "id": 7, "more": 8}}
    assert replayed_bag(kept.place, "bare") == {("a", 1): 1, ("a", 2): 1}
    assert no_gap(kept.place, "t", "bare", "mark") == 10


def test_rows_that_the_log_tells_in_part(in_parquet: Kept) -> None:
    """Of rows as they were there is what each of them tells in common, and nothing is put in the place of the rest."""
    kept = in_parquet
    kept.begin("CREATE TABLE t (id int PRIMARY KEY, word varchar(20), n int)", "INSERT INTO t VALUES (1, 'a', 1)")
    kept.run("UPDATE t SET n = 2", "SET SESSION binlog_row_image = 'MINIMAL'", "UPDATE t SET word = 'b'")
    kept.run("SET SESSION binlog_row_image = 'NOBLOB'", "UPDATE t SET n = NULL")
    kept.caught_up()
    found = changes(kept.place, "t")
    assert [one.before and one.before["id"] for one in found] == [1, 1, 1]
    assert [(one.after, one.unchanged) for one in found] == [
        ({"id": 1, "word": "a", "n": 2}, ()),
        ({"id": 1, "word": "b", "n": None}, ("n",)),
        ({"id": 1, "word": "b", "n": None}, ()),
    ]
    assert replayed(kept.place, "t", "id") == {1: {"id": 1, "word": "b", "n": None}}


def test_postgresql_into_json_lines_in_a_store(in_jsonl: Kept) -> None:
    kept = in_jsonl
    kept.begin(
        "CREATE TABLE t (id int PRIMARY KEY, word text, long text, doc jsonb, n numeric)",
        "ALTER TABLE t ALTER long SET STORAGE EXTERNAL",
        "INSERT INTO t VALUES (1, 'a', repeat('x', 10000), '{\"a\": [1]}', 1.10)",
        "CREATE TABLE whole (id int PRIMARY KEY, n int, long text)",
        "ALTER TABLE whole ALTER long SET STORAGE EXTERNAL",
        "ALTER TABLE whole REPLICA IDENTITY FULL",
        "INSERT INTO whole VALUES (1, 2, repeat('x', 10000))",
        "CREATE TABLE bare (word text)",
        "ALTER TABLE bare REPLICA IDENTITY FULL",
        "INSERT INTO bare VALUES ('a'), ('a')",
    )
    kept.run("UPDATE t SET word = E'\"\\n' WHERE id = 1", "INSERT INTO t (id, long) VALUES (2, 'short')")
    kept.together("UPDATE t SET id = 5 WHERE id = 2", "TRUNCATE bare", "INSERT INTO bare VALUES (NULL)")
    kept.run(
        "INSERT INTO whole VALUES (2, 3)", "UPDATE whole SET n = 4 WHERE id = 1", "UPDATE whole SET n = 4 WHERE id = 2"
    )
    kept.caught_up()
    found = changes(kept.place, "t")
    first = {"id": 1, "word": '"\n', "long": None, "doc": {"a": [1]}, "n": 1.1}
    second = {"id": 2, "word": None, "long": "short", "n": None}
    assert told(found) == [
        ("update", {"id": 1}, first, ("long",)),
        ("insert", None, second, ()),
        ("update", {"id": 2}, {**second, "id": 5}, ()),
    ]
    bare = changes(kept.place, "bare")
    assert told(bare) == [("truncate", None, None, ()), ("insert", None, {"word": None}, ())]
    assert {found[2].position} == {one.position for one in bare}
    assert replayed(kept.place, "t", "id")[1]["long"] == "x" * 10000
    old, other = {"id": 1, "n": 2, "long": "x" * 10000}, {"id": 2, "n": 3, "long": None}
    assert told(changes(kept.place, "whole")) == [
        ("insert", None, other, ()),
        ("update", old, {**old, "n": 4}, ()),
        ("update", other, {**other, "n": 4}, ()),
    ]
    assert no_gap(kept.place, "t", "whole", "bare", "mark") == 9


def test_csv(rowferry: Rowferry, logged: MariaDb, folder: tuple[Place, str]) -> None:
    """Columns side by side; NULL is an empty field, the empty string a quoted one."""
    spec = {"files": {"fileFormat": "csv", "format": {"compression": "none"}, **SOON}}
    kept = Kept(rowferry, logged, *folder, spec=spec)
    kept.begin("CREATE TABLE t (id int PRIMARY KEY, word varchar(20))", "INSERT INTO t VALUES (1, 'a')")
    kept.run("UPDATE t SET word = '' WHERE id = 1", "DELETE FROM t WHERE id = 1")
    kept.caught_up()
    (entry,) = listed(kept.place, "t.changes")
    content = kept.place.get(f"t.changes/{entry['path']}") or b""
    head, *lines = content.decode().splitlines()
    assert head == "op,committed_at,position,ordinal,before.id,before.word,after.id,after.word,unchanged"
    first, second = (line.split(",") for line in lines)
    assert (first[0], first[3:]) == ("update", ["1", "1", "a", "1", '""', ""])
    assert (second[0], second[3:]) == ("delete", ["2", "1", '""', "", "", ""])
    assert datetime.fromisoformat(first[1]).tzinfo == UTC
    kept.stop()


def test_what_waits_is_kept_when_the_stream_is_paused_or_stopped(in_parquet: Kept) -> None:
    """Nobody waits for the seconds then; and what a stopped stream leaves is its tables and manifests alone."""
    kept = in_parquet
    kept.spec = {"files": {"fileFormat": "parquet", "changeFiles": {"seconds": 3600}}}
    kept.begin("CREATE TABLE t (id int PRIMARY KEY)")
    for number, word in enumerate(("pause", "stop"), 1):
        kept.until(lambda: kept.stats()["lagSeconds"] == 0)
        kept.run(f"INSERT INTO t VALUES ({number})")
        kept.until(lambda: (kept.stats()["lagSeconds"] or 0) > 0)
        kept.rowferry.post(f"/streams/{kept.stream}/{word}")
        assert [one.after for one in changes(kept.place, "t")] == [{"id": one + 1} for one in range(number)]
        if word == "pause":
            kept.rowferry.post(f"/streams/{kept.stream}/resume")
            kept.until(lambda: kept.stats()["status"] == "RUNNING")
    wait_until(lambda: kept.place.names(".") == {"mark", "t", "mark.changes", "t.changes"}, what="the journal to go")
    assert kept.stats()["target"]["counter"] == 2


def test_the_limit_of_events_ends_it(in_parquet: Kept) -> None:
    in_parquet.begin("CREATE TABLE t (id int PRIMARY KEY)", limits={"numberOfEvents": 10})
    for first in range(1, 31, 6):
        in_parquet.run(f"INSERT INTO t SELECT seq FROM seq_{first}_to_{first + 5}")
    stats = in_parquet.rowferry.wait(in_parquet.stream)
    assert stats["status"] == "EVENT_LIMIT_REACHED"
    found = changes(in_parquet.place, "t")
    assert len(found) >= 10
    assert len(found) % 6 == 0


def test_only_some_kinds_are_wanted(in_jsonl: Kept) -> None:
    in_jsonl.begin("CREATE TABLE t (id int PRIMARY KEY, n int)", options={"operations": ["insert", "delete"]})
    in_jsonl.run("INSERT INTO t VALUES (1, 1)", "UPDATE t SET n = 2", "DELETE FROM t")
    in_jsonl.caught_up()
    assert [one.op for one in changes(in_jsonl.place, "t")] == ["insert", "delete"]
    assert no_gap(in_jsonl.place, "t", "mark") == 3
    logged = in_jsonl.rowferry.client.get(f"/streams/{in_jsonl.stream}/logs").json()
    uploads = {entry["table"]: entry for entry in logged if entry["category"] == "s3_upload"}
    assert uploads.keys() >= {"t", "mark"}
    assert uploads["t"]["bucket"] == BUCKET
    assert uploads["t"]["filesUploaded"] > 0


@pytest.mark.timeout(300)
def test_a_transaction_that_is_larger_than_a_batch(in_jsonl: Kept) -> None:
    """Columns are altered in the middle of it, and all of it has one position."""
    in_jsonl.begin("CREATE TABLE t (id int PRIMARY KEY, n int)")
    in_jsonl.together(
        "INSERT INTO t SELECT i, 0 FROM generate_series(1, 60000) AS s (i)",
        "ALTER TABLE t ADD COLUMN more int",
        "UPDATE t SET more = 1 WHERE id <= 10",
        "DELETE FROM t WHERE id > 20",
    )
    in_jsonl.caught_up()
    found = changes(in_jsonl.place, "t")
    assert len(found) == 60_000 + 10 + 59_980
    assert len({one.position for one in found}) == 1
    assert len({entry["schema"] for entry in listed(in_jsonl.place, "t.changes")}) == 2
    assert sorted(replayed(in_jsonl.place, "t", "id")) == list(range(1, 21))


def test_what_the_log_does_not_tell_is_said_before_it_starts(in_parquet: Kept, in_jsonl: Kept) -> None:
    """What InnoDB's foreign keys do, and what an older PostgreSQL computes and does not log."""
    config = in_parquet.configure(
        "CREATE TABLE t (id int PRIMARY KEY)",
        "CREATE TABLE u (id int, CONSTRAINT goes FOREIGN KEY (id) REFERENCES t (id) ON DELETE CASCADE)",
    )
    answer = in_parquet.rowferry.post(f"/stream-configs/{config}/validate")
    assert answer["ok"]
    assert [one["severity"] for one in answer["findings"] if "foreign key goes does" in one["message"]] == ["warning"]
    config = in_jsonl.configure("CREATE TABLE t (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED)")
    answer = in_jsonl.rowferry.post(f"/stream-configs/{config}/validate")
    told = os.environ.get("ROWFERRY_TEST_POSTGRES") == "18"
    assert answer["ok"] == told
    assert [one["column"] for one in answer["findings"] if "log does not tell it" in one["message"]] == (
        [] if told else ["twice"]
    )


def test_it_is_not_verified(in_parquet: Kept) -> None:
    """The copy and the source are not meant to be equal."""
    in_parquet.begin("CREATE TABLE t (id int PRIMARY KEY)")
    answer = in_parquet.rowferry.client.post(f"/streams/{in_parquet.stream}/verify")
    assert answer.status_code >= 400
    assert "kept beside the rows" in answer.text


@pytest.mark.timeout(300)
def test_a_store_that_is_away_is_waited_for(in_jsonl: Kept, store_of_objects: ObjectStore) -> None:
    in_jsonl.begin("CREATE TABLE t (id int PRIMARY KEY)")
    in_jsonl.run("INSERT INTO t VALUES (1)")
    in_jsonl.caught_up()
    store_of_objects.stop()
    try:
        in_jsonl.run("INSERT INTO t VALUES (2)")
        logged = f"/streams/{in_jsonl.stream}/logs"
        in_jsonl.until(lambda: "Following again" in in_jsonl.rowferry.client.get(logged).text)
    finally:
        store_of_objects.start()
    in_jsonl.run("INSERT INTO t VALUES (3)")
    in_jsonl.caught_up()
    assert [one.after for one in changes(in_jsonl.place, "t")] == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert no_gap(in_jsonl.place, "t", "mark") == 5


@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["in_parquet", "in_jsonl"])
def test_nothing_is_lost_or_doubled_when_everything_dies(kind: str, request: pytest.FixtureRequest) -> None:
    kept: Kept = request.getfixturevalue(kind)
    whole = ["ALTER TABLE bare REPLICA IDENTITY FULL"] if isinstance(kept.source, Postgres) else []
    kept.begin(
        "CREATE TABLE t (id int PRIMARY KEY, n int)", "CREATE TABLE bare (id int, n int)", *whole,
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)", "INSERT INTO bare VALUES (1, 1), (1, 1)",
    )  # fmt: skip
    luck = random.Random(7)
    ending = threading.Event()
    writer = threading.Thread(target=_write, args=(kept, ending, luck.random()))
    writer.start()
    try:
        for round_ in range(5):
            before = len(listed(kept.place, "t.changes"))
            kept.until(lambda before=before: len(listed(kept.place, "t.changes")) > before)
            time.sleep(luck.uniform(0, 4))  # the moment is what is tested, there is nothing to wait for
            if round_ % 2:
                kept.rowferry.kill()
                kept.rowferry.start()
            else:
                kept.until(kept.rowferry.workers)
                os.kill(kept.rowferry.workers()[0], signal.SIGKILL)
    finally:
        ending.set()
        writer.join()
    kept.caught_up()
    assert {key: row["n"] for key, row in replayed(kept.place, "t", "id").items()} == dict(kept.run("SELECT * FROM t"))
    assert replayed_bag(kept.place, "bare") == Counter(kept.run("SELECT * FROM bare"))
    assert no_gap(kept.place, "t", "bare", "mark") > 1000
    for table in ("t", "bare", "mark"):
        parts = {name for name in kept.place.names(f"{table}.changes") if name.startswith("part-")}
        assert parts == {entry["path"] for entry in listed(kept.place, f"{table}.changes")}


def _write(kept: Kept, ending: threading.Event, seed: float) -> None:
    """Transactions of all kinds, one after another."""
    luck, number = random.Random(seed), 100
    while not ending.wait(0.005):
        number += 1
        one, other = luck.randint(4, number), luck.randint(4, number)
        kept.together(
            f"INSERT INTO t VALUES ({number}, 0)",
            f"UPDATE t SET n = n + 1 WHERE id BETWEEN {one} AND {one + 3}",
            f"DELETE FROM t WHERE id = {other}",
            f"INSERT INTO bare VALUES ({number % 7}, {number % 3})",
            f"UPDATE bare SET n = n + 1 WHERE id = {number % 11} AND n < 2",
            *([f"DELETE FROM bare WHERE id = {number % 5}"] if number % 10 == 0 else []),
        )
