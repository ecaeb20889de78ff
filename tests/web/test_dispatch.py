"""Requests with one id in one process, cancels, and what is left behind at the end."""

from __future__ import annotations

import gc
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gevent
import numpy as np
import pytest
import redis
from redis.exceptions import RedisError

from shared.messages import Request, Result
from shared.queue import Enqueued, Fate, Queue
from shared.settings import Settings
from web.dispatch import Dispatcher
from web.tickets import ClientLeftError, DeadlineError


class Silent(Queue):
    """A queue whose mailbox stays empty; it waits as in a process that gevent has patched."""

    takes_none = False

    def enqueue(self, payloads: Sequence[bytes], claims: Sequence[str] = ()) -> list[Enqueued]:
        if self.takes_none:
            raise RedisError
        return super().enqueue(payloads, claims)

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


def asked(letter: str, timeout_ms: int = 30_000) -> Request:
    """Return a request whose id is so many times this letter."""
    return Request(letter * 32, [np.zeros((1, 2, 2, 3), np.uint8)], timeout_ms)


def work(queue: Queue) -> int:
    """Run what waits, as a worker; return how much that was."""
    queue.beat("w", {})
    requests = [Request.decode(taken.payload) for taken in queue.take("w", [1.0] * 16)]
    return queue.ack("w", [(request, Result(request.id)) for request in requests])


def test_once_stopped_nothing_of_it_goes_on(client: redis.Redis) -> None:
    queue = Silent(client, "tags", Settings(heartbeat_ms=60_000))
    queue.beat("w", {})
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    waiting = gevent.spawn(dispatcher.predict, asked("a", 300))
    wait_until(lambda: greenlets_of(dispatcher) == 5)
    dispatcher.stop()
    with pytest.raises(DeadlineError):
        waiting.get(timeout=5)
    wait_until(lambda: greenlets_of(dispatcher) == 0)


@pytest.fixture
def queue(client: redis.Redis) -> Silent:
    """A queue with a live worker."""
    queue = Silent(client, "tags", Settings(heartbeat_ms=60_000))
    queue.beat("w", {})
    return queue


@pytest.fixture
def dispatcher(queue: Silent) -> Iterator[Dispatcher]:
    """The dispatcher of that queue."""
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    yield dispatcher
    dispatcher.stop()


def test_it_tells_what_has_run_from_what_was_kept(queue: Silent, dispatcher: Dispatcher) -> None:
    first = gevent.spawn(dispatcher.predict, asked("a"), -1, "claim")
    wait_until(lambda: work(queue) == 1)
    assert first.get(timeout=5) == (Result("a" * 32), True)
    assert dispatcher.predict(asked("a"), -1, "claim") == (Result("a" * 32), False)


def test_who_is_answered_later_outlives_the_deadline_of_who_waits(
    queue: Silent, dispatcher: Dispatcher
) -> None:
    hasty = gevent.spawn(dispatcher.predict, asked("a", 300), -1, "claim")
    wait_until(lambda: queue.census().items == 1)
    ticket = dispatcher.enqueue(asked("a"), "claim")
    with pytest.raises(DeadlineError):
        hasty.get(timeout=5)
    wait_until(lambda: work(queue) == 1)
    assert ticket.result.get(timeout=5) == Result("a" * 32)


def test_who_is_answered_later_is_sent_again_though_one_who_waited_has_gone(
    client: redis.Redis, queue: Silent, dispatcher: Dispatcher
) -> None:
    ticket = dispatcher.enqueue(asked("a"), "claim")
    with pytest.raises(DeadlineError):
        dispatcher.predict(asked("a", 100), -1, "claim")
    client.flushall()
    wait_until(lambda: work(queue) == 1)
    assert ticket.result.get(timeout=5) == Result("a" * 32)


def test_a_result_accepts_those_who_are_still_on_their_way(
    queue: Silent, dispatcher: Dispatcher
) -> None:
    ticket = dispatcher.enqueue(asked("a"), "claim")
    queue.takes_none = True
    later = gevent.spawn(dispatcher.enqueue, asked("a"), "claim")
    gevent.sleep(0)
    assert work(queue) == 1
    assert later.get(timeout=5).result.get(timeout=5) == ticket.result.get(timeout=5)


