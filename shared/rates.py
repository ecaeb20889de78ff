"""How many items a client may send, counted in Redis for all web processes together.

By GCRA: each item costs `1 / per_s` seconds, and a client may be ahead by `burst` of them. How many
a request has is known when its body is read: the first is counted before that, the others after. A
request may have more than a burst. It is let in where all that came before it is within the burst,
and nothing else of its client is, until it is paid off so far. All that is kept of a client is one
time, when everything is paid off.
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis

from shared import keys
from shared.logs import fields

_log = logging.getLogger(__name__)

_SCRIPT = Path(__file__).parent / "lua" / "rate.lua"
_SECOND = 1_000_000  # microseconds, in which everything is counted
_AWAY_S = 1.0  # for how long a Redis that did not answer is not asked again


@dataclass(frozen=True)
class Rate:
    """What a client may send: `per_s` items a second, `burst` of them at once.

    A request has up to `most` items, also where that is more.
    """

    per_s: float
    burst: int
    most: int = 1

    @property
    def interval(self) -> int:
        """Microseconds from one item to the next."""
        return math.ceil(_SECOND / self.per_s)


@dataclass(frozen=True)
class Verdict:
    """Whether a request is within its client's rate, and what may follow it."""

    allowed: bool
    left: int  # items that may follow at once
    next_s: float  # until one may
    full_s: float  # until a whole burst may


class OverRateError(Exception):
    """A request came before its client may send it."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(f"the next request may come in {verdict.next_s:.1f} s")


class StoredRates:
    """The debts of all clients, in Redis and by its clock. May raise `redis.RedisError`."""

    def __init__(self, client: redis.Redis) -> None:
        self._script = client.register_script(_SCRIPT.read_text(encoding="utf-8"))

    def take(self, who: str, rate: Rate, more: int = 0) -> Verdict:
        """Count a request of the client `who`, or `more` items of one, in one round trip."""
        args = [rate.interval, rate.burst, rate.most, more]
        reply = self._script(keys=[keys.rate(who)], args=args)
        allowed, left, next_us, full_us = reply
        return Verdict(bool(allowed), left, next_us / _SECOND, full_us / _SECOND)


class LocalRates:
    """The debts that one process knows of, those of its latest `most` clients."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._paid_off: OrderedDict[str, int] = OrderedDict()  # longest unseen first

    def take(self, who: str, rate: Rate, more: int = 0) -> Verdict:
        """Count a request of the client `who`, or `more` items of one; as `lua/rate.lua`."""
        now, allowance = int(self._clock() * _SECOND), rate.interval * rate.burst
        longest = allowance + rate.interval * (rate.most - 1)
        ahead = min(max(self._paid_off.pop(who, now) - now, 0), longest)
        allowed = ahead + (0 if more else rate.interval) <= allowance
        if allowed:
            ahead += rate.interval * max(1, more)
        self._paid_off[who] = now + ahead
        if len(self._paid_off) > self._most:
            self._paid_off.popitem(last=False)
        left = max(0, (allowance - ahead) // rate.interval)
        next_us = max(0, ahead + rate.interval - allowance)
        return Verdict(allowed, left, next_us / _SECOND, ahead / _SECOND)


class Rates:
    """The stored rates; while Redis is away, each process counts for itself."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a client that gives up soon: a request waits for it."""
        self._stored = StoredRates(client)
        self._local = LocalRates(clock)
        self._clock = clock
        self._away_until = 0.0  # 0: Redis answers

    def take(self, who: str, rate: Rate, more: int = 0) -> Verdict:
        """Count a request of the client `who`, or `more` items of one that was let in.

        Never raises `RedisError`.
        """
        return self._take_stored(who, rate, more) or self._local.take(who, rate, more)

    def _take_stored(self, who: str, rate: Rate, more: int) -> Verdict | None:
        if self._clock() < self._away_until:
            return None
        try:
            verdict = self._stored.take(who, rate, more)
        except redis.RedisError as error:
            if not self._away_until:
                about = "Redis counts no rates: each process counts for itself"
                _log.warning(about, extra=fields(error=str(error)))
            self._away_until = self._clock() + _AWAY_S
            return None
        if self._away_until:
            self._away_until = 0.0
            _log.warning("Redis counts the rates again")
        return verdict
