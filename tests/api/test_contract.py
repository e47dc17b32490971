"""The contract holds: whatever is sent, the answer is one that the OpenAPI document declares."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import APIOperation, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from rowferry.app import create_app
from rowferry.config.settings import Settings
from rowferry.control.services import Services
from tests.api.conftest import EMAIL, PASSWORD, Api, run
from tests.servers import free_port

Operation = APIOperation[Any, Any, Any, Any]

CHECKED: list[CheckFunction] = [
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An installation that lasts for all examples."""
    app: FastAPI = create_app(Settings(data_dir=tmp_path_factory.mktemp("contract")), run)
    services: Services = app.state.services
    services.accounts.create(EMAIL, PASSWORD)
    with TestClient(app, base_url="http://testserver/api/v1/") as client:
        api = Api(app, client, services, {})
        refresh(api)
        yield api


def refresh(api: Api) -> None:
    """Take the key that holds now: an example may have replaced it."""
    accounts = api.services.accounts
    api.headers.update({"X-API-Key": accounts.api_key(), "X-Install-ID": accounts.install_id})
    api.client.headers.update(api.headers)


@pytest.fixture(scope="module")
def document(installation: Api) -> schemathesis.BaseSchema:
    """The contract. Events never end, and a test of any connection would call strangers: both have own tests."""
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", installation.app)
    return schema.exclude(path=["/logs/stream", "/connections/test"])


def test_every_answer_is_declared(document: schemathesis.BaseSchema, installation: Api) -> None:
    for result in document.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        check(operation, GenerationMode.POSITIVE, installation)
        with suppress(Unsatisfiable):  # some operations take nothing that could be wrong
            check(operation, GenerationMode.NEGATIVE, installation)


def check(operation: Operation, mode: GenerationMode, api: Api) -> None:
    """Send examples to one operation, every second one to something that exists."""
    numbers = count()

    @settings(
        max_examples=8,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def example(case: schemathesis.Case[Any]) -> None:
        refresh(api)
        if next(numbers) % 2:
            use_what_exists(case, api)
        if mode is GenerationMode.POSITIVE and "stream-configs" in operation.path and isinstance(case.body, dict):
            name_connections(case.body, api)
        response = case.call(headers=api.headers)
        assert response.status_code != 500
        unknown_in_query = set(case.query or ()) - {parameter.name for parameter in operation.query}
        excluded: list[CheckFunction] = (
            [negative_data_rejection] if unknown_in_query else []
        )  # what nobody asks for does no harm there
        case.validate_response(response, checks=CHECKED, excluded_checks=excluded, headers=api.headers)

    example()


def name_connections(body: dict[str, Any], api: Api) -> None:
    """Have a stream config name connections that are there."""
    body["target"]["id"] = api.connection("files" if body["target"]["spec"].get("files") else "postgresql")
    for source in body["source"]["connections"]:
        source["connectionId"] = api.connection("files" if source.get("files") else "mysql")


def use_what_exists(case: schemathesis.Case[Any], api: Api) -> None:
    """Point the request at something that is there."""
    if "connection_id" in case.path_parameters:
        case.path_parameters["connection_id"] = api.connection("postgresql", port=free_port())
    if "config_id" in case.path_parameters:
        config_id = case.path_parameters["config_id"] = api.config()
        if "run_id" in case.path_parameters:
            case.path_parameters["run_id"] = api.finished(config_id)
    if "stream_id" in case.path_parameters:
        case.path_parameters["stream_id"] = api.start(api.config())
