"""Values that come by the log are those that a convert brings: every type of the matrix, cell by cell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from tests.cdc.pairs import Pair
from tests.matrix.cases import SOURCES, Case, Matrix, load
from tests.matrix.conftest import new_postgres
from tests.matrix.crossings import Crossings
from tests.matrix.ends import FILLED, MADE, MariaDbEnd, PostgresEnd, Values
from tests.servers import MariaDb, Postgres
from tests.serving import Rowferry, serving

_PACKET = 64 * 1024 * 1024


CHECKED = {("postgresql", "c85_enum_y_n_odd0")}
"""By target: what a convert brings, and then leaves the check out that it breaks; here the check is there first."""

End = MariaDbEnd | PostgresEnd


@pytest.fixture(scope="module")
def rowferry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rowferry]:
    """A server in a zone of its own, as the databases are."""
    with serving(tmp_path_factory.mktemp("server") / "data", TZ="America/St_Johns") as server:
        yield server


@pytest.fixture(scope="module")
def large_packets(logged: MariaDb) -> Iterator[MariaDb]:
    """The server, which takes and gives rows of 16 MB, and tells an ENUM's members with characters of four bytes."""
    ((packet, metadata),) = logged.execute("SELECT @@max_allowed_packet, @@binlog_row_metadata")
    logged.execute(f"SET GLOBAL max_allowed_packet = {_PACKET}", "SET GLOBAL binlog_row_metadata = FULL")
    yield logged
    logged.execute(f"SET GLOBAL max_allowed_packet = {packet}", f"SET GLOBAL binlog_row_metadata = {metadata}")


@dataclass
class Ends:
    """Makes fresh databases on both kinds of servers."""

    mariadb: MariaDb
    postgres: Postgres

    def new(self, kind: str) -> End:
        """An empty one."""
        if kind == "mariadb":
            return MariaDbEnd(self.mariadb, self.mariadb.new_database())
        return new_postgres(self.postgres)

    def source(self, matrix: Matrix, cases: Sequence[Case]) -> End:
        """One with these tables, still without rows."""
        start = self.new(matrix.source)
        if isinstance(start, PostgresEnd):
            self.postgres.execute(*matrix.types, database=start.database)
        start.fill(cases, MADE)
        return start


@pytest.fixture(scope="module")
def ends(large_packets: MariaDb, postgres: Postgres) -> Ends:
    return Ends(large_packets, postgres)


def pair(rowferry: Rowferry, start: End, end: End) -> Pair:
    return Pair(rowferry, start.server, end.server, start.database, end.database)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("target", SOURCES)
@pytest.mark.parametrize("source", SOURCES)
def test_values_are_those_of_a_convert(rowferry: Rowferry, ends: Ends, source: str, target: str) -> None:
    """As they come in, and when their row has changed."""
    matrix = load(source)
    cases = tuple(case for case in matrix.equal(target) if not case.after and (target, case.table) not in CHECKED)
    matrix = replace(matrix, cases=cases)
    start, end = ends.source(matrix, cases), ends.new(target)
    followed = pair(rowferry, start, end)
    followed.begin()
    start.fill(cases, FILLED)
    followed.caught_up()
    converted = Crossings(matrix, start, ends.new).moved(target)
    expected = {case: as_logged(case, converted.shown(case, case.form)) for case in cases}
    assert all(len(expected[case]) == case.cells for case in cases)
    assert differences(expected, lambda case: end.shown(case, case.form)) == []
    followed.run(*(f"UPDATE {case.table} SET k = k + 1000" for case in cases))
    followed.caught_up()
    moved = {case: {key + 1000: value for key, value in values.items()} for case, values in expected.items()}
    assert differences(moved, lambda case: end.shown(case, case.form)) == []
    followed.run(*(f"DELETE FROM {case.table}" for case in cases))
    followed.caught_up()
    assert not any(end.shown(case, case.form) for case in cases)
    followed.stop()
    for one in (start, end, converted):
        one.close()


def as_logged(case: Case, values: Values) -> Values:
    """What of a value is in the log: of an XML document not the declaration that says nothing."""
    if case.declared != "xml":
        return values
    plain = '<?xml version="1.0"?>'
    return {key: value.replace(plain, "") if isinstance(value, str) else value for key, value in values.items()}


def differences(expected: dict[Case, Values], shown: Callable[[Case], Values]) -> list[tuple[str, int, str, str]]:
    """Table, key, what is there and what should be."""
    found = []
    for case, values in expected.items():
        there = shown(case)
        for key in sorted(values.keys() | there.keys()):
            got, value = there.get(key, "no row"), values.get(key, "no row")
            if got != value:
                found.append((case.table, key, repr(got)[:100], repr(value)[:100]))
    return found


def refusals() -> Iterator[tuple[str, str, Case]]:
    """One value of each kind that a target refuses; types that it refuses as a whole are so before anything begins."""
    for source in SOURCES:
        for target in SOURCES:
            odd = [case for case in load(source).refused(target) if "_odd" in case.table]
            kinds = {case.refused[target]: case for case in reversed(odd)}
            yield from ((source, target, case) for case in kinds.values())
    yield from (
        ("mariadb", target, case) for case in load("mariadb").cases for target, name in CHECKED if case.table == name
    )


@pytest.mark.parametrize(("source", "target", "case"), [*refusals()], ids=str)
def test_a_value_that_a_convert_refuses_is_refused(
    rowferry: Rowferry, ends: Ends, source: str, target: str, case: Case
) -> None:
    """And nothing of its transaction is on the target."""
    start, end = ends.source(load(source), [case]), ends.new(target)
    followed = pair(rowferry, start, end)
    followed.begin()
    start.fill([case], FILLED)
    error = followed.fails()["error"]
    assert case.table in error
    assert followed.rows(case.table, "k") == []
    followed.stop()
    for one in (start, end):
        one.close()
