"""The closed loop: each of N clients posts, waits for the whole answer, thinks, posts again.

At the end nobody posts any more, but every answer is waited for: what a server used is then divided
by all the answers that it was used for.
"""

from __future__ import annotations

import heapq
import random
import select
import time
from collections.abc import Sequence

from bench.compare.connection import BROKEN, LEFT, Connection, Outcome

REST_S = 0.1  # a client that was refused, or cut off, comes again after this
JOIN_S = 0.2  # in which all clients come


class ClosedLoop:
    """N clients on one epoll, and how each of their requests ended."""

    def __init__(
        self, port: int, requests: Sequence[bytes], clients: int, think_s: float = 0.0
    ) -> None:
        """`think_s` is a mean; exponential, so that nobody is in step with anybody."""
        self.outcomes: list[Outcome] = []
        self._requests = requests
        self._think_s = think_s
        self._turn = 0
        self._chance = random.Random(clients)
        self._poll = select.epoll()
        self._waiting: dict[int, Connection] = {}  # by their sockets' numbers
        self._resting: list[tuple[float, int, Connection]] = []  # until when, a tie-breaker
        now = time.monotonic()
        for number in range(clients):
            start = now + self._pause() + JOIN_S * number / clients
            self._resting.append((start, number, Connection(port)))
        heapq.heapify(self._resting)

    def run(self, until: float, patience_s: float) -> None:
        """Go on until the monotonic second `until`, then wait for the last answers.

        Who still has none after `patience_s` counts as left.
        """
        while (now := time.monotonic()) < until or (self._waiting and now < until + patience_s):
            wait_s = 0.05
            if now < until:
                while self._resting and self._resting[0][0] <= now:
                    self._post(heapq.heappop(self._resting)[2])
                if self._resting:
                    wait_s = min(wait_s, max(0.0, self._resting[0][0] - time.monotonic()))
            for number, event in self._poll.poll(wait_s):
                self._go_on(self._waiting[number], event)
        for user in self._waiting.values():
            self.outcomes.append(Outcome(user.call, user.due, until, LEFT, b""))
        for user in [*self._waiting.values(), *(user for _, _, user in self._resting)]:
            user.close()
        self._poll.close()

    def _post(self, user: Connection) -> None:
        """Let a client ask, over a new connection if its last one is closed."""
        user.call, user.due = self._turn % len(self._requests), time.monotonic()
        self._turn += 1
        try:
            user.open()
            self._waiting[user.number] = user
            self._poll.register(user.number, select.EPOLLIN)
            if not user.post(user.call, self._requests[user.call], user.due):
                self._poll.modify(user.number, select.EPOLLIN | select.EPOLLOUT)
        except OSError:
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
        answer = user.answer if status != BROKEN else b""
        self.outcomes.append(Outcome(user.call, user.due, now, status, answer))
        if self._waiting.pop(user.number, None):  # who rests is not listened to
            self._poll.unregister(user.number)
        if status == BROKEN or user.closes() or self._think_s:
            user.close()
        rest = self._pause() if status == 200 else REST_S
        heapq.heappush(self._resting, (now + rest, id(user), user))

    def _pause(self) -> float:
        return self._chance.expovariate(1 / self._think_s) if self._think_s else 0.0
