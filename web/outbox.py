"""What waits to be sent to a queue, and how much of it goes together."""

from __future__ import annotations

import time
from collections.abc import Callable

from gevent.queue import Empty, Queue

from web.tickets import Ticket

_MOST_BYTES = 4 * 1024 * 1024  # in one round trip, so that it ends within a socket's timeout
# Where more is about to come, so many items go together, or what there is after so long. Alone,
# each costs this process, Redis and the worker a round trip, and a worker that shares these cores
# would run it alone.
_COMPANY = 8
_COMPANY_S = 0.02


def nothing() -> bool:
    """Tell that no more is to come."""
    return False


class Outbox:
    """The tickets that one greenlet sees to, in the order in which they came."""

    def __init__(self, more_to_come: Callable[[], bool] = nothing) -> None:
        """`more_to_come` tells whether this process has more in hand than it can decode at once.

        Then whoever is ready waits for company, which is little beside what those wait that are
        behind it. A request without any behind it is never held back.
        """
        self._more_to_come = more_to_come
        self._tickets: Queue[Ticket | None] = Queue()

    def put(self, ticket: Ticket) -> None:
        """Let `ticket` be sent."""
        self._tickets.put(ticket)

    def wake(self) -> None:
        """Let `take` return, if with nothing."""
        self._tickets.put(None)

    def take(self) -> list[Ticket]:
        """Wait for a ticket, and return it with those that are sent with it."""
        tickets: list[Ticket] = []
        items = size = 0
        ticket = self._tickets.get()
        until = time.monotonic() + _COMPANY_S
        while ticket is not None:
            tickets.append(ticket)
            items, size = items + ticket.items, size + ticket.size
            ticket = self._next(items, until) if size < _MOST_BYTES else None
        return tickets

    def _next(self, items: int, until: float) -> Ticket | None:
        """Return what goes with so many `items`, or None where they are to go."""
        wait_s = until - time.monotonic()
        waits = items < _COMPANY and wait_s > 0 and self._more_to_come()
        try:
            return self._tickets.get(block=waits, timeout=wait_s if waits else None)
        except Empty:
            return None
