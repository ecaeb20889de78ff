"""gunicorn's gevent worker with the things it lacks, and an application with a deadline.

Loaded inside gunicorn's worker only: gevent is there, and has patched the standard library.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from functools import partial
from types import SimpleNamespace
from typing import Any

import gevent
from gevent.server import StreamServer
from gunicorn.http.errors import InvalidHeader
from gunicorn.workers.base_async import AsyncWorker
from gunicorn.workers.ggevent import GeventWorker

from bench.servers.app import (
    BODY_LIMIT,
    BodyError,
    Environ,
    StartResponse,
    read_body,
    serve,
)

BODY_S = 20.0
SEND_S = 20.0
LINGER_S = 2.0
PIECE = 65536  # bytes


class Server(StreamServer):
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
    """A worker that a client who does not read, or does not stop sending, cannot hold."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server_class = self.server  # where the parent lets a worker bring its own

    def server(self, listener: Any, spawn: Any, **_: Any) -> Server:
        """Return what accepts connections from `listener`; called once, by the parent's `run`."""
        # A handler asks the listener for its name; those taken last start when it is closed.
        name = listener.getsockname()
        named = SimpleNamespace(getsockname=lambda: name)
        return Server(listener, handle=partial(self.handle, named), spawn=spawn)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """As the parent, but with a time limit on each send; the parent's has none."""
        client.settimeout(SEND_S)
        AsyncWorker.handle(self, listener, client, addr)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> None:
        """Serve one request that names its host, and leave no rest of its body unread.

        Closing a socket that has unread bytes resets it, and the client loses the answer.
        The parent reads the rest without a bound, or closes at once. The application's own
        'Connection: close' never leaves gunicorn, so what is too long is closed from here.
        """
        names = {name for name, _ in req.headers}
        if req.version >= (1, 1) and "HOST" not in names:
            raise InvalidHeader("HOST", req=req)
        if any(name == "CONTENT-LENGTH" and int(value) > BODY_LIMIT for name, value in req.headers):
            req.force_close()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            if not drain(req.body):
                req.force_close()


def drain(body: Any) -> bool:
    """Read at most `BODY_LIMIT` bytes for at most `LINGER_S`; return whether the end came."""
    left = BODY_LIMIT
    # A reset or a broken chunk: the end did not come either.
    with contextlib.suppress(gevent.Timeout, Exception), gevent.Timeout(LINGER_S):
        while left > 0:
            piece = body.read(PIECE)
            if not piece:
                return True
            left -= len(piece)
            gevent.sleep(0)  # a fast sender's socket is always ready: it would never let go
    return False


def bounded(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """The application under test, with the whole body due in `BODY_S`."""
    return serve(environ, start_response, read_whole)


def read_whole(environ: Environ) -> int:
    """Read the body. Raises `BodyError` if it takes longer than `BODY_S` or ends too soon.

    gunicorn hands a body that was cut off to the application as if it were whole.
    """
    with gevent.Timeout(BODY_S, BodyError("408 Request Timeout")):
        received = read_body(environ)
    if received < int(environ.get("CONTENT_LENGTH") or 0):
        raise BodyError("400 Bad Request")
    return received
