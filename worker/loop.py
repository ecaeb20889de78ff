"""The worker's loop: take → run → ack."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from redis.exceptions import RedisError

from shared.logs import Seldom, fields
from shared.manifest import Model
from shared.messages import MessageError, Request, Result, Tensor
from shared.queue import Queue, Taken
from worker.engines import TOP, Engine
from worker.results import Item, first, to_items

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)


@dataclass(frozen=True)
class _Held:
    """A request under this worker's lease."""

    request: Request
    waited_ms: int


class Worker:
    """Takes what is queued the moment it is free, runs it as one batch, writes the results."""

    def __init__(self, queue: Queue, engine: Engine, model: Model, token: str, batch: int) -> None:
        self._queue = queue
        self._engine = engine
        self._model = model
        self._batch = batch
        self._shapes = [(item.crop.height, item.crop.width, 3) for item in model.classifiers]
        self.token = token
        self.held: tuple[str, ...] = ()  # ids under a lease, for the upkeep to renew
        self.busy_since: float | None = None  # monotonic seconds
        self.items_run = 0
        self.batches_run = 0

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; the batch in hand is finished first."""
        while not stop.is_set():
            try:
                if not self.run_once():
                    self._queue.wait(0.5)
            except RedisError as error:
                _seldom.warning("redis is away", error=str(error))
                stop.wait(0.2)

    def run_once(self) -> int:
        """Take one batch and answer it; return how many items it had, 0 when none waits.

        A lone request is never held back for company: the batch is what waits now, up to the
        size that this machine runs best.
        """
        taken = self._queue.take(self.token, self._batch)
        if not taken:
            return 0
        self.busy_since = time.monotonic()
        try:
            held = self._read(taken)
            self.held = tuple(item.request.id for item in held)
            answers = self._answer(held, self.busy_since)
            self._ack(answers)
        finally:
            self.held, self.busy_since = (), None
        items = sum(item.request.items for item in held)
        self.items_run += items
        self.batches_run += 1
        return items

    def _read(self, taken: Sequence[Taken]) -> list[_Held]:
        held = []
        for item in taken:
            try:
                held.append(_Held(Request.decode(item.payload), item.waited_ms))
            except MessageError as error:  # a web tier of another version: its lease ends unread
                _log.error("request cannot be read", extra=fields(error=str(error)))
        return held

    def _answer(self, held: Sequence[_Held], taken_at: float) -> list[tuple[Request, Result]]:
        """Run the requests together; if that fails, each alone, to answer all but the guilty."""
        fitting = [item for item in held if self._fits(item.request)]
        answers = [
            (item.request, Result(item.request.id, "failed"))
            for item in held
            if not self._fits(item.request)
        ]
        if not fitting:
            return answers
        try:
            return answers + self._run_batch(fitting, taken_at)
        except Exception:  # whatever an engine raises must not end the worker
            _log.exception("batch failed", extra=fields(requests=len(fitting)))
        if len(fitting) == 1:
            return [*answers, (fitting[0].request, Result(fitting[0].request.id, "failed"))]
        for item in fitting:
            answers += self._answer([item], taken_at)
        return answers

    def _fits(self, request: Request) -> bool:
        return [tensor.shape[1:] for tensor in request.tensors] == self._shapes and all(
            tensor.dtype == np.uint8 for tensor in request.tensors
        )

    def _run_batch(self, held: Sequence[_Held], taken_at: float) -> list[tuple[Request, Result]]:
        requests = [item.request for item in held]
        tensors = [
            np.concatenate(parts) for parts in zip(*(r.tensors for r in requests), strict=True)
        ]
        top_k = max(TOP, *(request.top_k for request in requests))
        started = time.monotonic()
        items = self._run_items(tensors, top_k)
        inference_ms = (time.monotonic() - started) * 1000
        batch_wait_ms = (started - taken_at) * 1000
        answers = []
        start = 0
        for entry in held:
            request = entry.request
            own = items[start : start + request.items]
            start += request.items
            timing = {
                "queue": float(entry.waited_ms),
                "batch_wait": round(batch_wait_ms, 3),
                "inference": round(inference_ms, 3),
            }
            result = Result(
                id=request.id,
                items=first(own, request.top_k),
                version=self._model.version,
                batch_size=len(items),
                timing_ms=timing,
                context=request.context.decode(),
            )
            answers.append((request, result))
        return answers

    def _run_items(self, tensors: Sequence[Tensor], top_k: int) -> list[Item]:
        """Run a batch; one request with more items than the best size is run in parts."""
        items: list[Item] = []
        for start in range(0, len(tensors[0]), self._batch):
            part = [tensor[start : start + self._batch] for tensor in tensors]
            items += to_items(self._model, self._engine.run(part, top_k))
        return items

    def _ack(self, answers: Sequence[tuple[Request, Result]]) -> None:
        """Write the results; a Redis that is away is asked again while the leases could last."""
        give_up = time.monotonic() + 10
        while True:
            try:
                written = self._queue.ack(self.token, answers)
                break
            except RedisError as error:
                if time.monotonic() > give_up:
                    _log.error("results given up", extra=fields(error=str(error)))
                    return
                time.sleep(0.1)
        if written < len(answers):
            late = len(answers) - written
            _log.warning("results came after their lease", extra=fields(results=late))
