"""What is read in place of values comes out of the log as a convert reads it, cell by cell.

The server's own SQL is the measure: a table is read through it, and the same rows are followed.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowferry.connectors.mysql.binlog import quantities
from rowferry.connectors.mysql.binlog.cells import SPARE, Cells, Octets
from rowferry.connectors.mysql.binlog.tablemap import LogColumn, Type
from rowferry.connectors.mysql.binlog.treated import decoder, is_followed
from rowferry.errors import ReadFailed, UnsupportedType
from rowferry.model import types as t
from rowferry.model.findings import Severity
from rowferry.model.policies import Holds, Instead, OddValue, TypePolicy
from rowferry.model.tables import Column, NativeType, Table
from rowferry.typemap.treatment import Range, Want, range_of
from tests.matrix.cases import Case, load
from tests.mysql_log.conftest import Log, logged
from tests.servers import MariaDb

LACKING = Holds(frozenset(OddValue))
"""A target that has no kind of odd value."""

SPELLED = [case for case in load("mariadb").cases if not case.after]


@dataclass(frozen=True)
class Written:
    """What a convert reads, and what came of the inserts, by the table's name."""

    read: Mapping[str, pa.Table]
    followed: Mapping[str, pa.Table]


def written(log: Log, tables: Sequence[Table], *statements: str) -> Written:
    """The tables with what the statements put into them, in the order of `k`."""
    position = log.changes.position()
    log.run(*statements)
    read = {table.name.name: log.read(table).sort_by("k") for table in tables}
    found: dict[str, list[pa.RecordBatch]] = defaultdict(list)
    for batch in log.batches(position, *tables):
        for rows in batch.rows:
            found[rows.table.name.name].append(rows.after)
    return Written(read, {name: pa.Table.from_batches(batches).sort_by("k") for name, batches in found.items()})


Wish = tuple[t.NeutralType | None, str, str]
"""What a column has to become (None: what it is), a kind of odd values, and its policy."""


def treated(log: Log, name: str, wishes: Mapping[str, Wish]) -> Table:
    """The table with its columns read as is wished, as the source says it."""
    table = log.table(name)

    def read(column: Column) -> Column:
        if column.name not in wishes:
            return column
        neutral, kind, policy = wishes[column.name]
        want = Want(column, neutral or column.type, LACKING)
        return log.source.treated(want, {OddValue(kind): TypePolicy(policy)}).column

    return replace(table, columns=tuple(map(read, table.columns)))


AS_TEXT: Wish = (t.Text(), "zeroDate", "error")

UNSPELLED = ("bit", "float(", "double(", "year(2)")
"""Types whose text in the server's own spelling is not made of the log."""


@pytest.fixture(scope="module")
def texts(logging: MariaDb) -> Iterator[Written]:
    """Every value of the matrix as text, as far as the log can be followed so."""
    with logged(logging) as log:
        log.run("SET GLOBAL binlog_row_metadata = FULL", *(case.statements[0] for case in SPELLED))
        tables = [treated(log, case.table, {"v": AS_TEXT}) for case in SPELLED]
        kept = [table for table in tables if is_followed(table.column("v"))]
        names = {table.name.name for table in kept}
        yield written(log, kept, *(case.statements[1] for case in SPELLED if case.table in names))
        log.run("SET GLOBAL binlog_row_metadata = NO_LOG")


@pytest.mark.parametrize("case", SPELLED, ids=str)
def test_text(texts: Written, case: Case) -> None:
    """A column that shall be text is spelled as the server spells it, whatever its type."""
    declared = case.declared.lower()
    if case.table not in texts.read:
        assert declared.startswith(UNSPELLED) or "zerofill" in declared
        return
    expected = texts.read[case.table]
    assert len(expected) == case.cells
    assert texts.followed[case.table].cast(expected.schema).to_pylist() == expected.to_pylist()


