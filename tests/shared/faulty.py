"""A queue on a real Redis whose callers do not always hear what became of a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import redis

from shared.queue import Queue


class Late(NamedTuple):
    """A call that its caller gave up, and that Redis has when `arrive` is called."""

    script: str
    arguments: Sequence[Any]
    arrive: Callable[[], Any]


class Faulty(Queue):
    """`hearing` says of a script how its next call goes; in any other, all goes well.

    `unheard`: Redis has it, and the reply is lost. `late`: it is put aside, and times out.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.hearing: dict[str, str] = {}
        self.late: list[Late] = []

    def _run_all(self, name: str, calls: Any, *rest: Any) -> list[Any]:
        hearing = self.hearing.pop(name, "heard")
        call = partial(super()._run_all, name, calls, *rest)
        if hearing == "late":
            self.late.append(Late(name, calls[0], call))
        replies = [] if hearing == "late" else call()
        if hearing != "heard":
            raise redis.TimeoutError("no reply")
        return replies
