"""A way to a server that can fall silent without being cut, as firewalls and sleeping machines do."""

from __future__ import annotations

import select
import socket
from threading import Event, Thread
from types import TracebackType
from typing import Self


class Stall:
    """Passes bytes on between whoever connects to `port` and a server, until `stalled` is set."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.stalled = Event()
        self._ended = Event()
        self._thread = Thread(target=self._pass_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _pass_on(self) -> None:
        other: dict[socket.socket, socket.socket] = {}
        while not self._ended.is_set():
            watched = [self._listener, *other] if not self.stalled.is_set() else []
            ready, _, _ = select.select(watched, [], [], 0.02)
            for one in ready:
                if one is self._listener:
                    client, _ = one.accept()
                    server = socket.create_connection(self._server)
                    other |= {client: server, server: client}
                elif one in other:
                    self._move(one, other)
        for one in other:
            one.close()

    def _move(self, one: socket.socket, other: dict[socket.socket, socket.socket]) -> None:
        try:
            data = one.recv(65536)
        except OSError:
            data = b""
        if data:
            other[one].sendall(data)
            return
        peer = other.pop(one)
        other.pop(peer)
        one.close()
        peer.close()
