"""A batch through the engine → a result for each of its requests, whatever the engine does."""

from __future__ import annotations

import logging
import time

from shared.logs import fields
from shared.manifest import Model
from shared.messages import Request, Result
from worker.batcher import Batch, Part
from worker.engines import TOP, Answer, Engine, join
from worker.results import to_items, to_softmax

_log = logging.getLogger(__name__)

Answers = list[tuple[Request, Result]]


class Execution:
    """Runs batches, of `largest` items at most in one call of the engine."""

    def __init__(self, engine: Engine, model: Model, largest: int) -> None:
        self.since: float | None = None  # monotonic seconds: when the batch that runs began
        self._engine = engine
        self._model = model
        self._largest = largest
        self._all = max(len(classifier.labels) for classifier in model.classifiers)

    def answer(self, batch: Batch) -> Answers:
        """Return a result for every request; where the batch fails, only the guilty one fails."""
        self.since = time.monotonic()
        try:
            return self._answer(batch)
        finally:
            self.since = None

    def _answer(self, batch: Batch) -> Answers:
        answers = [(request, Result(request.id, "failed")) for request in batch.unfit]
        for part in batch.parts:
            answers += self._answer_part(part, batch.taken_at)
        return answers

    def _answer_part(self, part: Part, taken_at: float) -> Answers:
        try:
            return self._run_part(part, taken_at)
        except Exception:  # whatever an engine raises must not end the worker
            _log.exception("batch failed", extra=fields(requests=len(part.held)))
        if len(part.held) == 1:
            request = part.held[0].request
            return [(request, Result(request.id, "failed"))]
        return [answer for one in part.split() for answer in self._answer_part(one, taken_at)]

    def _run_part(self, part: Part, taken_at: float) -> Answers:
        classifiers = [self._model.classifiers[place] for place in part.asked]
        top_k = max(TOP, *(held.request.top_k or self._all for held in part.held))
        started = time.monotonic()
        outputs = self._run_pieces(part, top_k)
        inference_ms = (time.monotonic() - started) * 1000
        batch_wait_ms = (started - taken_at) * 1000
        answers = []
        start = 0
        for held in part.held:
            request = held.request
            own = [output.part(start, request.items, request.top_k) for output in outputs]
            start += request.items
            result = Result(
                id=request.id,
                items=to_items(classifiers, own) if request.top_k else [],
                softmax={} if request.top_k else to_softmax(classifiers, own),
                version=self._model.version,
                batch_size=part.items,
                timing_ms={
                    "queue": float(held.waited_ms),
                    "batch_wait": round(batch_wait_ms, 3),
                    "inference": round(inference_ms, 3),
                },
                context=request.context.decode(),
            )
            answers.append((request, result))
        return answers

    def _run_pieces(self, part: Part, top_k: int) -> list[Answer]:
        """Run a part; one request with more items than the largest size is run in pieces."""
        pieces = [
            self._engine.run(
                [tensor[start : start + self._largest] for tensor in part.tensors],
                top_k,
                part.asked,
            )
            for start in range(0, part.items, self._largest)
        ]
        return [join(column) for column in zip(*pieces, strict=True)]
