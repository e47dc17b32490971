"""The connection on which the log comes: cut off, silent, purged, closed; large, compressed and secret logs."""

from __future__ import annotations

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from rowferry.config.stream import SourceOptions
from rowferry.connectors.changes import BatchSize, ChangesRequest
from rowferry.connectors.mysql.binlog.changes import BinlogChanges
from rowferry.errors import Cancelled, ConnectionLost, InvalidInput, ReadFailed, SourceChanged
from tests.mysql.conftest import connection
from tests.mysql_log.conftest import Log
from tests.servers import MariaDb, wait_until


@pytest.fixture
def ready(log: Log) -> Log:
    log.run("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)")
    return log


def _dumps(server: MariaDb) -> list[int]:
    rows = server.execute("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'")
    return [int(str(number)) for (number,) in rows]


def test_killed(ready: Log) -> None:
    """A connection that the server ends is lost, and following goes on from what was given out."""
    position = ready.changes.position()
    following = ready.changes.follow(position, [ready.table("t")], {}, BatchSize())
    assert next(following).changes == 0
    ready.server.execute(*(f"KILL {number}" for number in _dumps(ready.server)))
    with pytest.raises(ConnectionLost):
        for _ in following:
            pass
    ready.run("INSERT INTO t VALUES (1, 'x')")
    assert len(ready.happened(position, ready.table("t"))) == 1


def test_when_it_was_committed(ready: Log) -> None:
    """The log tells the second alone; what comes at once was not committed at that second's begin."""
    position = ready.changes.position()
    before = time.time()
    ready.run("INSERT INTO t VALUES (1, 'x')")
    [batch] = [one for one in ready.batches(position, ready.table("t")) if one.changes]
    assert batch.committed_at is not None
    assert before <= batch.committed_at <= time.time()


def test_closed(ready: Log) -> None:
    """Closing ends what is under way, from another thread, and for good."""
    following = ready.changes.follow(ready.changes.position(), [ready.table("t")], {}, BatchSize())
    next(following)
    ended = threading.Timer(0.2, ready.changes.close)
    ended.start()
    with pytest.raises(Cancelled):
        for _ in following:
            pass
    ended.join()
    with pytest.raises(Cancelled):
        ready.changes.position()
    ready.server.execute(*(f"KILL {number}" for number in _dumps(ready.server)), "SELECT 1")


@contextlib.contextmanager
def relay(port: int) -> Iterator[tuple[int, threading.Event]]:
    """A way to the server that passes nothing on any more once it is told so."""
    stalled, ended = threading.Event(), threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)

    def pump(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if stalled.is_set():
                    return
                target.sendall(data)

    def accept() -> None:
        held = []
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", port))
                held += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        for one in held:
            one.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], stalled
    finally:
        ended.set()
        thread.join()
        listener.close()


def test_stalled(ready: Log) -> None:
    """A connection that is there and says nothing, not even that it lives, is lost after a while."""
    with relay(ready.server.port) as (port, stalled):
        request = ChangesRequest(connection(ready.server, port=port), ready.database, None, "s", SourceOptions())
        changes = BinlogChanges(request, stall=3)
        with contextlib.closing(changes):
            following = changes.follow(changes.position(), [ready.table("t")], {}, BatchSize())
            for _ in range(6):
                assert next(following).changes == 0
            stalled.set()
            with pytest.raises(ConnectionLost, match="silent"):
                for _ in following:
                    pass


def test_purged(ready: Log) -> None:
    """A log that is no longer there is said so, with the way back; what is there is not."""
    position = ready.changes.position()
    ready.run("INSERT INTO t VALUES (1, 'x')", "FLUSH BINARY LOGS")
    wait_until(lambda: len(ready.run("SHOW BINARY LOGS")) > 1)
    newest = str(ready.run("SHOW BINARY LOGS")[-1][0])

    def purged() -> bool:
        """Files that some connection still reads stay."""
        ready.run(f"PURGE BINARY LOGS TO '{newest}'")
        return str(ready.run("SHOW BINARY LOGS")[0][0]) == newest

    wait_until(purged)
    with pytest.raises(SourceChanged, match=r"purged.*new stream"):
        ready.batches(position.split("/")[0], ready.table("t"))
    with pytest.raises(SourceChanged, match=r"purged.*new stream"):
        ready.batches(position, ready.table("t"))
    assert ready.changes.distance(position) is None
    now = ready.changes.position()
    assert ready.changes.distance(now) == 0
    ready.run("INSERT INTO t VALUES (2, 'x')")
    assert (ready.changes.distance(now) or 0) > 100


