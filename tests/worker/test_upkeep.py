"""Heartbeat, renewing and reaping beside the batches."""

from __future__ import annotations

import threading
import time

import redis

from shared.messages import Request, Tensor
from shared.queue import Queue
from shared.settings import Settings
from tests.worker.fakes import MODEL, FakeEngine, pixels
from worker.loop import Worker
from worker.upkeep import Upkeep


def test_upkeep_keeps_a_long_batch_and_returns_a_dead_workers(client: redis.Redis) -> None:
    queue = Queue(client, "tags", Settings(lease_ms=150))
    run = threading.Event()

    def wait(batch: Tensor) -> None:
        run.wait(5)

    worker = Worker(queue, FakeEngine(wait), MODEL, "lives", [1.0])
    upkeep = Upkeep(queue, worker, lambda: {"pid": 1}, interval_s=0.03, hang_s=60)
    upkeep.start()
    try:
        while not queue.census().workers:
            time.sleep(0.01)
        requests = [Request(f"{number:032x}", pixels(1), 5000) for number in range(2)]
        queue.enqueue([request.encode() for request in requests])
        works = threading.Thread(target=worker.run_once)
        works.start()
        while not worker.held:
            time.sleep(0.01)
        queue.take("dies", [1.0])
        time.sleep(0.4)
        assert queue.census().leased == 1, "the living worker's lease was renewed"
        assert queue.census().items == 1, "the dead worker's request is back"
    finally:
        run.set()
        works.join()
        upkeep.stop()
    assert queue.census().workers == [], "it signed off"
