"""gunicorn's gevent worker with what it lacks. `docs/server.md` has each lack as it was seen."""

from __future__ import annotations

import contextlib
import signal
from functools import partial
from types import SimpleNamespace
from typing import Any

import gevent
from gevent.server import StreamServer
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

from web.connection import LINGER_S, Connection

_PIECE = 65536  # bytes


class DrainingServer(StreamServer):
    """gevent's server; before its end it takes those whom the kernel has let in already.

    They would be reset, unanswered, when the last process closes the listening socket.
    """

    # Connections in one turn of the loop. With one, as gunicorn has it, those who are served keep
    # the others out: a turn is as long as they are many.
    max_accept = 100

    def do_read(self) -> Any:
        """Accept a connection and return it with its address, or None where none waits."""
        listener: Any = self.socket
        try:
            number, address = listener._accept()
        except BlockingIOError:
            return None
        return Connection(listener.family, listener.type, listener.proto, number), address

    def close(self) -> None:
        """Take who waits, as many as there is room for, then accept no more.

        The parent calls it again where some are still served when their time is over.
        """
        # No file left, or a client that was there is gone: nobody waits, and the end goes on.
        with contextlib.suppress(OSError):
            while not self.closed and not self.full() and (taken := self.do_read()):
                self.do_handle(*taken)
        super().close()


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no type hints
    """A web process that a client who does not read, or does not stop sending, cannot hold."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = self.server  # where the parent lets a worker bring its own

    def init_signals(self) -> None:
        """As the parent, and then take a SIGTERM that came before; see `web.server.Parent`."""
        super().init_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def server(self, listener: Any, spawn: Any, **_: Any) -> DrainingServer:
        """Return what accepts connections from `listener`; called once, by the parent's `run`."""
        # A handler asks the listener for its name; those taken last start when it is closed.
        name = listener.getsockname()
        named = SimpleNamespace(getsockname=lambda: name)
        self._server = DrainingServer(listener, handle=partial(self.handle, named), spawn=spawn)
        return self._server

    def handle(self, listener: Any, client: Connection, addr: Any) -> None:
        """As the parent, but a connection may refuse by itself before HTTP is parsed."""
        if self._refuse(client):
            AsyncWorker.handle(self, listener, client, addr)
        else:
            client.close()

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
        if not self._stays():
            req.force_close()
        sock.expect_body()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.flush()
            sock.expect_head()  # the rest of the body has a time of its own
            if req.body.failed or not _drain(req.body, limit):
                req.force_close()
            gevent.sleep(0)  # who sends the next request with this one would never let go
        if not (req.must_close or req.unreader.buf.getvalue() or self._refuse(sock)):
            raise StopIteration  # as the parent, to close the connection

    def _refuse(self, client: Connection) -> bool:
        """Let a connection refuse by itself until there is a request to serve; False: no more."""
        admission = getattr(self.wsgi, "extensions", {}).get("admission")
        if admission is None:
            return True
        settings = self.app.settings
        idle_s, most_bytes = settings.header_timeout_s, settings.max_body_bytes
        return client.refuse(admission.refusal, self._stays, idle_s, most_bytes)

    def _stays(self) -> bool:
        """Return whether a connection may wait for another request: not while others wait."""
        return bool(self.alive and not self._server.full())


def _drain(body: Any, limit: int) -> bool:
    """Read at most `limit` bytes for at most `LINGER_S`; return whether the end came."""
    # A reset or a broken chunk: the end did not come either.
    with contextlib.suppress(gevent.Timeout, Exception), gevent.Timeout(LINGER_S):
        while limit > 0:
            piece = body.read(_PIECE)
            if not piece:
                return True
            limit -= len(piece)
            gevent.sleep(0)  # a fast sender's socket is always ready: it would never let go
    return False
