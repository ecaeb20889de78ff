"""A worker with a quick engine: it sleeps, and answers by what is in the photo.

    python -m bench.chaos.engine --log FILE [--processes N] [--ms-per-batch 20] [--ms-per-image 1]

All else is the real worker: its loop, its leases, its parent. A photo of one colour is a number;
the answer follows from it, so that one given to another request is seen. Each number is written to
`--log` before it runs, so that what ran twice is seen too. Some colours are poison.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from collections.abc import Sequence
from enum import IntEnum
from functools import partial
from pathlib import Path

import numpy as np

from shared.logs import start_logging
from shared.manifest import Model, read_model
from shared.messages import Tensor
from shared.processes import Child, spawn
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect
from worker.crew import Crew
from worker.engines import TOP, Answer
from worker.process import serve
from worker.supervisor import Supervisor, return_leases


class Poison(IntEnum):
    """Numbers of photos that harm the engine."""

    EXIT = 0xFF0001  # the process ends in the middle of the batch
    RAISE = 0xFF0002
    MEMORY = 0xFF0003  # as where there is not enough


class QuickEngine:
    """Sleeps for a time per batch and per image, and answers by the number of each photo."""

    name = "quick"

    def __init__(self, model: Model, log: Path, ms_per_batch: float, ms_per_image: float) -> None:
        self._widths = [len(classifier.labels) for classifier in model.classifiers]
        self._ms = ms_per_batch, ms_per_image
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Sleep, then answer; see `worker.engines.Engine.run`."""
        numbers = [number_of(item) for item in tensors[0]]
        known = "".join(f"{number}\n" for number in numbers if number is not None)
        os.write(self._log, known.encode())
        time.sleep((self._ms[0] + len(numbers) * self._ms[1]) / 1000)
        if Poison.EXIT in numbers:
            os._exit(9)
        if Poison.RAISE in numbers:
            raise RuntimeError("poison")
        if Poison.MEMORY in numbers:
            raise MemoryError
        column = np.array([number or 0 for number in numbers])[:, None]
        answers = []
        for width in self._widths:
            labels = (column + np.arange(min(top_k, width))) % width
            chances = np.broadcast_to(probability(column), labels.shape)
            answers.append(Answer(chances.astype(np.float32), labels))
        return answers


def number_of(crop: Tensor) -> int | None:
    """Return the number that a crop of one colour stands for, or None for any other crop."""
    red, green, blue = (int(value) for value in crop[0, 0])
    return red << 16 | green << 8 | blue if (crop[::16, ::16] == crop[0, 0]).all() else None


def probability(number: Tensor) -> Tensor:
    """Return the probability that the engine gives a photo: none like it within a million."""
    return number % 1_000_000 / 1_000_000


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.chaos.engine", description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=0)
    parser.add_argument("--ms-per-batch", type=float, default=20.0)
    parser.add_argument("--ms-per-image", type=float, default=1.0)
    parser.add_argument("--token", default="")
    options = parser.parse_args()
    settings = Settings.from_environment()
    start_logging("worker", settings.log_level)
    model = read_model(settings.models_folder / settings.model)
    if options.processes:
        queue = Queue(connect(settings.redis_url), model.queue, settings)

        def start(place: int, token: str) -> Child:
            return spawn(
                [
                    *(sys.executable, "-m", "bench.chaos.engine", "--log", str(options.log)),
                    *("--ms-per-batch", str(options.ms_per_batch)),
                    *("--ms-per-image", str(options.ms_per_image), "--token", token),
                ]
            )

        return Supervisor(Crew(options.processes, start, partial(return_leases, queue))).run()
    engine = QuickEngine(model, options.log, options.ms_per_batch, options.ms_per_image)
    about = {"load_ms": 0, "why": "it only waits", "trials": []}
    serve(settings, model, engine, options.token or secrets.token_hex(16), about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
