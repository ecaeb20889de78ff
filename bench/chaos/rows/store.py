"""Redis itself: paused, killed, emptied, cut off from its clients, at its memory limit."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial

from bench.chaos import photos, recovery
from bench.chaos.load import Load
from bench.chaos.row import Figures, Needs, Row, Seen
from bench.chaos.stage import Stage
from bench.chaos.tally import Tally

_RECOVERED_S = 2.0
_PAUSE_S = 3.0
_AWAY_S = 0.5
_FULL_S = 2.0
_AT_ONCE_S = 0.25
_IMPATIENT_MS = 1500  # the deadline of half of the clients, which some faults outlast


def _pause(stage: Stage) -> None:
    os.kill(stage.redis.pid, signal.SIGSTOP)
    stage.settle(_PAUSE_S)
    os.kill(stage.redis.pid, signal.SIGCONT)


def _restart(stage: Stage) -> None:
    stage.redis.kill()
    stage.redis.wait()
    stage.settle(_AWAY_S)
    stage.start_redis()


def _flush(stage: Stage) -> None:
    stage.client.flushall()


def _flush_scripts(stage: Stage) -> None:
    stage.client.script_flush()


def _cut_off(stage: Stage) -> None:
    for _ in range(5):
        stage.client.client_kill_filter(_type="normal", skipme=True)
        stage.settle(0.2)


def _play(harm: Callable[[Stage], None], stage: Stage, short: bool) -> Seen:
    """Do the harm under load; nobody may notice but by having to wait.

    Those who cannot wait so long are told so by their deadline.
    """
    began, ends = list[float](), list[float]()
    before = stage.inferences()
    patient = Load(stage.port, photos.numbered, clients=30, every_s=1)
    impatient = Load(stage.port, photos.numbered, 30, every_s=1, deadline_ms=_IMPATIENT_MS)
    with patient, impatient:
        for _ in range(1 if short else 3):
            stage.settle(1.5)
            began.append(time.monotonic())
            harm(stage)
            ends.append(time.monotonic())
            stage.settle(_RECOVERED_S + (0.5 if short else 1.5))
    misses = [*recovery.misses(patient.tally()), *impatient.tally().misses()]
    took_s = max(recovery.recovered_s(patient.outcomes, end, began[0]) for end in ends)
    if took_s > _RECOVERED_S * (2 if short else 1):  # tests share the machine
        misses.append(f"recovered only after {took_s:.1f} s")
    runs = stage.inferences() - before
    most, extra = max(runs.values()), runs.total() - len(runs)
    if most > 2:
        misses.append(f"a request ran {most} times")
    figures = {"recovered s": round(took_s, 2), "ran again": extra}
    both = Tally([*patient.outcomes, *impatient.outcomes])
    return Seen({**figures, **both.figures()}, misses)


def _fill(stage: Stage, short: bool) -> Seen:
    """Let Redis reach its memory limit: new requests are refused at once, the others answered."""
    with Load(stage.port, photos.numbered, clients=60, every_s=1) as load:
        stage.settle(1.5)
        started = time.monotonic()
        stage.client.config_set("maxmemory", 1)
        stage.settle(_FULL_S if short else 5 * _FULL_S)
        readiness = stage.readiness()
        stage.client.config_set("maxmemory", 0)
        ended = time.monotonic()
        stage.settle(_RECOVERED_S + 1.5)
    tally = load.tally()
    misses = tally.misses()
    refused = [each for each in load.outcomes if each.problem == "store-full"]
    p99_s = Tally(refused).percentile_s(99) if refused else 0.0
    took_s = recovery.recovered_s(
        [each for each in load.outcomes if each not in refused], ended, started
    )
    if not refused or tally.ok + len(refused) != tally.sent:
        misses.append("a request got neither its answer nor 503 store-full")
    if not all(each.retry_after for each in refused):
        misses.append("a refusal has no Retry-After")
    if any(not started <= each.done <= ended + _AT_ONCE_S for each in refused):
        misses.append("refused while Redis was not full")
    if readiness != 200:
        misses.append(f"/readyz was {readiness}, though workers live")
    if p99_s > _AT_ONCE_S:
        misses.append(f"p99 of a refusal is {p99_s * 1000:.0f} ms")
    if took_s > _RECOVERED_S * (2 if short else 1):  # tests share the machine
        misses.append(f"recovered only after {took_s:.1f} s")
    figures: Figures = {
        "redis": str(stage.client.info("server")["redis_version"]),
        "refused": len(refused),
        "p99 of a refusal ms": round(p99_s * 1000),
        "recovered s": round(took_s, 2),
    }
    return Seen({**figures, **tally.figures()}, misses)


_PROMISE = (
    "no request outlives its deadline + 250 ms, be it 1.5 or 5 s; sent again under the same id: of "
    "those with 5 s that are let in at least 99 % are 200; no request runs more than twice; all as "
    "before within 2 s"
)
ROWS = (
    Row(
        "Redis paused", "Redis stopped (SIGSTOP) for 3 s", _PROMISE, Needs(), partial(_play, _pause)
    ),
    Row(
        "Redis restarted",
        "Redis killed, and started again, empty, after 0.5 s",
        _PROMISE,
        Needs(),
        partial(_play, _restart),
    ),
    Row("Redis emptied", "FLUSHALL", _PROMISE, Needs(), partial(_play, _flush)),
    Row("scripts forgotten", "SCRIPT FLUSH", _PROMISE, Needs(), partial(_play, _flush_scripts)),
    Row(
        "connections killed",
        "CLIENT KILL TYPE normal, five times in a second",
        _PROMISE,
        Needs(),
        partial(_play, _cut_off),
    ),
    Row(
        "Redis full",
        "`maxmemory` reached",
        "new requests: 503 `store-full` with Retry-After, their p99 at most 250 ms; what was "
        "accepted is answered; `/readyz` stays 200; all as before within 2 s",
        Needs(),
        _fill,
    ),
)
