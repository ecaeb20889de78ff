"""The queue of one version of a model in Redis: enqueue, take, renew, ack, reap.

Each operation is one atomic script of `lua/`; what it promises stands at the script's head.
Every operation may raise `redis.RedisError` and can be repeated.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

import redis
from redis.exceptions import NoScriptError, OutOfMemoryError

from shared import keys
from shared.messages import Request, Result
from shared.settings import Settings

_FOLDER = Path(__file__).parent / "lua"


@dataclass(frozen=True)
class Enqueued:
    """What became of an enqueue.

    `accepted`, `known`, `full`, `conflict` (another request has the claim), `no_worker`,
    `forgotten` (no worker, and no trace of one that answered: Redis may have lost everything) or
    `no_memory` (Redis is at its `maxmemory`).
    """

    status: str
    retry_after_ms: int = 0


@dataclass(frozen=True)
class Taken:
    """A request under this worker's lease, as its bytes, and how long it waited."""

    payload: bytes
    waited_ms: int


@dataclass(frozen=True)
class Census:
    """What a queue looks like at one moment."""

    items: int
    bytes: int
    leased: int
    drain_rate: float  # items per second
    workers: list[dict[str, Any]]  # what each live worker says of itself


@dataclass(frozen=True)
class Fate:
    """What Redis knows of a request: waiting or running, and its result if there is one."""

    pending: bool
    result: bytes | None


