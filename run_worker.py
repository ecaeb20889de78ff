"""Start one worker, or with `--processes N` a parent that keeps N of them alive.

python run_worker.py

A parent also follows the models folder: it brings a new version of a model into service beside the
old one, and can serve several models, each by workers of its own (`docs/models.md`). One worker by
itself serves the version that it found.
"""

from __future__ import annotations

import argparse
import json
import re
import secrets
import signal
import sys
from dataclasses import asdict
from functools import partial

from shared.folder import ModelsFolder
from shared.logs import start_logging
from shared.manifest import ManifestError, read_model
from shared.mirror import mirror, start_mirror, sync_once
from shared.settings import SettingError, Settings
from worker.fleet import Fleet
from worker.process import work
from worker.supervisor import Supervisor
from worker.trial import Choice, EngineError, decide, try_engine
from worker.yard import ProcessYard, attempt

_MODELS = re.compile(r"(\*|[a-z0-9][a-z0-9_-]*(=[1-9][0-9]?)?)")
_ABOUT_MODELS = """which models, in place of MODEL: tags,digits or tags=2,digits=1; * stands for
every other model in the folder. Each has one worker where no number is given; MODEL, or else the
first named, has N and is there before the others are begun with"""
_ABOUT_VERSION = "of the one model of a lone worker; left out, the wanted one"


def main() -> int:
    """Run what the command line asks for; return the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--processes", type=int, default=0, metavar="N")
    parser.add_argument("--models", type=_models, default={}, metavar="NAMES", help=_ABOUT_MODELS)
    parser.add_argument("--version", default="", help=_ABOUT_VERSION)
    parser.add_argument("--trial", default="", metavar="ENGINE", help="try an engine, and say how")
    parser.add_argument("--mirror", default="", help=argparse.SUPPRESS)  # see `_supervise`
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)  # from the parent
    parser.add_argument("--choice", default="", help=argparse.SUPPRESS)  # likewise
    parser.add_argument("--crew", type=int, default=1, help=argparse.SUPPRESS)  # likewise
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):  # until there is something to finish first
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        settings = Settings.from_environment()
        start_logging("worker", settings.log_level)
        if arguments.mirror:
            mirror(settings, arguments.mirror)
            return 0
        named: dict[str, int] = arguments.models or {settings.model: 0}
        name = next(iter(named))
        if arguments.processes or len(named) > 1 or "*" in named or any(named.values()):
            if arguments.version:
                parser.error("--version is for a lone worker: write pinned = … in model.toml")
            return _supervise(settings, named, arguments.processes or 1)
        if not arguments.version:
            sync_once(settings)
        model = read_model(settings.models_folder / name, arguments.version)
        if arguments.trial:
            print(json.dumps(asdict(try_engine(arguments.trial, settings, model))))
            return 0
        if arguments.choice:
            choice = Choice(**json.loads(arguments.choice))
        else:
            choice = decide(settings, model, partial(attempt, __file__, model))
        work(settings, model, choice, arguments.token or secrets.token_hex(16), arguments.crew)
    except (SettingError, ManifestError, EngineError) as error:
        print(f"run_worker.py: {error}", file=sys.stderr)
        return 2
    return 0


def _models(text: str) -> dict[str, int]:
    """Read `--models`: how many workers each name has, 0 where none is given."""
    names = [name.strip() for name in text.split(",")]
    if not all(_MODELS.fullmatch(name) for name in names):
        raise argparse.ArgumentTypeError(f"{text!r} is not like tags,digits or tags=2,digits=1")
    return {name.partition("=")[0]: int(name.partition("=")[2] or 0) for name in names}


def _supervise(settings: Settings, named: dict[str, int], processes: int) -> int:
    every = "*" in named
    first = settings.model if every or settings.model in named else next(iter(named))
    counts = {first: named.get(first) or processes}
    counts |= {name: count or 1 for name, count in named.items() if name not in ("*", first)}
    follower = start_mirror(settings, [sys.executable, __file__, "--mirror"])
    yard = ProcessYard(settings, __file__, counts)
    folder = ModelsFolder(settings.models_folder)
    fleet = Fleet(folder, counts, every, yard, settings.max_deadline_ms / 1000)
    return Supervisor(fleet, *([follower] if follower else [])).run()


if __name__ == "__main__":
    sys.exit(main())
