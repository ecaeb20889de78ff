"""What a dispatcher leaves behind when it is no longer needed."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import gevent
import numpy as np
import pytest
import redis

from shared.messages import Request
from shared.queue import Queue
from shared.settings import Settings
from web.dispatch import Dispatcher
from web.tickets import DeadlineError


class Silent(Queue):
    """A queue whose mailbox stays empty; it waits as in a process that gevent has patched."""

    def receive(self, mailbox: str, wait_s: float) -> bytes:
        gevent.sleep(wait_s)
        return b""


def greenlets_of(dispatcher: Dispatcher) -> int:
    """Return how many greenlets work for a dispatcher."""
    running = [each for each in gc.get_objects() if isinstance(each, gevent.Greenlet) and each]
    return sum(
        dispatcher in (getattr(arg, "__self__", None) for arg in each.args) for each in running
    )


def wait_until(is_so: Callable[[], bool]) -> None:
    """Let greenlets run until something is so, for 5 s at most."""
    until = time.monotonic() + 5
    while not is_so():
        assert time.monotonic() < until
        gevent.sleep(0.01)


def test_once_stopped_nothing_of_it_goes_on(client: redis.Redis) -> None:
    queue = Silent(client, "tags", Settings())
    queue.beat("w", {})
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    request = Request("a" * 32, [np.zeros((1, 2, 2, 3), np.uint8)], 300)
    waiting = gevent.spawn(dispatcher.predict, request)
    wait_until(lambda: greenlets_of(dispatcher) == 5)
    dispatcher.stop()
    with pytest.raises(DeadlineError):
        waiting.get(timeout=5)
    wait_until(lambda: greenlets_of(dispatcher) == 0)
