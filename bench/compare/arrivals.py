"""The open loop: requests fall due at a rate, whether the server keeps up or not.

Each request's time counts from the moment it was due, so a late send is in its latency and not
hidden. A client leaves, and its connection closes, when its deadline has passed.
"""

from __future__ import annotations

import random
import select
import time
from collections import deque
from collections.abc import Sequence

from bench.compare.connection import BROKEN, LEFT, Connection, Outcome

CONNECTIONS = 4000  # at once; beyond, requests wait in the load, and their time runs


class OpenLoop:
    """Clients that come at random moments, and how each of their requests ended."""

    def __init__(self, port: int, requests: Sequence[bytes], deadline_s: float) -> None:
        self.outcomes: list[Outcome] = []
        self._port = port
        self._requests = requests
        self._deadline_s = deadline_s
        self._poll = select.epoll()
        self._due: deque[tuple[float, int]] = deque()  # moment, which request
        self._waiting: dict[int, Connection] = {}  # by their sockets' numbers
        self._idle: dict[int, Connection] = {}
        self._leaving: deque[tuple[float, Connection]] = deque()  # a request's due, its client

    def run(self, per_s: float, seconds: float) -> None:
        """Send `per_s` requests a second for `seconds`, and wait for how each ends."""
        chance = random.Random(1)
        moment = start = time.monotonic()
        while (moment := moment + chance.expovariate(per_s)) < start + seconds:
            self._due.append((moment, len(self._due) % len(self._requests)))
        while self._due or self._waiting:
            now = time.monotonic()
            self._send_due(now)
            self._let_go(now)
            pause = min(0.05, max(0.0, self._due[0][0] - now)) if self._due else 0.05
            for number, event in self._poll.poll(pause):
                self._go_on(number, event)
        for user in self._idle.values():
            user.close()
        self._poll.close()

    def _send_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            if not self._idle and len(self._waiting) >= CONNECTIONS:
                if self._due[0][0] + self._deadline_s > now:
                    break
                moment, call = self._due.popleft()
                self.outcomes.append(Outcome(call, moment, now, LEFT, b""))
                continue
            self._send(*self._due.popleft())

    def _send(self, moment: float, call: int) -> None:
        if self._idle:
            _, user = self._idle.popitem()
        else:
            user = Connection(self._port)
            try:
                user.open()
            except OSError:
                self.outcomes.append(Outcome(call, moment, time.monotonic(), BROKEN, b""))
                return
            self._poll.register(user.number, select.EPOLLIN)
        self._waiting[user.number] = user
        self._leaving.append((moment, user))
        try:
            if not user.post(call, self._requests[call], moment):
                self._poll.modify(user.number, select.EPOLLIN | select.EPOLLOUT)
        except OSError:
            self._end(user, BROKEN)

    def _let_go(self, now: float) -> None:
        """Close the connections of the clients whose deadline has passed."""
        while self._leaving and self._leaving[0][0] + self._deadline_s <= now:
            moment, user = self._leaving.popleft()
            if self._waiting.get(user.number) is user and user.due == moment:
                self._end(user, LEFT)

    def _go_on(self, number: int, event: int) -> None:
        if number in self._idle:  # the server has closed it
            self._forget(self._idle.pop(number))
            return
        user = self._waiting.get(number)
        if user is None:  # closed in this same turn
            return
        try:
            if event & select.EPOLLOUT and user.send():
                self._poll.modify(number, select.EPOLLIN)
            if event & ~select.EPOLLOUT and (status := user.receive()):
                self._end(user, status)
        except (OSError, ValueError):
            self._end(user, BROKEN)

    def _end(self, user: Connection, status: int) -> None:
        answer = user.answer if status > 0 else b""
        self.outcomes.append(Outcome(user.call, user.due, time.monotonic(), status, answer))
        del self._waiting[user.number]
        if status <= 0 or user.closes():
            self._forget(user)
        else:
            self._idle[user.number] = user

    def _forget(self, user: Connection) -> None:
        self._poll.unregister(user.number)
        user.close()
