"""Where workers are made: how each becomes a process, and what is tried before."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial

from shared.manifest import Model
from shared.processes import Child, spawn
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect
from worker.crew import Crew
from worker.supervisor import return_leases
from worker.trial import Choice, Trial, decide, try_apart


class ProcessYard:
    """Makes workers that are processes of `script`, which is `run_worker.py`."""

    def __init__(self, settings: Settings, script: str, counts: Mapping[str, int]) -> None:
        """`counts` says how many workers each model has; one where it says nothing."""
        self._settings = settings
        self._script = script
        self._counts = counts
        self._client = connect(settings.redis_url)
        self._one_at_a_time = threading.Lock()  # trials would slow each other down
        self._offsets: dict[str, int] = {}  # of each model's workers among the GPUs

    def decide(self, model: Model, is_first: bool) -> Choice:
        """Return the engine for a model, after trials. Raises `worker.trial.EngineError`."""
        with self._one_at_a_time:
            return decide(self._settings, model, partial(attempt, self._script, model), is_first)

    def crew(self, model: Model, choice: Choice) -> Crew:
        """Return workers that are still to be started."""
        count = self._counts.get(model.name, 1)
        offset = self._offsets.setdefault(model.name, sum(map(self._count, self._offsets)))
        gpus = self._settings.gpus()

        def start(place: int, token: str) -> Child:
            # A worker sees one device: TensorFlow would take hold of all that it sees.
            device = f"CUDA_VISIBLE_DEVICES={gpus[(offset + place) % len(gpus)]}" if gpus else ""
            pinned = ["env", device] if gpus else []
            about = ["--token", token, "--choice", json.dumps(asdict(choice))]
            return spawn([*pinned, *_command(self._script, model), *about, "--crew", str(count)])

        return Crew(count, start, partial(return_leases, self.queue(model)))

    def queue(self, model: Model) -> Queue:
        """Return the queue of a version."""
        return Queue(self._client, model.queue, self._settings)

    def _count(self, name: str) -> int:
        return self._counts.get(name, 1)


def attempt(script: str, model: Model, engine: str) -> Trial:
    """Try an engine for `model` in a process of its own."""
    return try_apart(engine, [*_command(script, model), "--trial", engine])


def _command(script: str, model: Model) -> list[str]:
    return [sys.executable, script, "--models", model.name, "--version", model.version]
