"""gunicorn's gevent worker with what it lacks. `docs/server.md` has each lack as it was seen."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from types import SimpleNamespace
from typing import Any

import gevent
import gevent.socket
from gevent.server import StreamServer
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

_LINGER_S = 2.0
_PIECE = 65536  # bytes


class Connection(gevent.socket.socket):
    """A client's socket that sends an answer in one packet, where gunicorn would send two."""

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        """Send; a response's header, which gunicorn sends apart, waits for what follows it."""
        if data.startswith(b"HTTP/") and data.endswith(b"\r\n\r\n"):
            flags |= socket.MSG_MORE
        super().sendall(data, flags)

    def flush(self) -> None:
        """Send a header that nothing followed."""
        with contextlib.suppress(OSError):  # closed by now
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class DrainingServer(StreamServer):
    """gevent's server; before its end it takes those whom the kernel has let in already.

    They would be reset, unanswered, when the last process closes the listening socket.
    """

    max_accept = 1  # one connection a turn, so that the processes share

    def close(self) -> None:
        """Take who waits, then accept no more."""
        while taken := self.do_read():
            self.do_handle(*taken)
        super().close()


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """A web process that a client who does not read, or does not stop sending, cannot hold."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = self.server  # where the parent lets a worker bring its own

    def server(self, listener: Any, spawn: Any, **_: Any) -> DrainingServer:
        """Return what accepts connections from `listener`; called once, by the parent's `run`."""
        # A handler asks the listener for its name; those taken last start when it is closed.
        name = listener.getsockname()
        named = SimpleNamespace(getsockname=lambda: name)
        return DrainingServer(listener, handle=partial(self.handle, named), spawn=spawn)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """As the parent, but with a time limit on each send; the parent's has none."""
        connection = Connection(client.family, client.type, client.proto, fileno=client.detach())
        connection.settimeout(self.app.settings.body_timeout_s)
        AsyncWorker.handle(self, listener, connection, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request that names its host, and leave no rest of its body unread.

        Closing a socket that has unread bytes resets it, and the client loses the answer.
        The parent reads the rest without a bound, or closes at once. The application's own
        'Connection: close' never leaves gunicorn, so what is too long is closed from here.
        """
        limit = self.app.settings.max_body_bytes
        names = {name for name, _ in req.headers}
        if req.version >= (1, 1) and "HOST" not in names:
            raise InvalidHeader("HOST", req=req)
        if any(name == "CONTENT-LENGTH" and int(value) > limit for name, value in req.headers):
            req.force_close()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()
            if not _drain(req.body, limit):
                req.force_close()


def _drain(body: Any, limit: int) -> bool:
    """Read at most `limit` bytes for at most `_LINGER_S`; return whether the end came."""
    # A reset or a broken chunk: the end did not come either.
    with contextlib.suppress(gevent.Timeout, Exception), gevent.Timeout(_LINGER_S):
        while limit > 0:
            piece = body.read(_PIECE)
            if not piece:
                return True
            limit -= len(piece)
            gevent.sleep(0)  # a fast sender's socket is always ready: it would never let go
    return False
