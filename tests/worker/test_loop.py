"""The worker's loop, on a real Redis with an engine that does as it is told."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable

import redis

from shared.messages import Request, Result, Tensor, decode_results
from shared.queue import Queue
from tests.worker.fakes import LABELS, MODEL, FakeEngine, pixels
from worker.loop import Worker

MAILBOX = "e" * 32


def make_worker(queue: Queue, engine: FakeEngine, batch: int = 4) -> Worker:
    return Worker(queue, engine, MODEL, "w", [1.0] * batch)


def ask(queue: Queue, *values: int, items: int = 1, top_k: int = 5) -> list[str]:
    """Enqueue a request per value; return their ids."""
    requests = [
        Request(
            f"{value:032x}",
            pixels(value, items),
            5000,
            top_k,
            MAILBOX,
            context=f"<{value}>".encode(),
        )
        for value in values
    ]
    queue.enqueue([request.encode() for request in requests])
    return [request.id for request in requests]


def results(queue: Queue) -> dict[str, Result]:
    received: list[Result] = []
    while payload := queue.receive(MAILBOX, 0.1):
        received += decode_results(payload)
    assert len({result.id for result in received}) == len(received), "an id was answered twice"
    return {result.id: result for result in received}


def top(result: Result) -> str:
    return str(result.items[0]["themes"][0]["label"])


def test_what_waits_runs_as_one_batch_and_each_gets_its_own_answer(queue: Queue) -> None:
    ids = ask(queue, 1, 2, 3)
    engine = FakeEngine()
    assert make_worker(queue, engine).run_once() == 3
    answers = results(queue)
    assert [top(answers[id_]) for id_ in ids] == ["label 1", "label 2", "label 3"]
    assert engine.sizes == [3]
    assert {answer.batch_size for answer in answers.values()} == {3}
    assert {answer.version for answer in answers.values()} == {"3"}
    assert [answers[id_].context for id_ in ids] == ["<1>", "<2>", "<3>"]
    assert set(answers[ids[0]].timing_ms) == {"queue", "batch_wait", "inference"}


def test_a_lone_request_is_not_held_back_for_company(queue: Queue) -> None:
    ask(queue, 1)
    started = time.monotonic()
    make_worker(queue, FakeEngine()).run_once()
    assert time.monotonic() - started < 0.1


def test_a_batch_is_not_larger_than_the_best_size(queue: Queue) -> None:
    ask(queue, 1, 2, 3, 4, 5, 6)
    engine = FakeEngine()
    worker = make_worker(queue, engine)
    assert [worker.run_once() for _ in range(3)] == [4, 2, 0]


def test_a_request_of_many_items_is_run_in_parts_and_answered_whole(queue: Queue) -> None:
    (id_,) = ask(queue, 6, items=10)
    engine = FakeEngine()
    assert make_worker(queue, engine).run_once() == 10
    assert engine.sizes == [4, 4, 2]
    assert len(results(queue)[id_].items) == 10


def test_each_request_gets_as_many_labels_as_it_asked_for(queue: Queue) -> None:
    (few,) = ask(queue, 1, top_k=2)
    (usual,) = ask(queue, 2)
    (many,) = ask(queue, 3, top_k=42)
    make_worker(queue, FakeEngine()).run_once()
    answers = results(queue)
    assert [len(answers[id_].items[0]["themes"]) for id_ in (few, usual, many)] == [2, 5, 8]


def test_the_whole_softmax_comes_in_place_of_the_labels(queue: Queue) -> None:
    (whole,) = ask(queue, 1, items=2, top_k=0)
    (usual,) = ask(queue, 2)
    make_worker(queue, FakeEngine()).run_once()
    answers = results(queue)
    assert answers[whole].items == []
    assert len(base64.b64decode(answers[whole].softmax["themes"])) == 2 * len(LABELS) * 4
    assert len(answers[usual].items[0]["themes"]) == 5
    assert answers[usual].softmax == {}


def raise_on(*bad: int) -> Callable[[Tensor], None]:
    def before(batch: Tensor) -> None:
        if set(batch[:, 0, 0, 0].tolist()) & set(bad):
            raise RuntimeError("this one is bad")

    return before


def test_one_bad_request_does_not_fail_its_batch(queue: Queue) -> None:
    good, bad, other = ask(queue, 1, 2, 3)
    make_worker(queue, FakeEngine(raise_on(2))).run_once()
    answers = results(queue)
    assert answers[bad].error == "failed"
    assert (top(answers[good]), top(answers[other])) == ("label 1", "label 3")


def test_tensors_of_another_shape_fail_alone(queue: Queue) -> None:
    (good,) = ask(queue, 1)
    odd = Request(f"{99:032x}", [pixels(9)[0][:, :1]], 5000, mailbox=MAILBOX)
    queue.enqueue([odd.encode()])
    make_worker(queue, FakeEngine()).run_once()
    answers = results(queue)
    assert answers[odd.id].error == "failed"
    assert top(answers[good]) == "label 1"


def test_a_batch_of_nothing_that_fits_does_not_stop_the_worker(queue: Queue) -> None:
    odd = Request(f"{99:032x}", [pixels(9)[0][:, :1]], 5000, mailbox=MAILBOX)
    queue.enqueue([odd.encode()])
    stop = threading.Event()
    worker = Worker(queue, FakeEngine(lambda batch: stop.set()), MODEL, "w", [1.0])
    thread = threading.Thread(target=worker.run, args=[stop])
    thread.start()
    while queue.result(odd.id) is None:
        time.sleep(0.01)
    (good,) = ask(queue, 1)
    thread.join(10)
    answers = results(queue)
    assert answers[odd.id].error == "failed"
    assert top(answers[good]) == "label 1"


def test_a_request_of_another_version_does_not_stop_the_worker(
    queue: Queue, client: redis.Redis
) -> None:
    payload = bytearray(Request("a" * 32, pixels(1), 5000).encode())
    payload[4] = 9
    queue.enqueue([bytes(payload)])
    (good,) = ask(queue, 1)
    make_worker(queue, FakeEngine()).run_once()
    assert top(results(queue)[good]) == "label 1"


def test_leases_are_held_while_the_batch_runs(queue: Queue) -> None:
    seen: list[tuple[str, ...]] = []
    worker = make_worker(queue, FakeEngine(lambda batch: seen.append(worker.held)))
    ids = ask(queue, 1, 2)
    worker.run_once()
    assert seen == [tuple(ids)]
    assert worker.held == ()
    assert queue.census().leased == 0


def test_a_worker_told_to_stop_finishes_what_it_holds(queue: Queue) -> None:
    stop = threading.Event()
    worker = Worker(queue, FakeEngine(lambda batch: stop.set()), MODEL, "w", [1000.0])
    first, second = ask(queue, 1, 2)
    worker.run(stop)
    assert set(results(queue)) == {first}
    assert queue.result(second) is None
    assert queue.census().items == 1


def test_the_next_batch_is_in_hand_before_the_present_one_ends(queue: Queue) -> None:
    stop = threading.Event()
    held: list[tuple[str, ...]] = []
    first_done: list[bool] = []

    def run(batch: Tensor) -> None:
        until = time.monotonic() + 5
        while worker.held != tuple(ids[len(held) : len(held) + 2]) and time.monotonic() < until:
            time.sleep(0.005)
        held.append(worker.held)
        first_done.append(queue.result(ids[0]) is not None)

    worker = Worker(queue, FakeEngine(run), MODEL, "w", [100.0])
    ids = ask(queue, 1, 2, 3)
    thread = threading.Thread(target=worker.run, args=[stop])
    thread.start()
    while queue.result(ids[2]) is None:
        time.sleep(0.01)
    stop.set()
    thread.join()
    assert held[:2] == [(ids[0], ids[1]), (ids[1], ids[2])]
    assert first_done[:2] == [False, True], "it was published while the second ran"
    answers = results(queue)
    assert [top(answers[id_]) for id_ in ids] == ["label 1", "label 2", "label 3"]


def test_what_comes_early_in_a_batch_is_left_for_another_worker(queue: Queue) -> None:
    started, stop = threading.Event(), threading.Event()

    def run(batch: Tensor) -> None:
        started.set()
        time.sleep(0.3)

    worker = Worker(queue, FakeEngine(run), MODEL, "w", [300.0])
    thread = threading.Thread(target=worker.run, args=[stop])
    ask(queue, 1)
    thread.start()
    started.wait()
    (id_,) = ask(queue, 2)
    time.sleep(0.1)
    make_worker(queue, FakeEngine()).run_once()
    assert queue.result(id_) is not None
    stop.set()
    thread.join()


def test_batches_in_two_places_are_not_mixed_up(queue: Queue) -> None:
    stop = threading.Event()
    worker = Worker(queue, FakeEngine(lambda batch: time.sleep(0.002)), MODEL, "w", [1.0] * 4)
    ids = ask(queue, *range(200))
    thread = threading.Thread(target=worker.run, args=[stop])
    thread.start()
    answers: dict[str, Result] = {}
    while len(answers) < len(ids):
        answers.update(results(queue))
    stop.set()
    thread.join()
    assert [top(answers[id_]) for id_ in ids] == [f"label {number % 8}" for number in range(200)]
    assert worker.batches_run < 100
