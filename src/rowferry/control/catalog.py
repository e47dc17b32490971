"""What lies behind a connection: databases, schemas, tables, views and their structure."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from rowferry.connectors.base import Namespace, Server
from rowferry.connectors.registry import connector
from rowferry.control.connections import Connections
from rowferry.errors import InvalidInput
from rowferry.model.tables import Table

CACHE_SECONDS = 30.0
_CACHED = 200

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of a server that is looked at: a database, and in it these schemas (none: the user's own)."""

    connection_id: str
    database: str
    schemas: tuple[str, ...] = ()
    include_system: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """A database's tables and views. `schemas`: the engine has schemas, so that names are "schema.table"."""

    engine: str
    schemas: bool
    tables: Sequence[Table]
    views: Sequence[str]


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """What was found. `cached`: it is up to 30 seconds old."""

    value: T
    cached: bool


class Catalog:
    """Looks behind connections. Thread-safe; structures are remembered for 30 seconds.

    NotFound for an unknown connection, ConnectionFailed when the server does not answer.
    """

    def __init__(self, connections: Connections, clock: Callable[[], float] = time.monotonic) -> None:
        self._connections = connections
        self._clock = clock
        self._cache: dict[object, tuple[float, Structure]] = {}
        self._lock = threading.Lock()

    def databases(self, connection_id: str) -> list[Namespace]:
        """The databases with their schemas."""
        return self._ask(connection_id, lambda server: server.databases())

    def create_database(self, connection_id: str, name: str) -> None:
        """Create a database; Conflict when it is there."""
        checked = _checked(name)
        self._ask(connection_id, lambda server: server.create_database(checked))

    def create_schema(self, connection_id: str, database: str, name: str) -> None:
        """Create a schema in a database; Conflict when it is there."""
        checked = _checked(name)
        self._ask(connection_id, lambda server: server.create_schema(database, checked))
        with self._lock:
            self._cache.clear()

    def tables(self, scope: Scope) -> list[str]:
        """The names of the base tables."""
        return self._ask(
            scope.connection_id, lambda server: server.tables(scope.database, scope.schemas, scope.include_system)
        )

    def views(self, scope: Scope) -> list[str]:
        """The names of the views."""
        return self._ask(
            scope.connection_id, lambda server: server.views(scope.database, scope.schemas, scope.include_system)
        )

    def structure(self, scope: Scope, refresh: bool = False) -> Seen[Structure]:
        """The tables with their whole structure, and the views; `refresh` asks the server anew."""
        record = self._connections.get(scope.connection_id)
        key = (scope, record.secrets)  # sealed anew with every change of the connection
        now = self._clock()
        with self._lock:
            found = self._cache.get(key)
        if found is not None and not refresh and now - found[0] < CACHE_SECONDS:
            return Seen(found[1], cached=True)
        engine = self._connections.look(scope.connection_id).engine
        structure = self._ask(scope.connection_id, lambda server: _describe(server, scope, engine))
        with self._lock:
            self._cache.pop(key, None)
            self._cache[key] = (now, structure)
            if len(self._cache) > _CACHED:
                del self._cache[next(iter(self._cache))]
        return Seen(structure, cached=False)

    def _ask(self, connection_id: str, question: Callable[[Server], T]) -> T:
        with closing(self._connections.open(connection_id)) as server:
            return question(server)


def _describe(server: Server, scope: Scope, engine: str) -> Structure:
    where = (scope.database, scope.schemas, scope.include_system)
    return Structure(engine, connector(engine).capabilities.schemas, server.describe(*where), server.views(*where))


def _checked(name: str) -> str:
    name = name.strip()
    if not name or not name.isprintable():
        raise InvalidInput("The body must be the bare name, as text.")
    return name
