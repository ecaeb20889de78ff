"""Clients that send or read a byte a second, and how long the service puts up with each."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

_OPENED_PER_S = 100
_HEAD = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nX-Slow: "
_BODY = b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
_UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 100  # 6.6 MB, over the kernel's 4

KINDS = {"head": _HEAD, "body": _BODY, "reader": _UNREAD}


class _Client:
    """One slow client: what it sends at first tells its kind."""

    def __init__(self, port: int, kind: str) -> None:
        self.kind = kind
        self.held_s = 0.0  # for how long the service was seen to hold its connection
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # Until it is closed here its port is nobody else's, whatever the service does with it.
        self._socket.bind(("127.0.0.1", 0))
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(KINDS[kind])
        self._socket.setblocking(False)
        self.began = time.monotonic()
        self.number: int = self._socket.getsockname()[1]

    def go_on(self) -> None:
        """Send or read one byte more, where there still is somebody to."""
        try:
            if self.kind == "reader":
                self._socket.recv(1)
            else:
                self._socket.send(b"a")
        except OSError:
            pass

    def close(self) -> None:
        self._socket.close()


class SlowClients:
    """`with SlowClients(...) as slow:` keeps so many of each kind in `KINDS` going."""

    def __init__(self, port: int, counts: dict[str, int], held: Callable[[], set[int]]) -> None:
        """`held` tells the ports of all clients whose connections the service holds."""
        self._port = port
        self._kinds = [kind for kind, count in counts.items() for _ in range(count)]
        random.Random(5).shuffle(self._kinds)
        self._held = held
        self._clients: list[_Client] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self._drip, self._watch)]

    def __enter__(self) -> Self:
        for kind in self._kinds:
            self._clients.append(_Client(self._port, kind))
            time.sleep(1 / _OPENED_PER_S)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for client in self._clients:
            client.close()

    def held_s(self, kind: str) -> Sequence[float]:
        """Return for how long each client of a kind was held, in seconds."""
        return [client.held_s for client in self._clients if client.kind == kind]

    def _drip(self) -> None:
        while not self._stop.wait(1):
            for client in self._clients:
                client.go_on()

    def _watch(self) -> None:
        while not self._stop.wait(0.4):
            now, held = time.monotonic(), self._held()
            for client in self._clients:
                if client.number in held:
                    client.held_s = now - client.began
