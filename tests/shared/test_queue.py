"""The queue's promises, on a real Redis."""

from __future__ import annotations

import itertools
import time
from typing import Any, cast

import numpy as np
import pytest
import redis

from shared import keys
from shared.messages import Request, Result, decode_results
from shared.queue import Queue, Taken
from shared.settings import Settings

_ids = itertools.count(1)
MAILBOX = "f" * 32


def make_request(items: int = 1, timeout_ms: int = 5000, mailbox: str = MAILBOX) -> Request:
    tensors = [np.full((items, 2, 2, 3), 7, np.uint8)]
    return Request(f"{next(_ids):032x}", tensors, timeout_ms, mailbox=mailbox)


def enqueue(queue: Queue, *requests: Request) -> list[str]:
    return [reply.status for reply in queue.enqueue([request.encode() for request in requests])]


def take(queue: Queue, token: str, most: int) -> list[Taken]:
    """Take for an engine that needs no time."""
    return queue.take(token, [0.0] * most)


def ids(taken: list[Taken]) -> list[str]:
    return [Request.decode(item.payload).id for item in taken]


def with_settings(client: redis.Redis, **changes: Any) -> Queue:
    queue = Queue(client, "tags", Settings(**changes))
    queue.beat("w", {})
    return queue


def test_requests_are_taken_in_the_order_in_which_they_came(queue: Queue) -> None:
    requests = [make_request() for _ in range(5)]
    assert enqueue(queue, *requests) == ["accepted"] * 5
    assert ids(take(queue, "w", 3)) == [request.id for request in requests[:3]]
    assert ids(take(queue, "w", 3)) == [request.id for request in requests[3:]]
    assert take(queue, "w", 3) == []


def test_a_repeated_id_is_the_same_request(queue: Queue) -> None:
    request = make_request()
    assert enqueue(queue, request, request) == ["accepted", "known"]
    assert len(take(queue, "w", 9)) == 1
    assert enqueue(queue, request) == ["known"]
    queue.ack("w", [(request, Result(request.id))])
    assert enqueue(queue, request) == ["known"]
    assert take(queue, "w", 9) == []


def test_a_queue_full_by_count_says_so_and_when_to_try_again(client: redis.Redis) -> None:
    queue = with_settings(client, queue_max_items=3)
    assert enqueue(queue, make_request(2), make_request(2), make_request()) == [
        "accepted",
        "full",
        "accepted",
    ]
    (refused,) = queue.enqueue([make_request().encode()])
    assert (refused.status, refused.retry_after_ms) == ("full", 1000)  # nothing drained yet


def test_a_queue_full_by_bytes_says_so(client: redis.Redis) -> None:
    size = len(make_request().encode())
    queue = with_settings(client, queue_max_bytes=2 * size)
    assert enqueue(queue, *(make_request() for _ in range(3))) == ["accepted", "accepted", "full"]
    take(queue, "w", 1)
    assert enqueue(queue, make_request()) == ["accepted"]


def test_retry_after_comes_from_the_measured_drain_rate(client: redis.Redis) -> None:
    queue = with_settings(client, queue_max_items=40)
    for pause_s in (0.0, 1.1):
        requests = [make_request() for _ in range(10)]
        enqueue(queue, *requests)
        take(queue, "w", 10)
        time.sleep(pause_s)
        queue.ack("w", [(request, Result(request.id)) for request in requests])
    rate = queue.census().drain_rate
    assert 5 < rate < 19  # 20 in a bit over a second, or the later 10 of them
    enqueue(queue, *(make_request() for _ in range(40)))
    (refused,) = queue.enqueue([make_request().encode()])
    assert refused.retry_after_ms == pytest.approx(40 / rate * 1000, abs=2)


def test_the_drain_rate_is_measured_on_when_the_clock_of_redis_was_set_back(
    queue: Queue, client: redis.Redis
) -> None:
    drained = keys.prefix("tags") + "drained"
    request = make_request()
    enqueue(queue, request)
    take(queue, "w", 1)
    client.hset(drained, "since", int(time.time() + 3600) * 1000)
    queue.ack("w", [(request, Result(request.id))])
    assert float(cast("bytes", client.hget(drained, "since"))) / 1000 < time.time() + 60


