"""Which engine serves a model: each that can is tried, and of those that agree one is taken."""

from __future__ import annotations

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from shared.logs import fields
from shared.manifest import Model
from shared.processes import spawn
from shared.settings import Settings
from worker.engines import Engine, engines_for, load_engine
from worker.golden import disagreement, disagreement_alone
from worker.tuning import Curve, items_per_second, measure

_log = logging.getLogger(__name__)

_TIMEOUT_S = 60
_WORTH = 1.25  # by how much the session must be faster to be worth its memory


class EngineError(Exception):
    """No engine can serve the model."""


@dataclass(frozen=True)
class Trial:
    """How an engine did with a model on this machine."""

    engine: str
    load_ms: int = 0
    curve_ms: Curve = field(default_factory=dict)
    error: str = ""  # why it cannot serve; empty where it can

    @property
    def speed(self) -> float:
        """Items per second."""
        return items_per_second(self.curve_ms)


@dataclass(frozen=True)
class Choice:
    """Which engine serves, why, and how all of them did."""

    engine: str
    why: str
    trials: list[dict[str, Any]] = field(default_factory=list)  # as JSON


def choose(trials: Iterable[Trial]) -> Choice:
    """Take the fastest engine; but LiteRT, unless the session is faster by more than a quarter.

    A session holds 0.5 GB or more in each worker, LiteRT 0.1 GB. With the small networks of
    `characters` and `digits` the session gains 15 % in batches of 32, and takes twice the
    processor time of LiteRT for a request alone. Raises `EngineError` where none can serve.
    """
    tried = list(trials)
    able = {trial.engine: trial for trial in tried if not trial.error}
    if not able:
        reasons = "; ".join(f"{trial.engine}: {trial.error}" for trial in tried)
        raise EngineError(f"no engine can serve the model: {reasons or 'none is installed'}")
    best = max(able.values(), key=lambda trial: trial.speed)
    litert, thrift = able.get("litert"), ""
    if litert is not None and best is not litert and best.speed <= litert.speed * _WORTH:
        thrift = f"; litert for its memory: the {best.engine} is not faster by a quarter"
        best = litert
    speeds = ", ".join(f"{trial.engine} {trial.speed:.0f}/s" for trial in able.values())
    refused = "".join(f"; {trial.engine}: {trial.error}" for trial in tried if trial.error)
    rounded = [
        replace(trial, curve_ms={size: round(took, 2) for size, took in trial.curve_ms.items()})
        for trial in tried
    ]
    return Choice(best.engine, f"{speeds}{thrift}{refused}", [asdict(trial) for trial in rounded])


def decide(
    settings: Settings, model: Model, run: Callable[[str], Trial], is_first: bool = True
) -> Choice:
    """Return the engine to serve `model` with, as `ENGINE` says; `auto` tries all by `run`.

    One that `ENGINE` names is tried, too, where the model is not the first to be served: while
    it has a version that serves, a broken one is not to be started. Raises `EngineError`.
    """
    able = engines_for(model)
    if settings.engine == "auto":
        choice = choose(run(name) for name in able)
        _log.info("engine chosen", extra=fields(engine=choice.engine, why=choice.why))
        return choice
    if settings.engine not in able:
        raise EngineError(f"engine {settings.engine!r} cannot run model {model.name!r} here")
    if not is_first and (error := run(settings.engine).error):
        raise EngineError(error)
    return Choice(settings.engine, f"ENGINE={settings.engine}")


def load(name: str, settings: Settings, model: Model) -> Engine:
    """Load an engine and hold it against the golden examples. Raises `EngineError`."""
    try:
        engine = load_engine(name, model, settings.worker_threads)
        wrong = disagreement(engine, model)
    except Exception as error:  # whatever a library says of a broken file
        raise EngineError(f"engine {name!r} cannot load model {model.name!r}: {error}") from error
    if wrong:
        raise EngineError(f"engine {name!r}: {wrong}")
    return engine


def try_engine(name: str, settings: Settings, model: Model) -> Trial:
    """Try an engine in this process, its classifiers also alone. Raises `EngineError`."""
    started = time.monotonic()
    engine = load(name, settings, model)
    load_ms = round((time.monotonic() - started) * 1000)
    if wrong := disagreement_alone(engine, model):
        raise EngineError(f"engine {name!r}: {wrong}")
    return Trial(name, load_ms, measure(engine, model, settings.max_batch))


def try_apart(name: str, command: Sequence[str]) -> Trial:
    """Try an engine by `command`, which prints the trial: no memory stays with who asks."""
    child = spawn(command, subprocess.PIPE)
    try:
        output, errors = child.communicate(timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        return Trial(name, error=f"not ready within {_TIMEOUT_S} s")
    if child.returncode:
        reason = errors.decode(errors="replace").strip().splitlines()
        return Trial(name, error=reason[-1] if reason else f"ended with {child.returncode}")
    table = json.loads(output.splitlines()[-1])
    curve = {int(size): took for size, took in table["curve_ms"].items()}
    return Trial(name, table["load_ms"], curve)