class Accepting:
    """A queue that takes all, and cancels nothing before it may."""

    cancels = False
    status = "accepted"

    def __init__(self) -> None:
        self.accepted = 0
        self.cancelled: list[list[str]] = []
        self.looked_for: list[list[str]] = []

    def enqueue(self, payloads: Sequence[bytes], claims: Sequence[str]) -> list[Enqueued]:
        self.accepted += len(payloads)
        return [Enqueued(self.status)] * len(payloads)

    def receive(self, mailbox: str, wait_s: float) -> bytes:
        gevent.sleep(wait_s)
        return b""

    def fates(self, ids: Sequence[str]) -> list[Fate]:
        self.looked_for.append(list(ids))
        return [Fate(pending=True, result=None)] * len(ids)

    def cancel(self, ids: Sequence[str]) -> None:
        if not self.cancels:
            raise RedisError
        self.cancelled.append(list(ids))


def leave(dispatcher: Dispatcher, queue: Accepting, letters: str) -> None:
    """Let a client come and leave for each letter."""
    before = queue.accepted
    waiting = [gevent.spawn(dispatcher.predict, asked(letter)) for letter in letters]
    wait_until(lambda: queue.accepted == before + len(letters))
    gevent.killall(waiting)


def test_so_much_is_to_be_cancelled_at_most_and_little_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("web.dispatch._CANCELLED", 2)
    monkeypatch.setattr("web.dispatch._UNWANTED", 4)
    queue: Any = Accepting()
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    for letter in "abcdef":
        leave(dispatcher, queue, letter)
    queue.cancels = True
    wait_until(lambda: sum(map(len, queue.cancelled)) >= 4)
    leave(dispatcher, queue, "g")
    wait_until(lambda: any("g" * 32 in ids for ids in queue.cancelled))
    sizes = [len(ids) for ids in queue.cancelled]
    assert (sum(sizes), max(sizes)) == (5, 2)
    dispatcher.stop()


def test_what_another_waits_for_is_not_cancelled() -> None:
    queue: Any = Accepting()
    queue.cancels = True
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    dispatcher.enqueue(asked("a"), "claim")
    leave(dispatcher, queue, "ab")
    wait_until(lambda: queue.cancelled)
    assert queue.cancelled == [["b" * 32]]
    dispatcher.stop()


def test_what_a_client_that_left_asked_for_is_cancelled() -> None:
    queue: Any = Accepting()
    queue.cancels = True
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    own, client = socket.socketpair()
    with own:
        waiting = gevent.spawn(dispatcher.predict, asked("a"), own.fileno())
        wait_until(lambda: queue.accepted)
        client.close()
        with pytest.raises(ClientLeftError):
            waiting.get(timeout=5)
    wait_until(lambda: queue.cancelled)
    assert queue.cancelled == [["a" * 32]]
    dispatcher.stop()


def test_retries_of_one_request_are_looked_after_as_one() -> None:
    queue: Any = Accepting()
    queue.status = "known"
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    waiting = [gevent.spawn(dispatcher.predict, asked("a"), -1, "claim") for _ in range(3)]
    wait_until(lambda: queue.accepted == 3 and len(queue.looked_for) > 2)
    assert all(ids == ["a" * 32] for ids in queue.looked_for)
    gevent.killall(waiting)
    dispatcher.stop()


def test_who_has_a_result_goes_on_before_the_next_is_asked_for(
    client: redis.Redis, queue: Silent
) -> None:
    done: list[str] = []

    class Answering(Silent):
        def receive(self, mailbox: str, wait_s: float) -> bytes:
            done.append("asked")
            if len(done) > 1:
                return super().receive(mailbox, wait_s)
            wait_until(lambda: self.census().items == 1)
            return b"[" + Result("a" * 32).encode() + b"]"

    dispatcher = Dispatcher(queue, Answering(client, "tags", Settings()), 0.1, 2.0)
    dispatcher.predict(asked("a"))
    done.append("answered")
    wait_until(lambda: len(done) == 3)
    dispatcher.stop()
    assert done == ["asked", "answered", "asked"]
