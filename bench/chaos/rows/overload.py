"""Far more requests than can be served, in an open loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.chaos import photos
from bench.chaos.load import Load, Outcome
from bench.chaos.photos import Photo
from bench.chaos.recovery import recovered_s
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage

_DEADLINE_MS = 2000
_EVERY_S = 0.2  # each client
# Of what the workers could run, had they the machine for themselves.
_REAL_PARTS = (0.3, 0.45, 0.6)
_QUICK_PARTS = (0.8, 1.2)
_KEPT = 0.9  # of the peak
_KEPT_IN_SHORT = 0.5  # no collapse; more is not told by seconds on a machine that tests share
_REFUSED_S = 0.1
_RECOVERED_S = 5.0
_FOR_NOBODY = 0.05  # of the inferences: what was in time when it started, and not when it ended


def _play(
    factor: float, parts: Sequence[float], photo: Callable[[], Photo], stage: Stage, short: bool
) -> Seen:
    """Find the peak of goodput at some `parts` of the workers' capacity; go far over it.

    The machine's speed drifts within such a time, so the peak is looked for before and after, and
    is the mean of both; in short, before alone.
    """
    capacity_per_s = _capacity_per_s(stage)
    seconds = 5.0 if short else 60.0

    def find_peak() -> float:
        near_s = 2.0 if short else 10.0
        return max(_offer(stage, photo, part * capacity_per_s, near_s)[0] for part in parts)

    peak = find_peak()
    offered, before = factor * peak, stage.inferences()
    goodput, outcomes = _offer(stage, photo, offered, seconds)
    ended, runs = time.monotonic(), stage.inferences() - before
    with Load(stage.port, photo, clients=10, every_s=1) as light:
        stage.settle(_RECOVERED_S + 1)
    back_s = recovered_s(light.outcomes, ended)
    if not short:
        peak = (peak + find_peak()) / 2
    refused_s = sorted(each.done - each.sent for each in outcomes if each.status == 503)
    p99_s = refused_s[int(len(refused_s) * 0.99)] if refused_s else 0.0
    misses = []
    if goodput < (_KEPT_IN_SHORT if short else _KEPT) * peak:
        misses.append(f"goodput {goodput:.0f}/s of {peak:.0f}/s")
    if not refused_s:
        misses.append("nothing was refused")
    if p99_s > _REFUSED_S and not short:
        misses.append(f"p99 of a refusal is {p99_s * 1000:.0f} ms")
    if not all(each.retry_after.isdigit() for each in outcomes if each.status == 503):
        misses.append("a refusal has no Retry-After")
    if back_s > _RECOVERED_S:
        misses.append(f"as before only after {back_s:.1f} s")
    figures = {
        "peak/s": round(peak),
        "offered/s": round(offered),
        "goodput/s": round(goodput),
        "p99 of a refusal ms": round(p99_s * 1000),
        "as before after s": round(back_s, 1),
    }
    if stage.needs.engine == "quick":
        answered = {each.photo.number for each in outcomes if each.status == 200}
        share = sum(number not in answered for number in runs) / len(runs)
        figures["ran for nobody %"] = round(share * 100, 1)
        if share > _FOR_NOBODY:
            misses.append(f"{share:.0%} of the inferences were for nobody")
    tally = Load.tally(light)
    return Seen({**figures, **tally.figures()}, [*misses, *tally.misses()])


def _offer(
    stage: Stage, photo: Callable[[], Photo], per_s: float, seconds: float
) -> tuple[float, Sequence[Outcome]]:
    """Return the goodput of an open loop, once its queue is as long as it gets; and all of it."""
    clients = max(1, round(per_s * _EVERY_S))
    load = Load(stage.port, photo, clients, _EVERY_S, _DEADLINE_MS, keep=True)
    with load:
        begin = time.monotonic() + _DEADLINE_MS / 1000
        stage.settle(_DEADLINE_MS / 1000 + seconds)
        end = time.monotonic()
    good = [
        each
        for each in load.outcomes
        if each.status == 200 and begin <= each.done < end and each.took_s <= each.deadline_s
    ]
    return len(good) / (end - begin), load.outcomes


def _capacity_per_s(stage: Stage) -> float:
    """Return what the workers say that they can run in a second, all together."""
    curves: list[dict[str, float]] = [worker["curve_ms"] for worker in stage.ready()]
    return sum(max(1000 * int(size) / ms for size, ms in curve.items()) for curve in curves)


_PROMISE = (
    "goodput at least 90 % of its peak; the refusals' p99 at most 100 ms, each with Retry-After; "
    "as before within 5 s of when the last of them was answered, its deadline at most"
)
ROWS = (
    Row(
        "overload, real engine",
        "an open loop of three times the peak (found before and after) for 60 s, deadline 2 s",
        _PROMISE,
        Needs(engine="litert"),
        lambda stage, short: _play(3, _REAL_PARTS, photos.real(), stage, short),
    ),
    Row(
        "overload, quick engine",
        "an open loop of ten times the peak (found before and after) for 60 s, deadline 2 s; one "
        "worker that runs 40 photos a second (25 ms each)",
        f"{_PROMISE}; no expired request starts inference: at most 5 % are for nobody, those "
        "that expired while they ran",
        Needs(workers=1, ms_per_batch=0, ms_per_image=25),
        partial(_play, 10, _QUICK_PARTS, photos.numbered),
    ),
)
