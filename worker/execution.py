"""A batch through the engine → a result for each of its requests, whatever the engine does."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from shared.logs import fields
from shared.manifest import Model
from shared.messages import Request, Result, Tensor
from worker.batcher import Batch
from worker.engines import TOP, Engine
from worker.results import Item, first, to_items

_log = logging.getLogger(__name__)

Answers = list[tuple[Request, Result]]


class Execution:
    """Runs batches, of `largest` items at most in one call of the engine."""

    def __init__(self, engine: Engine, model: Model, largest: int) -> None:
        self.since: float | None = None  # monotonic seconds: when the batch that runs began
        self._engine = engine
        self._model = model
        self._largest = largest

    def answer(self, batch: Batch) -> Answers:
        """Return a result for every request; where the batch fails, only the guilty one fails."""
        self.since = time.monotonic()
        try:
            return self._answer(batch)
        finally:
            self.since = None

    def _answer(self, batch: Batch) -> Answers:
        failed = [(request, Result(request.id, "failed")) for request in batch.unfit]
        if not batch.held:
            return failed
        try:
            return failed + self._run_batch(batch)
        except Exception:  # whatever an engine raises must not end the worker
            _log.exception("batch failed", extra=fields(requests=len(batch.held)))
        if len(batch.held) == 1:
            request = batch.held[0].request
            return [*failed, (request, Result(request.id, "failed"))]
        for part in batch.split():
            failed += self._answer(part)
        return failed

    def _run_batch(self, batch: Batch) -> Answers:
        top_k = max(TOP, *(held.request.top_k for held in batch.held))
        started = time.monotonic()
        items = self._run_items(batch.tensors, top_k)
        inference_ms = (time.monotonic() - started) * 1000
        batch_wait_ms = (started - batch.taken_at) * 1000
        answers = []
        start = 0
        for held in batch.held:
            request = held.request
            own = items[start : start + request.items]
            start += request.items
            result = Result(
                id=request.id,
                items=first(own, request.top_k),
                version=self._model.version,
                batch_size=len(items),
                timing_ms={
                    "queue": float(held.waited_ms),
                    "batch_wait": round(batch_wait_ms, 3),
                    "inference": round(inference_ms, 3),
                },
                context=request.context.decode(),
            )
            answers.append((request, result))
        return answers

    def _run_items(self, tensors: Sequence[Tensor], top_k: int) -> list[Item]:
        """Run a batch; one request with more items than the largest size is run in parts."""
        items: list[Item] = []
        for start in range(0, len(tensors[0]), self._largest):
            part = [tensor[start : start + self._largest] for tensor in tensors]
            items += to_items(self._model, self._engine.run(part, top_k))
        return items
