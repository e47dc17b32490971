"""Stream configs: checked against the connections they name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rowferry.config.connection import DATABASES, Connection
from rowferry.config.roots import real_path
from rowferry.config.storage import s3_source, s3_target
from rowferry.config.stream import SourceConnection, StreamConfig
from rowferry.control import several
from rowferry.control.connections import Connections
from rowferry.errors import Conflict, Detail, InvalidInput, NotFound
from rowferry.model.streams import ACTIVE, Mode
from rowferry.state.ids import has_id_shape, new_id
from rowferry.state.records import ConfigRecord
from rowferry.state.store import Store

_TARGETS = {
    "db": ("a database", {"mysql", "postgresql"}),
    "files": ("a files", {"files", "s3"}),
    "s3": ("an S3", {"s3"}),
}
"""Kind of target: the words for the connection it needs, and that connection's engines."""


@dataclass(frozen=True, slots=True)
class ConfigPage:
    """One page of configs: how many fit the search, and how many there are in all."""

    items: Sequence[ConfigRecord]
    filtered: int
    total: int


class Configs:
    """The saved stream configs. Thread-safe. NotFound from every method that is given an unknown identifier."""

    def __init__(self, store: Store, connections: Connections) -> None:
        self._store = store
        self._connections = connections

    def create(self, config: StreamConfig) -> ConfigRecord:
        """Save a new config; NotFound for a connection that is not there, InvalidInput for one that does not fit."""
        self._check(config)
        made = new_id("config")
        record = _record(made.id, made.created, config)
        self._store.configs.add(record)
        return record

    def list(self, search: str = "", limit: int | None = None, offset: int = 0) -> ConfigPage:
        """The configs whose name holds `search`, the oldest first."""
        configs = self._store.configs
        return ConfigPage(configs.list(search, limit, offset), configs.count(search), configs.count())

    def get(self, config_id: str) -> tuple[ConfigRecord, StreamConfig]:
        """The config as it is stored, and as it is used."""
        record = self._store.configs.get(config_id) if has_id_shape("config", config_id) else None
        if record is None:
            raise NotFound("There is no stream config with this id: GET /stream-configs lists those there are.")
        return record, StreamConfig.model_validate(record.document)

    def update(self, config_id: str, config: StreamConfig) -> ConfigRecord:
        """Put another config in its place; source connections, their aliases and the target stay as they are.

        Streams that run keep the config they were started with.
        """
        record, old = self.get(config_id)
        _check_fixed(old, config)
        self._check(config)
        changed = _record(record.id, record.created, config)
        if not self._store.configs.replace(changed):
            raise NotFound("This stream config has just been deleted.")
        return changed

    def delete(self, config_id: str) -> None:
        """Remove the config; Conflict while a stream of it is active. Past streams stay in GET /streams."""
        self.get(config_id)
        active = [stream.id for stream in self._store.streams.list(config_id, ACTIVE)]
        if active:
            raise Conflict(
                f"{', '.join(active)} of this config is active: stop it first.",
                extra={"field": "stream_state", "value": active, "message": "a stream of this config is active"},
            )
        self._store.configs.delete(config_id)

    def clone(self, config_id: str) -> ConfigRecord:
        """Save a second config like this one."""
        record, config = self.get(config_id)
        made = new_id("config")
        copy = _record(made.id, made.created, config.model_copy(update={"name": f"{record.name} (copy)"}))
        self._store.configs.add(copy)
        return copy

    def _check(self, config: StreamConfig) -> None:
        sources = config.source.connections
        places = [(f"source.connections.{at}.connectionId", source.connection_id) for at, source in enumerate(sources)]
        found = self._find([*places, ("target.id", config.target.id)])
        details = []
        for at, source in enumerate(sources):
            details += _misfits_of_source(f"source.connections.{at}", source, found[source.connection_id], config.mode)
        details += _misfits_of_target(config, found[config.target.id])
        details = details or several.misfits(config, found)
        if details:
            raise InvalidInput(f"{details[0].path} {details[0].message}.", details=details)

    def _find(self, places: Sequence[tuple[str, str]]) -> dict[str, Connection]:
        found: dict[str, Connection] = {}
        missing = []
        for path, connection_id in places:
            try:
                found[connection_id] = self._connections.look(connection_id)
            except NotFound:
                missing.append(Detail(path, "names a connection that does not exist"))
        if missing:
            raise NotFound(f"{missing[0].path} {missing[0].message}: create the connection first.", details=missing)
        return found


def _record(config_id: str, created: int, config: StreamConfig) -> ConfigRecord:
    document: dict[str, Any] = config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return ConfigRecord(config_id, config.name, config.mode, document, created)


def _misfits_of_source(path: str, source: SourceConnection, connection: Connection, mode: Mode) -> list[Detail]:
    engine = connection.engine
    if mode is Mode.CDC and connection.type not in DATABASES:
        return [Detail(f"{path}.connectionId", "must name a database connection: mode cdc reads a database's log")]
    if source.files and engine not in ("files", "s3"):
        return [Detail(f"{path}.files", f"needs a files connection, and {connection.name!r} leads to {engine}")]
    if source.files and connection.spec.files and not _below(connection.spec.files.base_path, source.files.base_path):
        message = f"must be the folder of {connection.name!r} or one below it"
        return [Detail(f"{path}.files.basePath", message)]
    if source.s3 and engine != "s3":
        return [Detail(f"{path}.s3", f"needs an S3 connection, and {connection.name!r} leads to {engine}")]
    if engine == "s3":
        try:
            s3_source(connection, source.database, source.files, source.s3)
        except InvalidInput as error:
            place = "s3" if source.s3 else "files" if source.files else "database"
            return [Detail(f"{path}.{place}", f"does not fit: {error.message.rstrip('.')}")]
    return []


def _below(base: str, folder: str) -> bool:
    there = real_path(base, "basePath")
    return real_path(folder, "basePath", there).is_relative_to(there)


def _misfits_of_target(config: StreamConfig, connection: Connection) -> list[Detail]:
    for kind, (words, engines) in _TARGETS.items():
        if getattr(config.target.spec, kind) is not None and connection.engine not in engines:
            message = f"needs {words} connection as target.id, and {connection.name!r} leads to {connection.engine}"
            return [Detail(f"target.spec.{kind}", message)]
    if connection.engine == "s3":
        try:
            target = s3_target(connection, config.target.spec)
            if target.upload.keep_local_files:
                connection.roots.place(target.output_directory, "outputDirectory")
        except InvalidInput as error:
            return [Detail("target.spec", f"does not fit: {error.message.rstrip('.')}")]
    return []


def _check_fixed(old: StreamConfig, new: StreamConfig) -> None:
    before, after = (
        [(source.alias, source.connection_id) for source in config.source.connections] for config in (old, new)
    )
    details = []
    if before != after:
        details.append(
            Detail("source.connections", "must keep its connections and aliases: they are fixed after creation")
        )
    if old.target.id != new.target.id:
        details.append(Detail("target.id", "is fixed after creation"))
    if details:
        raise InvalidInput(
            f"{details[0].path} {details[0].message}; clone or create a config instead.", details=details
        )
