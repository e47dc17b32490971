"""Connections: kept without their secrets, which lie in the box, and opened to be tested."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from rowferry.config.connection import Connection
from rowferry.config.roots import ANYWHERE, Roots
from rowferry.config.secrets import REDACTED, join, split
from rowferry.connectors.base import Server
from rowferry.connectors.registry import connector
from rowferry.control.references import References
from rowferry.errors import Conflict, InvalidInput, NotFound, SecretUnreadable
from rowferry.model.streams import ACTIVE
from rowferry.state.box import Box
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import ConnectionRecord, StreamRecord
from rowferry.state.store import Store


@dataclass(frozen=True, slots=True)
class ConnectionPage:
    """Found connections, and how many there are in all."""

    items: Sequence[ConnectionRecord]
    total: int


def open_server(connection: Connection) -> Server:
    """The far end of the connection, by its engine's connector."""
    return connector(connection.engine).open_server(connection)


class Connections:
    """The saved connections. Thread-safe. NotFound from every method that is given an unknown identifier."""

    def __init__(
        self,
        store: Store,
        box: Box,
        opener: Callable[[Connection], Server] = open_server,
        references: References | None = None,
        roots: Roots = ANYWHERE,
    ) -> None:
        self._store = store
        self._box = box
        self._open = opener
        self._references = references or References()
        self._roots = roots

    def create(self, connection: Connection) -> ConnectionRecord:
        """Save a new connection; InvalidInput when it leads to a folder that this server does not serve."""
        self._check_places(connection)
        made = new_id("conn")
        record = self._record(made.id, made.created, connection)
        self._store.connections.add(record)
        return record

    def list(self, search: str = "") -> ConnectionPage:
        """The connections whose name or type holds `search`, the oldest first."""
        return ConnectionPage(self._store.connections.list(search), self._store.connections.count())

    def get(self, connection_id: str) -> ConnectionRecord:
        """The connection as it is stored, without its secrets."""
        record = self._store.connections.get(connection_id) if has_id_shape("conn", connection_id) else None
        if record is None:
            raise NotFound("There is no connection with this id: GET /connections lists those there are.")
        return record

    def resolve(self, connection_id: str) -> Connection:
        """The connection with its secrets, ready to be opened.

        SecretUnreadable when the key has changed, SecretUnavailable when a secret that is kept elsewhere is not there,
        InvalidInput when it leads to a folder that this server does not serve, or no longer.
        """
        return self._ready(self._connection(self.get(connection_id)))

    def look(self, connection_id: str) -> Connection:
        """The connection without its secrets, to see where it leads."""
        return Connection.model_validate(self.get(connection_id).document).within(self._roots)

    def update(self, connection_id: str, connection: Connection) -> ConnectionRecord:
        """Put another connection in its place. A secret that is left out stays, if its part of the document does."""
        old = self.get(connection_id)
        self._check_places(connection)
        record = self._record(old.id, old.created, self._with_secrets_of(old, connection))
        if not self._store.connections.replace(record):
            raise NotFound("This connection has just been deleted.")
        return record

    def delete(self, connection_id: str) -> None:
        """Remove the connection; Conflict while an active stream uses it.

        Configs that name it stay; a start then fails and says that the connection is gone.
        """
        self.get(connection_id)
        users = [stream.id for stream in self._store.streams.list(statuses=ACTIVE) if connection_id in _used_by(stream)]
        if users:
            raise Conflict(
                f"This connection is used by {', '.join(users)}: stop the stream first.",
                extra={"field": "stream_state", "value": users, "message": "a stream uses this connection"},
            )
        self._store.connections.delete(connection_id)

    def clone(self, connection_id: str) -> ConnectionRecord:
        """Save a second connection like this one, secrets included."""
        original = self._connection(self.get(connection_id))
        return self.create(original.model_copy(update={"name": f"{original.name} (copy)"}))

    def test(self, connection: Connection, connection_id: str | None = None) -> None:
        """Return when the far end lets this connection in; ConnectionFailed with the reason when not.

        With `connection_id` the secrets that are left out are those of the saved connection.
        """
        if connection_id is not None:
            connection = self._with_secrets_of(self.get(connection_id), connection)
        with closing(self._open(self._ready(connection))) as server:
            server.ping()

    def ping(self, connection_id: str) -> None:
        """Test a saved connection."""
        with closing(self.open(connection_id)) as server:
            server.ping()

    def open(self, connection_id: str) -> Server:
        """The far end of a saved connection, to be closed by the caller."""
        return self._open(self.resolve(connection_id))

    def _ready(self, connection: Connection) -> Connection:
        self._check_places(connection)
        return self._references.filled(connection).within(self._roots)

    def _check_places(self, connection: Connection) -> None:
        if connection.spec.files is not None:
            self._roots.place(connection.spec.files.base_path, "basePath")
        self._references.check(connection)

    def _record(self, connection_id: str, created: int, connection: Connection) -> ConnectionRecord:
        document, secrets = split(connection)
        return ConnectionRecord(
            id=connection_id,
            name=connection.name,
            type=connection.type.value,
            document=document,
            secrets=self._box.seal(json.dumps(secrets), connection_id),
            created=created,
        )

    def _secrets(self, record: ConnectionRecord) -> dict[str, str]:
        secrets: dict[str, str] = json.loads(self._box.unseal(record.secrets, record.id))
        return secrets

    def _connection(self, record: ConnectionRecord) -> Connection:
        return Connection.model_validate(join(record.document, self._secrets(record)))

    def _with_secrets_of(self, old: ConnectionRecord, new: Connection) -> Connection:
        document, secrets = split(new)
        given = {path: secret for path, secret in secrets.items() if secret != REDACTED}
        try:
            kept = self._secrets(old)
        except SecretUnreadable:
            if not given:
                raise
            kept = {}  # the key has changed: writing the secrets again is the way out
        return _validated(join(document, {**kept, **given}))


def _validated(document: dict[str, Any]) -> Connection:
    try:
        return Connection.model_validate(document)
    except ValidationError as error:
        raise InvalidInput("The connection does not fit the secrets that are stored for it.") from error


def _used_by(stream: StreamRecord) -> set[str]:
    sources = stream.config.get("source", {}).get("connections", [])
    return {source.get("connectionId") for source in sources} | {stream.config.get("target", {}).get("id")}
