"""The servers that are compared, each as it would be run here: two processes, same limits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var" / "servers"

GUNICORN = (
    *("gunicorn", "--workers", "2", "--bind", "127.0.0.1:{port}", "--backlog", "1024"),
    *("--worker-connections", "1000", "--keep-alive", "10", "--graceful-timeout", "15"),
    *("--limit-request-fields", "64", "--limit-request-field_size", "8190"),
    *("--no-control-socket", "--log-level", "warning"),
)
APP = "bench.servers.app:application"


@dataclass(frozen=True)
class Candidate:
    """A server and how it is started.

    `packages` are installed into an environment of its own under `var/`; without any it runs
    in ours. `command` starts with a program of that environment; `{port}` stands for the port.
    """

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()

    def install(self) -> bool:
        """Make the environment if it is not there; return whether it is."""
        if not self.packages or self._ready.exists():
            return True
        for line in (
            [sys.executable, "-m", "venv", "--clear", str(self._home)],
            [str(self._home / "bin/pip"), "install", "--quiet", *self.packages],
        ):
            if subprocess.run(line, capture_output=True, timeout=240).returncode:
                return False
        self._ready.touch()
        return True

    def argv(self, port: int) -> list[str]:
        """Return the command line that serves on `port` of the loopback."""
        program, *rest = (part.format(port=port) for part in self.command)
        return [str(self._bin / program), *rest]

    def versions(self) -> str:
        """Return the installed version of each package that makes up the server."""
        code = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
        names = self.packages or ("gunicorn", "gevent")
        argv = [str(self._bin / "python"), "-c", code, *names]
        found = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
        return ", ".join(" ".join(pair) for pair in zip(names, found, strict=True))

    @property
    def _home(self) -> Path:
        return VAR / self.name.replace(" ", "-")

    @property
    def _ready(self) -> Path:
        return self._home / "ready"

    @property
    def _bin(self) -> Path:
        return self._home / "bin" if self.packages else Path(sys.executable).parent


def prefork(name: str) -> tuple[str, ...]:
    """Return the command for a server without a parent of its own."""
    return ("python", "-m", "bench.servers.prefork", name, "{port}")


CANDIDATES = (
    Candidate("gevent.pywsgi", prefork("pywsgi")),
    Candidate("gunicorn gevent", (*GUNICORN, "--worker-class", "gevent", APP)),
    Candidate(
        "gunicorn gevent, hardened",
        ("python", "-m", "bench.servers.hardened", "{port}"),
    ),
    Candidate(
        "gunicorn gevent, C parser",
        (*GUNICORN, "--worker-class", "gevent", "--http-parser", "fast", APP),
        ("gunicorn", "gevent", "packaging", "gunicorn_h1c"),
    ),
    Candidate("gunicorn gevent_pywsgi", (*GUNICORN, "--worker-class", "gevent_pywsgi", APP)),
    Candidate(
        "gunicorn gthread", (*GUNICORN, "--worker-class", "gthread", "--threads", "128", APP)
    ),
    Candidate("cheroot", prefork("cheroot"), ("cheroot",)),
    Candidate("waitress", prefork("waitress"), ("waitress",)),
    Candidate(
        "granian",
        (
            *("granian", "--interface", "wsgi", "--http", "1", "--no-ws", "--workers", "2"),
            *("--blocking-threads", "128", "--http1-header-read-timeout", "10000"),
            *("--respawn-failed-workers", "--workers-kill-timeout", "15"),
            *("--host", "127.0.0.1", "--port", "{port}", "--log-level", "warning", APP),
        ),
        ("granian",),
    ),
    Candidate(
        "uWSGI gevent",
        (
            *("uwsgi", "--http", "127.0.0.1:{port}", "--http-keepalive=10"),
            *("--http-timeout", "10", "--master", "--processes", "2"),
            *("--gevent", "1000", "--gevent-early-monkey-patch", "--listen", "1024"),
            *("--buffer-size", "8192", "--worker-reload-mercy", "15"),
            *("--hook-master-start", "unix_signal:15 gracefully_kill_them_all"),
            *("--disable-logging", "--need-app", "--module", APP),
        ),
        ("uwsgi", "gevent"),
    ),
    Candidate("bjoern", ("python", "-c", "import bjoern"), ("bjoern",)),
)
