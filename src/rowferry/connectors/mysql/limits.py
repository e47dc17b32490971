"""What columns of MySQL and MariaDB hold of other engines' values, and which types a config may ask for."""

from __future__ import annotations

import re

from rowferry.connectors.mysql.connect import Variant
from rowferry.connectors.mysql.types import neutral_type
from rowferry.errors import InvalidInput
from rowferry.model import types as t
from rowferry.model.policies import Holds, OddValue
from rowferry.model.tables import Column, NativeType

FIRST_DAY, LAST_DAY = "0001-01-01", "9999-12-31"


def holds(variant: Variant, own: bool) -> Holds:
    """What the server's columns hold; MariaDB stores every zero as one above zero."""
    lacks = {OddValue.NOT_FINITE, OddValue.EMPTY_ENUM, *([OddValue.NEGATIVE_ZERO] if variant.mariadb else [])}
    if own:
        return Holds(frozenset(lacks), own=True)
    return Holds(frozenset(lacks), first_day=FIRST_DAY, last_day=LAST_DAY, digits=(65, 38 if variant.mariadb else 30))


_SYNONYMS = {
    "integer": "int",
    "numeric": "decimal",
    "dec": "decimal",
    "real": "double",
    "double precision": "double",
    "bool": "tinyint(1)",
    "boolean": "tinyint(1)",
}
_DECLARATION = re.compile(
    r"(?P<name>[a-z][a-z0-9]*(?: precision)?)\s*(?:\(\s*(?P<first>\d+)\s*(?:,\s*(?P<second>\d+)\s*)?\))?"
    r"(?P<unsigned>\s+unsigned)?\Z"
)
_MOMENTS = frozenset({"datetime", "timestamp", "time"})
_LENGTHS = frozenset({"char", "varchar", "binary", "varbinary", "bit"})
_CHARACTERS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json"})


def declared_column(written: str) -> Column:
    """A column of that type; InvalidInput for what these servers have not, or what needs its members listed."""
    declared = written.strip().lower()
    found = _DECLARATION.match(_SYNONYMS.get(declared, declared))
    if found is None:
        raise _strange(written)
    name = _SYNONYMS.get(found["name"], found["name"])
    first, second = (int(found[part]) if found[part] else None for part in ("first", "second"))
    unsigned = found["unsigned"] is not None
    exact, moment = name == "decimal", name in _MOMENTS
    native = NativeType(
        name=name,
        declared=_spelled(name, first, second, unsigned),
        length=(first or 1) if name in _LENGTHS else None,
        precision=(first or 10) if exact else None,
        scale=(second or 0) if exact else (first if moment else None),
        unsigned=unsigned,
        charset="utf8mb4" if name in _CHARACTERS else None,
    )
    neutral = neutral_type(native)
    if isinstance(neutral, t.Unknown | t.Enum | t.Set):
        raise _strange(written)
    return Column("", neutral, native)


def _spelled(name: str, first: int | None, second: int | None, unsigned: bool) -> str:
    sizes = [str(size) for size in (first, second) if size is not None]
    return f"{name}{f'({chr(44).join(sizes)})' if sizes else ''}{' unsigned' if unsigned else ''}"


def _strange(written: str) -> InvalidInput:
    return InvalidInput(f"typeOverrides asks for {written}, which is no type that a column can be given here.")
