"""Start one worker, or with `--processes N` a parent that keeps N of them alive.

python run_worker.py
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import signal
import sys
from dataclasses import asdict

from redis.exceptions import RedisError

from shared.logs import fields, start_logging
from shared.manifest import ManifestError, Model, read_model
from shared.processes import Child, spawn
from shared.queue import Queue
from shared.settings import SettingError, Settings
from shared.store import connect
from worker.process import work
from worker.supervisor import Supervisor
from worker.trial import Choice, EngineError, Trial, decide, try_apart, try_engine

_log = logging.getLogger("run_worker")


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=0, metavar="N")
    parser.add_argument("--trial", default="", metavar="ENGINE", help="try an engine, and say how")
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)  # from the parent
    parser.add_argument("--choice", default="", help=argparse.SUPPRESS)  # likewise
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # until there is something to finish first
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_environment()
        start_logging("worker", settings.log_level)
        model = read_model(settings.models_folder / settings.model)
        if arguments.trial:
            print(json.dumps(asdict(try_engine(arguments.trial, settings, model))))
            return 0
        if arguments.choice:
            choice = Choice(**json.loads(arguments.choice))
        else:
            choice = decide(settings, model, _try)
        if arguments.processes:
            return _supervise(settings, model, choice, arguments.processes)
        work(settings, model, choice, arguments.token or secrets.token_hex(16))
    except (SettingError, ManifestError, EngineError) as error:
        print(f"run_worker.py: {error}", file=sys.stderr)
        return 2
    return 0


def _try(name: str) -> Trial:
    """Try an engine in a process of its own, one after the other."""
    return try_apart(name, [sys.executable, __file__, "--trial", name])


def _supervise(settings: Settings, model: Model, choice: Choice, count: int) -> int:
    queue = Queue(connect(settings.redis_url), model.queue, settings)
    gpus = settings.gpus()

    def return_leases(token: str) -> None:
        try:
            queue.reap(dead=token)
        except RedisError as error:  # its leases end by themselves
            _log.warning("could not return leases", extra=fields(error=str(error)))

    def start(place: int, token: str) -> Child:
        # A worker sees one device: TensorFlow would take hold of all that it sees.
        pinned = ["env", f"CUDA_VISIBLE_DEVICES={gpus[place % len(gpus)]}"] if gpus else []
        command = [*pinned, sys.executable, __file__, "--token", token]
        return spawn([*command, "--choice", json.dumps(asdict(choice))])

    return Supervisor(count, start, return_leases).run()


if __name__ == "__main__":
    sys.exit(main())
