"""The WSGI server: gunicorn with its gevent worker. `docs/server.md` says why."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from shared.mirror import Follower
from shared.settings import Settings

_CONNECTIONS = 4096  # of each web process; an idle one takes 11 KiB
_OTHER_FILES = 128


class Parent(Arbiter):  # type: ignore[misc]
    """gunicorn's parent process, whose children miss no SIGTERM."""

    def spawn_worker(self) -> int:
        """Fork a web process; a SIGTERM to it waits until it has taken up its own handler.

        The one that it inherits would swallow it: the child would go on, and be killed with what
        it serves when its time is over. `web.gunicorn_worker.Worker.init_signals` ends the wait.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return int(super().spawn_worker())
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def manage_workers(self) -> None:
        """Look after the web processes, each second, and after the mirror."""
        super().manage_workers()
        if self.app.follower:
            self.app.follower.run_once(time.monotonic())


class Server(BaseApplication):  # type: ignore[misc]
    """A parent process that keeps `processes` web processes alive on one port."""

    def __init__(
        self,
        settings: Settings,
        processes: int,
        make_app: Callable[[], WSGIApplication],
        follower: Follower | None = None,
    ) -> None:
        """`make_app` runs once in each web process, after gevent has patched it."""
        self.settings = settings
        self.follower = follower
        self._processes = processes
        self._make_app = make_app
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; see its documentation for each."""
        values: dict[str, Any] = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": self._processes,
            "worker_class": "web.gunicorn_worker.Worker",
            "worker_connections": _room_for_connections(),
            "backlog": 2048,
            "keepalive": self.settings.header_timeout_s,  # idle, and then the whole next header
            "limit_request_fields": 64,
            "http_parser": "python",  # the C parser takes folded headers and bare line feeds
            # What a proxy says is in `web.access`; a client on this host is no proxy by that.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "graceful_timeout": self.settings.max_deadline_ms // 1000 + 5,
            "timeout": 60,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        Parent(self).run()

    def load(self) -> WSGIApplication:
        """Return the application of this web process."""
        return self._make_app()


def _room_for_connections() -> int:
    """Raise the limit of open files as far as needed and allowed; return how many may be clients.

    Where a shell sets it, it is often 1,024.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return soft - _OTHER_FILES
    return _CONNECTIONS
