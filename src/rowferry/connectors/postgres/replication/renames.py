"""Which column is which after a table was altered: a rename against a column dropped and another added.

PostgreSQL numbers a table's columns in the order in which they came, never gives a number again, and keeps the numbers
of dropped ones; the log names the columns in that order, without their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rowferry.errors import SourceChanged
from rowferry.model.tables import TableName


class Attribute(NamedTuple):
    """A number of the catalogue, and the column that has it now (None: it was dropped)."""

    number: int
    name: str | None


def renamed(
    table: TableName,
    old: Sequence[str],
    new: Sequence[str],
    numbers: Mapping[str, int],
    attributes: Sequence[Attribute],
) -> dict[str, str]:
    """By the new name, what a column was called.

    `old` and `new` are the names before and after, `numbers` what is known of the numbers before, `attributes` the
    catalogue now, which may be ahead. SourceChanged when it cannot be told.
    """
    gone = [name for name in old if name not in new]
    come = [name for name in new if name not in old]
    if not gone or not come:
        return {}
    now = {one.number: one.name for one in attributes}
    places = {one.name: one.number for one in attributes if one.name is not None}
    known = {name: number for name, number in numbers.items() if number in now}
    unknown = [name for name in gone if name not in known]
    if unknown:
        known |= _placed(table, old, come, {**places, **known}, attributes)
    alive = [name for name in gone if now.get(known.get(name, 0)) is not None]
    pairs = {now[known[name]]: name for name in alive if now[known[name]] in come}
    rest = [name for name in alive if name not in pairs.values()]
    strange = [name for name in come if name not in places]
    if rest and len(rest) != len(strange):
        raise _cannot_tell(table)
    return {**{str(name): was for name, was in pairs.items()}, **dict(zip(strange, rest, strict=False))}


def _placed(
    table: TableName,
    old: Sequence[str],
    come: Sequence[str],
    places: Mapping[str, int],
    attributes: Sequence[Attribute],
) -> dict[str, int]:
    """Numbers of old columns that nobody remembers, by the numbers of those around them."""
    found: dict[str, int] = {}
    for first, names, last in _gaps(old, places):
        between = [one for one in attributes if first < one.number and (last is None or one.number < last)]
        living = [one for one in between if one.name in come]
        if not living:
            continue
        ends = last is None and len(living) == len(between)
        if len(names) > len(between) or not (ends or len(names) == len(between)):
            raise _cannot_tell(table)
        found |= {name: one.number for name, one in zip(names, between, strict=False)}
    return found


def _gaps(old: Sequence[str], places: Mapping[str, int]) -> list[tuple[int, list[str], int | None]]:
    """Runs of old columns without a number, between the numbers of those before and behind."""
    gaps: list[tuple[int, list[str], int | None]] = []
    before, run = 0, []
    for name in old:
        if name not in places:
            run.append(name)
            continue
        if run:
            gaps.append((before, run, places[name]))
        before, run = places[name], []
    if run:
        gaps.append((before, run, None))
    return gaps


def _cannot_tell(table: TableName) -> SourceChanged:
    return SourceChanged(
        f"Columns of {table} were renamed and dropped while nobody followed, and the log does not tell which became "
        "which: start a new stream, which plans anew."
    )
