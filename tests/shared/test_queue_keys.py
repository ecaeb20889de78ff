"""What a queue leaves in Redis, and for how long, on a real Redis."""

from __future__ import annotations

import time
from typing import cast

import redis

from shared import keys
from shared.messages import Result
from shared.queue import Queue
from tests.shared.test_queue import enqueue, ids, make_request, take, with_settings


def left_keys(client: redis.Redis) -> set[str]:
    return {key.rpartition(b"}:")[2].decode() for key in cast("list[bytes]", client.keys("*"))}


def test_nothing_is_left_behind(client: redis.Redis) -> None:
    queue = with_settings(client, result_ttl_ms=50, heartbeat_ms=50)
    acked, expired, cancelled = make_request(), make_request(timeout_ms=1), make_request()
    enqueue(queue, acked, expired, cancelled)
    queue.cancel([cancelled.id])
    time.sleep(0.01)
    assert ids(take(queue, "w", 9)) == [acked.id]
    queue.ack("w", [(acked, Result(acked.id))])
    queue.reap(dead="w")
    time.sleep(0.1)
    assert left_keys(client) == {"drained"}
    assert client.pttl(keys.prefix("tags") + "drained") > 0


def test_every_key_leaves_redis_by_itself(queue: Queue, client: redis.Redis) -> None:
    enqueue(queue, *(make_request() for _ in range(3)))
    take(queue, "dies", 1)
    queue.reap(dead="dies")
    take(queue, "w", 1)
    assert {"queue", "load", "pending", "leases", "leased", "owners", "attempts", "bell"} <= (
        left_keys(client)
    )
    assert all(client.pttl(key) > 0 for key in client.keys("*"))


def test_the_last_one_that_is_put_back_leaves_redis_by_itself(
    queue: Queue, client: redis.Redis
) -> None:
    enqueue(queue, make_request(2), make_request(2))
    assert len(take(queue, "w", 3)) == 1
    assert client.pttl(keys.prefix("tags") + "queue") > 0
