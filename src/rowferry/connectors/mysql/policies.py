"""What the schema policy and the write mode say about tables that are already on the target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rowferry.config.stream import SchemaPolicy, WriteMode
from rowferry.connectors.base import TargetRequest
from rowferry.connectors.mysql.facts import PLAIN_KINDS, Facts, filled
from rowferry.connectors.mysql.names import folded
from rowferry.connectors.mysql.types_write import fits
from rowferry.errors import Refused, TargetExists, TargetNotEmpty
from rowferry.model.tables import Table

_KINDS = {"VIEW": "a view", "SEQUENCE": "a sequence", "SYSTEM VIEW": "a view"}

_KEEPING = frozenset({SchemaPolicy.VALIDATE_EXISTING, SchemaPolicy.CREATE_MISSING_ONLY})


@dataclass(frozen=True)
class Situation:
    """The wanted tables, by their names on the target, and what is there."""

    request: TargetRequest
    database: str
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
        raise Refused(f"In the target's database {situation.database} these names are taken: {said}. Rename them.")
    _refuse_references(situation)


def _refuse_references(situation: Situation) -> None:
    """A table that has to go, or to be emptied, must not leave references of strangers behind."""
    kept = situation.kept()
    dropped = [name for name in situation.there() if name not in kept]
    emptied = kept if situation.request.write_mode is WriteMode.TRUNCATE_AND_LOAD else set()
    if situation.request.skip_data:
        emptied = set()
    for names, what in ((dropped, "dropped"), (sorted(emptied), "emptied")):
        for name in names:
            others = sorted(set(situation.facts.referring.get(name, ())))
            if others:
                raise Refused(
                    f"{', '.join(others)} refer to {situation.database}.{name}, which has to be {what}: "
                    "add them to the stream, or choose another policy."
                )


def check_engines(situation: Situation, kept: Iterable[str]) -> None:
    """Refused for tables that cannot commit: a chunk of them could come twice, or changes be there that were undone."""
    bare = [name for name in kept if name in situation.facts.relations and not _commits(situation, name)]
    if bare and (situation.request.followed or not situation.request.skip_data):
        raise Refused(
            f"{_listed(situation, bare)} are of an engine without transactions, so that nothing could be written "
            "exactly once: change them by ALTER TABLE … ENGINE=InnoDB."
        )


def _commits(situation: Situation, name: str) -> bool:
    return situation.facts.relations[name].transactional


def check_write_mode(situation: Situation, full: Sequence[str], keyless: Iterable[str]) -> None:
    """TargetNotEmpty for `full` tables, Refused for upsert into `keyless` ones."""
    if situation.request.skip_data:
        return
    mode = situation.request.write_mode
    if mode is WriteMode.FAIL_IF_NOT_EMPTY and full:
        listed = _listed(situation, full)
        raise TargetNotEmpty(
            f"On the target {listed} hold rows already, and writeMode is fail_if_not_empty: "
            "choose another writeMode, or empty them."
        )
    if situation.request.followed and full:
        raise TargetNotEmpty(
            f"On the target {_listed(situation, full)} hold rows already, and have no key by which changes could "
            "find theirs: empty them, or give them a primary key."
        )
    without = list(keyless)
    if mode is WriteMode.UPSERT and without and not situation.request.followed:
        raise Refused(
            f"For writeMode upsert {_listed(situation, without)} would need a primary or unique key on the target."
        )


def misfits(table: Table, names: Mapping[str, str], existing: Table, dialect: str) -> list[str]:
    """What forbids that the table's rows go into the columns that are there; one sentence each."""
    there = {folded(column.name): column for column in existing.columns}
    problems = []
    for column in table.columns:
        found = there.pop(folded(names[column.name]), None)
        if found is None:
            problems.append(f"column {column.name} is missing")
        elif found.generated is None and not fits(column, found.native, dialect):
            wanted, there_is = column.native.declared, found.native.declared
            problems.append(f"column {found.name} is {there_is}, which does not hold every {wanted} exactly")
    problems += [
        f"column {column.name} must be filled, but the source has no such column"
        for column in there.values()
        if not (column.nullable or filled(column))
    ]
    return problems


def _listed(situation: Situation, names: Iterable[str]) -> str:
    return ", ".join(f"{situation.database}.{name}" for name in sorted(names))
