"""Requests that harm the engine: the process ends, the call raises, there is no memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.chaos import photos
from bench.chaos.engine import Poison
from bench.chaos.load import Load, Outcome, ask_all
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage

# Sent at the same moment as the poison, before it and after it: the workers are busy when it comes,
# and it is taken with others.
_BEFORE, _AFTER = 25, 15
_EXTRA_DEATHS = 2


def _play(kinds: Sequence[Poison], stage: Stage, short: bool) -> Seen:
    died_before, deaths, guilty = len(stage.events("worker died")), [], []
    mates: list[Outcome] = []
    with Load(stage.port, photos.numbered, clients=100, every_s=3) as load:
        for kind in list(kinds) * (3 if short else 5):
            stage.wait_until(lambda: len(stage.ready()) == stage.needs.workers, 20)
            ran_before = stage.inferences()[kind]
            sent = [photos.numbered() for _ in range(_BEFORE + _AFTER)]
            sent.insert(_BEFORE, photos.poison(kind))
            asked = ask_all(stage.port, sent)
            guilty.append(asked.pop(_BEFORE))
            mates += asked
            if kind is Poison.EXIT:
                deaths.append(stage.inferences()[kind] - ran_before)
        stage.settle(1)
    load.outcomes += mates
    tally = load.tally()
    misses = tally.misses(least_ok=1.0)
    wrong = [f"{each.status} {each.problem}" for each in guilty if not _is_its_own_fault(each)]
    if wrong:
        misses.append(f"what was poison got {', '.join(wrong)}")
    ran = stage.inferences()
    again = sum(ran[each.photo.number] > 1 for each in mates)
    if not again and not short:
        misses.append("no poison was in a batch with another request")
    died = len(stage.events("worker died")) - died_before
    if died != sum(deaths) or any(count > 1 + _EXTRA_DEATHS for count in deaths):
        misses.append(f"{died} workers died, by request {deaths}")
    figures = {"poisoned requests": len(guilty), "of them 500": len(guilty) - len(wrong)}
    return Seen(
        {**figures, "deaths": died, "batch mates run again": again, **tally.figures()}, misses
    )


def _is_its_own_fault(outcome: Outcome) -> bool:
    return (outcome.status, outcome.problem) == (500, "inference-failed")


ROWS = (
    Row(
        "poison",
        "a request that ends the worker's process in the middle of its batch, four workers",
        "only it gets 500, after at most 2 extra deaths; its batch mates get 200",
        Needs(workers=4),
        partial(_play, (Poison.EXIT,)),
    ),
    Row(
        "engine fails",
        "a request with which the engine raises, or runs out of memory",
        "the batch is split to find the guilty one; the others get 200; no worker dies",
        Needs(),
        partial(_play, (Poison.RAISE, Poison.MEMORY)),
    ),
)
