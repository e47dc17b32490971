"""What a stream writes to, as names that can be compared: two streams must not meet on the target."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from rowferry.config.connection import Connection
from rowferry.config.roots import real_path
from rowferry.config.storage import s3_target
from rowferry.config.stream import SourceConnection, StreamConfig

ANY = "*"
"""Stands for tables that are not known before they are discovered."""

_SEPARATOR = "\x1f"


def place(target: Connection, config: StreamConfig) -> str:
    """The server, database and schema, the folder, or the part of a bucket that the config writes into."""
    spec = config.target.spec
    if spec.db is not None and target.spec.database is not None:
        words = (target.engine, target.spec.database.host, str(target.port), spec.db.database, spec.db.schema_ or "")
        return "/".join(words)
    if target.spec.files is not None:
        return f"files:{real_path(target.spec.files.base_path, 'basePath')}"
    if target.spec.s3 is None:
        return target.engine
    upload = s3_target(target, spec).upload
    return f"s3:{target.spec.s3.endpoint or ''}/{upload.bucket}/{upload.prefix}"


def footprint(
    target: Connection, config: StreamConfig, discover: Callable[[SourceConnection], Iterable[str]] | None
) -> list[str]:
    """The names of every table that the config writes. Without `discover`, discovered tables are just `ANY`.

    Of several sources a table may also be called by its alias and its name.
    """
    names: set[str] = set()
    for part in config.source.connections:
        if part.tables or part.queries:
            own = {spec.name.rpartition(".")[2] for spec in part.tables} | {spec.name for spec in part.queries}
        else:
            own = {name.rpartition(".")[2] for name in discover(part)} if discover else {ANY}
        names |= own | ({f"{part.alias}_{name}" for name in own - {ANY}} if part.alias else set())
    where = place(target, config)
    return sorted(where + _SEPARATOR + name for name in names)


def refined(targets: Collection[str], tables: Collection[str]) -> list[str]:
    """The footprint once the tables are known: their names in the place of `ANY`."""
    places = {target.rpartition(_SEPARATOR)[0] for target in targets}
    return sorted(where + _SEPARATOR + name.rpartition(".")[2] for where in places for name in tables)


def meet(one: Collection[str], other: Collection[str]) -> bool:
    """Whether two footprints share a table."""
    if set(one) & set(other):
        return True
    return _any_meets(one, other) or _any_meets(other, one)


def _any_meets(one: Collection[str], other: Collection[str]) -> bool:
    open_places = {name.rpartition(_SEPARATOR)[0] for name in one if name.rpartition(_SEPARATOR)[2] == ANY}
    return any(name.rpartition(_SEPARATOR)[0] in open_places for name in other)
