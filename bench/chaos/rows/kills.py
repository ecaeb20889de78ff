"""Workers killed with -9 under load, again and again."""

from __future__ import annotations

import time

from bench.chaos import photos
from bench.chaos.load import Load
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage, caught, kill

_PATIENCE_S = 20.0  # for two workers to be ready


def _kill_when_two_are_ready(stage: Stage, short: bool) -> Seen:
    kills = 2 if short else 20
    with Load(stage.port, photos.real(), clients=100, every_s=5) as load:
        held = [_kill_one(stage) for _ in range(kills)]
        stage.settle(1)
    return _seen(load, held, kills)


def _kill_each_second(stage: Stage, short: bool) -> Seen:
    seconds = 6 if short else 60
    held = []
    with Load(stage.port, photos.numbered, clients=100, every_s=3) as load:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            due = time.monotonic() + 1
            held.append(_kill_one(stage))
            stage.settle(max(0.0, due - time.monotonic()))
    return _seen(load, held, seconds // 2)


def _seen(load: Load, held: list[int], least: int) -> Seen:
    tally = load.tally()
    misses = tally.misses(least_ok=0.99)
    if len(held) < least:
        misses.append(f"{len(held)} workers were killed, fewer than {least}")
    if not sum(held):
        misses.append("no worker that was killed held a request")
    return Seen({"killed": len(held), "requests they held": sum(held), **tally.figures()}, misses)


def _kill_one(stage: Stage) -> int:
    """Kill a worker as soon as two are ready; return how many requests it held."""
    if stage.wait_until(lambda: len(stage.ready()) >= 2, _PATIENCE_S) == float("inf"):
        raise RuntimeError(f"no two workers were ready: {stage.log}")
    worker, held = caught(stage)
    kill(worker["pid"])
    return held


_PROMISE = (
    "every request: 200 or a typed 5xx by its deadline + 250 ms; 0 lost, 0 wrong, 0 given to "
    "another; at least 99 % are 200"
)
ROWS = (
    Row(
        "workers killed",
        "100 clients; a ready worker killed with -9 whenever two are ready, 20 times",
        _PROMISE,
        Needs(engine="litert"),
        _kill_when_two_are_ready,
    ),
    Row(
        "quick workers killed",
        "100 clients, a quick engine; a ready worker killed with -9 each second for 60 s",
        _PROMISE,
        Needs(workers=4),
        _kill_each_second,
    ),
)
