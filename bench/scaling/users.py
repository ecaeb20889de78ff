"""Users who post, wait for the answer, think, and post again; a process of its own.

    python -m bench.scaling.users '{"port": 8000, ...}'

At the end nobody posts any more, but every answer is waited for: what was used is then divided by
all the images that it was used for.
"""

from __future__ import annotations

import heapq
import json
import random
import select
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.compare.connection import BROKEN, Connection, Outcome
from bench.compare.load import Seen, judge, told
from bench.compare.requests import encode_all, read_calls

_REST_S = 0.1  # who was refused comes again after this
_PATIENCE_S = 30.0  # for the last answers
_JOIN_S = 0.2  # in which all users come


@dataclass(frozen=True)
class Order:
    """What the users do."""

    port: int
    path: str
    folder: str  # the photos and calls.json
    users: int
    seconds: float
    think_s: float = 0.0  # mean; exponential, so that nobody is in step with anybody
    warm_up_s: float = 0.7


class Users:
    """All users on one epoll."""

    def __init__(self, order: Order, requests: Sequence[bytes]) -> None:
        self.outcomes: list[Outcome] = []
        self._requests = requests
        self._think_s = order.think_s
        self._turn = 0
        self._chance = random.Random(order.users)
        self._poll = select.epoll()
        self._busy: dict[int, Connection] = {}  # by their sockets' numbers
        self._thinking: list[tuple[float, int, Connection]] = []  # until when, a tie-breaker
        self._known: set[int] = set()
        now = time.monotonic()
        for number in range(order.users):
            start = now + self._pause() + _JOIN_S * number / order.users
            self._thinking.append((start, number, Connection(order.port)))
        heapq.heapify(self._thinking)

    def run(self, until: float) -> None:
        """Go on until the monotonic second `until`, then wait for the last answers."""
        while (now := time.monotonic()) < until or (self._busy and now < until + _PATIENCE_S):
            wait_s = 0.05
            if now < until:
                while self._thinking and self._thinking[0][0] <= now:
                    self._post(heapq.heappop(self._thinking)[2], now)
                if self._thinking:
                    wait_s = min(wait_s, max(0.0, self._thinking[0][0] - time.monotonic()))
            for number, event in self._poll.poll(wait_s):
                self._go_on(self._busy[number], event)
        for user in [*self._busy.values(), *(user for _, _, user in self._thinking)]:
            if user.number >= 0:
                user.close()

    def _post(self, user: Connection, now: float) -> None:
        call = self._turn % len(self._requests)
        self._turn += 1
        try:
            user.open()
            self._busy[user.number] = user
            whole = user.post(call, self._requests[call], now)
            wanted = select.EPOLLIN | (0 if whole else select.EPOLLOUT)
            if user.number in self._known:
                self._poll.modify(user.number, wanted)
            else:
                self._known.add(user.number)
                self._poll.register(user.number, wanted)
        except OSError:
            user.call, user.due = call, now
            self._end(user, BROKEN)

    def _go_on(self, user: Connection, event: int) -> None:
        try:
            if event & select.EPOLLOUT and user.send():
                self._poll.modify(user.number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and (status := user.receive()):
                self._end(user, status)
        except (OSError, ValueError):
            self._end(user, BROKEN)

    def _end(self, user: Connection, status: int) -> None:
        now = time.monotonic()
        body = user.body() if status != BROKEN else b""
        self.outcomes.append(Outcome(user.call, user.due, now, status, body))
        self._busy.pop(user.number, None)
        if user.number in self._known:  # one that thinks is not listened to: the server may close
            self._known.discard(user.number)
            self._poll.unregister(user.number)
        if user.number >= 0 and (status == BROKEN or user.closes() or self._think_s):
            user.close()
        rest = self._pause() if status == 200 else _REST_S
        heapq.heappush(self._thinking, (now + rest, id(user), user))

    def _pause(self) -> float:
        return self._chance.expovariate(1 / self._think_s) if self._think_s else 0.0


def run(order: Order) -> Seen:
    """Let the users come, and return what they saw."""
    folder = Path(order.folder)
    requests = encode_all("query", order.path, folder, read_calls(folder))
    spent = time.process_time()
    begin = time.monotonic() + order.warm_up_s
    users = Users(order, requests)
    users.run(begin + order.seconds)
    spent = time.process_time() - spent
    counted = [each for each in users.outcomes if begin <= each.done < begin + order.seconds]
    good, errors = judge(counted, [])
    timing, batch = told(outcome.body for outcome in good)
    return Seen(
        seconds=order.seconds,
        latencies_ms=sorted((outcome.done - outcome.due) * 1000 for outcome in good),
        errors=dict(errors),
        answered=sum(outcome.status == 200 for outcome in users.outcomes),
        cpu_s=spent,
        timing_ms=timing,
        batch=batch,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(run(Order(**json.loads(sys.argv[1]))))))
