"""The service that faults are injected into: a real Redis, web processes and workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import redis
import requests

from bench.chaos.row import Needs
from bench.compare.environment import VAR
from bench.compare.tagger import ROOT
from bench.scaling.service import free_port
from deploy import redis_server
from shared import keys
from shared.manifest import read_model
from shared.processes import Child, spawn, stop_all
from shared.queue import Census, Queue
from shared.settings import Settings

MODEL = read_model(ROOT / "models" / "tags")
_START_S = 60.0


class Stage:
    """A running service; `with Stage(needs) as stage:` stops it and all its processes."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self._exits = ExitStack()
        self._folder = Path(
            self._exits.enter_context(tempfile.TemporaryDirectory(prefix="batchpoint-chaos-"))
        )
        self._ran = self._folder / "inferences"
        self._models = self._folder / "models"  # with nothing but the one that is asked
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = VAR / "logs" / f"chaos-{self.port}.log"

    def __enter__(self) -> Self:
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self._models.mkdir()
            (self._models / MODEL.name).symlink_to(ROOT / "models" / MODEL.name)
            self._output = self._exits.enter_context(self.log.open("wb"))
            self.redis, self.redis_url = redis_server.start(self._folder)
            self._exits.callback(lambda: stop_all([self.redis], patience_s=5))
            self.client = redis.Redis.from_url(self.redis_url)
            self._exits.callback(self.client.close)
            through = self.needs.through
            self._used_url = (
                self._exits.enter_context(through(self.redis_url)) if through else self.redis_url
            )
            self.start_workers()
            self._exits.callback(lambda: stop_all([self.workers_parent], patience_s=40))
            self.start_web()
            self._exits.callback(lambda: stop_all([self.web_parent], patience_s=40))
            self.recover()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for parent in (self.workers_parent, self.web_parent, self.redis):
            for process in family(parent.pid):  # one that a row left stopped would not end
                process.resume()
        self._exits.close()

    # --- its processes

    def start_redis(self) -> None:
        """Start Redis again, empty, where the one before was."""
        self.redis, _ = redis_server.start(self._folder)

    def start_workers(self) -> None:
        """Start the parent of the workers."""
        needs = self.needs
        if needs.engine == "quick":
            command = [
                *("-m", "bench.chaos.engine", "--log", str(self._ran)),
                *("--ms-per-batch", str(needs.ms_per_batch)),
                *("--ms-per-image", str(needs.ms_per_image)),
            ]
        else:
            command = ["run_worker.py"]
        command += ["--processes", str(needs.workers)]
        # A quick engine warms up by waiting, for each size.
        own = {"MAX_BATCH": "8"} if needs.engine == "quick" else {"ENGINE": needs.engine}
        settings = {**own, **dict(needs.settings + needs.worker_settings)}
        self.workers_parent = self.spawn(command, **settings)

    def start_web(self) -> None:
        """Start the parent of the web processes."""
        command = ["run_web.py", "--processes", str(self.needs.web_processes)]
        settings = dict(self.needs.settings + self.needs.web_settings)
        self.web_parent = self.spawn(command, **settings)

    def spawn(self, arguments: list[str], **settings: str) -> Child:
        """Start one more of our processes on this Redis."""
        environment = {
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self._used_url,
            "PORT": str(self.port),
            "MODELS_FOLDER": str(self._models),
            "TF_CPP_MIN_LOG_LEVEL": "2",
            **settings,
        }
        words = [f"{name}={value}" for name, value in environment.items()]
        command = ["env", "-C", str(ROOT), *words, sys.executable, *arguments]
        return spawn(command, self._output.fileno())

    def web_processes(self) -> list[psutil.Process]:
        """Return the web processes that serve, without their parent."""
        return psutil.Process(self.web_parent.pid).children()

    # --- how it is

    def queue(self) -> Queue:
        """Return the queue of the model that is asked, on a connection past `through`."""
        return Queue(self.client, MODEL.queue, Settings())

    def census(self) -> Census:
        """Return what its queue looks like."""
        return self.queue().census()

    def ready(self) -> list[dict[str, Any]]:
        """Return what the live, warmed-up workers say of themselves, `pid` and `token` in it.

        One that was killed counts for the rest of its heartbeat; it is left out here.
        """
        return [worker for worker in self.census().workers if is_alive(int(worker["pid"]))]

    def held_by(self, token: str) -> int:
        """Return how many requests are under a lease of that worker."""
        owners: dict[bytes, bytes] = self.client.hgetall(keys.prefix(MODEL.queue) + "owners")  # type: ignore[assignment]
        return list(owners.values()).count(token.encode())

    def left_behind(self) -> set[str]:
        """Return what is in Redis but for living workers: `queue`, `leases`, `result` and so on."""
        prefix = keys.prefix(MODEL.queue)
        found: list[bytes] = self.client.keys(prefix + "*")  # type: ignore[assignment]
        names = {key.decode().removeprefix(prefix).split(":")[0] for key in found}
        return names - {"workers", "worker", "sent", "since", "drained"}

    def gauges(self) -> dict[str, float]:
        """Return what `/metrics` says of the queue of the model, by name."""
        text = requests.get(f"{self.url}/metrics", timeout=5).text
        lines = (
            line.rpartition(" ") for line in text.splitlines() if f'model="{MODEL.name}"' in line
        )
        return {
            name.partition("{")[0].removeprefix("batchpoint_"): float(value)
            for name, _, value in lines
            if "_total" not in name and "_seconds" not in name
        }

    def readiness(self) -> int:
        """Return the status of `/readyz`; 0 where nobody answers."""
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code
        except requests.RequestException:
            return 0

    def inferences(self) -> Counter[int]:
        """Return how often the quick engine ran the photo of each number."""
        text = self._ran.read_text() if self._ran.exists() else ""
        return Counter(int(line) for line in text.split())

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return what its processes logged under a name, from the start on."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if f'"event": "{name}"' in line]

    @contextmanager
    def results_written(self) -> Iterator[Counter[str]]:
        """Count how often the result of each id is written while the block runs."""
        self.client.config_set("notify-keyspace-events", "K$")
        written = Counter[str]()
        key = keys.result(MODEL.queue, "")
        heard = self.client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        heard.psubscribe(
            **{
                f"__keyspace@*__:{key}*": lambda message: written.update(
                    [message["channel"].decode().rpartition(":")[2]]
                )
            }
        )
        thread = heard.run_in_thread(sleep_time=0.1)
        try:
            yield written
            time.sleep(0.2)  # what was written last is still on its way
        finally:
            thread.stop()
            thread.join()
            heard.close()
            self.client.config_set("notify-keyspace-events", "")

    # --- time

    @staticmethod
    def settle(seconds: float) -> None:
        """Let the load run."""
        time.sleep(seconds)

    @staticmethod
    def wait_until(holds: Callable[[], bool], patience_s: float) -> float:
        """Wait until `holds()`; return how long that took in seconds, infinite where it did not."""
        started = time.monotonic()
        while not holds():
            if time.monotonic() - started > patience_s:
                return float("inf")
            time.sleep(0.02)
        return time.monotonic() - started

    def recover(self) -> None:
        """Wait until all workers are ready and the web tier answers, and nothing is queued.

        Raises `RuntimeError` where that does not come.
        """
        parents = self.redis, self.workers_parent, self.web_parent
        until = time.monotonic() + _START_S
        while not (well := self._is_well()) and all(each.poll() is None for each in parents):
            if time.monotonic() > until:
                break
            time.sleep(0.05)
        if not well:
            text = self.log.read_text(errors="replace")[-3000:]
            raise RuntimeError(f"the service did not come back: {self.log}\n{text}")

    def _is_well(self) -> bool:
        try:
            return (
                len(self.ready()) == self.needs.workers
                and self.readiness() == 200
                and not self.left_behind() & {"queue", "leases", "leased", "pending"}
            )
        except redis.RedisError:
            return False


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process, which may have ended; after SIGKILL it has."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)
    while number == signal.SIGKILL and is_alive(pid):
        time.sleep(0.005)


def caught(stage: Stage) -> tuple[dict[str, Any], int]:
    """Stop a worker while it holds requests; return what it is, and how many it holds.

    After a second of looking it is one that may hold none.
    """
    until = time.monotonic() + 1
    while True:
        for worker in stage.ready():
            kill(worker["pid"], signal.SIGSTOP)  # it must not end what it holds meanwhile
            held = stage.held_by(worker["token"])
            if held or time.monotonic() > until:
                return worker, held
            kill(worker["pid"], signal.SIGCONT)
            time.sleep(0.005)


def is_alive(pid: int) -> bool:
    """Return whether there is such a process, and it has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its children, as far as they live."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
