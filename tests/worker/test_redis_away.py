"""The worker's loop where Redis does not answer, or not in time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
import redis

from shared.messages import Request, Result, Tensor
from shared.queue import Queue, Taken
from shared.settings import Settings
from tests.worker.fakes import MODEL, FakeEngine
from tests.worker.test_loop import ask, make_worker, results
from worker.loop import Worker


def test_a_worker_outlives_a_redis_that_goes_away(client: redis.Redis) -> None:
    class Flaky(Queue):
        failures = 3

        def take(self, *arguments: Any) -> list[Taken]:
            if self.failures:
                self.failures -= 1
                raise redis.ConnectionError("away")
            return super().take(*arguments)

    queue = Flaky(client, "tags", Settings())
    queue.beat("w", {})
    (id_,) = ask(queue, 1)
    stop = threading.Event()
    worker = make_worker(queue, FakeEngine(lambda batch: stop.set()))
    worker.run(stop)
    assert set(results(queue)) == {id_}


def test_a_take_whose_reply_was_lost_costs_no_lease_and_no_attempt(client: redis.Redis) -> None:
    class Deaf(Queue):
        failures = 5  # more than the attempts that a request has

        def take(self, *arguments: Any) -> list[Taken]:
            taken = super().take(*arguments)
            if self.failures:
                self.failures -= 1
                raise redis.TimeoutError("no reply")
            return taken

    queue = Deaf(client, "tags", Settings())
    queue.beat("w", {})
    ids = ask(queue, 1, 2)
    engine, stop = FakeEngine(lambda batch: stop.set()), threading.Event()
    started = time.monotonic()
    make_worker(queue, engine).run(stop)
    assert set(results(queue)) == set(ids)
    assert engine.sizes == [2]
    assert time.monotonic() - started < Settings().lease_ms / 1000


def test_an_ack_that_fails_is_repeated(client: redis.Redis) -> None:
    class Flaky(Queue):
        failures = 2

        def ack(self, token: str, answers: object) -> int:
            if self.failures:
                self.failures -= 1
                raise redis.TimeoutError("no reply")
            return super().ack(token, answers)  # type: ignore[arg-type]

    queue = Flaky(client, "tags", Settings())
    queue.beat("w", {})
    (id_,) = ask(queue, 1)
    engine = FakeEngine()
    make_worker(queue, engine).run_once()
    assert set(results(queue)) == {id_}
    assert engine.sizes == [1], "one inference, whatever became of the replies"


def test_a_late_answer_is_dropped_and_said(
    client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    queue = Queue(client, "tags", Settings(lease_ms=20))
    queue.beat("w", {})

    def lose_the_lease(batch: Tensor) -> None:
        time.sleep(0.03)
        queue.reap()

    (id_,) = ask(queue, 1)
    make_worker(queue, FakeEngine(lose_the_lease)).run_once()
    assert queue.result(id_) is None
    assert "results came after their lease" in caplog.messages


def test_a_worker_told_to_stop_gives_up_all_that_it_holds_at_the_same_time(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that stays away keeps it for no longer than one batch would."""
    monkeypatch.setattr("worker.loop._ACK_PATIENCE_S", 2.0)
    tries: Counter[str] = Counter()

    class Away(Queue):
        def ack(self, token: str, answers: Iterable[tuple[Request, Result]]) -> int:
            tries.update(request.id for request, _ in answers)
            raise redis.TimeoutError("no reply")

    queue = Away(client, "tags", Settings())
    queue.beat("w", {})
    stop, both = threading.Event(), threading.Event()

    def until_there_are_two(batch: Tensor) -> None:
        both.wait()

    worker = Worker(queue, FakeEngine(until_there_are_two), MODEL, "w", [1.0])
    first, second = ask(queue, 1, 2)
    thread = threading.Thread(target=worker.run, args=[stop])
    thread.start()
    while len(worker.held) < 2:
        time.sleep(0.01)
    stop.set()
    both.set()
    thread.join()
    assert 0 < tries[second] < tries[first] / 2