def test_without_a_live_worker_nothing_is_accepted(client: redis.Redis) -> None:
    queue = Queue(client, "tags", Settings(heartbeat_ms=100))
    assert enqueue(queue, make_request()) == ["forgotten"]
    queue.beat("w", {})
    request = make_request()
    assert enqueue(queue, request) == ["accepted"]
    take(queue, "w", 1)
    queue.ack("w", [(request, Result(request.id))])
    time.sleep(0.15)
    assert enqueue(queue, make_request()) == ["no_worker"]


def test_a_version_is_served_from_when_a_whole_crew_is_alive_until_nobody_is(
    client: redis.Redis,
) -> None:
    queue = Queue(client, "tags", Settings())
    queue.beat("v", {"crew": 2})
    queue.beat("v", {"crew": 2})
    assert queue.served_ms() is None
    queue.beat("w", {"crew": 2})
    time.sleep(0.05)
    queue.beat("v", {"crew": 2})
    served_ms = queue.served_ms()
    assert served_ms is not None
    assert served_ms >= 50
    queue.reap(dead="v")
    assert queue.served_ms() is not None, "one is enough to go on"
    queue.reap(dead="w")
    assert queue.served_ms() is None


def test_a_redis_that_forgot_its_workers_is_told_from_one_whose_workers_ended(
    queue: Queue, client: redis.Redis
) -> None:
    answered, running = make_request(), make_request()
    enqueue(queue, answered, running)
    take(queue, "w", 2)
    queue.ack("w", [(answered, Result(answered.id))])
    client.flushall()
    queue.ack("w", [(running, Result(running.id))])  # fenced, and no trace of it is left
    assert enqueue(queue, make_request()) == ["forgotten"]


def test_a_redis_at_its_memory_limit_is_drained_but_takes_no_more(
    queue: Queue, client: redis.Redis
) -> None:
    requests = [make_request() for _ in range(4)]
    enqueue(queue, *requests)
    taken = ids(take(queue, "w", 1))
    client.config_set("maxmemory", "1")
    fresh = Queue(client, "tags", Settings())  # that has none of its scripts in Redis yet
    try:
        assert enqueue(fresh, make_request(), requests[3]) == ["no_memory", "known"]
        fresh.beat("w", {"still": "here"})
        assert fresh.census().workers == [{"still": "here"}]
        assert fresh.renew("w", taken) == 1
        assert ids(take(fresh, "w", 1)) == [requests[1].id]
        assert fresh.ack("w", [(each, Result(each.id)) for each in requests[:2]]) == 2
        assert fresh.result(requests[0].id) is not None
        assert fresh.cancel([requests[2].id]) == 1
        assert ids(take(fresh, "v", 1)) == [requests[3].id]
        assert fresh.reap(dead="v") == 1
        assert ids(take(fresh, "w", 1)) == [requests[3].id]
    finally:
        client.config_set("maxmemory", "0")
    assert enqueue(fresh, make_request()) == ["accepted"]


def test_items_count_and_not_requests(queue: Queue) -> None:
    requests = [make_request(2), make_request(3), make_request(1)]
    enqueue(queue, *requests)
    assert queue.census().items == 6
    assert ids(take(queue, "w", 4)) == [requests[0].id]  # the next would make it 5
    assert ids(take(queue, "w", 4)) == [requests[1].id, requests[2].id]
    assert queue.census().items == 0


def test_a_batch_ends_by_the_earliest_deadline_in_it(queue: Queue) -> None:
    curve_ms = [100.0, 200.0, 300.0, 400.0]
    patient = [make_request(timeout_ms=5000) for _ in range(2)]
    hasty = make_request(timeout_ms=350)
    more = [make_request(timeout_ms=5000) for _ in range(2)]
    enqueue(queue, *patient, hasty, *more)
    assert ids(queue.take("w", curve_ms)) == [item.id for item in (*patient, hasty)]
    assert ids(queue.take("w", curve_ms)) == [item.id for item in more]


