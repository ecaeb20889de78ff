"""The service curve."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time

import pytest

from shared.messages import Tensor
from tests.worker.fakes import MODEL, FakeEngine
from worker.tuning import best_size, every_size, measure, own_time_s, warm_up


def test_every_size_that_is_used_is_run_before_a_client_comes() -> None:
    engine = FakeEngine()
    assert list(measure(engine, MODEL, 32)) == [1, 2, 4, 8, 16, 32]
    engine = FakeEngine()
    warm_up(engine, MODEL, 6)
    assert set(engine.sizes) == {1, 2, 3, 4, 5, 6}


def test_the_largest_batch_is_measured_though_it_is_no_power_of_two() -> None:
    assert list(measure(FakeEngine(), MODEL, 24)) == [1, 2, 4, 8, 16, 24]


def test_the_curve_ends_before_a_size_that_would_take_too_long() -> None:
    now = 0.0

    def run(batch: Tensor) -> None:
        nonlocal now
        now += 0.03 * len(batch)

    curve = measure(FakeEngine(run), MODEL, 32, lambda: now)
    assert curve == pytest.approx({1: 30, 2: 60})


def test_sizes_between_those_measured_lie_on_the_line() -> None:
    assert every_size({1: 10, 2: 20, 4: 30, 8: 90}, 6) == [10, 20, 25, 30, 45, 60]


def test_the_curve_is_the_best_of_three_in_milliseconds() -> None:
    ticks = itertools.accumulate([0, 0.5, 0, 0.2, 0, 0.3])
    assert measure(FakeEngine(), MODEL, 1, lambda: next(ticks)) == {1: pytest.approx(200)}


def test_the_clock_stands_still_while_others_have_the_core() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread, and of the process that it starts
    spin = "print(flush=True)\nwhile True: pass"
    other = subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        other.stdout.readline()
        wall_s, own_s, cpu_s = time.perf_counter(), own_time_s(), time.thread_time()
        while time.thread_time() < cpu_s + 0.2:
            pass
        wall_s, own_s = time.perf_counter() - wall_s, own_time_s() - own_s
    finally:
        os.sched_setaffinity(0, cores)
        other.kill()
        other.communicate()
    assert 0.15 < own_s < 0.75 * wall_s


def test_the_best_size_has_the_most_items_per_millisecond() -> None:
    assert best_size({1: 10, 2: 15, 4: 28, 8: 80}) == 4


def test_of_equal_sizes_the_largest_is_taken() -> None:
    assert best_size({1: 5, 2: 10, 4: 20.5, 8: 42, 16: 90}) == 8


def test_what_a_batch_costs_beside_the_engine_counts() -> None:
    assert best_size({1: 11, 2: 21.5, 4: 45.5, 8: 98}) == 4


def test_a_batch_that_keeps_others_waiting_is_not_taken_though_it_is_the_best() -> None:
    assert best_size({1: 14, 2: 26, 4: 50, 8: 101, 16: 170}) == 4


def test_an_engine_slower_than_that_runs_single_items() -> None:
    assert best_size({1: 300, 2: 500}) == 1


def test_a_busy_moment_does_not_make_one_size_look_slow() -> None:
    times = {1: 0.0010, 2: 0.0015, 4: 0.0020}
    now = 0.0

    def run(batch: Tensor) -> None:
        nonlocal now
        busy = len(engine.sizes) <= 6  # the first pass over the sizes
        now += times[len(batch)] * (10 if busy else 1)

    engine = FakeEngine(run)
    assert measure(engine, MODEL, 4, lambda: now) == pytest.approx({1: 1, 2: 1.5, 4: 2})
