"""For how long, and for what, a refusal of the queue holds; by a clock that is turned by hand."""

from __future__ import annotations

import gevent
import numpy as np
import pytest
import redis

from shared.messages import Request
from shared.queue import Enqueued, Queue
from shared.settings import Settings
from tests.clock import Clock
from web.dispatch import Dispatcher
from web.refused import Refused
from web.tickets import NoWorkerError, QueueFullError


@pytest.fixture
def refused(clock: Clock) -> Refused:
    return Refused(clock)


@pytest.mark.parametrize("status", ["full", "no_memory"])
def test_a_refusal_holds_for_a_tenth_of_a_second(
    status: str, refused: Refused, clock: Clock
) -> None:
    assert refused.now(1) is None
    came_at = clock.now
    refused.note(Enqueued(status, 1000), 1)
    clock.now += 0.09
    assert refused.now(1) is not None
    clock.now += 0.02
    assert refused.now(1) is None
    assert refused.now(1, came_at) is None, "it may have room by now for who was there before"


@pytest.mark.parametrize("status", ["no_worker", "forgotten"])
def test_that_there_is_no_worker_holds_for_who_was_there_before(
    status: str, refused: Refused, clock: Clock
) -> None:
    came_at = clock.now
    clock.now += 0.01
    refused.note(Enqueued(status), 1)
    assert refused.now(1) is None, "it may be back by now"
    assert refused.now(1, clock.now + 0.01) is None
    clock.now += 1
    assert isinstance(refused.now(1, came_at), NoWorkerError)
    refused.note(Enqueued("accepted"), 1)
    assert refused.now(1, came_at) is None


def test_it_says_what_the_queue_said(refused: Refused) -> None:
    refused.note(Enqueued("full", 1234), 1)
    error = refused.now(1)
    assert isinstance(error, QueueFullError)
    assert error.retry_after_ms == 1234
    assert refused.now(1) is not error, "each has its own: an error that is raised holds its frames"


def test_it_holds_until_the_queue_takes_a_request(refused: Refused) -> None:
    refused.note(Enqueued("full", 1000), 1)
    refused.note(Enqueued("accepted"), 1)
    assert refused.now(1) is None


@pytest.mark.parametrize("status", ["known", "conflict"])
def test_what_became_of_a_retry_changes_nothing(status: str, refused: Refused) -> None:
    refused.note(Enqueued(status), 1)
    assert refused.now(1) is None
    refused.note(Enqueued("full", 1000), 1)
    refused.note(Enqueued(status), 1)
    assert isinstance(refused.now(1), QueueFullError)


def test_a_queue_that_is_full_for_many_items_may_have_room_for_fewer(refused: Refused) -> None:
    refused.note(Enqueued("full", 1000), 16)
    assert refused.now(16) is not None
    assert refused.now(17) is not None
    assert refused.now(15) is None
    refused.note(Enqueued("no_memory"), 16)
    assert refused.now(1) is not None


def test_a_small_queue_does_not_run_empty_meanwhile(refused: Refused, clock: Clock) -> None:
    refused.note(Enqueued("full", 20), 1)
    clock.now += 0.009
    assert refused.now(1) is not None
    clock.now += 0.002
    assert refused.now(1) is None


class Waiting(Queue):
    """A queue whose mailbox stays empty; it waits as in a process that gevent has patched."""

    def receive(self, mailbox: str, wait_s: float) -> bytes:
        gevent.sleep(wait_s)
        return b""


def test_a_dispatcher_takes_note(client: redis.Redis) -> None:
    queue = Waiting(client, "tags", Settings(queue_max_items=1))
    dispatcher = Dispatcher(queue, queue, 0.1, 2.0)
    dispatcher.refused = refused = Refused(Clock())  # which stands still
    request = Request("a" * 32, [np.zeros((1, 2, 2, 3), np.uint8)], 30_000)
    with pytest.raises(NoWorkerError):
        dispatcher.enqueue(request)
    assert isinstance(refused.now(1, 0.0), NoWorkerError)
    queue.beat("w", {})
    dispatcher.enqueue(request)
    assert refused.now(1, 0.0) is None
    another = Request("b" * 32, [np.zeros((1, 2, 2, 3), np.uint8)], 30_000)
    with pytest.raises(QueueFullError):
        dispatcher.enqueue(another)
    assert isinstance(refused.now(1), QueueFullError)
    dispatcher.stop()
