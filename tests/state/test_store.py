from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import MetaData, Table, create_engine, make_url, text

from rowferry.config.settings import Settings
from rowferry.errors import Conflict, ConnectionFailed, InvalidInput
from rowferry.model.streams import ACTIVE, TERMINAL, Mode, Stage, StreamState
from rowferry.state.database import open_database
from rowferry.state.findings import KEPT
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import AccountRecord, AnswerRecord, ConfigRecord, ConnectionRecord, StreamRecord
from rowferry.state.store import STATE_FILE, Store
from rowferry.state.tables import METADATA
from tests.servers import free_port


@dataclass(frozen=True)
class Note:
    """A log entry, as far as the state cares."""

    level: str
    message: str
    stream_id: str | None

    def to_json(self) -> dict[str, Any]:
        return {"level": self.level, "message": self.message}


def stream(**fields: Any) -> StreamRecord:
    made = new_id("stream")
    record = StreamRecord(
        id=made.id,
        config_id="config_x",
        name="shop",
        config={"name": "shop"},
        mode=Mode.CONVERT,
        status=StreamState.READY,
        stage=Stage.INIT,
        created=made.created,
    )
    return replace(record, **fields)


def sqlalchemy_url(url: str) -> Any:
    parsed = make_url(url)
    return parsed if url.startswith("sqlite") else parsed.set(drivername="postgresql+psycopg")


def test_migrated_structure_is_the_metadata(url: str) -> None:
    Store.at(url).close()
    Store.at(url).close()
    engine = create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
    engine.dispose()


def test_state_of_a_newer_version_is_refused(url: str) -> None:
    Store.at(url).close()
    engine = create_engine(sqlalchemy_url(url))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(Conflict, match="newer version"):
        Store.at(url)


def test_servers_that_start_at_once_agree(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(Store.at, [url] * 4))
    for opened in stores:
        opened.ping()
        opened.close()


def test_a_new_state_waits_for_another_server_that_makes_it(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / STATE_FILE, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = Timer(0.5, other.rollback)
    release.start()
    Store.at(f"sqlite:///{tmp_path / STATE_FILE}").close()
    release.join()
    other.close()


def test_bad_state_urls_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="SQLite or PostgreSQL"):
        Store.at("mysql://u:p@h/d")
    with pytest.raises(InvalidInput, match="cannot be read"):
        Store.at("what is this")
    with pytest.raises(ConnectionFailed, match="does not answer") as failure:
        Store.at(f"postgresql://u:geheim@127.0.0.1:{free_port()}/d")
    assert "geheim" not in str(failure.value)


def test_settings_name_the_state(tmp_path: Path) -> None:
    opened = Store.open(Settings(data_dir=tmp_path / "deep" / "data"))
    opened.close()
    assert (tmp_path / "deep" / "data" / STATE_FILE).exists()
    assert (tmp_path / "deep" / "data").stat().st_mode & 0o777 == 0o700


def test_connections_are_kept_found_and_removed(store: Store) -> None:
    made = new_id("conn")
    record = ConnectionRecord(made.id, "Bücher 100%", "mysql", {"name": "Bücher 100%"}, "sealed", made.created)
    other = replace(record, id=new_id("conn").id, name="other", type="files")
    store.connections.add(record)
    store.connections.add(other)
    assert store.connections.get(record.id) == record
    assert store.connections.get("conn_nothing") is None
    assert store.connections.count() == 2
    assert store.connections.list("BÜCHER") == [record]
    assert store.connections.list("%") == [record]
    assert store.connections.list("_") == []
    assert store.connections.list("FILE") == [other]
    changed = replace(record, name="new", document={"name": "new"})
    assert store.connections.replace(changed)
    assert store.connections.get(record.id) == changed
    assert store.connections.delete(record.id)
    assert not store.connections.delete(record.id)
    assert not store.connections.replace(record)


