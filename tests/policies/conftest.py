"""Streams with wishes about types, run without a server of ours."""

from __future__ import annotations

from typing import Any

import pytest

from rowferry.config.stream import StreamConfig
from rowferry.control import oneshot
from rowferry.control.oneshot import job_from_urls
from rowferry.model.streams import StreamState
from rowferry.pipeline.job import Job, Outcome
from rowferry.pipeline.signals import Signals
from rowferry.state.ids import new_id
from tests.servers import MariaDb, Postgres
from tests.verify.conftest import Silent


def job(start: str, end: str, **wishes: Any) -> Job:
    """A new stream of every table with these wishes in its config."""
    made = job_from_urls(start, end, policies={"schemaPolicy": "drop_and_recreate"})
    document = made.config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    config = StreamConfig.model_validate({**document, **wishes})
    return made.model_copy(update={"config": config, "stream_id": new_id("stream").id})


def refused(start: str, end: str, **wishes: Any) -> str:
    """Why the stream fails, which never tells a value."""
    outcome = outcome_of(job(start, end, **wishes))
    assert outcome.state is StreamState.FAILED
    assert outcome.error is not None
    return outcome.error.message


def outcome_of(made: Job) -> Outcome:
    """How the stream ends."""
    return oneshot.run(made, Silent(), Signals())


@pytest.fixture
def shop(postgres: Postgres) -> str:
    """An empty database of PostgreSQL."""
    return postgres.new_database()


@pytest.fixture
def there(mariadb: MariaDb) -> str:
    """An empty database of MariaDB."""
    return mariadb.new_database()
