"""A worker whose engine only waits: a stand-in for a fast accelerator.

    python -m bench.waiting [--ms-per-image 0.5] [--processes N]

It takes a place on the queue as any worker does, and costs what a worker costs around its
engine; so the load that it takes shows the limits of the web tier and of Redis.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence

import numpy as np

from shared.logs import start_logging
from shared.manifest import Model, read_model
from shared.messages import Tensor
from shared.processes import Child, spawn
from shared.settings import Settings
from worker.crew import Crew
from worker.engines import TOP, Answer
from worker.process import serve
from worker.supervisor import Supervisor


class WaitingEngine:
    """Sleeps for a time per image and gives every image the same answer."""

    name = "waiting"

    def __init__(self, model: Model, ms_per_image: float) -> None:
        self._widths = [len(classifier.labels) for classifier in model.classifiers]
        self._s_per_image = ms_per_image / 1000

    def run(
        self, tensors: Sequence[Tensor], top_k: int = TOP, asked: Sequence[int] = ()
    ) -> list[Answer]:
        """Wait; see `worker.engines.Engine.run`."""
        count = len(tensors[0])
        time.sleep(count * self._s_per_image)
        answers = []
        for width in self._widths:
            shape = (count, min(top_k, width))
            labels = np.broadcast_to(np.arange(shape[1]), shape)
            answers.append(Answer(np.full(shape, 1 / width, np.float32), labels))
        return answers


def main() -> int:
    """Serve until SIGTERM or SIGINT; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.waiting", description=__doc__)
    parser.add_argument("--ms-per-image", type=float, default=0.5)
    parser.add_argument("--processes", type=int, default=0)
    arguments = parser.parse_args()
    settings = Settings.from_environment()
    start_logging("worker", settings.log_level)
    if arguments.processes:

        def start(place: int, token: str) -> Child:
            wait = ["--ms-per-image", str(arguments.ms_per_image)]
            return spawn([sys.executable, "-m", "bench.waiting", *wait])

        return Supervisor(Crew(arguments.processes, start, lambda token: False)).run()
    model = read_model(settings.models_folder / settings.model)
    engine = WaitingEngine(model, arguments.ms_per_image)
    about = {"load_ms": 0, "why": "it only waits", "trials": []}
    serve(settings, model, engine, secrets.token_hex(16), about)
    return 0


if __name__ == "__main__":
    sys.exit(main())
