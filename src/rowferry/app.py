"""All the wiring: from settings to an application that a server can serve."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fastapi import FastAPI
from filelock import FileLock, Timeout
from starlette.concurrency import run_in_threadpool
from starlette.routing import Mount

from rowferry.api.application import BASE_PATH, create_api
from rowferry.config.settings import Settings
from rowferry.control.accounts import Accounts
from rowferry.control.catalog import Catalog
from rowferry.control.configs import Configs
from rowferry.control.connections import Connections
from rowferry.control.fleet import Fleet
from rowferry.control.history import History
from rowferry.control.references import References
from rowferry.control.services import LogFeed, Metrics, Services, StreamControl
from rowferry.control.sessions import Sessions
from rowferry.control.streams import Streams
from rowferry.control.system import System
from rowferry.control.verifications import Verifications
from rowferry.errors import Conflict, DataDirectoryInUse
from rowferry.state.box import Box
from rowferry.state.store import Store
from rowferry.telemetry.logs import LogHub
from rowferry.telemetry.metrics import Metrics as PrometheusMetrics

LOCK_FILE = "server.lock"


@dataclass(frozen=True, slots=True)
class Ground:
    """What streams stand on."""

    settings: Settings
    store: Store
    connections: Connections
    configs: Configs


@dataclass(frozen=True, slots=True)
class Running:
    """What runs streams and says how it goes. `probes` are its parts, as `System` asks them."""

    streams: StreamControl
    verifications: Verifications
    feed: LogFeed
    metrics: Metrics
    probes: Mapping[str, Callable[[], None]] = field(default_factory=dict)


def create_app(settings: Settings, run: Callable[[Ground], Running]) -> FastAPI:
    """The application: the API under /api/v1, and `Services` and `Sessions` in its state for the pages.

    The data directory is taken at once, and given back when the application's lifespan ends.
    DataDirectoryInUse when another server has it.
    """
    with ExitStack() as opening:
        opening.enter_context(_taken(settings.data_dir))
        store = Store.open(settings)
        opening.callback(store.close)
        services = _services(settings, store, run)
        held = opening.pop_all()
    app = FastAPI(title="Rowferry", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan(services, held))
    app.state.services = services
    app.state.sessions = Sessions(services.accounts, services.box)
    app.router.routes.append(_mount(create_api(services, app.state.sessions)))
    return app


def start_streams(ground: Ground) -> Running:
    """What runs streams on this machine: worker processes, fed by the embedded bus."""
    hub, metrics, fleet = LogHub(), PrometheusMetrics(), Fleet(ground.settings)
    streams = Streams(
        ground.store,
        ground.configs,
        ground.connections,
        fleet,
        hub=hub,
        metrics=metrics,
        settings=ground.settings,
    )
    verifications = Verifications(
        ground.store, ground.connections, ground.settings, launch=fleet.launch, publish=streams.publish
    )
    return Running(streams, verifications, hub, metrics, {"workers": fleet.check})


def connect_account(settings: Settings, email: str, password: str | None) -> dict[str, str]:
    """The account's e-mail, API key and install ID; it is created if there is none, whether a server runs or not.

    Without a password nobody can log in to the app with this account until one is set. Conflict when the
    account belongs to another e-mail address.
    """
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    store = Store.open(settings)
    try:
        accounts = Accounts(store, Box.open(settings, store))
        known = accounts.get()
        if known is None:
            accounts.create(email, password or secrets.token_urlsafe(24))
        elif known.email.casefold() != email.strip().casefold():
            raise Conflict("This installation's account has another e-mail address: give that one.")
        elif password:
            accounts.set_password(password)
        return {"apiKey": accounts.api_key(), "installId": accounts.install_id, "email": email.strip()}
    finally:
        store.close()


def _services(settings: Settings, store: Store, run: Callable[[Ground], Running]) -> Services:
    store.idempotency.release_unanswered()
    box = Box.open(settings, store)
    references = References(roots=settings.secrets)
    connections = Connections(store, box, references=references, roots=settings.files)
    configs = Configs(store, connections)
    running = run(Ground(settings, store, connections, configs))
    return Services(
        settings=settings,
        store=store,
        box=box,
        accounts=Accounts(store, box),
        connections=connections,
        catalog=Catalog(connections),
        configs=configs,
        streams=running.streams,
        verifications=running.verifications,
        history=History(store, configs),
        system=System(store, settings, {"state": store.ping, **running.probes}),
        feed=running.feed,
        metrics=running.metrics,
    )


def _lifespan(services: Services, held: ExitStack) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        with held:
            await run_in_threadpool(services.verifications.recover)
            await run_in_threadpool(services.streams.recover)
            try:
                yield
            finally:
                await run_in_threadpool(services.verifications.shutdown)
                await run_in_threadpool(services.streams.shutdown)

    return lifespan


def _mount(api: FastAPI) -> Mount:
    """The API in its place, whatever characters the rest of the path holds: a line feed belongs to it, too."""
    mount = Mount(BASE_PATH, api)
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DataDirectoryInUse(f"Another server uses {folder}: stop it, or choose another --data-dir.") from error
    try:
        yield
    finally:
        lock.release()
