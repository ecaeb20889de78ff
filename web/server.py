"""The WSGI server: gunicorn with its gevent worker. `docs/server.md` says why."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from gunicorn.app.base import BaseApplication

from shared.settings import Settings

WSGI = Callable[..., Iterable[bytes]]


class Server(BaseApplication):  # type: ignore[misc]
    """A parent process that keeps `processes` web processes alive on one port."""

    def __init__(self, settings: Settings, processes: int, make_app: Callable[[], WSGI]) -> None:
        """`make_app` runs once in each web process, after gevent has patched it."""
        self.settings = settings
        self._processes = processes
        self._make_app = make_app
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; see its documentation for each."""
        values: dict[str, Any] = {
            "bind": f"{self.settings.host}:{self.settings.port}",
            "workers": self._processes,
            "worker_class": "web.gunicorn_worker.Worker",
            "worker_connections": 1000,
            "backlog": 1024,
            "keepalive": self.settings.header_timeout_s,  # idle, and then the whole next header
            "limit_request_fields": 64,
            "http_parser": "python",  # the C parser takes folded headers and bare line feeds
            "graceful_timeout": self.settings.max_deadline_ms // 1000 + 5,
            "timeout": 60,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in values.items():
            self.cfg.set(name, value)

    def load(self) -> WSGI:
        """Return the application of this web process."""
        return self._make_app()
