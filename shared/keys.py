"""Every key in Redis, in one place.

A queue is that of one version of a model, `tags:1`. All its keys share the hash tag `{tags:1}`, so
that they live in one slot of a Redis Cluster. Those with a `<...>` part are made by appending it to
the prefix.

    batchpoint:{tags:1}:queue             list    serialized requests, head first
    batchpoint:{tags:1}:load              hash    items, bytes: what waits in the queue
    batchpoint:{tags:1}:pending           zset    id -> deadline: accepted and not yet answered
    batchpoint:{tags:1}:leases            zset    id -> end of its lease
    batchpoint:{tags:1}:leased            hash    id -> the serialized request
    batchpoint:{tags:1}:owners            hash    id -> token of the worker that holds the lease
    batchpoint:{tags:1}:attempts          hash    id -> workers lost while they held it
    batchpoint:{tags:1}:bell              list    one element per wake-up for an idle worker
    batchpoint:{tags:1}:drained           hash    since, items, rate: the measured drain rate
    batchpoint:{tags:1}:workers           zset    worker token -> until when it counts as alive
    batchpoint:{tags:1}:worker:<token>    string  JSON: what that worker says of itself
    batchpoint:{tags:1}:sent:<token>      string  when it sent its last take or release, own us
    batchpoint:{tags:1}:since             string  since when it is served (beat.lua)
    batchpoint:{tags:1}:result:<id>       string  JSON: a result (messages.py), with a TTL
    batchpoint:{tags:1}:claim:<name>      string  id of the only request under an Idempotency-Key
    batchpoint:{tags:1}:mailbox:<token>   list    JSON lists of results for a web process, a TTL

Times are milliseconds of Redis's own clock. Beside the queues there is

    batchpoint:rate:<client>              string  until when it pays off what it sent, microseconds
"""

from __future__ import annotations


def prefix(queue: str) -> str:
    """Return what every key of a queue begins with."""
    return f"batchpoint:{{{queue}}}:"


def result(queue: str, request_id: str) -> str:
    """Return the key of one result."""
    return f"{prefix(queue)}result:{request_id}"


def mailbox(queue: str, token: str) -> str:
    """Return the key of the list that one web process receives its results from."""
    return f"{prefix(queue)}mailbox:{token}"


def worker(queue: str, token: str) -> str:
    """Return the key of what a worker says of itself."""
    return f"{prefix(queue)}worker:{token}"


def rate(client: str) -> str:
    """Return the key of what a client has sent."""
    return f"batchpoint:rate:{client}"
