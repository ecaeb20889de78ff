"""How long a request would have to wait: what is ahead of it ÷ how fast that ends.

How many requests are ahead of it in its process, to be decoded or in the queue, is known, and so is
how fast they end while there is more to do than can be done.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from web.tickets import ClientLeftError, DeadlineError

_WINDOW_S = 0.25  # over which answers are counted
_SATURATED = 8  # with fewer in hand, answers come as requests do, and tell nothing of the rate
# What of a deadline may be spent waiting. Under a crowd a request has already waited to be accepted
# and read, and the rate is an estimate: at 0.75 a tenth of the answers came too late.
_MARGIN = 0.5


class Gate:
    """What one process has in hand of one model, and how fast it answers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._in_hand = 0
        self._rates: deque[float] = deque(maxlen=3)  # answers per second, of the last windows
        self._since = clock()  # when the present window began
        self._lowest = 0  # in hand, in the present window
        self._answers = 0

    def excess_s(self, deadline_s: float) -> float:
        """Return by how much a request's wait would be too long; 0 or less: it is admitted."""
        self._roll()
        if len(self._rates) < 2:  # the rate is not known
            return 0.0
        return self._in_hand / max(self._rates) - deadline_s * _MARGIN

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Count a request as ahead of others, and as answered at the block's end.

        But not where it was given up: that tells nothing of how fast answers come.
        """
        self._roll()
        self._in_hand += 1
        try:
            yield
            self._answers += 1
        except (ClientLeftError, DeadlineError):
            raise
        except Exception:  # a broken photo is answered, too
            self._answers += 1
            raise
        finally:
            self._in_hand -= 1
            self._lowest = min(self._lowest, self._in_hand)
            self._roll()

    def _roll(self) -> None:
        """Begin a new window where the present one is over.

        A window in which there was too little to do makes the rate unknown, so that a crowd that
        comes after quiet times is let in, to be measured. One without an answer goes on until
        there is one. The best of the last few windows counts: one with a stand-still in it, as
        when Redis restarts, tells nothing of the rate.
        """
        now = self._clock()
        took_s = now - self._since
        if took_s < _WINDOW_S or (self._lowest >= _SATURATED and not self._answers):
            return
        if self._lowest < _SATURATED:
            self._rates.clear()
        else:
            self._rates.append(self._answers / took_s)
        self._since, self._lowest, self._answers = now, self._in_hand, 0
