"""The account."""

from __future__ import annotations

from fastapi import APIRouter

from rowferry.api.answers import Success, UserAnswer, UserConfigsAnswer
from rowferry.api.given import Given
from rowferry.api.routing import Route
from rowferry.errors import NotFound

router = APIRouter(prefix="/user", tags=["Account"], route_class=Route)


@router.get("", summary="Get the account")
def get(services: Given) -> UserAnswer:
    """The account that the key belongs to."""
    account = services.accounts.get()
    if account is None:
        raise NotFound("This installation has no account.")
    return UserAnswer(
        user_id=services.accounts.install_id,
        email=account.email,
        name=account.email.partition("@")[0],
        api_key=f"rf_********{services.accounts.api_key()[-4:]}",
        install_id=services.accounts.install_id,
        created=account.created,
    )


@router.get("/configs", summary="Count what the account holds")
def configs(services: Given) -> UserConfigsAnswer:
    """How many connections and stream configs there are; nothing has to be loaded first."""
    return UserConfigsAnswer(
        connections=services.connections.list().total, stream_configs=services.configs.list(limit=1).total
    )


@router.post("/clear-key", summary="Replace the API key")
def clear_key(services: Given) -> Success:
    """Make the API key worthless, this one included; the new one is shown on the Account page."""
    services.accounts.replace_key()
    return Success()
