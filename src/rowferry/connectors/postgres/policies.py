"""What the schema policy and the write mode say about tables that are already on the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.connectors.base import TargetRequest
from rowferry.connectors.postgres.facts import PLAIN_KINDS, ExistingColumn, Facts
from rowferry.connectors.postgres.types_write import fits
from rowferry.errors import Refused, TargetExists, TargetNotEmpty
from rowferry.model.tables import Table

_KINDS = {"v": "a view", "m": "a materialised view", "f": "a foreign table", "S": "a sequence", "i": "an index"}

_KEEPING = frozenset({SchemaPolicy.VALIDATE_EXISTING, SchemaPolicy.CREATE_MISSING_ONLY})


@dataclass(frozen=True)
class Situation:
    """The wanted tables, by their names on the target, and what is there."""

    request: TargetRequest
    schema: str
    tables: Mapping[str, Table]
    facts: Facts

    def there(self) -> list[str]:
        """The wanted names that something has already."""
        return [name for name in self.tables if name in self.facts.relations]

    def kept(self) -> set[str]:
        """The tables that stay as they are."""
        if self.request.structure.tables and self.request.schema_policy not in _KEEPING:
            return set()
        return {name for name in self.there() if self.facts.relations[name].kind in PLAIN_KINDS}


def check_schema_policy(situation: Situation) -> None:
    """TargetExists or Refused where the schema policy forbids to go on."""
    request, there = situation.request, situation.there()
    policy = request.schema_policy
    creates = request.structure.tables
    if creates and policy is SchemaPolicy.FAIL_IF_EXISTS and there:
        raise TargetExists(
            f"The target has {_listed(situation, there)} already, and schemaPolicy is fail_if_exists: "
            "choose another schemaPolicy, or drop them."
        )
    missing = [name for name in situation.tables if name not in there]
    if missing and (not creates or policy is SchemaPolicy.VALIDATE_EXISTING):
        why = "schemaPolicy is validate_existing" if creates else "structureOptions.tables is false"
        raise Refused(
            f"The target lacks {_listed(situation, missing)}, and {why}: create them, or let them be created."
        )
    odd = [name for name in there if situation.facts.relations[name].kind not in PLAIN_KINDS]
    if odd:
        said = ", ".join(f"{name} is {_KINDS.get(situation.facts.relations[name].kind, 'no table')}" for name in odd)
        raise Refused(f"In the target's schema {situation.schema} these names are taken: {said}. Rename or drop them.")


def check_write_mode(situation: Situation, filled: Sequence[str], keyless: Iterable[str]) -> None:
    """TargetNotEmpty for `filled` tables, Refused for upsert into `keyless` ones."""
    if situation.request.skip_data:
        return
    mode = situation.request.write_mode
    if mode is WriteMode.FAIL_IF_NOT_EMPTY and filled:
        listed = _listed(situation, filled)
        raise TargetNotEmpty(
            f"On the target {listed} hold rows already, and writeMode is fail_if_not_empty: "
            "choose another writeMode, or empty them."
        )
    if situation.request.followed and filled:
        raise TargetNotEmpty(
            f"On the target {_listed(situation, filled)} hold rows already, and have no key by which changes could "
            "find theirs: empty them, or give them a primary key."
        )
    without = list(keyless)
    if mode is WriteMode.UPSERT and without and not situation.request.followed:
        raise Refused(
            f"For writeMode upsert {_listed(situation, without)} would need a primary or unique key on the target."
        )


def misfits(table: Table, names: Mapping[str, str], existing: Sequence[ExistingColumn]) -> list[str]:
    """What forbids that the table's rows go into the columns that are there; one sentence each."""
    there = {column.name: column for column in existing}
    problems = []
    for column in table.columns:
        found = there.pop(names[column.name], None)
        if found is None:
            problems.append(f"column {column.name} is missing")
        elif not found.generated and not fits(column.type, found.native):
            wanted, there_is = column.native.declared, found.native.declared
            problems.append(f"column {found.name} is {there_is}, which does not hold every {wanted} exactly")
    problems += [
        f"column {column.name} must be filled, but the source has no such column"
        for column in there.values()
        if not (column.nullable or column.filled or column.generated)
    ]
    return problems


def _listed(situation: Situation, names: Iterable[str]) -> str:
    return ", ".join(f"{situation.schema}.{name}" for name in sorted(names))
