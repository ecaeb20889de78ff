"""What a worker gave up waiting for may still reach Redis, after what it sent later."""

from __future__ import annotations

import threading

import pytest
import redis

from shared.messages import Request, Tensor
from shared.queue import Queue
from shared.settings import Settings
from tests.shared.faulty import Faulty
from tests.worker.fakes import MODEL, FakeEngine, pixels
from worker.loop import Worker


@pytest.fixture
def faulty(client: redis.Redis) -> Faulty:
    queue = Faulty(client, "tags", Settings())
    queue.beat("w", {})
    return queue


def ask(queue: Queue, *values: int) -> list[str]:
    requests = [Request(f"{value:032x}", pixels(value), 5000) for value in values]
    queue.enqueue([request.encode() for request in requests])
    return [request.id for request in requests]


def test_a_release_that_comes_late_returns_nothing_of_what_was_taken_meanwhile(
    faulty: Faulty,
) -> None:
    (id_,) = ask(faulty, 1)
    faulty.hearing = {"release": "late"}
    with pytest.raises(redis.TimeoutError):
        faulty.release("w", [])
    assert faulty.release("w", []) == 0
    assert len(faulty.take("w", [0.0])) == 1
    assert faulty.late[0].arrive() == [0]
    assert faulty.take("v", [0.0]) == [], "it would run twice"
    assert faulty.renew("w", [id_]) == 1


def test_a_take_that_comes_late_takes_nothing(faulty: Faulty) -> None:
    faulty.hearing = {"take": "late"}
    with pytest.raises(redis.TimeoutError):
        faulty.take("w", [0.0])
    assert faulty.release("w", []) == 0
    ask(faulty, 1)
    assert faulty.late[0].arrive() == [[]]
    assert faulty.census().leased == 0
    assert len(faulty.take("v", [0.0])) == 1, "of another worker's it says nothing"


def test_a_worker_that_died_leaves_nothing_of_that_behind(
    faulty: Faulty, client: redis.Redis
) -> None:
    faulty.take("w", [0.0])
    assert client.exists("batchpoint:{tags}:sent:w")
    faulty.reap(dead="w")
    assert not client.exists("batchpoint:{tags}:sent:w")


def test_a_batch_does_not_run_twice_when_a_release_comes_late(faulty: Faulty) -> None:
    (id_,) = ask(faulty, 1)
    stop, other = threading.Event(), FakeEngine()

    def while_it_runs(batch: Tensor) -> None:
        faulty.late[0].arrive()
        Worker(faulty, other, MODEL, "v", [1.0]).run_once()
        stop.set()

    engine = FakeEngine(while_it_runs)
    faulty.hearing = {"take": "unheard", "release": "late"}
    Worker(faulty, engine, MODEL, "w", [1.0]).run(stop)
    assert (engine.sizes, other.sizes) == ([1], [])
    assert faulty.result(id_) is not None