def test_a_deadline_is_counted_from_when_the_batch_can_start(queue: Queue) -> None:
    requests = [make_request(timeout_ms=500) for _ in range(3)]
    enqueue(queue, *requests)
    assert ids(queue.take("w", [100.0, 200.0, 300.0], starts_in_ms=250)) == [
        item.id for item in requests[:2]
    ]


def test_a_request_that_comes_too_late_in_any_batch_does_not_make_it_small(queue: Queue) -> None:
    requests = [make_request(timeout_ms=50), *(make_request() for _ in range(2))]
    enqueue(queue, *requests)
    assert len(queue.take("w", [100.0, 200.0, 300.0])) == 3


def test_a_request_larger_than_the_batch_is_taken_alone(queue: Queue) -> None:
    large = make_request(9)
    enqueue(queue, large, make_request())
    assert ids(take(queue, "w", 4)) == [large.id]


def test_an_expired_request_never_runs_and_is_answered_so(queue: Queue) -> None:
    late, good = make_request(timeout_ms=20), make_request()
    enqueue(queue, late, good)
    time.sleep(0.03)
    assert ids(take(queue, "w", 9)) == [good.id]
    kept = queue.result(late.id)
    assert kept is not None
    assert Result.decode(kept).error == "expired"
    assert [item.id for item in decode_results(queue.receive(MAILBOX, 0.1))] == [late.id]


def test_a_cancelled_request_never_runs(queue: Queue) -> None:
    left, stayed = make_request(), make_request()
    enqueue(queue, left, stayed)
    assert queue.cancel([left.id]) == 1
    assert ids(take(queue, "w", 9)) == [stayed.id]
    assert queue.cancel([stayed.id]) == 0  # it runs already
    assert queue.census().items == 0


def test_a_result_reaches_its_mailbox_and_is_kept_under_its_id(queue: Queue) -> None:
    request = make_request()
    enqueue(queue, request)
    take(queue, "w", 1)
    result = Result(request.id, items=[{"themes": []}], batch_size=1)
    assert queue.ack("w", [(request, result)]) == 1
    (received,) = decode_results(queue.receive(MAILBOX, 0.1))
    assert received == result
    assert queue.result(request.id) == result.encode()


def test_a_late_worker_cannot_overwrite(client: redis.Redis) -> None:
    queue = with_settings(client, lease_ms=30)
    request = make_request()
    enqueue(queue, request)
    take(queue, "slow", 1)
    time.sleep(0.04)
    assert queue.reap() == 1
    assert ids(take(queue, "quick", 1)) == [request.id]
    assert queue.ack("slow", [(request, Result(request.id, version="slow"))]) == 0
    assert queue.ack("quick", [(request, Result(request.id, version="quick"))]) == 1
    assert queue.ack("slow", [(request, Result(request.id, version="slow"))]) == 0
    assert len(decode_results(queue.receive(MAILBOX, 0.1))) == 1
    kept = queue.result(request.id)
    assert kept is not None
    assert Result.decode(kept).version == "quick"


def test_a_renewed_lease_is_not_reaped(client: redis.Redis) -> None:
    queue = with_settings(client, lease_ms=60_000)
    leases = keys.prefix(queue.name) + "leases"
    request = make_request()
    enqueue(queue, request)
    take(queue, "w", 1)
    taken_until = cast("float", client.zscore(leases, request.id))
    time.sleep(0.01)
    assert queue.renew("w", [request.id]) == 1
    assert cast("float", client.zscore(leases, request.id)) > taken_until
    assert queue.reap() == 0
    client.zadd(leases, {request.id: 1})
    assert queue.reap() == 1
    assert queue.renew("w", [request.id]) == 0


def test_requests_of_a_dead_worker_return_to_the_head_at_once(queue: Queue) -> None:
    first, second = make_request(), make_request()
    enqueue(queue, first, second)
    take(queue, "dies", 1)
    queue.beat("dies", {})
    assert queue.reap(dead="dies") == 1
    assert ids(take(queue, "w", 1)) == [first.id]
    assert len(queue.census().workers) == 1


