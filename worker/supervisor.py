"""The parent of several workers: starts them, restarts one that dies, stops them all."""

from __future__ import annotations

import logging
import secrets
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from shared.logs import fields
from shared.processes import spawn, stop_all

_log = logging.getLogger(__name__)

# A worker that dies again and again is started ever more slowly.
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_SETTLED_S = 30.0


class Supervisor:
    """Keeps `count` child processes alive until it is told to stop.

    `command` makes the command line for a worker's token; `on_death` is told the token of one
    that died, so that what it held is back in the queue before its lease ends.
    """

    def __init__(
        self,
        count: int,
        command: Callable[[str], Sequence[str]],
        on_death: Callable[[str], None],
    ) -> None:
        self._count = count
        self._command = command
        self._on_death = on_death
        self._children: dict[str, tuple[subprocess.Popen[bytes], float]] = {}
        self._delay_s = _FIRST_DELAY_S
        self._stop = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        for _ in range(self._count):
            self._start()
        while not self._stop.wait(0.05):
            self._replace_dead()
        clean = stop_all([child for child, _ in self._children.values()], patience_s=30)
        return 0 if clean else 1

    def _on_signal(self, *_: object) -> None:
        self._stop.set()

    def _start(self) -> None:
        token = secrets.token_hex(16)
        self._children[token] = (spawn(self._command(token)), time.monotonic())

    def _replace_dead(self) -> None:
        for token, (child, started) in list(self._children.items()):
            status = child.poll()
            if status is None:
                continue
            del self._children[token]
            _log.error("worker died", extra=fields(token=token, status=status))
            self._on_death(token)
            lived_s = time.monotonic() - started
            if lived_s > _SETTLED_S:
                self._delay_s = _FIRST_DELAY_S
            if not self._stop.wait(self._delay_s):
                self._start()
            self._delay_s = min(self._delay_s * 2, _LONGEST_DELAY_S)
