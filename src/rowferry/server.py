"""The web server: its socket, its one line when it is ready, and its end."""

from __future__ import annotations

import socket
import sys

import uvicorn
from fastapi import FastAPI

from rowferry.app import create_app, start_streams
from rowferry.config.settings import Settings
from rowferry.control.services import Services
from rowferry.errors import Conflict, InvalidInput
from rowferry.telemetry.setup import configure_logging
from rowferry.ui.mount import mount

USUAL_PORTS = (80, 8020)


class Server(uvicorn.Server):
    """uvicorn's server, which says where it is once it is, and when it ends."""

    def __init__(self, config: uvicorn.Config, url: str, services: Services) -> None:
        super().__init__(config)
        self._url = url
        self._services = services

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, then tell: the address on standard output, a set-up link on standard error."""
        await super().startup(sockets)
        if not self.started:
            return
        token = self._services.accounts.setup_token
        if token:
            print(f"Create the account: {self._url}/setup?token={token}", file=sys.stderr, flush=True)
        print(f"Rowferry is ready at {self._url}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say that the end has been heard, then end."""
        print("Rowferry ends; streams that run go on at its next start.", file=sys.stderr, flush=True)
        await super().shutdown(sockets)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; streams that run then go on after the next start."""
    configure_logging(settings.log_level)
    listening = _listen(settings)
    app: FastAPI = create_app(settings, start_streams)
    mount(app, app.state.services)
    host, port = listening.getsockname()[:2]
    shown = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104  shown only
    url = f"http://{shown}" if port == USUAL_PORTS[0] else f"http://{shown}:{port}"
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    Server(config, url, app.state.services).run(sockets=[listening])


def _listen(settings: Settings) -> socket.socket:
    ports = USUAL_PORTS if settings.port is None else (settings.port,)
    for port in ports:
        try:
            return _bind(settings.host, port)
        except PermissionError:
            continue
        except socket.gaierror as error:
            raise InvalidInput(f"{settings.host!r} is no address of this machine: choose another --host.") from error
        except OSError as error:
            if settings.port is not None:
                raise Conflict(f"Port {port} of {settings.host} cannot be bound: {error.strerror}.") from error
    raise Conflict(f"None of the ports {', '.join(map(str, ports))} can be bound: choose one with --port.")


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
    except OSError:
        listening.close()
        raise
    return listening
