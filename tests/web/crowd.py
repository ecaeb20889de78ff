"""Requests in hand of one gate, and a clock that is turned by hand."""

from __future__ import annotations

from contextlib import ExitStack

from web.gate import Gate


class Crowd:
    """Requests come, and are answered in the order in which they came."""

    def __init__(self) -> None:
        self.now = 0.0
        self.gate = Gate(lambda: self.now)
        self._stacks: list[tuple[ExitStack, int]] = []  # and how many items it has in hand

    def come(self, count: int, items: int = 1) -> None:
        """Let `count` requests of so many items each come at once."""
        for _ in range(count):
            stack = ExitStack()
            stack.enter_context(self.gate.in_hand(items))
            self._stacks.append((stack, items))

    def answer(self, count: int, seconds: float) -> None:
        """Let the first `count` be answered, evenly over some time."""
        for _ in range(count):
            self.now += seconds / count
            stack, items = self._stacks.pop(0)
            stack.close()
            self.gate.answered(items)
