"""The image and the compose file, as far as they can be checked without a container engine."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from rowferry.config.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"/data/state", "/data/imports", "/data/exports"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file."""
    document: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return document


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, str]]:
    """The Dockerfile's instructions with their arguments, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in lines]


def test_services(compose: dict[str, Any]) -> None:
    """The app with both databases, each of which is waited for until it is healthy."""
    services = compose["services"]
    assert set(services) == {"app", "postgres", "mysql"}
    assert services["postgres"]["image"] == "postgres:18"
    assert services["mysql"]["image"] == "mysql:8"
    for name, condition in services["app"]["depends_on"].items():
        assert condition == {"condition": "service_healthy"}
        assert services[name]["healthcheck"]["test"][0] == "CMD-SHELL"


def test_ports_and_volumes(compose: dict[str, Any]) -> None:
    """Port 80 leads to the app, for this machine alone; every volume is declared and lies where it should."""
    services = compose["services"]
    assert services["app"]["ports"] == ["127.0.0.1:80:80"]
    assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])
    mounted = [volume.split(":") for service in services.values() for volume in service["volumes"]]
    assert {name for name, _ in mounted} == set(compose["volumes"])
    assert {place for name, place in mounted if name in ("state", "imports", "exports")} == FOLDERS


def test_image(steps: list[tuple[str, str]]) -> None:
    """Not root, port 80, the folders of the documentation, a health check on the API."""
    assert ("FROM", "python:3.11-slim") in steps
    assert ("EXPOSE", "80") in steps
    assert [arguments for step, arguments in steps if step == "USER"] == ["rowferry"]
    (volumes,) = [arguments for step, arguments in steps if step == "VOLUME"]
    assert set(yaml.safe_load(volumes)) == FOLDERS
    (check,) = [arguments for step, arguments in steps if step == "HEALTHCHECK"]
    assert "http://127.0.0.1/api/v1/health" in check


def test_image_is_built_from_what_is_there(steps: list[tuple[str, str]]) -> None:
    """Whatever is copied exists, and .dockerignore lets it in."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for arguments in (arguments for step, arguments in steps if step == "COPY" and "--from" not in arguments):
        for source in shlex.split(arguments)[:-1]:
            assert (ROOT / source).exists()
            assert source in allowed


def test_image_sets_known_settings(steps: list[tuple[str, str]]) -> None:
    """Each ROWFERRY_ variable is a setting, with a value that it takes."""
    text = " ".join(arguments for step, arguments in steps if step == "ENV")
    given = {name.lower(): value for name, value in re.findall(r"ROWFERRY_(\w+)=(\S+)", text)}
    settings = Settings(**given)
    assert settings.port == 80
    assert str(settings.data_dir) == "/data/state"
