"""Verifications: whether a stream's target holds what its source does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from rowferry.api.answers import VerificationAnswer, VerificationList
from rowferry.api.given import Given
from rowferry.api.routing import Route
from rowferry.state.records import VerificationRecord

router = APIRouter(prefix="/streams", tags=["Streams"], route_class=Route)


@router.post("/{stream_id}/verify", response_model=VerificationAnswer, summary="Verify a stream")
def verify(services: Given, stream_id: str) -> Response:
    """Compare source and target of a stream that has ended, by counts and checksums that both sides make themselves.

    The answer is a verification that runs; ask for it until its status is EQUAL, DIFFERENT or FAILED. 409 while the
    stream has not ended, when it ended at a limit, and while another verification of it runs.
    """
    return JSONResponse(_document(services.verifications.start(stream_id)))


@router.get("/{stream_id}/verifications", response_model=VerificationList, summary="List a stream's verifications")
def find(services: Given, stream_id: str) -> Response:
    """Those that were asked for, and those that the stream did itself because its config says verify."""
    items = [_document(record) for record in services.verifications.list(stream_id)]
    return JSONResponse({"items": items, "total": len(items)})


@router.get(
    "/{stream_id}/verifications/{verification_id}", response_model=VerificationAnswer, summary="Get a verification"
)
def get(services: Given, stream_id: str, verification_id: str) -> Response:
    """How it stands, and what it found: counts, the key ranges and the rows that differ, by their keys."""
    return JSONResponse(_document(services.verifications.get(stream_id, verification_id)))


def _document(record: VerificationRecord) -> dict[str, Any]:
    return {
        "id": record.id,
        "streamId": record.stream_id,
        "status": record.status,
        "created": record.created,
        "finishedAt": None if record.finished_at is None else int(record.finished_at),
        "elapsed": record.elapsed,
        "error": record.error,
        "comparison": record.comparison,
    }