def test_configs_are_paged(store: Store) -> None:
    records = [
        ConfigRecord(new_id("config", second).id, f"load {second % 2}", Mode.CONVERT, {"n": second}, second)
        for second in range(1_800_000_000, 1_800_000_006)
    ]
    for record in reversed(records):
        store.configs.add(record)
    assert store.configs.list() == records
    assert store.configs.list(limit=2, offset=3) == records[3:5]
    assert store.configs.list(offset=4) == records[4:]
    assert store.configs.list("LOAD 1") == records[1::2]
    assert (store.configs.count(), store.configs.count("load 1"), store.configs.count("x")) == (6, 3, 0)
    assert store.configs.replace(replace(records[0], name="z"))
    assert store.configs.get(records[0].id) == replace(records[0], name="z")
    assert store.configs.delete(records[0].id)
    assert store.configs.get(records[0].id) is None


def test_a_stream_comes_back_as_it_went(store: Store) -> None:
    record = stream(started_at=1.5, elapsed=2.25, error={"error": "x"}, stats={"rows": 1}, targets=["t"])
    store.streams.add(record)
    assert store.streams.get(record.id) == record
    store.streams.update(record.id, error=None, stats=None)
    assert store.streams.get(record.id) == replace(record, error=None, stats=None)
    assert not store.streams.update("stream_none", elapsed=1.0)


def finding(number: int, severity: str = "info") -> dict[str, Any]:
    return {"severity": severity, "table": "shop.actor", "message": f"no. {number}", "column": None, "item": None}


def test_findings_are_kept_once_in_order_and_counted(store: Store) -> None:
    record, other = stream(), stream()
    for each in (record, other):
        store.streams.add(each)
    store.findings.add(record.id, [finding(1), finding(2, "warning"), finding(1)])
    store.findings.add(record.id, [finding(2, "warning"), finding(3)])
    store.findings.add(other.id, [finding(1)])
    assert store.findings.list(record.id) == [finding(1), finding(2, "warning"), finding(3)]
    counts = store.findings.counts([record.id, other.id, "stream_none"])
    assert counts == {record.id: {"info": 2, "warning": 1}, other.id: {"info": 1}}
    assert store.streams.delete(record.id)
    assert store.findings.list(record.id) == []
    store.streams.discard([other.id], {StreamState.READY})
    assert store.findings.list(other.id) == []


def test_a_report_is_bounded_and_says_so(store: Store) -> None:
    record = stream()
    store.streams.add(record)
    for start in range(0, KEPT + 500, 300):
        store.findings.add(record.id, [finding(number) for number in range(start, start + 300)])
    report = store.findings.list(record.id)
    assert report[:-1] == [finding(number) for number in range(KEPT)]
    assert report[-1]["severity"] == "warning"
    assert "More was found than the 1000 findings" in report[-1]["message"]
    long = stream()
    store.streams.add(long)
    store.findings.add(long.id, [{**finding(1), "message": "x" * 100_000}])
    assert store.findings.list(long.id)[0]["message"] == "x" * 999 + "…"


def test_what_older_streams_found_stays(url: str) -> None:
    opened = open_database(url)
    opened.migrate("0002")
    found = [finding(1), finding(2, "warning"), finding(1)]
    values = {**asdict(stream()), "report": found}
    with opened.write() as connection:
        streams = Table("streams", MetaData(), autoload_with=connection)
        values = {name: value for name, value in values.items() if name in streams.c}
        connection.execute(streams.insert().values(**values))
    opened.close()
    migrated = Store.at(url)
    assert migrated.findings.list(values["id"]) == found[:2]
    assert migrated.streams.get(values["id"]) is not None
    migrated.close()


def test_streams_are_listed_by_config_and_state_newest_first(store: Store) -> None:
    old = stream(id=new_id("stream", 1_800_000_000).id, created=1_800_000_000, status=StreamState.FINISHED)
    new = stream(id=new_id("stream", 1_800_000_001).id, created=1_800_000_001)
    other = stream(id=new_id("stream", 1_800_000_002).id, created=1_800_000_002, config_id="config_y")
    for record in (old, new, other):
        store.streams.add(record)
    assert store.streams.list() == [other, new, old]
    assert store.streams.list("config_x") == [new, old]
    assert store.streams.list("config_x", TERMINAL) == [old]
    assert store.streams.list(statuses=ACTIVE) == [other, new]
    assert store.streams.list(statuses=()) == []


