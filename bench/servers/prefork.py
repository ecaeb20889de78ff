"""Two processes for the servers that bring no parent: `python -m bench.servers.prefork NAME PORT`.

Only what the comparison needs. The parent restarts nobody: that such a server has no parent of
its own is one of the things compared. Each server is imported where it runs, in an environment
of its own; elsewhere it is not installed.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

from bench.servers.app import BODY_LIMIT, application

HEADER_LIMIT = 32768  # bytes
THREADS = 128
DRAIN_S = 15


def main(name: str, port: int) -> None:
    """Fork two children that accept from one socket, pass SIGTERM on, and wait for them."""
    listener = socket.create_server(("127.0.0.1", port), backlog=1024, reuse_port=True)
    children = [fork(SERVERS[name], listener) for _ in range(2)]
    listener.close()

    def stop(*_: object) -> None:
        for pid in children:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for pid in children:
        os.waitpid(pid, 0)


def fork(serve: Callable[[socket.socket], None], listener: socket.socket) -> int:
    """Return the process id of a child that runs `serve`."""
    pid = os.fork()
    if pid == 0:
        serve(listener)
        os._exit(0)
    return pid


def pywsgi(listener: socket.socket) -> None:
    """gevent's own server; it has no limits to set but the number of connections."""
    from gevent import monkey

    monkey.patch_all()
    import gevent
    from gevent.pool import Pool
    from gevent.pywsgi import WSGIServer
    from gevent.socket import socket as GeventSocket

    shared = GeventSocket(fileno=listener.detach())
    server = WSGIServer(shared, application, spawn=Pool(1000), log=None)
    gevent.signal_handler(signal.SIGTERM, lambda: gevent.spawn(server.stop, DRAIN_S))
    server.serve_forever(stop_timeout=DRAIN_S)


def cheroot(listener: socket.socket) -> None:
    """CherryPy's server, a pool of threads; it takes no ready socket, but shares a port."""
    from cheroot import wsgi  # type: ignore[import-not-found]  # as above

    address = listener.getsockname()
    listener.close()
    server = wsgi.Server(
        address,
        application,
        numthreads=THREADS,
        timeout=10,
        request_queue_size=1024,
        reuse_port=True,
    )
    server.max_request_header_size = HEADER_LIMIT
    server.max_request_body_size = BODY_LIMIT
    server.shutdown_timeout = DRAIN_S
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.stop).start())
    server.start()


def waitress(listener: socket.socket) -> None:
    """Pylons' server: one thread reads and writes for all, a pool runs the application."""
    from waitress.server import create_server  # type: ignore[import-untyped]  # as above

    server = create_server(
        application,
        sockets=[listener],
        threads=THREADS,
        connection_limit=1000,
        channel_timeout=10,
        cleanup_interval=2,
        max_request_header_size=HEADER_LIMIT,
        max_request_body_size=BODY_LIMIT,
    )
    signal.signal(signal.SIGTERM, lambda *_: server.close())
    server.run()


SERVERS = {"pywsgi": pywsgi, "cheroot": cheroot, "waitress": waitress}

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
