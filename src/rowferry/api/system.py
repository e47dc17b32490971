"""The server itself."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from rowferry.api.answers import (
    DefaultsAnswer,
    HealthAnswer,
    ReadyAnswer,
    ServiceList,
    ServiceStatus,
    SqlLoggingAnswer,
    SqlLoggingBody,
)
from rowferry.api.given import Given
from rowferry.api.routing import Route
from rowferry.control.system import SqlLogging

router = APIRouter(tags=["System"], route_class=Route)


class MetricsResponse(Response):
    """Prometheus's text."""

    media_type = "text/plain"


@router.get("/health", summary="Ask whether the server answers")
def health() -> HealthAnswer:
    """Answers as long as the server lives."""
    return HealthAnswer()


@router.get(
    "/ready",
    response_model=ReadyAnswer,
    responses={503: {"model": ReadyAnswer, "description": "A part of the server does not work."}},
    summary="Ask whether the server can work",
)
def ready(services: Given) -> Response:
    """200 when every part of the server works, 503 when not."""
    works = services.system.ready
    content = {"ready": works, "status": "ready" if works else "not_ready"}
    return JSONResponse(content, 200 if works else 503)


@router.get("/services/status", summary="Ask how the parts of the server are")
def services_status(services: Given) -> ServiceList:
    """The state of each part."""
    return ServiceList(
        services=[ServiceStatus(name=name, status=health) for name, health in services.system.health().items()]
    )


@router.get("/system/defaults", summary="Ask where the server runs")
def defaults(services: Given) -> DefaultsAnswer:
    """The installation's identifier and the folder for exports."""
    return DefaultsAnswer(
        default_export_path=str(services.system.export_path),
        mode=services.system.install_mode,
        install_id=services.accounts.install_id,
    )


@router.get("/system/sql-logging", summary="Ask which statements are logged")
def sql_logging(services: Given) -> SqlLoggingAnswer:
    """What happens to the statements that the server runs."""
    return _sql_logging(services.system.sql_logging())


@router.put("/system/sql-logging", summary="Set which statements are logged")
def set_sql_logging(services: Given, body: SqlLoggingBody) -> SqlLoggingAnswer:
    """Change what is given; it is kept over a restart."""
    return _sql_logging(services.system.set_sql_logging(body.sql_capture_mode, body.forward_sql_logs))


@router.get("/metrics", response_class=MetricsResponse, summary="Get metrics for Prometheus")
def metrics(services: Given) -> Response:
    """Counters and gauges in Prometheus's text format."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST)


def _sql_logging(setting: SqlLogging) -> SqlLoggingAnswer:
    return SqlLoggingAnswer(sql_capture_mode=setting.mode, forward_sql_logs=setting.forward)
