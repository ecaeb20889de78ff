"""The service curve."""

from __future__ import annotations

import itertools

import pytest

from shared.messages import Tensor
from tests.worker.fakes import MODEL, FakeEngine
from worker.tuning import best_size, measure


def test_every_size_is_run_before_a_client_comes() -> None:
    engine = FakeEngine()
    curve = measure(engine, MODEL, 32)
    assert list(curve) == [1, 2, 4, 8, 16, 32]
    assert set(engine.sizes) == set(curve)


def test_the_curve_is_the_best_of_three_in_milliseconds() -> None:
    ticks = itertools.accumulate([0, 0.5, 0, 0.2, 0, 0.3])
    assert measure(FakeEngine(), MODEL, 1, lambda: next(ticks)) == {1: pytest.approx(200)}


def test_the_best_size_has_the_most_items_per_millisecond() -> None:
    assert best_size({1: 10, 2: 15, 4: 28, 8: 80}) == 4


def test_of_equal_sizes_the_largest_is_taken() -> None:
    assert best_size({1: 5, 2: 10, 4: 20.5, 8: 42, 16: 90}) == 8


def test_a_batch_that_keeps_others_waiting_is_not_taken_though_it_is_the_best() -> None:
    assert best_size({1: 14, 2: 26, 4: 50, 8: 101, 16: 170}) == 4


def test_an_engine_slower_than_that_runs_single_items() -> None:
    assert best_size({1: 300, 2: 500}) == 1


def test_a_busy_moment_does_not_make_one_size_look_slow() -> None:
    times = {1: 1.0, 2: 1.5, 4: 2.0}
    now = 0.0

    def run(batch: Tensor) -> None:
        nonlocal now
        busy = 3 < len(engine.sizes) <= 7  # the first pass over the sizes that is timed
        now += times[len(batch)] * (10 if busy else 1)

    engine = FakeEngine(run)
    assert measure(engine, MODEL, 4, lambda: now) == pytest.approx({1: 1000, 2: 1500, 4: 2000})
