"""The service curve: how long a batch of each size takes, measured at warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from shared.manifest import Model
from shared.messages import Tensor
from worker.engines import Engine

Curve = dict[int, float]  # batch size -> milliseconds

_LONGEST_MS = 100.0
_TIMES = 3
_BESIDE_MS = 1.4  # a worker's for a batch, whatever its size, measured with `tags`


def own_time_s() -> float:
    """Return the seconds of a clock that stands still while this thread waits for a core.

    By it a curve is that of a machine at rest; where it never rests, `Batcher.note` sees it. By
    the wall's, on a machine with more to do than cores, a single item looks best: only that is
    sometimes through before it is interrupted. What other threads of an engine wait, counts.
    """
    while True:
        waited_ns, now_ns = _waited_ns(), time.perf_counter_ns()
        if _waited_ns() == waited_ns:  # it was not interrupted between the two
            return (now_ns - waited_ns) / 1e9


def _waited_ns() -> int:
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    except FileNotFoundError:  # not every sandbox has it: there it is the wall's clock
        return 0


def measure(
    engine: Engine,
    model: Model,
    max_batch: int,
    clock: Callable[[], float] = own_time_s,
) -> Curve:
    """Run batches of 1, 2, 4 … items and return the best of several times of each.

    Ends at `max_batch`, or where the next size would take too long to be used, by the line through
    the last two: it would take memory, too. Sizes are tried in turns, so that a busy moment of
    the machine does not make one of them look slow.
    """
    curve: Curve = {}
    for size in sorted({max_batch, *(2**power for power in range(max_batch.bit_length()))}):
        batch = noise(model, size)
        engine.run(batch)  # the first time, an engine lays out its memory
        curve[size] = _time(engine, batch, clock)
        if 3 * curve[size] - 2 * curve.get(size // 2, curve[size] / 2) > _LONGEST_MS:
            break
    for _ in range(_TIMES - 1):
        for size in curve:
            curve[size] = min(curve[size], _time(engine, noise(model, size), clock))
    return curve


def warm_up(engine: Engine, model: Model, largest: int) -> None:
    """Run every size up to `largest`: no client is the first to.

    But the first that asks for a classifier alone waits 0.1 to 0.5 s longer: for each, an engine
    keeps memory of its own (with `tags`, the session 60 MiB for both, LiteRT 26), and few ask so.
    That it works was seen in the trial; a model's first version has none where `ENGINE` names one.
    """
    for size in range(1, largest + 1):
        engine.run(noise(model, size))


def best_size(curve: Mapping[int, float]) -> int:
    """Return the batch size to run: the most items per millisecond, in batches that stay short.

    What a worker takes for a batch beside the engine counts. A batch over `_LONGEST_MS` keeps
    whoever comes next waiting, so it is left out, unless it is a single item. Sizes within 5 % of
    the best count as equal, since a curve is measured in one moment of a machine that has other
    things to do; of these it is the largest: when so much waits, none of it waits longer for
    being run together, and it takes fewer calls.
    """
    speeds = {size: size / (took + _BESIDE_MS) for size, took in _short(curve)}
    return max(size for size, speed in speeds.items() if speed >= 0.95 * max(speeds.values()))


def items_per_second(curve: Mapping[int, float]) -> float:
    """Return the most items per second that batches which stay short reach."""
    return 1000 * max(size / took for size, took in _short(curve))


def every_size(curve: Mapping[int, float], largest: int) -> list[float]:
    """Return the milliseconds of a batch of 1, 2, 3 … `largest` items, between those measured."""
    sizes = sorted(curve)
    return np.interp(range(1, largest + 1), sizes, [curve[size] for size in sizes]).tolist()


def noise(model: Model, size: int) -> list[Tensor]:
    """Return a batch to measure with, per classifier uint8 [size, height, width, channels]."""
    random = np.random.default_rng(size)
    shapes = [(size, *item.shape) for item in model.classifiers]
    return [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]


def _short(curve: Mapping[int, float]) -> list[tuple[int, float]]:
    return [(size, took) for size, took in curve.items() if size == 1 or took <= _LONGEST_MS]


def _time(engine: Engine, batch: list[Tensor], clock: Callable[[], float]) -> float:
    started = clock()
    engine.run(batch)
    return (clock() - started) * 1000
