"""The service curve: how long a batch of each size takes, measured at warm-up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from shared.manifest import Model
from shared.messages import Tensor
from worker.engines import TOP, Engine

Curve = dict[int, float]  # batch size -> milliseconds


def measure(
    engine: Engine,
    model: Model,
    max_batch: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Curve:
    """Run each batch size 1, 2, 4 … up to `max_batch` and return the best of three times.

    Nothing is first run by a client: the shapes, and the fetch of the full softmax, have all
    been through the engine when this returns.
    """
    curve: Curve = {}
    size = 1
    while size <= max_batch:
        batch = _noise(model, size)
        engine.run(batch)
        took = []
        for _ in range(3):
            started = clock()
            engine.run(batch)
            took.append(clock() - started)
        curve[size] = min(took) * 1000
        size *= 2
    engine.run(_noise(model, 1), TOP + 1)
    return curve


def best_size(curve: Mapping[int, float]) -> int:
    """Return the batch size with the most items per millisecond.

    Sizes within 5 % of the best count as equal, since a curve is measured in one moment of a
    machine that has other things to do. Of these it is the largest: when so much waits, none of
    it waits longer for being run together, and it takes fewer calls.
    """
    best = max(size / took for size, took in curve.items())
    return max(size for size, took in curve.items() if size / took >= 0.95 * best)


def _noise(model: Model, size: int) -> list[Tensor]:
    random = np.random.default_rng(size)
    shapes = [(size, item.crop.height, item.crop.width, 3) for item in model.classifiers]
    return [random.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