def test_what_cannot_be_spelled(log: Log) -> None:
    """It is refused by name before anything is read, and once more where it turns up in the log."""
    log.run("CREATE TABLE t (k INT PRIMARY KEY, b BIT(3), f FLOAT(7,2), d DECIMAL(5,2) ZEROFILL, y YEAR(2), i INT(9))")
    table = treated(log, "t", dict.fromkeys("bfdyi", AS_TEXT))
    found = [one for one in log.changes.prerequisites([table]) if one.severity is Severity.ERROR]
    assert [one.column for one in found] == ["b", "f", "d", "y"]
    assert all("is read through an expression" in one.message for one in found)
    position = log.changes.position()
    log.run("INSERT INTO t VALUES (1, 1, 1, 1, 1, 1)")
    with pytest.raises(UnsupportedType, match=r"t\.b is read through an expression"):
        log.batches(position, table)


@dataclass(frozen=True)
class Odd:
    """A column with values as literals, among them odd ones, and what is asked for them."""

    declared: str
    values: Sequence[str]
    kind: str
    policies: Sequence[str]
    neutral: t.NeutralType | None = None


ZERO = ["'0000-00-00'", "'2020-00-10'", "'2020-02-30'", "'0000-01-01'", "'0001-01-01'", "'9999-12-31'", "NULL"]
ZERO_TIMES = ["'0000-00-00 00:00:00'", "'2020-02-30 01:02:03.456789'", "'1969-12-31 23:59:59.9'", "NULL"]
INSTANTS = ["'0000-00-00 00:00:00'", "'1970-01-01 00:00:01'", "'2038-01-19 03:14:07.999999'", "NULL"]
NULS = [r"'a\0b'", r"'\0'", r"'\0\0x\0'", "''", "'plain'", r"'é\0é'", "NULL", r"'end \0'"]
WHOLES = ["-129", "-128", "127", "128", "NULL", "0", "-2147483648", "2147483647"]
DECIMALS = ["1.50", "-1.50", "2.49", "-2.5", "99.5", "99.49", "-99.5", "100", "-12345678.99", "0", "NULL", "0.5"]
LONG = ["1.00005", "-1.00005", "1.00004999", "9999999999999999.99995", "-12345678901234567890.5", "0.0000", "NULL"]
DATES = ("null", "epoch", "text")
BOTH = ("null", "clamp")

ODD = [
    Odd("DATE", ZERO, "zeroDate", DATES),
    Odd("DATETIME", ZERO, "zeroDate", DATES),
    Odd("DATETIME(3)", ZERO_TIMES, "zeroDate", DATES),
    Odd("DATETIME(6) NOT NULL", ["'0000-00-00'", "'2020-01-01'"], "zeroDate", DATES),
    Odd("TIMESTAMP NULL", INSTANTS, "zeroDate", DATES),
    Odd("TIMESTAMP(5) NULL", INSTANTS, "zeroDate", DATES),
    Odd("DATETIME(2)", ["'2020-01-01 01:02:03.45'", "'0000-00-00'"], "zeroDate", ("null", "epoch"), t.Date()),
    Odd("VARCHAR(9)", NULS, "nulCharacter", BOTH),
    Odd("CHAR(9) CHARACTER SET latin1", NULS, "nulCharacter", BOTH),
    Odd("VARCHAR(9) CHARACTER SET utf16", NULS, "nulCharacter", BOTH),
    Odd("VARCHAR(9) COMPRESSED", NULS, "nulCharacter", BOTH),
    Odd("LONGTEXT", NULS, "nulCharacter", BOTH),
    Odd(r"ENUM('a','b','')", ["'a'", "'wrong'", "''", "3", "NULL"], "emptyEnum", ("null", "text")),
    Odd("ENUM('é','b') CHARACTER SET latin1", ["'é'", "'wrong'", "NULL"], "emptyEnum", ("null", "text")),
    Odd("ENUM('a','b') NOT NULL", ["'a'", "'wrong'"], "emptyEnum", ("null", "text")),
    Odd("INT", WHOLES, "number", BOTH, t.Integer(8)),
    Odd("INT(5) ZEROFILL", ["5", "70000", "128"], "number", BOTH, t.Integer(8)),
    Odd("MEDIUMINT", WHOLES, "number", BOTH, t.Decimal(2, 0)),
    Odd("BIGINT UNSIGNED", ["18446744073709551615", "9223372036854775807", "NULL"], "number", BOTH, t.Integer(64)),
    Odd("BIGINT", ["-9223372036854775808", "9223372036854775807", "-1"], "number", BOTH, t.Integer(64, signed=False)),
    Odd("YEAR", ["2155", "0", "1901", "NULL"], "number", BOTH, t.Integer(8)),
    Odd("TINYINT", ["-1", "0", "1", "2", "NULL"], "number", BOTH, t.Boolean()),
    Odd("DECIMAL(10,2)", DECIMALS, "number", BOTH, t.Decimal(2, 0)),
    Odd("DECIMAL(10,2)", DECIMALS, "number", BOTH, t.Integer(8)),
    Odd("DECIMAL(40,10)", LONG, "number", BOTH, t.Decimal(20, 4)),
    Odd("DECIMAL(65,30)", LONG, "number", BOTH, t.Decimal(20, 4)),
    Odd("DECIMAL(18,17)", ["1.49999999999999999", "-9.5", "0.5"], "number", BOTH, t.Decimal(1, 0)),
    Odd("DOUBLE", ["-0e0", "0", "-1e-300", "NULL"], "negativeZero", ("null", "clamp", "text")),
    Odd("FLOAT", ["-0e0", "0", "-1.1", "NULL"], "negativeZero", ("null", "clamp", "text")),
]  # fmt: skip
WISHES = [(one, policy) for one in ODD for policy in one.policies]