class Queue:
    """The operations on one queue, by one Redis client."""

    def __init__(self, client: redis.Redis, name: str, settings: Settings) -> None:
        """`name` is that of a model's version: `shared.manifest.Model.queue`."""
        self.name = name
        self._client = client
        self._settings = settings
        self._prefix = keys.prefix(name)
        self._digests: dict[str, str] = {}
        # What nobody touches any more leaves Redis by itself, well after the last deadline.
        self._keys_ttl_ms = settings.max_deadline_ms + settings.result_ttl_ms

    # --- the web tier's side

    def enqueue(self, payloads: Sequence[bytes], claims: Sequence[str] = ()) -> list[Enqueued]:
        """Offer encoded requests, in one round trip; return what became of each.

        `claims` has the claim of each, empty for none: no two requests get through under one.
        """
        limits = (
            self._settings.queue_max_items,
            self._settings.queue_max_bytes,
            self._keys_ttl_ms,
        )
        calls = [
            (self._prefix, payload, *limits, *([claim] if claim else []))
            for payload, claim in zip_longest(payloads, claims)
        ]
        return [
            Enqueued("no_memory")
            if isinstance(reply, Exception)
            else Enqueued(reply[0].decode(), *reply[1:])
            for reply in self._run_all("enqueue", calls, _is_out_of_memory)
        ]

    def cancel(self, ids: Sequence[str]) -> int:
        """Forget requests that nobody waits for; return how many did not run yet."""
        return int(self._run("cancel", *ids))

    def receive(self, mailbox: str, wait_s: float) -> bytes:
        """Return the next results in a mailbox, as `messages.decode_results` reads them.

        Waits up to `wait_s`; empty when none came.
        """
        found = self._client.blpop([keys.mailbox(self.name, mailbox)], wait_s)
        return cast("bytes", found[1]) if found else b""

    def result(self, request_id: str) -> bytes | None:
        """Return a result that is kept, or None."""
        return cast("bytes | None", self._client.get(keys.result(self.name, request_id)))

    def fates(self, ids: Sequence[str]) -> list[Fate]:
        """Return what Redis knows of each request."""
        pipe = self._client.pipeline(transaction=False)
        # Pending first: a request answered between the two commands is then seen by its result.
        pipe.zmscore(self._prefix + "pending", list(ids))
        pipe.mget([keys.result(self.name, request_id) for request_id in ids])
        deadlines, results = pipe.execute()
        return [
            Fate(deadline is not None, result)
            for deadline, result in zip(deadlines, results, strict=True)
        ]

    def census(self) -> Census:
        """Return what the queue looks like now."""
        items, size, leased, rate, *workers = self._run("census", self._prefix)
        return Census(items, size, leased, float(rate), [json.loads(text) for text in workers])

    def served_ms(self) -> float | None:
        """Return for how long live workers have served it, without a break; None: there are none.

        All that ask get the same answer at the same time, which only one clock can give.
        """
        pipe = self._client.pipeline(transaction=False)
        pipe.time()
        pipe.get(self._prefix + "since")
        (seconds, microseconds), since = pipe.execute()
        return None if since is None else seconds * 1000 + microseconds / 1000 - int(since)

    # --- the worker's side

    def take(self, token: str, curve_ms: Sequence[float], starts_in_ms: float = 0) -> list[Taken]:
        """Take requests from the head, under a lease; empty when none waits.

        `curve_ms` says how long a batch of 1, 2, 3 … items takes: as many items as it has sizes
        are taken at most, fewer where they would miss a deadline in a batch that starts in
        `starts_in_ms`.
        """
        settings = self._settings
        reply = self._run(
            "take",
            self._prefix,
            token,
            _now_us(),
            settings.lease_ms,
            settings.result_ttl_ms,
            self._keys_ttl_ms,
            starts_in_ms,
            *curve_ms,
        )
        return [Taken(*pair) for pair in zip(reply[::2], reply[1::2], strict=True)]

    def wait(self, wait_s: float) -> None:
        """Return when something was enqueued, or after `wait_s`."""
        self._client.blpop([self._prefix + "bell"], wait_s)

    def renew(self, token: str, ids: Iterable[str]) -> int:
        """Extend the leases on `ids`; return how many this worker still holds."""
        return int(self._run("renew", token, self._settings.lease_ms, *ids))

    def release(self, token: str, known: Iterable[str]) -> int:
        """Return to the queue what a worker holds but for `known`; return how many that were.

        For a worker whose take failed: it may hold what it never got. When this returns, that take
        can have no effect any more, and this none once a later take has returned.
        """
        return int(self._run("release", self._prefix, token, _now_us(), self._keys_ttl_ms, *known))

    def ack(self, token: str, answers: Iterable[tuple[Request, Result]]) -> int:
        """Write results and end their leases; return how many were this worker's to write."""
        arguments: list[Any] = []
        for request, result in answers:
            arguments += [request.id, request.mailbox, request.items, result.encode()]
        return int(self._run("ack", self._prefix, token, self._settings.result_ttl_ms, *arguments))

    def reap(self, dead: str = "") -> int:
        """Return requests of ended leases, and of the worker `dead`, to the queue."""
        settings = self._settings
        limits = (settings.max_attempts, settings.result_ttl_ms, self._keys_ttl_ms)
        return int(self._run("reap", self._prefix, dead, *limits))

    def beat(self, token: str, about: dict[str, Any]) -> None:
        """Say that this worker is alive and warm, and what it is."""
        ttl_ms = self._settings.heartbeat_ms
        self._run("beat", self._prefix, token, ttl_ms, json.dumps(about))

    # --- scripts

    def _run(self, name: str, *arguments: Any) -> Any:
        return self._run_all(name, [arguments])[0]

    def _run_all(
        self,
        name: str,
        calls: Sequence[tuple[Any, ...]],
        is_answer: Callable[[Exception], bool] = lambda error: False,
    ) -> list[Any]:
        """Run a script once per call, in one round trip; raise its error unless `is_answer`.

        Redis forgets scripts when it restarts; those calls that met that are run again.
        """
        script_keys, text = _script(name)
        named = [self._prefix + key for key in script_keys]
        replies: list[Any] = [None] * len(calls)
        todo = list(range(len(calls)))
        for _ in range(3):
            digest = self._digests.get(name)
            if digest is None:
                digest = self._client.script_load(self._header(name) + text)
                self._digests[name] = digest
            pipe = self._client.pipeline(transaction=False)
            for index in todo:
                pipe.evalsha(digest, len(named), *named, *calls[index])
            for index, reply in zip(todo, pipe.execute(raise_on_error=False), strict=True):
                replies[index] = reply
            todo = [index for index in todo if isinstance(replies[index], NoScriptError)]
            if not todo:
                break
            self._digests.pop(name, None)
        for reply in replies:
            if isinstance(reply, Exception) and not is_answer(reply):
                raise reply
        return replies

    def _header(self, name: str) -> str:
        """Return the header that lets a script run, and so drain, a Redis at its `maxmemory`.

        Redis 6.2 knows no such header; it refuses a script's first write where that could need
        memory, and none of the later ones. Enqueue goes without: it is what must be refused.
        """
        if name == "enqueue":
            return ""
        major = int(self._client.info("server")["redis_version"].split(".")[0])
        return "#!lua flags=allow-oom\n" if major >= 7 else "redis.call('DEL', KEYS[1] .. '-')\n"


def _now_us() -> int:
    """Return the time of a clock that never goes back, for what a worker sends in order."""
    return time.monotonic_ns() // 1000


def _is_out_of_memory(error: Exception) -> bool:
    # Redis 6.2 wraps it up as an error of the script.
    return isinstance(error, OutOfMemoryError) or "OOM command not allowed" in str(error)


@cache
def _script(name: str) -> tuple[tuple[str, ...], str]:
    """Return a script's keys, as its head names them, and its text."""
    text = (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.startswith("-- KEYS: ")]
    prelude = (_FOLDER / "prelude.lua").read_text(encoding="utf-8")
    return tuple(line.removeprefix("-- KEYS: ").split()), prelude + text
