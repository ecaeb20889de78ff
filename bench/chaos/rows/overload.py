"""Far more requests than can be served, in an open loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from bench.chaos import photos
from bench.chaos.load import Load, Outcome, note, request
from bench.chaos.photos import Photo
from bench.chaos.recovery import recovered_s
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage
from bench.chaos.tally import Tally
from bench.compare.arrivals import OpenLoop

_DEADLINE_S = 2.0
_PATIENCE_S = 1.0  # after it, a request without an answer is lost
# Of what the workers could run, had they the machine for themselves.
_REAL_PARTS = (0.3, 0.45, 0.6)
_QUICK_PARTS = (0.8, 1.2)
_FEW = 24  # photos: of the real ones, a request for each would not fit into memory
_MANY = 100_000  # one for each request
_KEPT = 0.9  # of the peak
_KEPT_IN_SHORT = 0.5  # no collapse; more is not told by seconds on a machine that tests share
_REFUSED_S = 0.1
_RECOVERED_S = 5.0
_FOR_NOBODY = 0.05  # of the inferences: what was in time when it started, and not when it ended


def _play(
    factor: float,
    parts: Sequence[float],
    photo: Callable[[], Photo],
    distinct: int,
    stage: Stage,
    short: bool,
) -> Seen:
    """Find the peak of goodput at some `parts` of the workers' capacity; go far over it.

    The machine's speed drifts within such a time, so the peak is the mean of before and after; in
    short, that of before alone. `distinct` photos are posted, each again and again if need be.
    """
    capacity_per_s = _capacity_per_s(stage)
    offer = partial(_offer, stage, photo, distinct)
    near = {part: offer(part * capacity_per_s, 2.0 if short else 10.0)[0] for part in parts}
    best = max(near, key=lambda part: near[part])
    peak = near[best] if short else offer(best * capacity_per_s, 20.0)[0]
    offered, before = factor * peak, stage.inferences()
    goodput, outcomes = offer(offered, 5.0 if short else 60.0)
    ended, runs = max(each.done for each in outcomes), stage.inferences() - before
    with Load(stage.port, photo, clients=10, every_s=1) as light:
        stage.settle(_RECOVERED_S + 1)
    back_s = recovered_s(light.outcomes, ended)
    if not short:
        peak = (peak + offer(best * capacity_per_s, 20.0)[0]) / 2
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
    tally = light.tally()
    misses += [*Tally(outcomes).misses(), *tally.misses()]
    return Seen({**figures, **tally.figures()}, misses)


def _offer(
    stage: Stage, photo: Callable[[], Photo], distinct: int, per_s: float, seconds: float
) -> tuple[float, Sequence[Outcome]]:
    """Return the goodput of an open loop, once its queue is as long as it gets; and all of it.

    By the bench's own open loop, on connections that stay, as most clients' do: it takes less of
    the cores, which the service needs here.
    """
    seconds_in_all = _DEADLINE_S + seconds
    # Arrivals are by chance.
    count = min(distinct, round(1.1 * per_s * seconds_in_all))
    sent = [photo() for _ in range(count)]
    requests = [request(each, _DEADLINE_S, keep=True) for each in sent]
    loop = OpenLoop(stage.port, requests, _DEADLINE_S + _PATIENCE_S)
    begin = time.monotonic() + _DEADLINE_S
    loop.run(per_s, seconds_in_all)
    outcomes = []
    for seen in loop.outcomes:
        outcome = Outcome(sent[seen.call], seen.due, _DEADLINE_S, seen.due, seen.done)
        if seen.answer:
            try:
                note(outcome, seen.answer)
            except ValueError as error:
                outcome.problem = type(error).__name__
        outcomes.append(outcome)
    good = [
        each
        for each in outcomes
        if each.status == 200
        and begin <= each.done < begin + seconds
        and each.took_s <= each.deadline_s
    ]
    return len(good) / seconds, outcomes


def _capacity_per_s(stage: Stage) -> float:
    """Return what the workers say that they can run in a second, all together."""
    curves: list[dict[str, float]] = [worker["curve_ms"] for worker in stage.ready()]
    return sum(max(1000 * int(size) / ms for size, ms in curve.items()) for curve in curves)


_PROMISE = (
    "goodput at least 90 % of its peak; the refusals' p99 at most 100 ms, each with Retry-After; "
    "as before within 5 s of the last answer"
)
ROWS = (
    Row(
        "overload, real engine",
        "an open loop of three times the peak (found before and after) for 60 s, deadline 2 s",
        _PROMISE,
        Needs(engine="litert"),
        lambda stage, short: _play(3, _REAL_PARTS, photos.real(), _FEW, stage, short),
    ),
    Row(
        "overload, quick engine",
        "an open loop of ten times the peak (found before and after) for 60 s, deadline 2 s; one "
        "worker that runs 40 photos a second (25 ms each)",
        f"{_PROMISE}; no expired request starts inference: at most 5 % are for nobody, those "
        "that expired while they ran",
        Needs(workers=1, ms_per_batch=0, ms_per_image=25),
        partial(_play, 10, _QUICK_PARTS, photos.numbered, _MANY),
    ),
)