@dataclass(frozen=True)
class Followed:
    """The table of all wishes, and how many values each of its columns has at the source."""

    written: Written
    counts: Sequence[int]


@pytest.fixture(scope="module")
def odd(logging: MariaDb) -> Iterator[Followed]:
    """One table with a column for each wish, every odd value in it."""
    names = [f"c{number}" for number in range(len(WISHES))]
    declared = ", ".join(f"{name} {one.declared}" for name, (one, _) in zip(names, WISHES, strict=True))
    rows = []
    for place in range(max(len(one.values) for one in ODD)):
        values = (one.values[place % len(one.values)] for one, _ in WISHES)
        rows.append(f"({place}, {', '.join(values)})")
    with logged(logging) as log:
        log.run(f"CREATE TABLE odd (k INT PRIMARY KEY, {declared}) CHARACTER SET utf8mb4")
        wishes = {name: (one.neutral, one.kind, policy) for name, (one, policy) in zip(names, WISHES, strict=True)}
        table = treated(log, "odd", wishes)
        assert log.changes.prerequisites([table]) == []
        allowing = "SET sql_mode = 'ALLOW_INVALID_DATES'"
        found = written(log, [table], allowing, f"INSERT INTO odd VALUES {', '.join(rows)}")
        (counts,) = log.run(f"SELECT {', '.join(f'COUNT({name})' for name in names)} FROM odd")
        yield Followed(found, counts)


@pytest.mark.parametrize("number", range(len(WISHES)), ids=[f"{one.declared}-{policy}" for one, policy in WISHES])
def test_policies(odd: Followed, number: int) -> None:
    """Each policy puts into the log's values what its SQL puts into those that are read."""
    one, policy = WISHES[number]
    expected = odd.written.read["odd"].column(f"c{number}").to_pylist()
    column = odd.written.followed["odd"].column(f"c{number}").combine_chunks()
    found = column.to_pylist()
    assert found == expected
    if one.kind == "nulCharacter":  # is not left behind what is NULL: a later search goes through all bytes
        assert b"\0" not in column.buffers()[2].to_pybytes()
    if policy == "null" and one.kind != "negativeZero":  # which MariaDB does not store
        assert len(found) - found.count(None) < odd.counts[number]


