"""The WSGI server: gunicorn with gevent workers. `docs/server.md` says why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from shared.settings import Settings


class Server(BaseApplication):  # type: ignore[misc]
    """A parent process that keeps `processes` web processes alive on one port."""

    def __init__(self, settings: Settings, processes: int, make_app: Callable[[], Flask]) -> None:
        """`make_app` runs once in each web process, after gevent has patched it."""
        self._settings = settings
        self._processes = processes
        self._make_app = make_app
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings; see its documentation for each."""
        settings: dict[str, Any] = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": self._processes,
            "worker_class": "gevent",
            "worker_connections": 2000,
            "keepalive": 75,
            "graceful_timeout": self._settings.max_deadline_ms // 1000 + 5,
            "timeout": 60,
            "loglevel": "warning",
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application of this web process."""
        return self._make_app()
