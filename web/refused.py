"""What the queue refuses, it would refuse of others, too: they are told before a photo is decoded.

A queue that is full counts as full for a moment. Then one request more is decoded and sent, which
finds out how things are. That there is no worker holds for requests that were there before: workers
may be back at any moment, and nobody whom `/readyz` has told so may be refused after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.queue import Enqueued
from web.tickets import to_error

_MOMENT_S = 0.1


class Refused:
    """The last refusal of one queue."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reply: Enqueued | None = None
        self._items = 0  # of the smallest request that it holds for
        self._at = self._until = 0.0

    def note(self, reply: Enqueued, items: int) -> None:
        """Take note of what became of a request of so many items."""
        if reply.status in ("known", "conflict"):  # which says nothing of another request
            return
        self._reply, self._items, self._at = reply, 0, self._clock()
        moment_s = _MOMENT_S if reply.status == "no_memory" else 0.0
        if reply.status == "full":  # not for less, and never until the queue has run empty
            self._items = items
            moment_s = min(_MOMENT_S, reply.retry_after_ms / 2000)
        self._until = self._at + moment_s

    def now(self, items: int, since: float = float("inf")) -> Exception | None:
        """Return what refuses a request of so many items, here `since`, by the clock; or None."""
        if self._reply is None or items < self._items:
            return None
        return to_error(self._reply) if self._at >= since or self._clock() < self._until else None
