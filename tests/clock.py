"""Time that a test turns."""

from __future__ import annotations


class Clock:
    """In seconds; stands still until `now` is set."""

    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now
