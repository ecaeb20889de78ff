"""How many requests a client may send, counted in Redis for all web processes together.

By GCRA: each request costs `1 / per_s` seconds, and a client may be in debt by `burst` of them.
All that is kept of a client is one time, when its debt is paid off.
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
    """What a client may send: `per_s` requests a second, `burst` of them at once."""

    per_s: float
    burst: int

    @property
    def interval(self) -> int:
        """Microseconds from one request to the next."""
        return math.ceil(_SECOND / self.per_s)


@dataclass(frozen=True)
class Verdict:
    """Whether a request is within its client's rate, and what may follow it."""

    allowed: bool
    left: int  # requests that may follow at once
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

    def take(self, who: str, rate: Rate) -> Verdict:
        """Count a request of the client `who`, in one round trip."""
        reply = self._script(keys=[keys.rate(who)], args=[rate.interval, rate.burst])
        allowed, left, next_us, full_us = reply
        return Verdict(bool(allowed), left, next_us / _SECOND, full_us / _SECOND)


class LocalRates:
    """The debts that one process knows of, those of its latest `most` clients."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = 10_000) -> None:
        self._clock = clock
        self._most = most
        self._paid_off: OrderedDict[str, int] = OrderedDict()  # longest unseen first

    def take(self, who: str, rate: Rate) -> Verdict:
        """Count a request of the client `who`."""
        now, allowance = int(self._clock() * _SECOND), rate.interval * rate.burst
        # What is further ahead than a burst can be is from before the rate was lowered.
        paid_off = min(max(self._paid_off.pop(who, now), now), now + allowance)
        over = paid_off + rate.interval - now - allowance
        if over <= 0:
            paid_off += rate.interval
        self._paid_off[who] = paid_off
        if len(self._paid_off) > self._most:
            self._paid_off.popitem(last=False)
        ahead = paid_off - now
        if over > 0:
            return Verdict(False, 0, over / _SECOND, ahead / _SECOND)
        next_us = max(0, ahead + rate.interval - allowance)
        left = (allowance - ahead) // rate.interval
        return Verdict(True, left, next_us / _SECOND, ahead / _SECOND)


class Rates:
    """The stored rates; while Redis is away, each process counts for itself."""

    def __init__(self, client: redis.Redis, clock: Callable[[], float] = time.monotonic) -> None:
        """Take a client that gives up soon: a request waits for it."""
        self._stored = StoredRates(client)
        self._local = LocalRates(clock)
        self._clock = clock
        self._away_until = 0.0  # 0: Redis answers

    def take(self, who: str, rate: Rate) -> Verdict:
        """Count a request of the client `who`. Never raises `RedisError`."""
        return self._take_stored(who, rate) or self._local.take(who, rate)

    def _take_stored(self, who: str, rate: Rate) -> Verdict | None:
        if self._clock() < self._away_until:
            return None
        try:
            verdict = self._stored.take(who, rate)
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
