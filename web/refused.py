"""What the queue refuses, it would refuse of others, too: they are told before a photo is decoded.

A queue, or a Redis, that is full counts as full for a moment. Then requests are decoded and sent as
ever, until one of them is refused. That there is no worker holds for requests that were there
before: workers may be back at any moment, and nobody whom `/readyz` has told so may be refused
after that.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.queue import Enqueued
from web.tickets import to_error

_MOMENT_S = 0.1
_NEVER = float("-inf")


class Refused:
    """The last refusal of one queue."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reply: Enqueued | None = None
        self._items = 0  # of the smallest request that it holds for
        self._until = _NEVER  # for how long it holds for all
        self._before = _NEVER  # before when they came for whom alone it holds

    def note(self, reply: Enqueued, items: int) -> None:
        """Take note of what became of a request of so many items."""
        if reply.status in ("known", "conflict"):  # which says nothing of another request
            return
        now = self._clock()
        self._reply, self._items = reply, 0
        self._before = self._until = _NEVER
        if reply.status == "full":  # not for less, and never until the queue has run empty
            self._items = items
            self._until = now + min(_MOMENT_S, reply.retry_after_ms / 2000)
        elif reply.status == "no_memory":
            self._until = now + _MOMENT_S
        else:
            self._before = now

    def now(self, items: int, since: float = float("inf")) -> Exception | None:
        """Return what refuses a request of so many items, here `since`, by the clock; or None."""
        if self._reply is None or items < self._items:
            return None
        holds = since <= self._before or self._clock() < self._until
        return to_error(self._reply) if holds else None