def test_a_request_lost_with_its_worker_runs_alone(queue: Queue) -> None:
    requests = [make_request() for _ in range(4)]
    enqueue(queue, *requests)
    take(queue, "dies", 2)
    queue.reap(dead="dies")
    batches = [ids(take(queue, "w", 9)) for _ in range(3)]
    assert [len(batch) for batch in batches] == [1, 1, 2]
    assert {batch[0] for batch in batches[:2]} == {requests[0].id, requests[1].id}


def test_a_request_lost_with_its_worker_is_not_taken_before_the_engine_is_free(
    queue: Queue,
) -> None:
    """Under a lease beside another that kills the worker, it would be lost once more."""
    enqueue(queue, make_request(), make_request())
    take(queue, "dies", 2)
    queue.reap(dead="dies")
    assert queue.take("w", [0.0], starts_in_ms=1) == []
    assert len(queue.take("w", [0.0])) == 1
    assert queue.take("w", [0.0], starts_in_ms=1) == []
    assert len(queue.take("w", [0.0])) == 1


def test_a_request_that_expires_before_the_batch_starts_is_answered_so(queue: Queue) -> None:
    hasty, patient = make_request(timeout_ms=50), make_request()
    enqueue(queue, hasty, patient)
    assert ids(queue.take("w", [10.0], starts_in_ms=100)) == [patient.id]
    (received,) = decode_results(queue.receive(MAILBOX, 0.1))
    assert received == Result(hasty.id, "expired")


def test_a_request_that_took_down_too_many_workers_is_answered_so(queue: Queue) -> None:
    deadly = make_request()
    enqueue(queue, deadly)
    for _ in range(2):
        take(queue, "dies", 1)
        assert queue.reap(dead="dies") == 1
    take(queue, "dies", 1)
    assert queue.reap(dead="dies") == 0
    (received,) = decode_results(queue.receive(MAILBOX, 0.1))
    assert received == Result(deadly.id, "lost")
    assert take(queue, "w", 1) == []


def test_an_idle_worker_wakes_at_once(queue: Queue, redis_url: str) -> None:
    other = redis.Redis.from_url(redis_url)
    started = time.monotonic()
    queue.wait(0.2)
    assert time.monotonic() - started >= 0.2
    enqueue(Queue(other, "tags", Settings()), make_request())
    other.close()
    started = time.monotonic()
    queue.wait(5)
    assert time.monotonic() - started < 0.2


def test_what_a_worker_holds_without_knowing_is_returned_and_counts_as_no_attempt(
    queue: Queue,
) -> None:
    requests = [make_request() for _ in range(5)]
    enqueue(queue, *requests)
    known = ids(take(queue, "w", 1))
    of_another = ids(take(queue, "v", 1))
    take(queue, "w", 2)  # its reply was lost
    assert queue.release("w", known) == 2
    assert queue.census().items == 3
    assert queue.renew("w", known) == 1
    assert queue.renew("v", of_another) == 1
    assert ids(take(queue, "v", 9)) == [request.id for request in requests[2:]], "not each alone"


def test_redis_may_forget_the_scripts(queue: Queue, client: redis.Redis) -> None:
    enqueue(queue, make_request())
    client.script_flush()
    assert enqueue(queue, make_request(), make_request()) == ["accepted", "accepted"]
    client.script_flush()
    assert len(take(queue, "w", 9)) == 3


def test_bytes_that_are_no_request_are_dropped(queue: Queue, client: redis.Redis) -> None:
    client.rpush(keys.prefix("tags") + "queue", b"who put this here?")
    good = make_request()
    enqueue(queue, good)
    assert ids(take(queue, "w", 9)) == [good.id]


def test_what_redis_knows_of_a_request_is_told(queue: Queue) -> None:
    waiting, answered, unknown = (make_request() for _ in range(3))
    enqueue(queue, answered, waiting)
    take(queue, "w", 1)
    queue.ack("w", [(answered, Result(answered.id))])
    fates = queue.fates([waiting.id, answered.id, unknown.id])
    assert [(fate.pending, fate.result is not None) for fate in fates] == [
        (True, False),
        (False, True),
        (False, False),
    ]
