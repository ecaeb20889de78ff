"""A server under test as a process tree: started, watched, stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from types import TracebackType

import psutil

from bench.servers.candidates import ROOT, VAR, Candidate

START_S = 15.0


class Server:
    """`with Server(candidate) as server:` serves on `server.port` of the loopback."""

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        VAR.mkdir(parents=True, exist_ok=True)
        self.log = VAR / f"{candidate.name.replace(' ', '-')}-{self.port}.log"

    def __enter__(self) -> Server:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.candidate.argv(self.port),
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = time.monotonic() + START_S
        while not self._answers():
            if time.monotonic() > until or self.process.poll() is not None:
                self.__exit__(None, None, None)
                raise RuntimeError(f"{self.candidate.name} did not start: see {self.log}")
            time.sleep(0.05)
        time.sleep(0.5)  # the second process
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # its own session: nothing else is in it
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.sendall(b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                return b" 200 " in client.recv(4096)
        except OSError:
            return False

    def cpu_s(self) -> float:
        """CPU seconds that the living processes of the tree have used."""
        total = 0.0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def rss_mib(self) -> float:
        """Resident memory of the tree in MiB; what processes share counts once for each."""
        total = 0
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                total += process.memory_info().rss
        return total / 2**20

    def connections(self) -> int:
        """How many client connections the tree holds open."""
        held = set()
        for process in self._tree():
            with contextlib.suppress(psutil.Error):
                for entry in process.net_connections("tcp"):
                    if entry.raddr and entry.laddr.port == self.port:
                        held.add(entry.raddr.port)
        return len(held)

    def tracebacks(self) -> int:
        """How many stack traces the server has logged."""
        return self.log.read_text(errors="replace").count("Traceback (most recent call last)")

    def _tree(self) -> list[psutil.Process]:
        try:
            root = psutil.Process(self.process.pid)
            return [root, *root.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
