"""Every type and value comes out of the log as a convert reads it, cell by cell.

All of them are written, and then followed, at once; each is compared by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest

from rowferry.connectors.base import Source
from rowferry.connectors.changes import RowChanges
from rowferry.errors import RowferryError
from rowferry.model.policies import Holds
from rowferry.model.tables import Table
from rowferry.typemap.treatment import Want
from tests.matrix.cases import Case, load
from tests.mysql_log.conftest import Log, logged
from tests.servers import MariaDb

CASES = [case for case in load("mariadb").cases if not case.after]
PLAIN = [case for case in CASES if case.refused.get("parquet") != "zeroDate"]
ZERO = [case for case in CASES if case.refused.get("parquet") == "zeroDate"]


@dataclass(frozen=True)
class Written:
    """What a convert reads, and what came of the inserts and then of the deletes, by the table's name."""

    read: Mapping[str, pa.Table]
    inserted: Mapping[str, list[RowChanges]]
    deleted: Mapping[str, list[RowChanges]]


def _as_text(source: Source, table: Table) -> Table:
    """The table as it is read for a target of the same kind: dates as text, zero dates among them."""
    own = Holds(own=True)
    columns = [source.treated(Want(one, one.type, own), {}).crosses or one for one in table.columns]
    return replace(table, columns=tuple(columns))


@pytest.fixture(scope="module", params=["NO_LOG", "MINIMAL", "FULL"])
def written(request: pytest.FixtureRequest, logging: MariaDb) -> Iterator[Written]:
    with logged(logging) as log:
        # A member with characters beyond the basic plane stands in the log alone.
        cases = [case for case in PLAIN if "😀" not in case.declared or request.param == "FULL"]
        log.run(f"SET GLOBAL binlog_row_metadata = {request.param}")
        log.run(*(case.statements[0].replace("k INT PRIMARY KEY", "k INT") for case in [*cases, *ZERO]))
        tables = [log.table(case.table) for case in cases]
        tables += [_as_text(log.source, log.table(case.table)) for case in ZERO]
        position = log.changes.position()
        log.run(*(case.statements[1] for case in [*cases, *ZERO]))
        read = {table.name.name: log.read(table).sort_by("k") for table in tables}
        middle = log.changes.position()
        inserted = _by_table(log, position, tables)
        log.run(*(f"DELETE FROM {table.name.name}" for table in tables))
        deleted = _by_table(log, middle, tables)
        log.run("SET GLOBAL binlog_row_metadata = NO_LOG")
        yield Written(read, inserted, deleted)


def _by_table(log: Log, position: str, tables: list[Table]) -> Mapping[str, list[RowChanges]]:
    found: dict[str, list[RowChanges]] = defaultdict(list)
    for batch in log.batches(position, *tables):
        for rows in batch.rows:
            found[rows.table.name.name].append(rows)
    return found


@pytest.mark.parametrize("case", [*PLAIN, *ZERO], ids=str)
def test_inserted(written: Written, case: Case) -> None:
    """The rows as they come in, and as they go: then all columns tell which, where there is no key."""
    if case.table not in written.read:
        pytest.skip("the log has no more than the number of a member")
    expected = written.read[case.table]
    assert len(expected) == case.cells
    came = pa.Table.from_batches([one.after for one in written.inserted[case.table]])
    assert came.cast(expected.schema).sort_by("k").equals(expected)
    went = [one.before for one in written.deleted[case.table]]
    assert all(one.identity == (one.table.key or ("k", "v")) for one in written.deleted[case.table])
    gone = pa.Table.from_batches(went)
    assert (
        gone.cast(expected.select(gone.column_names).schema)
        .sort_by(gone.column_names[0])
        .equals(expected.select(gone.column_names).sort_by(gone.column_names[0]))
    )


@pytest.mark.parametrize("case", ZERO, ids=str)
def test_zero_dates(log: Log, case: Case) -> None:
    """What a convert refuses is refused, naming table and column."""
    create, insert = case.statements
    log.run(create)
    table, position = log.table(case.table), log.changes.position()
    log.run(insert)
    with pytest.raises(RowferryError) as expected:
        log.read(table)
    with pytest.raises(type(expected.value), match=f"{table.name}.v .*zeroDate"):
        log.batches(position, table)