def test_of_many_movers_one_wins(store: Store) -> None:
    record = stream()
    store.streams.add(record)

    def start(number: int) -> bool:
        return store.streams.move(record.id, {StreamState.READY}, StreamState.RUNNING, started_at=float(number))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(start, range(16))) == 1
    moved = store.streams.get(record.id)
    assert moved is not None
    assert moved.status is StreamState.RUNNING
    assert not store.streams.move(record.id, (), StreamState.STOPPED)


def test_only_streams_in_the_states_are_discarded(store: Store) -> None:
    done, running = stream(status=StreamState.FINISHED), stream(status=StreamState.RUNNING)
    for record in (done, running):
        store.streams.add(record)
        store.logs.append([Note("info", "m", record.id)])
    assert store.streams.discard([done.id, running.id], TERMINAL) == [done.id]
    assert store.streams.list() == [running]
    assert store.logs.recent(done.id) == []
    assert len(store.logs.recent(running.id)) == 1
    assert store.streams.delete(running.id)
    assert store.logs.recent(running.id) == []


def test_logs_are_bounded_for_each_stream(store: Store) -> None:
    store.logs._kept = 10
    for start in range(0, 30, 6):
        entries = [Note("error" if n % 5 == 0 else "info", str(n), "stream_a") for n in range(start, start + 6)]
        store.logs.append([*entries, Note("info", "b", "stream_b"), Note("info", "nobody's", None)])
    kept = store.logs.recent("stream_a", limit=100)
    assert [record.document["message"] for record in kept] == [str(n) for n in range(20, 30)]
    assert [record.document["message"] for record in store.logs.recent("stream_a", "error")] == ["20", "25"]
    assert [record.document["message"] for record in store.logs.recent("stream_a", limit=2)] == ["28", "29"]
    assert len(store.logs.recent("stream_b")) == 5
    store.logs.append([])


def test_there_is_one_account(store: Store) -> None:
    record = AccountRecord("a@b.c", "hash", "key", "box", 1)
    assert store.account.get() is None
    assert not store.account.update(email="x")
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(store.account.create, [record] * 4)) == 1
    assert store.account.update(key_hash="new")
    assert store.account.get() == replace(record, key_hash="new")


def test_settings_are_set_and_ensured(store: Store) -> None:
    assert store.settings.get("x") is None
    assert store.settings.get("x", 5) == 5
    store.settings.set("x", {"a": [1]})
    store.settings.set("x", {"a": [2]})
    assert store.settings.get("x") == {"a": [2]}
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(lambda n: store.settings.ensure("id", n), ["a", "b", "c", "d"]))) == 1


def test_an_answer_is_claimed_once_and_kept(store: Store) -> None:
    claim = AnswerRecord("k", "print", 1000.0)
    assert store.idempotency.claim(claim) is None
    assert store.idempotency.claim(claim) == claim
    store.idempotency.release("k")
    assert store.idempotency.claim(claim) is None
    store.idempotency.answer("k", 200, "application/json", "{}")
    store.idempotency.release("k")
    store.idempotency.release_unanswered()
    assert store.idempotency.claim(claim) == AnswerRecord("k", "print", 1000.0, 200, "application/json", "{}")
    later = AnswerRecord("other", "print", 1000.0 + 25 * 3600)
    assert store.idempotency.claim(later) is None
    assert store.idempotency.get("k") is None
    store.idempotency.release_unanswered()
    assert store.idempotency.get("other") is None


def test_identifiers_carry_their_second() -> None:
    first, second = new_id("conn", 1_739_572_516), new_id("conn", 1_739_572_517)
    assert first.id < second.id
    assert len(first.id) == 5 + 27
    assert has_id_shape("conn", first.id)
    for odd in ("", "conn_", first.id + "\n", "config_" + first.id[5:], "conn_" + "é" * 27, first.id[:-1]):
        assert not has_id_shape("conn", odd)
