"""A way to a server that can be cut, stalled and closed: a real one, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

_BLOCK = 65536


@dataclass
class Relay:
    """Carries bytes to a server and back. `carried`: how many there were."""

    server: int
    port: int = 0
    carried: int = 0
    _ways: set[socket.socket] = field(default_factory=set)
    _flows: threading.Event = field(default_factory=threading.Event)
    _closed: bool = False

    def __post_init__(self) -> None:
        self._flows.set()

    def cut(self) -> int:
        """Break off all connections, as a machine does that has lost its memory; how many there were."""
        ways = [*self._ways]
        for way in ways:
            _reset(way)
        return len(ways)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing comes through meanwhile, and nobody is told; what was sent arrives afterwards."""
        self._flows.clear()
        yield
        self._flows.set()

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """All connections are cut, and who connects meanwhile is cut at once."""
        self._closed = True
        self.cut()
        yield
        self._closed = False

    def carry(self, near: socket.socket) -> None:
        """Bytes both ways until one side ends."""
        if self._closed:
            _reset(near)
            return
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.server)) as far:
            self._ways |= {near, far}
            back = threading.Thread(target=self._one_way, args=(far, near), daemon=True)
            back.start()
            self._one_way(near, far)
            back.join()
            self._ways -= {near, far}

    def _one_way(self, origin: socket.socket, end: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := origin.recv(_BLOCK):
                self._flows.wait()
                end.sendall(data)
                self.carried += len(data)
        for one in (origin, end):
            _reset(one)


def _reset(way: socket.socket) -> None:
    with contextlib.suppress(OSError):
        way.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        way.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A way to the server on that port."""
    way = Relay(port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            way.carry(self.request)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

        def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
            """Closing is all there is to say to one that was reset."""
            assert isinstance(request, socket.socket)
            request.close()

    with Server(("127.0.0.1", 0), Handler) as server:
        way.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        yield way
        way.cut()
        server.shutdown()
        thread.join()
