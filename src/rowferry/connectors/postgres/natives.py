"""PostgreSQL's types as its catalogue describes them, whatever they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from rowferry.model.tables import NativeType

TYPES = """
WITH RECURSIVE used(oid) AS (
    SELECT unnest(%(oids)s::oid[])
    UNION
    SELECT part.oid
    FROM used
    JOIN pg_type t ON t.oid = used.oid
    CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype)) AS part(oid)
    WHERE part.oid <> 0
)
SELECT t.oid::int8,
       CASE WHEN t.oid = 18 THEN '"char"'
            WHEN n.nspname = 'pg_catalog' OR t.typtype <> 'b' OR EXISTS (
                SELECT FROM pg_depend d
                WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
            ) THEN t.typname::text
            ELSE n.nspname || '.' || t.typname
       END,
       CASE WHEN element.oid IS NOT NULL THEN 'a' ELSE t.typtype::text END,
       coalesce(element.oid, t.typbasetype)::int8,
       t.typtypmod,
       format_type(nullif(t.typbasetype, 0), t.typtypmod),
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder)
FROM used
JOIN pg_type t ON t.oid = used.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type element ON element.oid = t.typelem AND element.typarray = t.oid
"""
"""The types that are asked for, and all that they are made of.

A base type that is neither PostgreSQL's nor an extension's has its schema's name in front, so that no rule takes it
for another.
"""

_KINDS = {"b": "base", "e": "enum", "d": "domain", "c": "composite", "r": "range", "m": "range", "a": "array"}


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    kind: str
    part: int
    part_modifier: int
    part_declared: str | None
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Natives:
    """The types of a database that were asked for, by their oid."""

    types: Mapping[int, _Type]

    def native(self, oid: int, modifier: int, declared: str) -> NativeType:
        """The type with its modifier (`atttypmod`), which `declared` spells out."""
        known = self.types[oid]
        native = NativeType(name=known.name, declared=declared, kind=known.kind, members=known.members)
        if known.kind == "array":
            return replace(native, element=self.native(known.part, modifier, declared.removesuffix("[]")))
        if known.kind == "domain":
            base = self.native(known.part, known.part_modifier, known.part_declared or "")
            return replace(native, element=base)
        return _sized(native, modifier)


def load_natives(connection: psycopg.Connection[tuple[Any, ...]], oids: Iterable[int]) -> Natives:
    """What the catalogue says about these types, in one query."""
    rows = connection.execute(TYPES, {"oids": sorted(set(oids))}).fetchall()
    return Natives(
        {
            oid: _Type(name, _KINDS.get(kind, "pseudo"), part, modifier, declared, tuple(members))
            for oid, name, kind, part, modifier, declared, members in rows
        }
    )


def _numeric(native: NativeType, modifier: int) -> NativeType:
    packed = modifier - 4
    return replace(native, precision=(packed >> 16) & 0xFFFF, scale=((packed & 0x7FF) ^ 1024) - 1024)


def _characters(native: NativeType, modifier: int) -> NativeType:
    return replace(native, length=modifier - 4)


def _bits(native: NativeType, modifier: int) -> NativeType:
    return replace(native, length=modifier)


def _seconds(native: NativeType, modifier: int) -> NativeType:
    digits = modifier & 0xFFFF
    return replace(native, precision=6 if modifier < 0 or digits == 0xFFFF else digits)


_MODIFIERS: dict[str, Callable[[NativeType, int], NativeType]] = {
    "numeric": _numeric,
    "varchar": _characters,
    "bpchar": _characters,
    "bit": _bits,
    "varbit": _bits,
}
_SECONDS = frozenset({"time", "timetz", "timestamp", "timestamptz", "interval"})


def _sized(native: NativeType, modifier: int) -> NativeType:
    if native.name in _SECONDS:
        return _seconds(native, modifier)
    if modifier < 0 or native.name not in _MODIFIERS:
        return native
    return _MODIFIERS[native.name](native, modifier)
