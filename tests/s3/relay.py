"""A way to an object store that listens, lags, breaks off and turns away: a real one, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_BLOCK = 65536
_BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Relay:
    """What happens to those who come this way. All of it may be changed while they do.

    `lag`: seconds that each block of an answer waits. `down`, `up`: after how many bytes of an answer, or of what is
    sent, a connection is cut; each number counts for one connection. `busy`: how many requests are answered by 503.
    """

    port: int = 0
    lag: float = 0.0
    down: list[int] = field(default_factory=list)
    up: list[int] = field(default_factory=list)
    busy: int = 0
    heard: bytearray = field(default_factory=bytearray)
    answered: int = 0
    cuts: int = 0

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, method: bytes) -> int:
        """How many requests of that method were heard."""
        return bytes(self.heard).count(method + b" /")

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Bytes both ways until one side ends, or what is to happen happens."""
        back = threading.Thread(target=self._answers, args=(near, far), daemon=True)
        back.start()
        self._requests(near, far)
        back.join()

    def _requests(self, near: socket.socket, far: socket.socket) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while data := near.recv(_BLOCK):
                self.heard.extend(data)
                if self.busy and data.split(b" ", 1)[0] in (b"GET", b"PUT", b"POST", b"HEAD", b"DELETE"):
                    self.busy -= 1
                    near.sendall(_BUSY)
                    break
                sent += len(data)
                if self.up and sent > self.up[0]:
                    self.up.pop(0)
                    self._cut(near)
                    break
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)

    def _answers(self, near: socket.socket, far: socket.socket) -> None:
        got = 0
        with contextlib.suppress(OSError):
            while data := far.recv(_BLOCK):
                got += len(data)
                self.answered += len(data)
                if self.down and got > self.down[0]:
                    self.down.pop(0)
                    self._cut(near)
                    break
                time.sleep(self.lag)
                near.sendall(data)
            near.shutdown(socket.SHUT_RDWR)

    def _cut(self, near: socket.socket) -> None:
        """As a machine does that has lost its memory."""
        self.cuts += 1
        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        near.shutdown(socket.SHUT_RDWR)
        near.close()


@contextlib.contextmanager
def relay(port: int) -> Iterator[Relay]:
    """A way to the store on that port."""
    way = Relay()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as far:
                way.carry(self.request, far)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        way.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield way
        server.shutdown()
        thread.join()
