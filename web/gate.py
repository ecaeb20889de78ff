"""How long a request would have to wait: what is ahead of it ÷ how fast that ends.

How many items are ahead of it in its process, to be decoded or in the queue, is known, and so is
how fast they end while there is more to do than can be done.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_WINDOW_S = 0.25  # over which answers are counted
_FIRST_S = 0.05  # the same for the first, in which all are let in
_SATURATED = 8  # items in hand; with fewer, answers come as requests do, and tell nothing
# With no more in hand all are let in: so the rate is measured anew whenever there is a crowd, and
# one that was measured in bad times does not stay.
_FREE = 2 * _SATURATED
# What of a deadline may be spent waiting. Under a crowd a request has already waited to be accepted
# and read, and the rate is an estimate: at 0.75 a tenth of the answers came too late.
_MARGIN = 0.5


class Gate:
    """What one process has in hand of one model, and how fast it answers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_hand = 0  # items
        self._rates: deque[float] = deque(maxlen=3)  # items per second, of the last windows
        self._since = clock()  # when the present window began
        self._lowest = 0  # in hand, in the present window
        self._answered = 0  # items, in the present window

    def excess_s(self, deadline_s: float) -> float:
        """Return by how much a request's wait would be too long; 0 or less: it is admitted."""
        if self._in_hand < _FREE or len(self._rates) < 2:  # the rate is not known
            return 0.0
        return self._in_hand / max(self._rates) - deadline_s * _MARGIN

    @contextmanager
    def in_hand(self, items: int) -> Iterator[None]:
        """Count a request's items as ahead of others until the block's end."""
        self._in_hand += items
        try:
            yield
        finally:
            self._in_hand -= items
            self._lowest = min(self._lowest, self._in_hand)

    def answered(self, items: int) -> None:
        """Note that so many items, in hand until now, were run and answered.

        Nothing else may count: what is given up, refused, broken or answered by a kept result costs
        less, and a flood of it would make the rate look better than it is.

        A window ends with an answer, so the rate is right for answers of many items, too. One in
        which there was too little to do tells nothing. The best of the last few counts: one with a
        stand-still in it, as when Redis restarts, tells nothing of the rate either.
        """
        self._answered += items
        now = self._clock()
        is_first = len(self._rates) < 2
        if now - self._since < (_FIRST_S if is_first else _WINDOW_S):
            return
        if self._lowest >= _SATURATED:
            self._rates.append(self._answered / (now - self._since))
        self._since, self._lowest, self._answered = now, self._in_hand, 0
