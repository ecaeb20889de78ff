"""The service curve: how long a batch of each size takes, measured at warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from shared.manifest import Model
from shared.messages import Tensor
from worker.engines import TOP, Engine

Curve = dict[int, float]  # batch size -> milliseconds

_LONGEST_MS = 100.0


def measure(
    engine: Engine,
    model: Model,
    max_batch: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Curve:
    """Run each batch size 1, 2, 4 … up to `max_batch` and return the best of three times.

    Nothing is first run by a client: the shapes, and the fetch of the full softmax, have all
    been through the engine when this returns. The three times of a size lie apart, so that a
    busy moment of the machine does not make one size look slow.
    """
    sizes = [2**power for power in range(max_batch.bit_length())]
    batches = {size: _noise(model, size) for size in sizes}
    for batch in batches.values():
        engine.run(batch)
    engine.run(batches[1], TOP + 1)
    took: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(3):
        for size, batch in batches.items():
            started = clock()
            engine.run(batch)
            took[size].append(clock() - started)
    return {size: min(times) * 1000 for size, times in took.items()}


def best_size(curve: Mapping[int, float]) -> int:
    """Return the batch size to run: the most items per millisecond, in batches that stay short.

    A batch over `_LONGEST_MS` keeps whoever comes next waiting, so it is left out, unless it is
    a single item. Sizes within 5 % of the best count as equal, since a curve is measured in one
    moment of a machine that has other things to do; of these it is the largest: when so much
    waits, none of it waits longer for being run together, and it takes fewer calls.
    """
    short = {size: took for size, took in curve.items() if size == 1 or took <= _LONGEST_MS}
    best = max(size / took for size, took in short.items())
    return max(size for size, took in short.items() if size / took >= 0.95 * best)


def _noise(model: Model, size: int) -> list[Tensor]:
    random = np.random.default_rng(size)
    shapes = [(size, item.crop.height, item.crop.width, 3) for item in model.classifiers]
    return [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
