"""A worker as it would be without the policy: a fixed size, a fixed window.

    python -m bench.compare.fixed_window SIZE

From the first request of a batch on, it waits up to 10 ms for SIZE of them to come together,
whatever the service curve says. All else is the service's own.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import run_worker
import worker.process
from shared.queue import Queue, Taken

WINDOW_S = 0.010
LOOK_S = 0.001


class WindowQueue(Queue):
    """A queue whose `take` waits for company."""

    def take(self, token: str, curve_ms: Sequence[float], starts_in_ms: float = 0) -> list[Taken]:
        """See `Queue.take`."""
        taken = super().take(token, curve_ms, starts_in_ms)
        until = time.monotonic() + WINDOW_S
        while taken and len(taken) < len(curve_ms) and time.monotonic() < until:
            time.sleep(LOOK_S)
            taken += super().take(token, curve_ms[: len(curve_ms) - len(taken)], starts_in_ms)
        return taken


if __name__ == "__main__":
    size = int(sys.argv.pop())
    # The two places that differ.
    setattr(worker.process, "Queue", WindowQueue)  # noqa: B010  # not exported from there
    setattr(worker.process, "best_size", lambda curve: size)  # noqa: B010  # likewise
    sys.exit(run_worker.main())
