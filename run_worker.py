"""Start one worker, or with `--processes N` a parent that keeps N of them alive.

python run_worker.py
"""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time

from redis.exceptions import RedisError

from shared.logs import fields, start_logging
from shared.manifest import ManifestError, read_model
from shared.queue import Queue
from shared.settings import SettingError, Settings
from shared.store import connect
from worker.engines import load_engine
from worker.loop import Worker
from worker.supervisor import Supervisor
from worker.tuning import best_size, measure
from worker.upkeep import Upkeep

_log = logging.getLogger("run_worker")


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=0, metavar="N")
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)  # from the parent
    arguments = parser.parse_args()
    try:
        settings = Settings.from_environment()
        start_logging("worker", settings.log_level)
        if arguments.processes:
            return _supervise(settings, arguments.processes)
        return _work(settings, arguments.token or secrets.token_hex(16))
    except (SettingError, ManifestError) as error:
        print(f"run_worker.py: {error}", file=sys.stderr)
        return 2


def _supervise(settings: Settings, count: int) -> int:
    queue = Queue(connect(settings.redis_url), settings.model, settings)

    def return_leases(token: str) -> None:
        try:
            queue.reap(dead=token)
        except RedisError as error:  # its leases end by themselves
            _log.warning("could not return leases", extra=fields(error=str(error)))

    def command(token: str) -> list[str]:
        return [sys.executable, __file__, "--token", token]

    return Supervisor(count, command, return_leases).run()


def _work(settings: Settings, token: str) -> int:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    model = read_model(settings.models_folder / settings.model)
    started = time.monotonic()
    engine = load_engine(model, settings.worker_threads)
    loaded = time.monotonic()
    curve = measure(engine, model, settings.max_batch)
    warm = time.monotonic()
    about = {
        "token": token,
        "model": model.name,
        "version": model.version,
        "engine": engine.name,
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "load_ms": round((loaded - started) * 1000),
        "warm_up_ms": round((warm - loaded) * 1000),
        "curve_ms": {str(size): round(took, 2) for size, took in curve.items()},
        "batch": best_size(curve),
    }
    _log.info("model loaded", extra=fields(**about))

    queue = Queue(connect(settings.redis_url), model.name, settings)
    worker = Worker(queue, engine, model, token, best_size(curve))
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
    return 0


if __name__ == "__main__":
    sys.exit(main())
