"""All workers gone, and back."""

from __future__ import annotations

import time
from collections import Counter

from bench.chaos import photos
from bench.chaos.load import Load, Outcome
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage, kill
from bench.chaos.tally import Tally

_READY_S = 2.0
_AT_ONCE_S = 0.25
_FEW = 0.01  # of the refusals may take longer: this machine has other things to do
_DEADLINE_MS = 3000
_LOOKING_S = 0.1  # what asking `/readyz` itself takes, and how often that is done


def _play(stage: Stage, short: bool) -> Seen:
    shown: list[float] = []
    back: list[float] = []
    refused: list[Outcome] = []
    waited: list[Outcome] = []
    rest: list[Outcome] = []
    ran_late = 0
    for _ in range(1 if short else 4):
        with Load(
            stage.port, photos.numbered, clients=100, every_s=3, deadline_ms=_DEADLINE_MS
        ) as load:
            stage.settle(1)
            gone_at = time.monotonic()
            kill(stage.workers_parent.pid)  # the kernel kills its workers with it
            stage.workers_parent.wait()
            shown.append(stage.wait_until(lambda: stage.readiness() == 503, 10))
            shown_at = time.monotonic()
            stage.settle(_DEADLINE_MS / 1000 + 0.5)
            ran_before, back_at = stage.inferences(), time.monotonic()
            stage.start_workers()
            back.append(stage.wait_until(lambda: stage.readiness() == 200, 30))
            served_at = time.monotonic()
            stage.settle(1)
        ran = stage.inferences()
        for each in load.outcomes:
            if shown_at < each.due < back_at:
                refused.append(each)
            elif each.due < shown_at and each.done > gone_at:
                waited.append(each)
                number = each.photo.number
                ran_late += each.status == 504 and ran[number] > ran_before[number]
            elif not back_at <= each.due <= served_at:
                rest.append(each)
    misses = Tally([*refused, *waited, *rest]).misses()
    misses += _misses(shown, refused, waited, rest)
    if ran_late:
        misses.append(f"{ran_late} requests ran after their deadline")
    kinds = Counter(each.problem for each in refused if each.status == 503)
    longest_s = max((each.took_s for each in refused), default=0.0)
    over_s = [each.took_s - each.deadline_s for each in waited if each.status == 504]
    return Seen(
        {
            "/readyz 503 after s": round(max(shown), 2),
            "503 meanwhile": ", ".join(f"{count} {kind}" for kind, count in kinds.items()),
            "the slowest of them ms": round(longest_s * 1000),
            "504 of those that waited": sum(each.status == 504 for each in waited),
            "after their deadline by ms at most": round(max(over_s, default=0.0) * 1000),
            "run after their deadline": ran_late,
            "ready again after the start of workers s": round(max(back), 1),
            "before and after that": len(rest),
        },
        misses,
    )


def _misses(
    shown: list[float], refused: list[Outcome], waited: list[Outcome], rest: list[Outcome]
) -> list[str]:
    misses = []
    if max(shown) > _READY_S + _LOOKING_S:
        misses.append(f"/readyz was 503 only after {max(shown):.2f} s")
    other = Counter(each.problem or "200" for each in refused if each.status != 503)
    slow = [each for each in refused if each.done - each.sent > _AT_ONCE_S]
    if other or len(slow) > _FEW * len(refused) or not refused:
        misses.append(f"{len(refused)} without a worker: {dict(other)}, {len(slow)} slow")
    early = [each for each in waited if each.status == 504 and each.took_s < each.deadline_s]
    ends = {each.status for each in waited}
    if early or not ends <= {200, 503, 504} or 504 not in ends:
        misses.append(f"those that waited got {ends}, {len(early)} of them too early")
    return misses + Tally(rest).misses(least_ok=1.0)


ROWS = (
    Row(
        "no workers",
        "all workers and their parent killed with -9 under load; after 5 s others are started",
        "`/readyz` 503 within 2 s; requests 503 at once, those that wait 504 at their deadline and "
        "never run; recovery without a restart of anything else",
        Needs(),
        _play,
    ),
)
