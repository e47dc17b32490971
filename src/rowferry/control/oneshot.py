"""Streams without a server: the same documents and the same pipeline, run in this process.

The stream's name comes from what it moves and where, so that the same command, given again after a crash,
finds its journal on the target and goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import ValidationError

from rowferry.config.connection import Connection
from rowferry.config.stream import StreamConfig
from rowferry.config.urls import Place, is_url, parse
from rowferry.config.wording import invalid
from rowferry.errors import InvalidInput
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Events, Job, Outcome
from rowferry.pipeline.run import Run
from rowferry.pipeline.signals import Signals

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def job_from_urls(
    source: str, target: str, *, tables: Sequence[str] = (), policies: Mapping[str, str] | None = None, workers: int = 2
) -> Job:
    """A job that moves `tables` (none: all) from one URL to another; `policies`: schemaPolicy and writeMode."""
    start, end = parse(source), parse(target)
    if start.connection.spec.database is not None and not start.database:
        raise InvalidInput("The source's URL names no database: add it behind the host.")
    part: dict[str, Any] = {"connectionId": "source", "database": start.database, "schema": start.schema}
    if start.objects:
        part["s3"] = _objects(start)
    if tables:
        part["tables"] = [{"name": name} for name in tables]
    document = {
        "name": "migrate",
        "mode": "convert",
        "source": {"connections": [part]},
        "target": {"id": "target", "spec": _target(end, policies or {})},
    }
    return _job(document, {"source": start.connection, "target": end.connection}, workers)


def job_from_document(document: Mapping[str, Any], workers: int = 2) -> Job:
    """A job from the API's own document, in which each connection is a URL and ${NAME} stands for a variable."""
    filled = _fill(document)
    connections: dict[str, Connection] = {}
    try:
        for number, part in enumerate(filled["source"]["connections"]):
            place = _place(part["connectionId"])
            part["connectionId"] = f"source{number}"
            part.setdefault("database", place.database)
            if place.objects:
                part.setdefault("s3", _objects(place))
            connections[part["connectionId"]] = place.connection
        place = _place(filled["target"]["id"])
        filled["target"]["id"] = "target"
        connections["target"] = place.connection
    except (KeyError, TypeError, AttributeError):
        raise InvalidInput(
            "The document needs source.connections with a connectionId each, and target.id, all of them URLs."
        ) from None
    return _job(filled, connections, workers)


def run(job: Job, events: Events, signals: Signals, anew: bool = False) -> Outcome:
    """Run the job to its end. Its journal goes, unless the same job may want to go on later; with `anew` first, too."""
    with Run(job, events, signals) as running:
        if anew:
            running.forget()
        outcome = running.execute()
        if outcome.state not in (StreamState.PAUSED, StreamState.FAILED) and not job.verify_only:
            running.forget()
        return outcome


def _place(url: object) -> Place:
    if not isinstance(url, str) or not is_url(url):
        raise InvalidInput("Without a server every connectionId and target.id is a URL such as mysql://user@host/db.")
    return parse(url)


def _objects(place: Place) -> dict[str, Any]:
    """What is read of a bucket of which a URL names objects."""
    scope = place.connection.spec.s3.scope if place.connection.spec.s3 else None
    return {"bucket": scope.bucket if scope else "", "objects": list(place.objects)}


def _target(place: Place, policies: Mapping[str, str]) -> dict[str, Any]:
    if place.objects:
        raise InvalidInput("The target's URL names an object: name the folder that gets the tables' folders.")
    if place.connection.spec.database is None:
        form = {"compression": place.compression} if place.compression else {}
        return {"files": {"fileFormat": place.file_format, "format": form, **policies}}
    if not place.database:
        raise InvalidInput("The target's URL names no database: add it behind the host.")
    schema = {"schema": place.schema} if place.schema else {}
    return {"db": {"database": place.database, **schema, **policies}}


def _job(document: Mapping[str, Any], connections: Mapping[str, Connection], workers: int) -> Job:
    try:
        config = StreamConfig.model_validate(document)
    except ValidationError as error:
        raise invalid(error, StreamConfig) from None
    name = _name(config, connections)
    return Job(
        stream_id=name, config=config, connections=dict(connections), workers=workers,
        rejects=str(Path.cwd() / "rejects" / name),
    )  # fmt: skip


def _name(config: StreamConfig, connections: Mapping[str, Connection]) -> str:
    shown = {name: connection.model_dump(mode="json") for name, connection in connections.items()}
    words = orjson.dumps([config.model_dump(mode="json"), shown], option=orjson.OPT_SORT_KEYS)
    return f"stream_{hashlib.sha256(words).hexdigest()[:27]}"


def _fill(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _fill(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_fill(part) for part in value]
    return _VARIABLE.sub(_variable, value) if isinstance(value, str) else value


def _variable(found: re.Match[str]) -> str:
    if found[1] not in os.environ:
        raise InvalidInput(f"The document names ${{{found[1]}}}, but there is no such environment variable.")
    return os.environ[found[1]]
