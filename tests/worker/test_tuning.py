"""The service curve."""

from __future__ import annotations

import itertools

import pytest

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
    assert best_size({1: 10, 2: 20, 4: 39.5, 8: 82, 16: 170}) == 8