def test_a_null_beside_anything(log: Log) -> None:
    """What lies where a NULL's value would be may be any bytes, such as those of no date."""
    kinds = [
        "DATE",
        "DATETIME(6)",
        "TIMESTAMP(6)",
        "TIME(6)",
        "YEAR",
        "DECIMAL(65,30)",
        "FLOAT",
        "ENUM('a')",
        "CHAR(9)",
    ]
    nulls = ", ".join(f"n{place} {kind} NULL, x{place} BIGINT UNSIGNED" for place, kind in enumerate(kinds))
    log.run(f"CREATE TABLE t (k INT PRIMARY KEY, {nulls})")
    table, most = log.table("t"), 2**64 - 1
    values = ", ".join(f"NULL, {most}" for _ in kinds)
    ((_, _, row),) = log.while_(lambda: log.run(f"INSERT INTO t VALUES (1, {values})"), table)
    assert row is not None
    assert list(row.values()) == [1, *(None, most) * len(kinds)]


def test_members_that_the_catalogue_does_not_show(log: Log) -> None:
    """They are refused by name, unless the log names them."""
    log.run("CREATE TABLE t (id INT PRIMARY KEY, v ENUM('😀'))")
    table, position = log.table("t"), log.changes.position()
    log.run("INSERT INTO t VALUES (1, 1)")
    with pytest.raises(RowferryError, match="binlog_row_metadata=FULL"):
        log.batches(position, table)


SINGLE = [
    "latin1",
    "latin2",
    "latin5",
    "latin7",
    "greek",
    "hebrew",
    "cp1250",
    "cp1251",
    "cp1256",
    "cp1257",
    "cp850",
    "cp852",
    "cp866",
    "koi8r",
    "koi8u",
    "macce",
    "macroman",
    "tis620",
]
SEVERAL = ["ucs2", "utf16", "utf16le", "utf32", "gbk", "gb2312", "big5", "sjis", "cp932", "ujis", "euckr"]
NONE = ("?", "\ufffd")


@pytest.mark.parametrize("charset", [*SINGLE, *SEVERAL])
def test_every_character(log: Log, charset: str) -> None:
    """Each character of a set arrives as the server itself converts it; what is none to the server is refused."""
    log.run(f"CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10) CHARACTER SET {charset})")
    if charset in SEVERAL:
        log.run(
            f"INSERT IGNORE INTO t SELECT seq, CONVERT(CHAR(seq USING ucs2) USING {charset}) FROM seq_32_to_57343"
            " WHERE seq < 0xD800"
        )
    else:
        log.run(f"INSERT INTO t SELECT seq + 1, CHAR(seq USING {charset}) FROM seq_0_to_255")
    table = log.table("t")
    read = log.read(table)
    wanted = dict(zip(read["id"].to_pylist(), read["v"].to_pylist(), strict=True))
    none = [number for number, text in wanted.items() if text in NONE]
    log.run("CREATE TABLE kept LIKE t", "CREATE TABLE odd LIKE t")
    kept, odd, position = log.table("kept"), log.table("odd"), log.changes.position()
    chosen = ", ".join(map(str, [0, *none, *MISSING.get(charset, ())]))
    log.run(f"INSERT INTO kept SELECT * FROM t WHERE id NOT IN ({chosen})")
    found = {after["id"]: after["v"] for _, _, after in log.happened(position, kept) if after}
    assert len(found) > 90
    assert found == {number: wanted[number] for number in found}
    strange = [number for number in none if charset in SINGLE and number != ord("?") + 1]
    if strange:
        log.run(f"INSERT INTO odd SELECT * FROM t WHERE id = {strange[0]}")
        with pytest.raises(RowferryError, match=r"odd\.v"):
            log.happened(position, odd)


MISSING: Mapping[str, tuple[int, ...]] = {"big5": (0x7881, 0x58BB, 0x92B9, 0x6052, 0x88CF, 0x7CA7, 0x5AFA)}
"""Characters of a set that are refused."""
