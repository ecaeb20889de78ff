"""Claims: of the requests under one, a single one gets into the queue."""

from __future__ import annotations

import itertools

import numpy as np
import redis

from shared.messages import Request, Result
from shared.queue import Queue
from shared.settings import Settings

_ids = itertools.count(1)
CLAIM = "c" * 32


def make_request(timeout_ms: int = 5000) -> Request:
    return Request(f"{next(_ids):032x}", [np.zeros((1, 2, 2, 3), np.uint8)], timeout_ms)


def enqueue(queue: Queue, request: Request, claim: str = CLAIM) -> str:
    (reply,) = queue.enqueue([request.encode()], [claim])
    return reply.status


def test_another_request_under_the_same_claim_is_a_conflict(queue: Queue) -> None:
    request = make_request()
    assert enqueue(queue, request) == "accepted"
    assert enqueue(queue, make_request()) == "conflict"
    assert enqueue(queue, request) == "known"
    assert enqueue(queue, make_request(), "d" * 32) == "accepted"
    assert enqueue(queue, make_request(), "") == "accepted"


def test_requests_of_one_round_trip_keep_their_own_claims(queue: Queue) -> None:
    payloads = [make_request().encode() for _ in range(4)]
    replies = queue.enqueue(payloads, ["", CLAIM, "", CLAIM])
    assert [reply.status for reply in replies] == ["accepted", "accepted", "accepted", "conflict"]


def test_the_claim_outlives_the_result(queue: Queue) -> None:
    request = make_request()
    enqueue(queue, request)
    queue.take("w", [0.0])
    queue.ack("w", [(request, Result(request.id))])
    assert enqueue(queue, request) == "known"
    assert enqueue(queue, make_request()) == "conflict"


def test_a_request_that_was_not_accepted_claims_nothing(client: redis.Redis) -> None:
    queue = Queue(client, "tags:1", Settings(queue_max_items=1))
    assert enqueue(queue, make_request()) == "forgotten", "there is no worker"
    queue.beat("w", {})
    assert enqueue(queue, make_request(), "d" * 32) == "accepted"
    assert enqueue(queue, make_request()) == "full"
    assert client.exists("batchpoint:{tags:1}:claim:" + CLAIM) == 0


def test_what_expired_before_it_ran_is_accepted_again_under_its_claim(queue: Queue) -> None:
    hasty, patient = make_request(timeout_ms=1), make_request()
    enqueue(queue, hasty)
    enqueue(queue, patient, "")
    assert len(queue.take("w", [0.0, 0.0], starts_in_ms=50)) == 1
    assert queue.result(hasty.id) is not None
    assert enqueue(queue, hasty, "") == "known"
    assert enqueue(queue, hasty) == "accepted"
    assert queue.result(hasty.id) is None


def test_a_failure_of_the_request_itself_stays(queue: Queue) -> None:
    request = make_request()
    enqueue(queue, request)
    queue.take("w", [0.0])
    queue.ack("w", [(request, Result(request.id, error="failed"))])
    assert enqueue(queue, request) == "known"


def test_a_retry_is_known_to_a_redis_at_its_memory_limit(queue: Queue, client: redis.Redis) -> None:
    waiting, answered = make_request(), make_request()
    enqueue(queue, answered, "d" * 32)
    enqueue(queue, waiting)
    queue.take("w", [0.0])
    queue.ack("w", [(answered, Result(answered.id))])
    client.pexpire("batchpoint:{tags}:claim:" + CLAIM, 10_000)
    client.config_set("maxmemory", "1")
    try:
        assert enqueue(queue, waiting) == "known"
        assert enqueue(queue, answered, "d" * 32) == "known"
        assert enqueue(queue, make_request()) == "conflict"
        assert client.pttl("batchpoint:{tags}:claim:" + CLAIM) > 10_000, "it was renewed"
    finally:
        client.config_set("maxmemory", "0")


def test_what_expired_stays_so_when_it_is_refused(queue: Queue, client: redis.Redis) -> None:
    hasty = make_request(timeout_ms=1)
    enqueue(queue, hasty)
    assert queue.take("w", [0.0], starts_in_ms=50) == []
    client.config_set("maxmemory", "1")
    try:
        assert enqueue(queue, hasty) == "no_memory"
    finally:
        client.config_set("maxmemory", "0")
    assert queue.result(hasty.id) is not None


def test_a_request_that_was_cancelled_and_sent_again_runs_once(queue: Queue) -> None:
    """It is in the queue twice; one of the two is for nobody."""
    request = make_request()
    assert enqueue(queue, request) == "accepted"
    assert queue.cancel([request.id]) == 1
    assert enqueue(queue, request) == "accepted"
    assert len(queue.take("w", [0.0])) == 1
    assert queue.take("v", [0.0]) == []
    assert queue.ack("w", [(request, Result(request.id))]) == 1
    assert queue.census().items == 0
