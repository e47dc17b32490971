"""What is asked of every pair, whichever its source is; each test counts the cells that it has seen."""

from __future__ import annotations

from tests.matrix import tally
from tests.matrix.cases import POLICIES, TARGETS, Case, Matrix
from tests.matrix.crossings import Crossings
from tests.matrix.tally import Record

EXPLAINED = ("0000-00-00", "24:00:00")
"""Values by which a kind is explained to people."""

Parameters = list[tuple[str, str]]


def families(matrix: Matrix) -> Parameters:
    """Each target with each family."""
    return [(target, family) for target in TARGETS for family in matrix.families]


def refusals(matrix: Matrix) -> list[tuple[str, Case]]:
    """Each target with each table that it refuses."""
    return [(target, case) for target in TARGETS for case in matrix.refused(target)]


def policies(matrix: Matrix) -> Parameters:
    """Each target with each policy that has something to do on the way there."""
    wishes = [(target, policy) for target, case in refusals(matrix) for policy in case.policies(target)]
    return sorted(set(wishes))


def values_are_equal(crossings: Crossings, target: str, family: str, record: Record) -> None:
    """What the target shows of a family's values is what the source shows."""
    cases = [case for case in crossings.matrix.equal(target) if case.family == family]
    assert crossings.unequal(target, cases) == []
    tally.record(record, crossings.matrix.source, target, family, "equal", sum(case.cells for case in cases))


def numbering_goes_on(crossings: Crossings, target: str, record: Record) -> None:
    """A server goes on where the source's rows end."""
    end = crossings.moved(target)
    for case in crossings.matrix.numbered():
        assert end.next_number(case) == case.next, case
        tally.record(record, crossings.matrix.source, target, case.family, "equal", 1)


def mysql_declares(crossings: Crossings, family: str, record: Record) -> None:
    """What a column would be on MySQL, and that nothing is listed for it that is no type of the source."""
    matrix = crossings.matrix
    assert set(matrix.mysql) == {case.declared for case in matrix.cases}
    cases = [case for case in matrix.declarations() if case.family == family]
    declared = crossings.on_mysql(cases)
    assert declared == {case.declared: matrix.mysql[case.declared] for case in cases}
    tally.record(record, matrix.source, "mysql", family, "planned", len(cases))


def verification_says_equal(crossings: Crossings, target: str) -> None:
    """So says the program itself, and it has looked at every column."""
    found = crossings.verified(target)
    assert [table.source for table in found.tables if not table.equal or table.skipped] == []
    assert len(found.tables) == len(crossings.matrix.equal(target))


def value_is_refused(crossings: Crossings, target: str, case: Case, record: Record) -> None:
    """The stream fails; the error names table, column, type and the setting, and no value."""
    message = crossings.refusal(target, case)
    word = case.refused[target]
    assert (f"typePolicies.{word}" if word in POLICIES else word) in message
    assert case.table in message
    shown = [value.strip("'") for value in case.values if len(value) > 8]
    assert [value for value in shown if value in message and value not in EXPLAINED] == []
    tally.record(record, crossings.matrix.source, target, case.family, "refused", case.cells)


def policy_is_kept(crossings: Crossings, target: str, policy: str, record: Record) -> None:
    """Each value that is refused otherwise is what the policy says, and NULL is NULL."""
    cases = [case for case in crossings.matrix.refused(target) if policy in case.policies(target)]
    assert crossings.untreated(target, policy, cases) == []
    for case in cases:
        tally.record(record, crossings.matrix.source, target, case.family, "policy", case.cells)
