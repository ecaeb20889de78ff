"""One worker process: an engine, warm, and the loop that runs batches on it."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time

from shared.logs import fields
from shared.manifest import Model
from shared.memory import return_unused_memory
from shared.queue import Queue
from shared.settings import Settings
from shared.store import connect
from worker.engines import Engine
from worker.loop import Worker
from worker.trial import Choice, load
from worker.tuning import best_size, every_size, measure, warm_up
from worker.upkeep import Upkeep

_log = logging.getLogger(__name__)


def work(settings: Settings, model: Model, choice: Choice, token: str, crew: int) -> None:
    """Load the engine that was chosen and serve `model` until SIGTERM or SIGINT.

    `crew` is how many workers its parent has for the model: the version is not asked before they
    are all alive. Raises `worker.trial.EngineError`.
    """
    started = time.monotonic()
    engine = load(choice.engine, settings, model)
    load_ms = round((time.monotonic() - started) * 1000)
    about = {"crew": crew, "load_ms": load_ms, "why": choice.why, "trials": choice.trials}
    serve(settings, model, engine, token, about)


def serve(
    settings: Settings, model: Model, engine: Engine, token: str, about: dict[str, object]
) -> None:
    """Warm `engine` up and serve `model` with it until SIGTERM or SIGINT.

    `about` is added to what the worker says of itself.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    started = time.monotonic()
    curve = measure(engine, model, settings.max_batch)
    largest = best_size(curve)
    return_unused_memory()
    warm_up(engine, model, largest)  # also brings back the code that work needs
    about = {
        "token": token,
        "model": model.name,
        "version": model.version,
        "engine": engine.name,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "warm_up_ms": round((time.monotonic() - started) * 1000),
        "curve_ms": {str(size): round(took, 2) for size, took in curve.items()},
        "batch": largest,
        **about,
    }
    _log.info("model loaded", extra=fields(**about))
    queue = Queue(connect(settings.redis_url), model.queue, settings)
    worker = Worker(queue, engine, model, token, every_size(curve, largest))
    upkeep = Upkeep(
        queue,
        worker,
        lambda: {**about, "items": worker.items_run, "batches": worker.batches_run},
        interval_s=min(settings.heartbeat_ms, settings.lease_ms) / 4000,
        hang_s=max(30.0, settings.max_deadline_ms / 1000),
    )
    upkeep.start()
    worker.run(stop)
    upkeep.stop()
    _log.info("worker stopped", extra=fields(token=token, items=worker.items_run))
