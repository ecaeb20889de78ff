"""The parent of several workers: starts them, restarts one that dies, stops them all."""

from __future__ import annotations

import logging
import secrets
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from shared.logs import fields
from shared.processes import Child, stop_all

_log = logging.getLogger(__name__)

# A worker that dies again and again is started ever more slowly.
_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 10.0
_SETTLED_S = 30.0


@dataclass
class _Place:
    """A worker's place: the process that fills it now, or when the next one is due."""

    token: str = ""
    child: Child | None = None
    started: float = 0.0
    due: float = 0.0
    delay_s: float = _FIRST_DELAY_S


class Supervisor:
    """Keeps `count` child processes alive until it is told to stop.

    `start` starts a worker for a place, counted from 0, with a token; `on_death` is told the
    token of one that died, so that what it held is back in the queue before its lease ends.
    """

    def __init__(
        self,
        count: int,
        start: Callable[[int, str], Child],
        on_death: Callable[[str], None],
    ) -> None:
        self._places = [_Place() for _ in range(count)]
        self._start = start
        self._on_death = on_death
        self._stop = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        while not self._stop.is_set():
            self.run_once(time.monotonic())
            self._stop.wait(0.05)
        children = [place.child for place in self._places if place.child is not None]
        return 0 if stop_all(children, patience_s=30) else 1

    def stop(self) -> None:
        """Let `run` end."""
        self._stop.set()

    def run_once(self, now: float) -> None:
        """Take note of every child that died, then start those that are due."""
        for place in self._places:
            if place.child is not None and place.child.poll() is not None:
                self._bury(place, now)
        for number, place in enumerate(self._places):
            if place.child is None and place.due <= now:
                place.token, place.started = secrets.token_hex(16), now
                place.child = self._start(number, place.token)

    def _bury(self, place: _Place, now: float) -> None:
        assert place.child is not None
        status = place.child.returncode
        _log.error("worker died", extra=fields(token=place.token, status=status))
        self._on_death(place.token)
        if now - place.started > _SETTLED_S:
            place.delay_s = _FIRST_DELAY_S
        place.child, place.due = None, now + place.delay_s
        place.delay_s = min(place.delay_s * 2, _LONGEST_DELAY_S)
