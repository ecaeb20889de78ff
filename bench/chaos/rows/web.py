"""A web process killed with requests in the queue."""

from __future__ import annotations

import signal
import time

from bench.chaos import photos
from bench.chaos.load import Load, Outcome
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage, kill
from bench.chaos.tally import Tally

_TTL_S = 3
_LEAST_OK = 0.9  # all that came while there was no process are its successor's first crowd
_DEADLINE_MS = 3000
_GAUGES = ("queue_items", "queue_bytes", "leased_requests")


def _play(stage: Stage, short: bool) -> Seen:
    queued, killed_at = [], []
    with Load(
        stage.port, photos.numbered, clients=100, every_s=3, deadline_ms=_DEADLINE_MS
    ) as load:
        for _ in range(1 if short else 5):
            stage.wait_until(lambda: stage.readiness() == 200, 10)
            stage.settle(1)
            workers = [int(worker["pid"]) for worker in stage.ready()]
            for pid in workers:  # so that requests of the web process are queued when it ends
                kill(pid, signal.SIGSTOP)
            stage.settle(0.5)
            (process,) = stage.web_processes()
            queued.append(stage.census().items)
            killed_at.append(time.monotonic())
            process.kill()
            for pid in workers:
                kill(pid, signal.SIGCONT)
            stage.settle(2)
    outcomes = [each for each in load.outcomes if not _was_cut(each, killed_at)]
    misses = Tally(outcomes).misses(least_ok=_LEAST_OK)
    stopped_at = time.monotonic()
    emptied = stage.wait_until(lambda: not stage.left_behind(), _TTL_S + _DEADLINE_MS / 1000 + 2)
    if emptied == float("inf"):
        misses.append(f"in Redis there is still: {', '.join(sorted(stage.left_behind()))}")
    gauges = stage.gauges()
    left = {name: gauges[name] for name in _GAUGES if gauges[name]}
    if left:
        misses.append(f"the gauges say {left}")
    if not all(queued):
        misses.append(f"queued when it was killed: {queued}")
    return Seen(
        {
            "killed": len(queued),
            "items queued then": sum(queued),
            "clients cut off with it": len(load.outcomes) - len(outcomes),
            "Redis empty after s": round(time.monotonic() - stopped_at, 1),
            **{name: gauges[name] for name in _GAUGES},
            **Tally(outcomes).figures(),
        },
        misses,
    )


def _was_cut(outcome: Outcome, killed_at: list[float]) -> bool:
    """Return whether it was under way in a process when that was killed, and got no answer."""
    return not outcome.status and any(outcome.due < at < outcome.done for at in killed_at)


ROWS = (
    Row(
        "web killed",
        "the web process killed with -9 while requests of it are queued; its parent starts another",
        "results expire (here after 3 s); the gauges of bytes and counts return to zero; "
        "only those connected to it lose their answer; of the others at least 90 % are 200",
        Needs(settings=(("RESULT_TTL_MS", str(_TTL_S * 1000)),)),
        _play,
    ),
)
