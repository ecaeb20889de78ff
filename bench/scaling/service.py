"""The service under the sweep: a Redis of its own, web processes and workers that come and go."""

from __future__ import annotations

import http.client
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

import redis

from bench.compare.environment import VAR
from bench.compare.product import MANIFEST, make_images
from bench.compare.tagger import ROOT
from bench.compare.usage import MARK, Usage
from deploy import redis_server
from shared import keys
from shared.processes import Child, spawn, stop_all
from shared.queue import Census, Queue
from shared.settings import Settings
from shared.store import connect

ONE = VAR / "scaling" / "one"  # models folder with one of each
MANY = VAR / "scaling" / "many"  # with several of each
COPIES = 4  # of each model, to have several queues
WAITING = ("-m", "bench.waiting")
_START_S = 120.0
_KINDS = (
    ("redis-server", "redis"),
    ("run_web.py", "web"),
    ("bench.waiting", "worker"),
    ("run_worker.py", "worker"),
    ("bench.scaling.ends", "ends"),
    ("bench.compare.load", "users"),
)


@dataclass(frozen=True)
class Spent:
    """What has been used so far."""

    at: float  # monotonic seconds
    cpu_s: dict[str, float]  # by kind of process
    wire_mb: float  # into and out of Redis

    def since(self, before: Spent) -> Spent:
        """Return what was used after `before`; `at` is then how long that was."""
        cpu_s = {kind: self.cpu_s[kind] - before.cpu_s.get(kind, 0.0) for kind in self.cpu_s}
        return Spent(
            self.at - before.at,
            cpu_s,
            self.wire_mb - before.wire_mb,
        )


class Service:
    """`with Service() as service:` starts Redis; `set_web` and `set_workers` start the rest."""

    def __init__(self, tcp: bool = False, models: Path = ONE) -> None:
        """`tcp`: Redis on the loopback, not on a Unix socket."""
        self._folder = tempfile.TemporaryDirectory(prefix="batchpoint-scaling-")
        self._models = models
        self._tcp = tcp
        self._mark = secrets.token_hex(8)
        self._web: Child | None = None
        self._workers: dict[str, list[Child]] = {}
        self.port = free_port()
        self.usage = Usage(self._mark, _KINDS)
        self.log = VAR / "logs" / "scaling.log"

    def __enter__(self) -> Service:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.log.open("wb")
        if self._tcp:
            port = free_port()
            self.redis_url = f"redis://127.0.0.1:{port}/0"
            self._redis = spawn(
                [
                    *(redis_server.find_server(), "--port", str(port), "--bind", "127.0.0.1"),
                    *("--save", "", "--appendonly", "no"),
                ],
                self._log.fileno(),
            )
        else:
            self._redis, self.redis_url = redis_server.start(Path(self._folder.name))
        self.client = connect(self.redis_url)
        self.wait_until(self._redis_answers, "Redis")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        workers = [child for each in self._workers.values() for child in each]
        stop_all([self._web] if self._web else [], patience_s=3)
        stop_all(workers, patience_s=5)
        stop_all([self._redis], patience_s=5)
        self.usage.kill()
        self._log.close()
        self._folder.cleanup()

    def set_web(self, processes: int, models: Path | None = None, **settings: str) -> None:
        """Serve `models` with that many web processes; those of before end."""
        self._models = models or self._models
        if self._web:
            stop_all([self._web], patience_s=3)
            self._web, self.port = None, free_port()
        if processes:
            command = ["run_web.py", "--processes", str(processes)]
            self._web = self.start(command, False, **settings)
            self.wait_until(self._web_answers, "the web tier")

    def set_workers(
        self,
        workers: Mapping[str, int],
        command: Sequence[str] = WAITING,
        **settings: str,
    ) -> None:
        """Let every model have that many workers, each a process of `command`."""
        for model, children in self._workers.items():
            keep = workers.get(model, 0)
            stop_all(children[keep:], patience_s=10)
            del children[keep:]
        for model, count in workers.items():
            children = self._workers.setdefault(model, [])
            while len(children) < count:
                children.append(self.start(command, False, MODEL=model, **settings))
        for model, count in workers.items():
            self.wait_until(partial(self.has_workers, model, count), f"{count} workers of {model}")

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until `holds()`. Raises `RuntimeError` where a process ended, or it takes long."""
        until = time.monotonic() + _START_S
        while not holds():
            children = [each for some in self._workers.values() for each in some]
            children += [self._redis, *([self._web] if self._web else [])]
            if time.monotonic() > until or any(each.poll() is not None for each in children):
                raise RuntimeError(f"{what} did not start: see {self.log}")
            time.sleep(0.05)

    def has_workers(self, model: str, count: int) -> bool:
        """Return whether just so many live workers serve `model`."""
        return len(self.census(model).workers) == count

    def start(
        self, arguments: Sequence[str], pipe: bool = False, /, **settings: str
    ) -> subprocess.Popen[bytes]:
        """Start one of our processes with this service's settings; what it says is kept."""
        environment = {
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self.redis_url,
            "PORT": str(self.port),
            "MODELS_FOLDER": str(self._models),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            MARK: self._mark,
            **settings,
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", *words, sys.executable, *arguments]
        return spawn(command, subprocess.PIPE if pipe else self._log.fileno())

    def census(self, model: str) -> Census:
        """Return what the queue of `model`'s first version looks like."""
        return Queue(self.client, f"{model}:1", Settings()).census()

    def spent(self) -> Spent:
        """Return what all processes have used so far."""
        info = self.client.info()
        # Redis says it to the microsecond, and it bears no mark of ours.
        cpu_s = {**self.usage.cpu_s(), "redis": info["used_cpu_sys"] + info["used_cpu_user"]}
        wire = info["total_net_input_bytes"] + info["total_net_output_bytes"]
        return Spent(time.monotonic(), cpu_s, wire / 1e6)

    def result_kb(self, model: str) -> float:
        """Return what one kept result of `model` holds in Redis; 0 where none is kept."""
        for key in self.client.scan_iter(match=keys.result(model, "*"), count=1000):
            return int(self.client.memory_usage(key) or 0) / 1000
        return 0.0

    def _redis_answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def _web_answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/livez")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def make_models() -> None:
    """Write the folders of models: `tags` and `product`, once and several times.

    The engine that waits reads no graph, so `product` has an empty one.
    """
    for folder, copies in ((ONE, 1), (MANY, COPIES)):
        folder.mkdir(parents=True, exist_ok=True)
        for name in names("tags", copies):
            if not (folder / name).exists():
                (folder / name).symlink_to(ROOT / "models" / "tags")
        for name in names("product", copies):
            version = folder / name / "1"
            version.mkdir(parents=True, exist_ok=True)
            (folder / name / "model.toml").write_text(MANIFEST, encoding="utf-8")
            (version / "digits.txt").write_text("\n".join(map(str, range(10))), encoding="utf-8")
            (version / "product.pb").touch()
    make_images(VAR / "photos" / "product")


def names(model: str, count: int) -> list[str]:
    """Return the names of the first `count` copies of a model."""
    return [model, *(f"{model}-{number}" for number in range(2, count + 1))]


def free_port() -> int:
    """Return a TCP port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
