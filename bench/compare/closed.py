"""The closed loop: each of N clients posts, waits for the whole answer, and posts again."""

from __future__ import annotations

import select
import time
from collections import deque
from collections.abc import Sequence

from bench.compare.connection import BROKEN, LEFT, Connection, Outcome

PATIENCE_S = 5.0  # who still waits at the end, and has waited longer, counts as left
REST_S = 0.1  # a client that was refused, or cut off, comes again after this


class ClosedLoop:
    """N clients on one epoll, and how each of their requests ended."""

    def __init__(self, port: int, requests: Sequence[bytes], clients: int) -> None:
        self.outcomes: list[Outcome] = []
        self._requests = requests
        self._turn = 0
        self._poll = select.epoll()
        self._waiting: dict[int, Connection] = {}  # by their sockets' numbers
        self._resting = deque((0.0, Connection(port)) for _ in range(clients))

    def run(self, until: float) -> None:
        """Go on until the monotonic second `until`."""
        while (now := time.monotonic()) < until:
            while self._resting and self._resting[0][0] <= now:
                self._join(self._resting.popleft()[1])
            for number, event in self._poll.poll(0.05):
                user = self._waiting[number]
                try:
                    if event & select.EPOLLOUT and user.send():
                        self._poll.modify(number, select.EPOLLIN)
                    if event & ~select.EPOLLOUT and (status := user.receive()):
                        self._end(user, status)
                except (OSError, ValueError):
                    self._end(user, BROKEN)
        for user in self._waiting.values():
            if until - user.due > PATIENCE_S:
                self.outcomes.append(Outcome(user.call, user.due, until, LEFT, b""))
        for user in [*self._waiting.values(), *(user for _, user in self._resting)]:
            user.close()
        self._poll.close()

    def _join(self, user: Connection) -> None:
        """Let a client begin, over a new connection if its last one is closed."""
        try:
            user.open()
        except OSError:
            self._resting.append((time.monotonic() + REST_S, user))
            return
        if user.number not in self._waiting:
            self._waiting[user.number] = user
            self._poll.register(user.number, select.EPOLLIN)
        self._post(user)

    def _post(self, user: Connection) -> None:
        number = self._turn % len(self._requests)
        self._turn += 1
        try:
            if not user.post(number, self._requests[number], time.monotonic()):
                self._poll.modify(user.number, select.EPOLLIN | select.EPOLLOUT)
        except OSError:
            self._end(user, BROKEN)

    def _end(self, user: Connection, status: int) -> None:
        body = user.body() if status != BROKEN else b""
        self.outcomes.append(Outcome(user.call, user.due, time.monotonic(), status, body))
        if status == BROKEN or user.closes():
            self._poll.unregister(user.number)
            del self._waiting[user.number]
            user.close()
        if status == 200 and user.number >= 0:
            self._post(user)
        else:
            self._resting.append((time.monotonic() + (0 if status == 200 else REST_S), user))
