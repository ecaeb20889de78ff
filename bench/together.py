"""What it brings to run a model's classifiers in one call of the engine.

    python -m bench.together

Per engine and batch size: processor milliseconds of one call for all classifiers, of one call for
each after the other, and of each alone. One process, one thread, in turns, so that a busy moment
of the machine meets them all; the best of several times of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import repeat

from shared.manifest import read_model
from shared.messages import Tensor
from shared.settings import Settings
from worker.engines import TOP, Engine, engines_for, load_engine
from worker.tuning import noise

_SIZES = (1, 2, 4, 8, 16)
_TIMES = 15


def main() -> None:
    """Measure the default model, print a table."""
    settings = Settings.from_environment()
    model = read_model(settings.models_folder / settings.model)
    names = [classifier.name for classifier in model.classifiers]
    print(f"| engine | batch | one call | one after the other | saved | {' | '.join(names)} |")
    print("| --- " + "| ---: " * (4 + len(names)) + "|")
    for name in engines_for(model):
        engine = load_engine(name, model, settings.worker_threads)
        for size in _SIZES:
            together, apart, *each = measure(engine, noise(model, size))
            cells = (f"{took:.2f}" for took in (together, apart))
            alone = (f"{took:.2f}" for took in each)
            saved = f"{1 - together / apart:.0%}"
            print(f"| {name} | {size} | {' | '.join(cells)} | {saved} | {' | '.join(alone)} |")


def measure(engine: Engine, batch: Sequence[Tensor]) -> list[float]:
    """Return the milliseconds of all in one call, of one after the other, and of each alone."""

    def run(place: int) -> None:
        engine.run([batch[place]], TOP, [place])

    def one_after_the_other() -> None:
        for place in range(len(batch)):
            run(place)

    ways: list[Callable[[], object]] = [partial(engine.run, batch), one_after_the_other]
    ways += [partial(run, place) for place in range(len(batch))]
    for way in ways:
        way()
    best = list(repeat(float("inf"), len(ways)))
    for _ in range(_TIMES):
        for number, way in enumerate(ways):
            started = time.process_time()
            way()
            best[number] = min(best[number], (time.process_time() - started) * 1000)
    return best


if __name__ == "__main__":
    main()
