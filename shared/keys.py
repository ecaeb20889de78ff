"""Every key in Redis, in one place.

All keys of one model's queue share the hash tag `{model}`, so that they live in one slot of a
Redis Cluster. Those with a `<...>` part are made by appending it to the prefix.

    batchpoint:{tags}:queue             list    serialized requests, head first
    batchpoint:{tags}:load              hash    items, bytes: what waits in the queue
    batchpoint:{tags}:pending           zset    id -> deadline: accepted and not yet answered
    batchpoint:{tags}:leases            zset    id -> end of its lease
    batchpoint:{tags}:leased            hash    id -> the serialized request
    batchpoint:{tags}:owners            hash    id -> token of the worker that holds the lease
    batchpoint:{tags}:attempts          hash    id -> workers lost while they held it
    batchpoint:{tags}:bell              list    one element per wake-up for an idle worker
    batchpoint:{tags}:drained           hash    since, items, rate: the measured drain rate
    batchpoint:{tags}:workers           zset    worker token -> until when it counts as alive
    batchpoint:{tags}:worker:<token>    string  JSON: what that worker says of itself
    batchpoint:{tags}:result:<id>       string  JSON: a result (messages.py), with a TTL
    batchpoint:{tags}:mailbox:<token>   list    JSON lists of results for a web process, a TTL

Times are milliseconds of Redis's own clock.
"""

from __future__ import annotations


def prefix(model: str) -> str:
    """Return what every key of `model`'s queue begins with."""
    return f"batchpoint:{{{model}}}:"


def result(model: str, request_id: str) -> str:
    """Return the key of one result."""
    return f"{prefix(model)}result:{request_id}"


def mailbox(model: str, token: str) -> str:
    """Return the key of the list that one web process receives its results from."""
    return f"{prefix(model)}mailbox:{token}"


def worker(model: str, token: str) -> str:
    """Return the key of what a worker says of itself."""
    return f"{prefix(model)}worker:{token}"