KEYED = [
    "INSERT INTO t VALUES ('0000-00-00', 'a\\0', 'wrong', 300)",
    "UPDATE t SET n = 400",
    "UPDATE t SET d = '2020-01-01', w = '\\0b'",
    "UPDATE t SET d = '2020-00-01', w = 'c'",
    "DELETE FROM t",
]


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (d, w)"], ids=["whole", "keyed"])
def test_identities(log: Log, key: str) -> None:
    """What tells rows apart comes out the same before and after, be it a key or the row as a whole."""
    log.run(f"CREATE TABLE t (d DATE NOT NULL, w VARCHAR(9) NOT NULL, e ENUM('x') NOT NULL, n INT{key})")
    wishes: dict[str, Wish] = {
        "d": (None, "zeroDate", "epoch"),
        "w": (None, "nulCharacter", "clamp"),
        "e": (None, "emptyEnum", "text"),
        "n": (t.Integer(8), "number", "clamp"),
    }
    table = treated(log, "t", wishes)
    told = log.while_(lambda: log.run("SET sql_mode = ''", *KEYED), table)
    first = date(1970, 1, 1)
    rows = [
        {"d": first, "w": "a", "e": "", "n": 127},
        {"d": first, "w": "a", "e": "", "n": 127},
        {"d": date(2020, 1, 1), "w": "b", "e": "", "n": 127},
        {"d": first, "w": "c", "e": "", "n": 127},
    ]
    identity = ("d", "w") if key else ("d", "w", "e", "n")
    befores = [{name: row[name] for name in identity} for row in rows]
    assert told == [
        ("insert", None, rows[0]),
        *(("update", before, row) for before, row in zip(befores, rows[1:], strict=False)),
        ("delete", befores[-1], None),
    ]


def test_columns_go_on_as_they_are_read(log: Log) -> None:
    """A treated column keeps its policy under another name, in another place, and with another default."""
    log.run("CREATE TABLE t (k INT PRIMARY KEY, d DATETIME(2), e ENUM('x'))")
    table = treated(log, "t", {"d": (None, "zeroDate", "text"), "e": (None, "emptyEnum", "null")})
    told = log.while_(
        lambda: log.run(
            "ALTER TABLE t RENAME COLUMN d TO `some ``name`",
            "ALTER TABLE t CHANGE `some ``name` `other ``name` DATETIME(2) DEFAULT '2020-01-01' AFTER e",
            "ALTER TABLE t MODIFY e ENUM('x') NOT NULL",
            "ALTER TABLE t ADD COLUMN later INT",
            "INSERT INTO t VALUES (1, 'wrong', '0000-00-00', 5)",
        ),
        table,
    )
    assert told == [("insert", None, {"k": 1, "e": None, "other `name": "0000-00-00 00:00:00.00", "later": 5})]


def test_a_row_of_which_not_all_is_told(log: Log) -> None:
    """What a new row has in a treated column that the log leaves out is not guessed."""
    log.run("CREATE TABLE t (k INT PRIMARY KEY, e ENUM('x', 'y') NOT NULL DEFAULT 'y', d DATE)")
    table = treated(log, "t", {"e": (None, "emptyEnum", "null"), "d": (None, "zeroDate", "text")})
    position = log.changes.position()
    log.run("SET binlog_row_image = MINIMAL", "INSERT INTO t (k, e) VALUES (1, 'x')")
    assert log.happened(position, table) == [("insert", None, {"k": 1, "e": "x", "d": None})]
    position = log.changes.position()
    log.run("SET binlog_row_image = MINIMAL", "INSERT INTO t (k) VALUES (2)")
    with pytest.raises(ReadFailed, match=r"t\.e of a new row.*binlog_row_image=FULL"):
        log.happened(position, table)
    log.run("SET GLOBAL binlog_row_image = MINIMAL")
    found = log.changes.prerequisites([table])
    log.run("SET GLOBAL binlog_row_image = FULL")
    assert [one.message.split(":")[0].endswith("in e may be left out") for one in found] == [True]


