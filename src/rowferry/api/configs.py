"""Stream configs, their start, and the runs behind them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Response
from fastapi.responses import JSONResponse

from rowferry.api.answers import ConfigAnswer, ConfigList, RunAnswer, RunReport, StartAnswer, ValidationAnswer
from rowferry.api.connections import refuse_other_identity
from rowferry.api.documents import ConfigBody
from rowferry.api.examples import STREAM_CONFIGS
from rowferry.api.given import ConfirmDelete, Given, Search
from rowferry.api.routing import Route
from rowferry.state.records import ConfigRecord

router = APIRouter(prefix="/stream-configs", tags=["Stream configs"], route_class=Route)

Written = Annotated[ConfigBody, Body(openapi_examples=STREAM_CONFIGS)]


@router.post("", response_model=ConfigAnswer, summary="Save a stream config")
def create(services: Given, body: Written) -> Response:
    """Save a stream config. Without tables, queries, files and s3, every user table of the source is meant."""
    return JSONResponse(_document(services.configs.create(body.config())))


@router.get("", response_model=ConfigList, summary="List stream configs")
def find(
    services: Given,
    search: Search,
    limit: Annotated[int | None, Query(ge=1, le=1000, description="The longest page; without it, all.")] = None,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1, description="How many are skipped.")] = 0,
) -> Response:
    """The stream configs, the oldest first."""
    page = services.configs.list(search, limit, offset)
    return JSONResponse(
        {
            "items": [_document(record) for record in page.items],
            "total": page.total,
            "filtered": page.filtered,
            "search": search,
            "limit": limit,
            "offset": offset,
        }
    )


@router.get("/{config_id}", response_model=ConfigAnswer, summary="Get a stream config")
def get(services: Given, config_id: str) -> Response:
    """The stream config, as it was written."""
    return JSONResponse(_document(services.configs.get(config_id)[0]))


@router.put("/{config_id}", response_model=ConfigAnswer, summary="Change a stream config")
def update(services: Given, config_id: str, body: Written) -> Response:
    """Replace the config; its source connections, their aliases and `target.id` must stay the same.

    Streams that run keep the config they were started with.
    """
    refuse_other_identity(services.configs.get(config_id)[0], body.id, body.created)
    return JSONResponse(_document(services.configs.update(config_id, body.config())))


@router.delete("/{config_id}", status_code=204, summary="Delete a stream config")
def delete(services: Given, config_id: str, confirm: ConfirmDelete) -> None:
    """Delete the config; 409 while a stream of it is active. Its past streams stay in GET /streams."""
    services.configs.delete(config_id)


@router.put("/{config_id}/clone", response_model=ConfigAnswer, summary="Clone a stream config")
def clone(services: Given, config_id: str) -> Response:
    """Save a second config like this one."""
    return JSONResponse(_document(services.configs.clone(config_id)))


@router.post("/{config_id}/start", summary="Start a stream", tags=["Streams"])
def start(services: Given, config_id: str) -> StartAnswer:
    """Start a stream of this config.

    409, with the streams in the way in `details.value`, while a stream of this config, or one that writes to any
    of the same tables or folders, is running or paused, and when as many streams are active as the server allows.
    """
    return StartAnswer(id=services.streams.start(config_id))


@router.post("/{config_id}/validate", response_model=ValidationAnswer, summary="Plan a stream without starting it")
def validate(services: Given, config_id: str) -> Response:
    """A dry run: each table's structure on the target, its estimated rows, and what would not cross exactly."""
    return JSONResponse(services.streams.validate(config_id))


@router.get("/{config_id}/history", summary="List past runs", tags=["Runs"])
def history(services: Given, config_id: str) -> list[RunAnswer]:
    """The config's past runs, the newest first."""
    return [RunAnswer.model_validate(run, from_attributes=True) for run in services.history.runs(config_id)]


@router.get("/{config_id}/runs/{run_id}", summary="Get a past run with its report", tags=["Runs"])
def get_run(services: Given, config_id: str, run_id: str) -> RunReport:
    """A past run, and what became of the structure that it moved; 409 while it is active."""
    run, report = services.history.run(config_id, run_id)
    return RunReport.model_validate({**asdict(run), "report": report})


@router.delete("/{config_id}/runs", status_code=204, summary="Forget all past runs", tags=["Runs"])
def clear(services: Given, config_id: str) -> None:
    """Forget all past runs with their logs; active streams stay."""
    services.history.clear(config_id)


@router.delete("/{config_id}/runs/{run_id}", status_code=204, summary="Forget a past run", tags=["Runs"])
def delete_run(services: Given, config_id: str, run_id: str) -> None:
    """Forget one past run with its log; 409 while it is active."""
    services.history.delete(config_id, run_id)


def _document(record: ConfigRecord) -> dict[str, Any]:
    return {"id": record.id, "created": record.created, **record.document}
