"""Turns: of the requests with one id that are in this process, one is waited for at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary

from gevent.lock import BoundedSemaphore

from web.tickets import DeadlineError


class Turns:
    """A lock for each id, kept as long as someone has it or waits for it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, BoundedSemaphore] = WeakValueDictionary()

    @contextmanager
    def turn(self, request_id: str, timeout_ms: int) -> Iterator[int]:
        """Wait for the turn; yield what is left of `timeout_ms` then. Raises `DeadlineError`."""
        deadline = time.monotonic() + timeout_ms / 1000
        lock = self._locks.setdefault(request_id, BoundedSemaphore())
        if not lock.acquire(timeout=timeout_ms / 1000):
            raise DeadlineError(request_id)
        try:
            yield max(1, int((deadline - time.monotonic()) * 1000))
        finally:
            lock.release()