SINGLES = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLES = st.floats(allow_nan=False, allow_infinity=False)
SHORT = st.tuples(st.integers(-9999, 9999), st.integers(-20, 20)).map(lambda one: float(f"{one[0]}e{one[1]}"))
DECIMAL = st.decimals(places=9, allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20)
TIMES = st.integers(-(838 * 3600 + 59 * 60 + 59) * 10**6, (838 * 3600 + 59 * 60 + 59) * 10**6)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(SINGLES | SHORT, DOUBLES | SHORT, TIMES, DECIMAL), min_size=200, max_size=500))
def test_any_number_as_text(log: Log, values: list[tuple[float, float, int, Decimal]]) -> None:
    """However long or short, large or small."""
    log.run("CREATE OR REPLACE TABLE t (k INT PRIMARY KEY, f FLOAT, x DOUBLE, t TIME(6), d DECIMAL(30,9))")
    table = treated(log, "t", dict.fromkeys("fxtd", AS_TEXT))
    rows = ", ".join(
        f"({number}, {f!r}, {x!r}, SEC_TO_TIME({time} / 1000000), {d})" for number, (f, x, time, d) in enumerate(values)
    )
    found = written(log, [table], f"INSERT INTO t VALUES {rows}")
    assert found.followed["t"].to_pylist() == found.read["t"].to_pylist()


NEGATIVE = [-0.0, 0.0, -1.5, None]


@pytest.mark.parametrize("policy", ["null", "clamp"])
@pytest.mark.parametrize(("form", "kind"), [("<f", Type.FLOAT), ("<d", Type.DOUBLE)], ids=["float", "double"])
def test_negative_zeros(form: str, kind: Type, policy: str) -> None:
    """Which MySQL stores, and MariaDB does not."""
    size = struct.calcsize(form)
    native = NativeType(kind.name.lower(), kind.name.lower())
    neutral = t.Float(8 * size)
    instead = (Instead(OddValue.NEGATIVE_ZERO, TypePolicy(policy), neutral),)
    column = Column("x", neutral, native, read_as="CASE", instead=instead)
    block = b"".join(struct.pack(form, 0 if value is None else value) for value in NEGATIVE) + bytes(SPARE)
    null = np.array([value is None for value in NEGATIVE])
    cells = Cells(Octets(block), np.arange(len(NEGATIVE)) * size, None, null, column, LogColumn(kind))
    assert is_followed(column)
    found = decoder(column)(cells).to_pylist()
    assert [None if value is None else repr(value) for value in found] == [
        None if policy == "null" else "0.0", "0.0", "-1.5", None,
    ]  # fmt: skip


@given(st.data())
def test_numbers_beside_a_range(data: st.DataObject) -> None:
    """As Python's own decimals have it: outside or not, and which is the nearest."""
    precision = data.draw(st.integers(1, 60))
    scale = data.draw(st.integers(0, precision))
    wanted = data.draw(
        st.builds(t.Integer, st.sampled_from([8, 16, 32, 64]), st.booleans())
        | st.integers(1, 30).flatmap(lambda most: st.builds(t.Decimal, st.just(most), st.integers(0, min(most, scale))))
    )
    most = 10**precision - 1
    units = data.draw(st.lists(st.none() | st.integers(-most, most), min_size=1, max_size=20))
    with localcontext(prec=100):
        values = [None if one is None else Decimal(one).scaleb(-scale) for one in units]
        array = pa.array(values, (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale))
        there = range_of(wanted)
        assert there is not None
        expected = [None if one is None else _nearest(one, there) for one in values]
        found = quantities.nearest(array, wanted)
        assert [None if one is None else one for one in found.cast(pa.decimal256(76, scale)).to_pylist()] == expected
        odd = quantities.outside(array, wanted)
        assert [bool(one) for one, value in zip(odd, values, strict=True) if value is not None] == [
            one != value for one, value in zip(expected, values, strict=True) if value is not None
        ]


def _nearest(value: Decimal, there: Range) -> Decimal:
    cut = min(max(value, Decimal(there.least)), Decimal(there.most))
    return cut.quantize(Decimal(1).scaleb(-there.scale), ROUND_HALF_UP)
