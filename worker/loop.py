"""The worker's loop: collect → run → publish, the engine never waiting for the other two."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue

from redis.exceptions import RedisError

from shared.logs import Seldom, fields
from shared.manifest import Model
from shared.queue import Queue
from worker.batcher import Batch, Batcher
from worker.engines import Engine
from worker.execution import Answers, Execution

_log = logging.getLogger(__name__)
_seldom = Seldom(_log)

_IDLE_S = 0.5  # how long an idle worker waits before it looks whether it is to stop
_ACK_PATIENCE_S = 10.0  # from when a batch ran: two in hand are given up at the same time

Ran = tuple[Batch, Answers, float]  # and when that was, in monotonic seconds


class Worker:
    """Takes what is queued the moment it is free, runs it as one batch, writes the results.

    The thread that calls `run` talks to Redis; another does nothing but run the engine. While a
    batch runs, the results of the one before are written and, shortly before it ends, the next
    is taken and laid into memory: as late as that can be, so that until then it can grow, and
    another worker that is free earlier can have it.
    """

    def __init__(
        self, queue: Queue, engine: Engine, model: Model, token: str, curve_ms: Sequence[float]
    ) -> None:
        """`curve_ms` says how long a batch of 1, 2, 3 … items takes; it ends at the best size."""
        self.token = token
        self.items_run = 0
        self.batches_run = 0
        self._queue = queue
        self._batcher = Batcher(queue, model, token, curve_ms)
        self._execution = Execution(engine, model, len(curve_ms))
        self._held: dict[str, None] = {}
        self._ends: deque[float] = deque()  # when the batches handed over are going to end
        self._handed: SimpleQueue[Batch | None] = SimpleQueue()
        self._ran: SimpleQueue[Ran] = SimpleQueue()
        self._collect_s = 0.002  # how long collecting takes, smoothed
        self._in_doubt = False  # a take failed: there may be leases whose requests never came here

    @property
    def held(self) -> tuple[str, ...]:
        """The ids under this worker's lease, for the upkeep to renew."""
        return tuple(self._held)

    @property
    def busy_since(self) -> float | None:
        """Since when the engine has run its batch, in monotonic seconds; None while it is idle."""
        return self._execution.since

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; what was taken is finished first."""
        engine = threading.Thread(target=self._run_engine, name="engine", daemon=True)
        engine.start()
        while self._ends or not stop.is_set():
            try:
                self._step(stop.is_set())
            except RedisError as error:
                _seldom.warning("redis is away", error=str(error))
                stop.wait(0.2)
        self._handed.put(None)
        engine.join()

    def run_once(self) -> int:
        """Take one batch, run it here and answer it; return its items, 0 when none waits."""
        batch = self._collect(0)
        if batch is None:
            return 0
        self._publish(self._run_batch(batch))
        return batch.items

    def _step(self, stopping: bool) -> None:
        """Do what is due next: publish, collect, or wait for either."""
        free_at = self._ends[-1] if self._ends else 0.0
        if stopping or len(self._ends) > 1:
            self._publish_next(None)
        elif self._publish_next(free_at - time.monotonic() - 1.5 * self._collect_s):
            pass  # and look again: the engine may be free
        elif batch := self._collect(max(0.001, free_at - time.monotonic()) if free_at else 0.0):
            starts_at = max(free_at, time.monotonic())
            self._ends.append(starts_at + self._batcher.predict_ms(batch.items) / 1000)
            self._handed.put(batch)
        elif self._ends:
            self._publish_next(None)
        else:
            self._queue.wait(_IDLE_S)

    def _publish_next(self, patience_s: float | None) -> bool:
        """Publish the batch that the engine is through with; return whether there was one."""
        if not self._ends:
            return False
        try:
            ran = self._ran.get(timeout=None if patience_s is None else max(0.0, patience_s))
        except Empty:
            return False
        self._ends.popleft()
        self._publish(ran)
        return True

    def _collect(self, starts_in_s: float) -> Batch | None:
        started = time.monotonic()
        if self._in_doubt:
            self._queue.release(self.token, self.held)
        self._in_doubt = True
        batch = self._batcher.collect(starts_in_s * 1000)
        self._in_doubt = False
        if batch is not None:
            self._held.update(dict.fromkeys(batch.ids))
            self._collect_s += 0.2 * (time.monotonic() - started - self._collect_s)
        return batch

    def _publish(self, ran: Ran) -> None:
        batch, answers, ran_at = ran
        try:
            self._ack(answers, ran_at + _ACK_PATIENCE_S)
        finally:
            for id_ in batch.ids:
                self._held.pop(id_, None)
        self.items_run += batch.items
        self.batches_run += 1

    def _ack(self, answers: Answers, give_up: float) -> None:
        """Write the results; a Redis that is away is asked again until `give_up`."""
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

    def _run_engine(self) -> None:
        """What the engine's thread does."""
        while (batch := self._handed.get()) is not None:
            self._ran.put(self._run_batch(batch))

    def _run_batch(self, batch: Batch) -> Ran:
        started = time.monotonic()
        answers = self._execution.answer(batch)
        ran_at = time.monotonic()
        self._batcher.note(batch.items, (ran_at - started) * 1000)
        return batch, answers, ran_at
