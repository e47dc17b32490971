"""The API as one application, to be mounted at /api/v1."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from rowferry.api import configs, connections, docs, logs, streams, system, user, verifications
from rowferry.api.contract import contract
from rowferry.api.errors import install_handlers
from rowferry.api.gate import Gate
from rowferry.api.routing import Route
from rowferry.api.tracing import Tracing
from rowferry.control.services import Services
from rowferry.control.sessions import Sessions

BASE_PATH = "/api/v1"

_ROUTERS = (
    connections.router,
    configs.router,
    streams.router,
    verifications.router,
    logs.router,
    system.router,
    user.router,
    docs.router,
)


class Api(FastAPI):
    """An application whose contract is complete."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = contract(self)
        return self.openapi_schema


def create_api(services: Services, sessions: Sessions) -> FastAPI:
    """The API, for these use cases."""
    api = Api(title="Rowferry", docs_url=None, redoc_url=None, redirect_slashes=False)
    api.router.route_class = Route
    api.state.services = services
    for router in _ROUTERS:
        api.include_router(router)
    install_handlers(api)
    api.add_middleware(Gate, accounts=services.accounts, sessions=sessions)
    api.add_middleware(Tracing)  # the last one added is the outermost
    return api
