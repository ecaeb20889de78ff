"""How a batch is chosen and laid into memory.

The policy is continuous batching under a service curve: no window, no waiting for company. When
the engine is free, or is about to be, the batch is what waits at that moment, in order of
arrival: as many items as the curve says run best together, fewer where a larger batch would end
after a deadline in it. A lone request starts at once; a crowd forms its batches while the one
before runs. The choice is one atomic script (`shared/lua/take.lua`). Only a web process that has
more photos than it can decode at once sends several together (`web/outbox.py`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.logs import fields
from shared.manifest import Model
from shared.messages import MessageError, Request, Tensor
from shared.queue import Queue

_log = logging.getLogger(__name__)

_WEIGHT = 0.1  # of the last batch in what is known of the machine's slowness
_SLOWEST = 10.0  # a batch that was held up longer is no rule for the next


@dataclass(frozen=True)
class Held:
    """A request under this worker's lease."""

    request: Request
    waited_ms: int


@dataclass(frozen=True)
class Part:
    """Requests that ask the same classifiers, and their tensors laid out for one call."""

    asked: tuple[int, ...]  # the places of the classifiers in the model
    held: Sequence[Held]
    tensors: Sequence[Tensor]  # per classifier asked, uint8 [items, height, width, channels]

    @property
    def items(self) -> int:
        """How many things there are to classify."""
        return len(self.tensors[0])

    def split(self) -> list[Part]:
        """Return a part per request, to find out which one is guilty."""
        return [Part(self.asked, [held], held.request.tensors) for held in self.held]


@dataclass(frozen=True)
class Batch:
    """Requests that run together: nearly always one part."""

    parts: Sequence[Part]
    unfit: Sequence[Request]  # taken with them, with tensors that are not this model's
    taken_at: float  # monotonic seconds

    @property
    def items(self) -> int:
        """How many things there are to classify."""
        return sum(part.items for part in self.parts)

    @property
    def ids(self) -> list[str]:
        """All ids that are under a lease because of this batch."""
        held = [held.request.id for part in self.parts for held in part.held]
        return held + [request.id for request in self.unfit]


class Batcher:
    """Takes batches from a queue for one worker."""

    def __init__(self, queue: Queue, model: Model, token: str, curve_ms: Sequence[float]) -> None:
        """`curve_ms` says how long a batch of 1, 2, 3 … items takes on a machine at rest.

        It ends at the best size.
        """
        self.curve_ms = curve_ms
        self._slowness = 1.0  # how many times as long it has lately taken
        self._queue = queue
        self._token = token
        self._shapes = [item.shape for item in model.classifiers]
        # Two places in turn: one is read by the engine while the other is filled.
        self._places = [
            [np.empty((len(curve_ms), *shape), np.uint8) for shape in self._shapes]
            for _ in range(2)
        ]

    @property
    def largest(self) -> int:
        """The most items in a batch, but for a single request with more."""
        return len(self.curve_ms)

    def predict_ms(self, items: int) -> float:
        """Return how long a batch is going to take."""
        return self._at_rest_ms(items) * self._slowness

    def note(self, items: int, took_ms: float) -> None:
        """Learn from a batch that ran: cores may be short all the time, as in a container."""
        slowness = min(max(took_ms / self._at_rest_ms(items), 1.0), _SLOWEST)
        self._slowness += _WEIGHT * (slowness - self._slowness)

    def collect(self, starts_in_ms: float = 0) -> Batch | None:
        """Take what waits for an engine that is free in `starts_in_ms`; None when nothing does.

        Its tensors are valid until the next but one is collected.
        """
        curve_ms = [took_ms * self._slowness for took_ms in self.curve_ms]
        taken = self._queue.take(self._token, curve_ms, starts_in_ms)
        if not taken:
            return None
        taken_at = time.monotonic()
        held: list[Held] = []
        unfit: list[Request] = []
        for item in taken:
            try:
                request = Request.decode(item.payload)
            except MessageError as error:  # a web tier of another version: its lease ends unread
                _log.error("request cannot be read", extra=fields(error=str(error)))
                continue
            if self._fits(request):
                held.append(Held(request, item.waited_ms))
            else:
                unfit.append(request)
        return Batch(self._lay_out(held), unfit, taken_at)

    def _at_rest_ms(self, items: int) -> float:
        size = min(max(items, 1), self.largest)
        return self.curve_ms[size - 1] * max(items, 1) / size

    def _lay_out(self, held: Sequence[Held]) -> list[Part]:
        groups: dict[tuple[int, ...], list[Held]] = {}
        for each in held:
            groups.setdefault(each.request.asked, []).append(each)
        self._places.reverse()
        parts, start = [], 0
        for asked, group in groups.items():
            end = start + sum(each.request.items for each in group)
            parts.append(Part(asked, group, self._columns(asked, group, start, end)))
            start = end
        return parts

    def _columns(
        self, asked: Sequence[int], group: Sequence[Held], start: int, end: int
    ) -> list[Tensor]:
        if len(group) == 1:
            return list(group[0].request.tensors)
        columns = []
        for column, place in enumerate(asked):
            columns.append(self._places[0][place][start:end])
            np.concatenate([each.request.tensors[column] for each in group], out=columns[-1])
        return columns

    def _fits(self, request: Request) -> bool:
        shapes = dict(enumerate(self._shapes))
        return all(
            tensor.dtype == np.uint8 and tensor.shape[1:] == shapes.get(place)
            for place, tensor in zip(request.asked, request.tensors, strict=True)
        ) and len(set(request.asked)) == len(request.asked)
