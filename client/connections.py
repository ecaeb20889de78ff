"""Connections on which a whole answer has one time limit, not each piece of it."""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import urllib3


class _InTime(io.RawIOBase):
    """What comes from a socket, within the socket's time limit in all.

    The limit of a socket is for each read: who sends a byte now and then would never be left.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._bytes = sock.makefile("rb", buffering=0)
        limit_s = sock.gettimeout()
        self._until = None if limit_s is None else time.monotonic() + limit_s

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._until is not None:
            left_s = self._until - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("the answer did not end in time")
            self._socket.settimeout(left_s)
        return self._bytes.readinto(buffer)

    def close(self) -> None:
        self._bytes.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_InTime(sock))


class _Connection(urllib3.connection.HTTPConnection):
    """Whose `timeout` is what is left of it, when it was set: to connect, to send, to receive."""

    response_class = _Response
    _until: float | None = None

    @property
    def timeout(self) -> float | None:
        # Never 0: that would be a socket that does not wait at all.
        return None if self._until is None else max(self._until - time.monotonic(), 0.001)

    @timeout.setter
    def timeout(self, limit_s: float | None) -> None:
        self._until = None if limit_s is None else time.monotonic() + limit_s

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        sock.settimeout(self.timeout)  # for the TLS handshake, or for what is sent
        return sock


class _SecureConnection(_Connection, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class Connections(urllib3.PoolManager):
    """urllib3's, that keeps to the time limit however slowly an answer comes."""

    def __init__(self, count: int) -> None:
        """Keep up to `count` connections open."""
        super().__init__(maxsize=count, retries=False)
        self.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
