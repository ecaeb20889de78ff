"""Workers and web processes that are stopped: by SIGSTOP for a while, by SIGTERM for good."""

from __future__ import annotations

import signal
import time
from functools import partial

from bench.chaos import photos
from bench.chaos.load import Load
from bench.chaos.row import Figures, Needs, Row, Seen
from bench.chaos.stage import Stage, caught, is_alive, kill
from bench.chaos.tally import Tally

_STOPPED_S = 5.0
_EXIT_S = 45.0


def _stop_and_go_on(stage: Stage, short: bool) -> Seen:
    late_before = _late_results(stage)
    held = []
    with (
        stage.results_written() as written,
        Load(stage.port, photos.numbered, clients=100, every_s=4) as load,
    ):
        for _ in range(1 if short else 4):
            stage.settle(1)
            worker, count = caught(stage)
            held.append(count)
            stage.settle(_STOPPED_S)
            kill(worker["pid"], signal.SIGCONT)
            stage.settle(2)
    tally = load.tally()
    misses = tally.misses(least_ok=1.0)
    late = _late_results(stage) - late_before
    twice = sum(count > 1 for count in written.values())
    if twice:
        misses.append(f"{twice} requests have more than one result")
    if len(written) != tally.sent:
        misses.append(f"{len(written)} ids have a result, of {tally.sent} requests")
    if not late:
        misses.append("no ack came late, so that the fence was not tried")
    figures = {"stopped": len(held), "requests held": sum(held), "late results fenced": late}
    return Seen({**figures, "ids with two results": twice, **tally.figures()}, misses)


def _late_results(stage: Stage) -> int:
    return sum(event["results"] for event in stage.events("results came after their lease"))


def _end_workers(stage: Stage, short: bool) -> Seen:
    died_before = len(stage.events("worker died"))
    ended = 0
    with Load(stage.port, photos.numbered, clients=100, every_s=4) as load:
        for _ in range(1 if short else 5):
            for worker in stage.ready():
                stage.wait_until(lambda: len(stage.ready()) == stage.needs.workers, 20)
                kill(worker["pid"], signal.SIGTERM)
                stage.wait_until(partial(_has_ended, int(worker["pid"])), 20)
                ended += 1
        # And all at once, as where a machine is given back: others were started before.
        old = stage.workers_parent
        stage.wait_until(lambda: len(stage.ready()) == stage.needs.workers, 20)
        stage.start_workers()
        stage.wait_until(lambda: len(stage.ready()) == 2 * stage.needs.workers, 20)
        old.terminate()
        status = old.wait(_EXIT_S)
        stage.settle(1)
    tally = load.tally()
    misses = tally.misses(least_ok=1.0)
    died = stage.events("worker died")[died_before:]
    statuses = [status, *(event["status"] for event in died)]
    if len(died) != ended:
        misses.append(f"{ended} were told to end, {len(died)} did")
    if any(statuses):
        misses.append(f"they ended with {statuses}")
    kinds = ", ".join(str(status) for status in sorted(set(statuses)))
    own: Figures = {"workers told to end": ended, "exit statuses": kinds}
    return Seen({**own, **tally.figures()}, misses)


def _has_ended(pid: int) -> bool:
    return not is_alive(pid)


def _end_web(stage: Stage, short: bool) -> Seen:
    failed_before = _failed_web(stage)
    ended = 0
    with Load(stage.port, photos.numbered, clients=100, every_s=4) as load:
        for _ in range(1 if short else 5):
            for process in stage.web_processes():
                process.terminate()
                process.wait(_EXIT_S)
                ended += 1
                stage.wait_until(lambda: len(stage.web_processes()) == 2, 10)
                stage.settle(1)
        told_at = time.monotonic()
        stage.web_parent.terminate()
        status = stage.web_parent.wait(_EXIT_S)
        stage.start_web()
        stage.wait_until(lambda: stage.readiness() == 200, 20)
        stage.settle(1)
    # While nothing listens, a client is refused before it could send anything.
    heard = [each for each in load.outcomes if each.problem != "refused" or each.due < told_at]
    tally = Tally(heard)
    misses = tally.misses(least_ok=1.0)
    failed = _failed_web(stage) - failed_before
    if status or failed:
        misses.append(f"the parent ended with {status}, {failed} of its processes failed")
    figures = {"web processes told to end": ended, "their parent's exit status": status}
    refused = len(load.outcomes) - len(heard)
    return Seen({**figures, "refused while none listened": refused, **tally.figures()}, misses)


def _failed_web(stage: Stage) -> int:
    """Return how many web processes ended by anything but themselves, as gunicorn says."""
    lines = stage.log.read_text(errors="replace").splitlines()
    return sum("exited with code" in line or "was sent SIG" in line for line in lines)


_DRAINED = "drained, exit 0, no error seen by a client"
ROWS = (
    Row(
        "worker stopped",
        "a worker that holds requests stopped (SIGSTOP) for 5 s, then continued",
        "its late acks are fenced; one result per id",
        Needs(),
        _stop_and_go_on,
    ),
    Row(
        "workers ended",
        "SIGTERM to each worker, and to the parent of all after another was started, under load",
        _DRAINED,
        Needs(),
        _end_workers,
    ),
    Row(
        "web ended",
        "SIGTERM to each of two web processes in turn, and then to their parent, under load",
        f"{_DRAINED}; refused before it could send while nothing listens",
        Needs(web_processes=2),
        _end_web,
    ),
)
