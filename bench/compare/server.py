"""A server under test: started, proved right, loaded, watched, stopped."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from bench.compare.candidates import CORES, Candidate
from bench.compare.environment import VAR, install
from bench.compare.load import TOO_LATE, Job, Seen
from bench.compare.requests import encode, read_calls
from bench.compare.tagger import ROOT
from bench.compare.usage import MARK, Memory, Usage

START_S = 120.0
SETTLE_S = 2.0


class NotServing(Exception):
    """The server did not start, or its answers are not the engine's."""


class Server:
    """`with Server(candidate, batch, …) as server:` serves on a free port of the loopback."""

    def __init__(self, candidate: Candidate, batch: int, timeout_s: float) -> None:
        """`batch` is what a peer may collect at most; `timeout_s` when a request is given up."""
        self.candidate = candidate
        self._folder = tempfile.TemporaryDirectory(prefix="batchpoint-bench-")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._words = {
            "port": str(self.port), "folder": self._folder.name, "batch": str(batch),
            "cores": str(CORES), "timeout_ms": str(int(timeout_s * 1000)),
            "timeout_s": str(timeout_s),
        }  # fmt: skip
        mark = secrets.token_hex(8)
        self.usage = Usage(mark, candidate.kinds)
        given = {name: self._fill(value) for name, value in candidate.environment.items()}
        self._environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2", MARK: mark, **given
        }  # fmt: skip
        self.log = VAR / "logs" / f"{candidate.name.replace(', ', '-').replace(' ', '-')}.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Server:
        peer, packages = self.candidate.peer, self.candidate.packages
        programs = install(peer, packages) if peer else Path(sys.executable).parent
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            for command in self.candidate.commands:
                program, *rest = (self._fill(part) for part in command)
                own = programs / program
                self._processes.append(
                    subprocess.Popen(
                        [str(own) if own.exists() else program, *rest],
                        cwd=ROOT, env=self._environment, stdin=subprocess.DEVNULL,
                        stdout=log, stderr=log, start_new_session=True,
                    )
                )  # fmt: skip
        self.usage.roots = [process.pid for process in self._processes]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + 8
        for process in reversed(self._processes):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))
        self.usage.kill()
        for process in self._processes:
            process.wait()
        self._folder.cleanup()

    def _fill(self, text: str) -> str:
        for name, value in self._words.items():
            text = text.replace(f"{{{name}}}", value)
        return text

    def wait(self, folder: Path) -> None:
        """Wait until it answers a photo in `folder`. Raises `NotServing`."""
        call = read_calls(folder)[0]
        request = encode(
            self.candidate.dialect, self.candidate.path, call, (folder / call.photo).read_bytes()
        )
        until = time.monotonic() + START_S
        while not (self._answers(request) and self._has_all_workers()):
            if time.monotonic() > until or any(p.poll() is not None for p in self._processes):
                raise NotServing(f"{self.candidate.name} did not start: see {self.log}")
            time.sleep(0.2)
        time.sleep(SETTLE_S)  # the peers' other workers

    def prove(self, job: Job) -> None:
        """See that the answers are the engine's own. Raises `NotServing`.

        One that does not come is not wrong: the tutorial's model servers lose requests.
        """
        few = replace(job, clients=8, seconds=2.0, warm_up_s=0.0, patience_s=0.0)
        seen = self.load(few)
        if seen.errors.keys() - {TOO_LATE} or not seen.latencies_ms:
            raise NotServing(f"{self.candidate.name} answers wrongly: {seen.errors}")

    def _answers(self, request: bytes) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as client:
                client.sendall(request)
                return b" 200 " in client.recv(64)
        except OSError:
            return False

    def _has_all_workers(self) -> bool:
        """Return whether every worker of ours is warm; of a peer it is not known."""
        if not self.candidate.is_ours:
            return True
        try:
            return bool(self._get("/readyz").get("workers") == CORES)
        except (OSError, ValueError, http.client.HTTPException):
            return False

    def engine(self) -> str:
        """Return the engine that our workers say they run."""
        models = {model["name"]: model for model in self._get("/models")["models"]}
        return str(models["tags"]["workers"][0]["engine"])

    def _get(self, path: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def load(self, job: Job) -> Seen:
        """Run a load in a process of its own."""
        order = json.dumps(asdict(replace(job, port=self.port)))
        argv = [sys.executable, "-m", "bench.compare.load", order]
        done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=300)
        return Seen(**json.loads(done.stdout))

    def watch(self, job: Job) -> tuple[Seen, dict[str, float], dict[str, Memory]]:
        """Run a load; return what it saw, CPU seconds and memory by kind of process."""
        before = self.usage.cpu_s()
        seen = self.load(job)
        after = self.usage.cpu_s()
        spent = {kind: after[kind] - before.get(kind, 0.0) for kind in after}
        return seen, spent, self.usage.memory()
