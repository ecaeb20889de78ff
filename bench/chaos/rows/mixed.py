"""Faults of all kinds, one on top of another."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial

from bench.chaos import photos
from bench.chaos.engine import Poison
from bench.chaos.load import Load, Outcome, ask_all
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage, caught, kill
from bench.chaos.tally import Tally

_PAUSES_S = (0.2, 1.5)
_DEATHS = 3  # of workers by one poisoned request


def _play(stage: Stage, short: bool) -> Seen:
    chance = random.Random(11)
    names = list(_FAULTS) * (1 if short else 6)
    chance.shuffle(names)
    poisoned: list[Outcome] = []
    with Load(stage.port, photos.numbered, clients=100, every_s=3) as load:
        for name in names:
            fault = _FAULTS[name]
            dying = _DEATHS if fault is _deadly_poison else 1  # so that one is always left
            stage.wait_until(partial(_has_ready, stage, dying + 1), 20)
            poisoned += fault(stage)
            stage.settle(chance.uniform(*_PAUSES_S))
        stage.settle(2)
    misses = load.tally().misses(least_ok=0.99)
    misses += Tally(poisoned).misses(least=1)
    served = Counter(f"{each.status} {each.problem}" for each in poisoned)
    if any(each.status == 200 for each in poisoned):
        misses.append(f"what was poison got {dict(served)}")
    figures = {"faults": len(names), "of kinds": len(_FAULTS), "poisoned requests": len(poisoned)}
    return Seen({**figures, **load.tally().figures()}, misses)


def _has_ready(stage: Stage, least: int) -> bool:
    return len(stage.ready()) >= least


def _kill_worker(stage: Stage) -> list[Outcome]:
    worker, _ = caught(stage)
    kill(worker["pid"])
    return []


def _stop_worker(stage: Stage) -> list[Outcome]:
    worker, _ = caught(stage)
    stage.settle(0.7)
    kill(worker["pid"], signal.SIGCONT)
    return []


def _end_worker(stage: Stage) -> list[Outcome]:
    kill(stage.ready()[0]["pid"], signal.SIGTERM)
    return []


def _end_web(stage: Stage) -> list[Outcome]:
    stage.wait_until(lambda: len(stage.web_processes()) == stage.needs.web_processes, 20)
    stage.web_processes()[0].terminate()
    return []


def _forget_scripts(stage: Stage) -> list[Outcome]:
    stage.client.script_flush()
    return []


def _cut_connections(stage: Stage) -> list[Outcome]:
    stage.client.client_kill_filter(_type="normal", skipme=True)
    return []


def _lose_everything(stage: Stage) -> list[Outcome]:
    stage.client.flushall()
    return []


def _poison(stage: Stage) -> list[Outcome]:
    return ask_all(stage.port, [photos.poison(Poison.RAISE), photos.poison(Poison.MEMORY)])


def _deadly_poison(stage: Stage) -> list[Outcome]:
    return ask_all(stage.port, [photos.poison(Poison.EXIT)])


_FAULTS: dict[str, Callable[[Stage], list[Outcome]]] = {
    "a worker killed": _kill_worker,
    "a worker stopped for 0.7 s": _stop_worker,
    "a worker told to end": _end_worker,
    "a web process told to end": _end_web,
    "SCRIPT FLUSH": _forget_scripts,
    "connections to Redis cut": _cut_connections,
    "FLUSHALL": _lose_everything,
    "requests with which the engine fails": _poison,
    "a request that ends its worker": _deadly_poison,
}

ROWS = (
    Row(
        "mixed",
        f"54 faults one on top of another, in an order by chance: {', '.join(_FAULTS)}",
        "every request: 200 or a typed 5xx by its deadline + 250 ms; 0 lost, 0 wrong; at least "
        "99 % are 200",
        Needs(workers=4, web_processes=2),
        _play,
    ),
)
