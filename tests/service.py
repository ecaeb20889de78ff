"""The whole service, started as `make run` starts it, on a port and a Redis of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
import requests

from deploy import redis_server
from shared.processes import stop_all
from shared.queue import Queue
from shared.settings import Settings

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A running service; `with Service(...) as service:` stops it and all its processes."""

    def __init__(self, **settings: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="batchpoint-test-")
        self._given = settings
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = Path(self._folder.name) / "log"

    def __enter__(self) -> Self:
        self._redis, self.redis_url = redis_server.start(Path(self._folder.name))
        self.client = redis.Redis.from_url(self.redis_url)
        self._environment = {
            **os.environ,
            "REDIS_URL": self.redis_url,
            "PORT": str(self.port),
            # One model, and no choice of its engine: each takes its time to start.
            "MODELS": "tags",
            "ENGINE": "litert",
            "MAX_BATCH": "4",  # a worker that starts measures and runs every size
            **self._given,
        }
        self._process = self.start("-m", "deploy.local")
        self.pid = self._process.pid
        try:
            self.wait_for_workers(int(self._given["WORKERS"]))
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        stop_all([self._process], patience_s=60)
        self.client.close()
        stop_all([self._redis], patience_s=5)
        self._folder.cleanup()

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start one more of our processes with this service's settings, and these."""
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**self._environment, **settings},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def restart_redis(self, pause_s: float) -> None:
        """Kill Redis and start it again, empty, after `pause_s`."""
        self._redis.kill()
        self._redis.wait()
        time.sleep(pause_s)
        self._redis, _ = redis_server.start(Path(self._folder.name))

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the launcher a signal and return its exit status."""
        self._process.send_signal(number)
        return self._process.wait(60)

    def queue(self) -> Queue:
        """Return the queue of model `tags`."""
        return Queue(self.client, "tags:1", Settings())

    def workers(self) -> list[dict[str, Any]]:
        """Return what the live workers say of themselves."""
        return self.queue().census().workers

    @contextmanager
    def workers_asleep(self) -> Iterator[None]:
        """Stop the workers for a moment, too short for them to count as dead."""
        pids = [worker["pid"] for worker in self.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def wait_for_workers(self, count: int) -> None:
        """Wait until `count` workers are warm and the web tier answers, for 90 s at most."""
        until = time.monotonic() + 90
        while time.monotonic() < until:
            if self._process.poll() is not None:
                break
            try:
                if requests.get(f"{self.url}/readyz", timeout=5).json().get("workers") == count:
                    return
            except (requests.ConnectionError, requests.Timeout):
                pass
            time.sleep(0.1)
        raise RuntimeError(f"no {count} workers:\n{self.log.read_text()[-4000:]}")

    def wait_for_model(self, name: str) -> None:
        """Wait until a model has a worker, for 60 s at most."""
        until = time.monotonic() + 60
        while requests.get(f"{self.url}/v2/models/{name}/ready", timeout=5).status_code != 200:
            if time.monotonic() > until:
                raise RuntimeError(f"no worker for {name}:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)
