"""Predictions on a machine that is never at rest, as the service curve's is."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from shared.queue import Queue, Taken
from tests.worker.fakes import MODEL, FakeEngine
from tests.worker.test_loop import ask
from worker.batcher import Batcher
from worker.loop import Worker

CURVE_MS = [10.0, 15.0]


@pytest.fixture
def curves(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> list[list[float]]:
    """The curve of each take."""
    seen: list[list[float]] = []
    take = queue.take

    def noted(token: str, curve_ms: Sequence[float], starts_in_ms: float = 0) -> list[Taken]:
        seen.append(list(curve_ms))
        return take(token, curve_ms, starts_in_ms)

    monkeypatch.setattr(queue, "take", noted)
    return seen


def test_batches_that_take_longer_than_the_curve_are_predicted_so(
    queue: Queue, curves: list[list[float]]
) -> None:
    batcher = Batcher(queue, MODEL, "w", CURVE_MS)
    assert [batcher.predict_ms(items) for items in (1, 2, 4)] == [10, 15, 30]
    for _ in range(80):
        batcher.note(2, 45.0)
    predicted = [batcher.predict_ms(items) for items in (1, 2, 4)]
    assert predicted == pytest.approx([30, 45, 90], rel=0.01)
    batcher.collect()
    assert curves == [pytest.approx(predicted[:2])]


def test_the_curve_is_the_least_that_a_batch_is_predicted_to_take(queue: Queue) -> None:
    """A batch may be quicker, for not all of its requests ask for every classifier."""
    batcher = Batcher(queue, MODEL, "w", CURVE_MS)
    batcher.note(1, 0.1)
    assert batcher.predict_ms(1) == 10


def test_one_batch_that_was_held_up_is_no_rule(queue: Queue) -> None:
    batcher = Batcher(queue, MODEL, "w", CURVE_MS)
    batcher.note(1, 60_000.0)
    assert batcher.predict_ms(1) < 20
    for _ in range(30):
        batcher.note(1, 10.0)
    assert batcher.predict_ms(1) < 10.5


def test_the_loop_notes_how_long_its_batches_take(queue: Queue, curves: list[list[float]]) -> None:
    worker = Worker(queue, FakeEngine(lambda batch: time.sleep(0.03)), MODEL, "w", CURVE_MS)
    for value in range(3):
        ask(queue, value)
        worker.run_once()
    assert curves[0] == CURVE_MS
    assert curves[2] > [12.0, 18.0]