def test_another_file(ready: Log) -> None:
    """Files of the log follow each other unnoticed, and places in them in their order."""
    position = ready.changes.position()
    ready.run("INSERT INTO t VALUES (1, 'x')", "FLUSH BINARY LOGS", "INSERT INTO t VALUES (2, 'x')")
    later = ready.changes.position()
    assert len(ready.happened(position, ready.table("t"))) == 2
    assert ready.changes.reached(later, position)
    assert not ready.changes.reached(position, later)


@pytest.mark.parametrize("changes", ["one statement", "long rows"])
def test_compressed(ready: Log, changes: str) -> None:
    """MariaDB compresses statements and rows from some length on; they are what they were."""
    followed, position = ready.table("t"), ready.changes.position()
    ready.run("SET GLOBAL log_bin_compress = 1", "SET GLOBAL log_bin_compress_min_len = 10")
    try:
        length = 2000 if changes == "long rows" else 10
        ready.run(
            f"INSERT INTO t SELECT seq, REPEAT('é', {length}) FROM seq_1_to_300",
            f"UPDATE t SET v = REPEAT('x', {length}) WHERE id = 7",
            "DELETE FROM t WHERE id > 100",
            "ALTER TABLE t ADD COLUMN a_column_with_quite_a_long_name VARCHAR(200) DEFAULT 'also of some length'",
        )
    finally:
        ready.run("SET GLOBAL log_bin_compress = 0")
    table = ready.read(ready.table("t"))
    found = ready.happened(position, followed)
    rows: dict[int, object] = {}
    for _, before, after in found:
        if before:
            rows.pop(before["id"])
        if after:
            rows[after["id"]] = after["v"]
    assert rows == dict(zip(table["id"].to_pylist(), table["v"].to_pylist(), strict=True))


def test_long_values(ready: Log) -> None:
    """A value of more than 16 MB needs more than one packet."""
    position = ready.changes.position()
    ready.run("SET GLOBAL max_allowed_packet = 1073741824")
    ready.run("INSERT INTO t VALUES (1, REPEAT('long', 9000000))", "DELETE FROM t")
    (insert, _) = ready.happened(position, ready.table("t"))
    assert insert[2] is not None
    assert insert[2]["v"] == "long" * 9_000_000


def test_memory(ready: Log) -> None:
    """A transaction of 200 MB is not held."""
    position = ready.changes.position()
    ready.run("INSERT INTO t SELECT seq, REPEAT('x', 2000) FROM seq_1_to_100000")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    count = 0
    end = ready.changes.position()
    for batch in ready.changes.follow(position, [ready.table("t")], {}, BatchSize(50_000, 4 << 20)):
        count += batch.changes
        if batch.position and ready.changes.reached(batch.position, end):
            break
    assert count == 100_000
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < 100 << 10


def test_positions_that_are_none(ready: Log) -> None:
    """What a user writes wrongly is said at once; what he may not is as well."""
    options = SourceOptions(binlog_position="somewhere")
    changes = BinlogChanges(ChangesRequest(connection(ready.server), ready.database, None, "s", options))
    with contextlib.closing(changes), pytest.raises(InvalidInput, match=r"mysql-bin\.000042:1234"):
        changes.prepare([])
    ready.server.execute("CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'ferry'")
    ready.server.execute("GRANT SELECT, BINLOG MONITOR ON *.* TO reader@'%'")
    reader = ready.another(username="reader")
    with pytest.raises(ReadFailed, match="REPLICATION SLAVE"):
        next(reader.follow(reader.position(), [ready.table("t")], {}, BatchSize()))
