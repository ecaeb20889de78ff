"""The parent of the workers and its crew, with children that only sleep."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from shared.processes import Child, spawn, stop_all
from worker.crew import Crew
from worker.supervisor import Supervisor

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
_DIE = [sys.executable, "-c", ""]


@pytest.fixture(autouse=True)
def _own_signals() -> Iterator[None]:
    """Give the test run its signal handlers back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def children() -> list[psutil.Process]:
    """Return our children that only sleep."""
    found = []
    for child in psutil.Process().children():
        if child.status() != psutil.STATUS_ZOMBIE and _SLEEP[2] in child.cmdline():
            found.append(child)
    return found


def test_workers_that_die_together_are_replaced_together() -> None:
    dead: list[str] = []
    started: list[str] = []

    def start(place: int, token: str) -> Child:
        started.append(token)
        return spawn(_SLEEP)

    def on_death(token: str) -> bool:
        dead.append(token)
        return False

    crew = Crew(3, start, on_death)
    crew.run_once(100.0)
    try:
        first = children()
        assert len(first) == 3
        for child in first:
            child.kill()
        until = time.monotonic() + 5
        while len(dead) < 3:
            assert time.monotonic() < until
            crew.run_once(100.1)
            time.sleep(0.01)
        assert sorted(dead) == sorted(started[:3]), "their leases are returned by their tokens"
        assert len(started) == 3, "not before their delay"
        crew.run_once(100.31)
        assert len(started) == 6
        assert len(set(started)) == 6
    finally:
        supervisor = Supervisor(crew)
        supervisor.stop()
        supervisor.run()
    assert children() == []


def test_one_that_dies_again_and_again_is_started_ever_more_slowly() -> None:
    started: list[float] = []
    now = 0.0

    def start(place: int, token: str) -> Child:
        started.append(now)
        return spawn(_DIE)

    crew = Crew(1, start, lambda token: False)
    for tick in range(200):
        now = tick * 0.1
        crew.run_once(now)
        time.sleep(0.02)
    pauses = [late - early for early, late in itertools.pairwise(started)]
    assert 4 <= len(started) < 12
    assert pauses[-1] == max(pauses)
    assert pauses[-1] > 3


def test_one_that_had_served_is_started_without_a_longer_delay() -> None:
    started: list[Child] = []

    def start(place: int, token: str) -> Child:
        started.append(spawn(_DIE))
        return started[-1]

    crew = Crew(1, start, lambda token: True)
    for tick in range(20):  # its death is seen in one, and it is started in the next
        crew.run_once(tick * 0.3)
        started[-1].wait()
    assert len(started) == 10


def test_one_that_cannot_be_started_is_tried_again_and_holds_up_no_other() -> None:
    tried: list[int] = []

    def start(place: int, token: str) -> Child:
        tried.append(place)
        if len(tried) == 1:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return spawn(_SLEEP)

    crew = Crew(2, start, lambda token: False)
    try:
        crew.run_once(0.0)
        assert tried == [0, 1]
        assert len(crew.children()) == 1
        crew.run_once(0.1)
        assert tried == [0, 1], "not before its delay"
        crew.run_once(0.21)
        assert tried == [0, 1, 0]
        assert len(crew.children()) == 2
    finally:
        stop_all(crew.children(), patience_s=5)


def test_it_stops_while_a_child_waits_for_its_restart() -> None:
    supervisor = Supervisor(Crew(2, lambda place, token: spawn(_DIE), lambda token: False))
    timer = threading.Timer(1.0, supervisor.stop)
    timer.start()
    started = time.monotonic()
    supervisor.run()
    assert time.monotonic() - started < 3


def test_a_crew_that_is_dismissed_ends_and_nobody_is_started_again() -> None:
    crew = Crew(2, lambda place, token: spawn(_SLEEP), lambda token: False)
    crew.run_once(0.0)
    assert len(crew.tokens) == 2
    crew.dismiss()
    until = time.monotonic() + 5
    while crew.children():
        assert time.monotonic() < until
        crew.run_once(100.0)
        time.sleep(0.01)
    crew.run_once(200.0)
    assert children() == []
