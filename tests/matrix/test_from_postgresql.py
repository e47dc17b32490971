"""Everything that PostgreSQL holds, to every target: equal, refused by name, or what a policy says."""

from __future__ import annotations

import pytest

from tests.matrix import checks
from tests.matrix.cases import SOURCES, TARGETS, Case, load
from tests.matrix.crossings import Crossings
from tests.matrix.tally import Record

MATRIX = load("postgresql")


@pytest.mark.parametrize(("target", "family"), checks.families(MATRIX))
def test_values_are_equal(from_postgres: Crossings, target: str, family: str, record_property: Record) -> None:
    checks.values_are_equal(from_postgres, target, family, record_property)


@pytest.mark.parametrize("target", SOURCES)
def test_numbering_goes_on(from_postgres: Crossings, target: str, record_property: Record) -> None:
    checks.numbering_goes_on(from_postgres, target, record_property)


@pytest.mark.parametrize("family", MATRIX.families)
def test_mysql_declares(from_postgres: Crossings, family: str, record_property: Record) -> None:
    checks.mysql_declares(from_postgres, family, record_property)


@pytest.mark.parametrize("target", TARGETS)
def test_verification_says_equal(from_postgres: Crossings, target: str) -> None:
    checks.verification_says_equal(from_postgres, target)


@pytest.mark.parametrize(("target", "case"), checks.refusals(MATRIX), ids=str)
def test_value_is_refused(from_postgres: Crossings, target: str, case: Case, record_property: Record) -> None:
    checks.value_is_refused(from_postgres, target, case, record_property)


@pytest.mark.parametrize(("target", "policy"), checks.policies(MATRIX))
def test_policy_is_kept(from_postgres: Crossings, target: str, policy: str, record_property: Record) -> None:
    checks.policy_is_kept(from_postgres, target, policy, record_property)
