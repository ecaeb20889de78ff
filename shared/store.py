"""Connections to Redis, with our own answer to failure instead of the library's."""

from __future__ import annotations

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def connect(url: str, timeout_s: float = 1.0) -> redis.Redis:
    """Return a client that fails after `timeout_s` and never repeats a command by itself.

    The library would send a command again whose reply was lost; whether that is right, only the
    caller knows. A caller that blocks in Redis for `n` seconds needs a `timeout_s` over `n`.
    Nothing is connected before the first command, and never more than 16 at once: whoever needs
    one more waits for it, `timeout_s` at the most.
    """
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=16,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    return redis.Redis.from_pool(pool)
