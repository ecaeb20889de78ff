"""The parent of workers: looks after them until it is told to stop, and then stops them all."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import Protocol

from redis.exceptions import RedisError

from shared.logs import fields
from shared.processes import Child, stop_all
from shared.queue import Queue

_log = logging.getLogger(__name__)

_EVERY_S = 0.05


class Charge(Protocol):
    """What a parent looks after: a crew, a fleet of them, or the mirror."""

    def run_once(self, now: float) -> None:
        """Do what is due at `now`, in monotonic seconds."""
        ...

    def children(self) -> list[Child]:
        """Return the processes that run."""
        ...


class Supervisor:
    """Keeps turning the crank of what it looks after."""

    def __init__(self, *charges: Charge) -> None:
        self._charges = charges
        self._stop = threading.Event()

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; return the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        all_ended = False
        try:
            while not self._stop.is_set():
                for charge in self._charges:
                    charge.run_once(time.monotonic())
                self._stop.wait(_EVERY_S)
        finally:
            children = [child for charge in self._charges for child in charge.children()]
            all_ended = stop_all(children, patience_s=30)
        return 0 if all_ended else 1

    def stop(self) -> None:
        """Let `run` end."""
        self._stop.set()


def return_leases(queue: Queue, token: str) -> bool:
    """Return what a worker that died held to the queue; say whether it was alive and warm there."""
    try:
        served = any(worker.get("token") == token for worker in queue.census().workers)
        queue.reap(dead=token)
    except RedisError as error:  # its leases end by themselves
        _log.warning("could not return leases", extra=fields(error=str(error)))
        return False
    return served
