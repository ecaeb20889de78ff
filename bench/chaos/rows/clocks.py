"""Hosts whose clocks are apart."""

from __future__ import annotations

import json
from datetime import datetime

from bench.chaos import photos
from bench.chaos.load import Load
from bench.chaos.row import Needs, Row, Seen
from bench.chaos.stage import Stage
from bench.compare.tagger import ROOT

_SHIFTED = ROOT / "bench" / "chaos" / "clock"
_PLAIN_MS = 1000.0  # nobody waited for as long


def _play(stage: Stage, short: bool) -> Seen:
    with Load(stage.port, photos.numbered, clients=50, every_s=1) as load:
        stage.settle(3 if short else 30)
    tally = load.tally()
    misses = tally.misses(least_ok=1.0)
    timings = [each.answer["timing_ms"] for each in load.outcomes if each.answer]
    least = min(min(timing.values()) for timing in timings)
    most = max(max(timing.values()) for timing in timings)
    if least < 0 or most > _PLAIN_MS:
        misses.append(f"a part of a timing is {least} or {most} ms")
    apart_s = _apart_s(stage)
    if not 3500 < abs(apart_s) < 3700:
        misses.append(f"the clocks are {apart_s:.0f} s apart")
    return Seen({"clocks apart s": round(apart_s), **tally.figures()}, misses)


def _apart_s(stage: Stage) -> float:
    """Return by how much workers are ahead in the log, to a minute: each role's last line."""
    last: dict[str, float] = {}
    for text in stage.log.read_text(encoding="utf-8").splitlines():
        if text.startswith("{"):
            line = json.loads(text)
            last[line["role"]] = datetime.fromisoformat(line["time"]).timestamp()
    return last["worker"] - last["web"]


_PROMISE = "nothing changes: all 200, no time in an answer is negative or long"
_AHEAD = (("PYTHONPATH", f"{_SHIFTED}:{ROOT}"),)
ROWS = (
    Row(
        "clocks apart",
        "the clock of the workers is an hour ahead of that of the web tier and of Redis",
        _PROMISE,
        Needs(worker_settings=_AHEAD),
        _play,
    ),
    Row(
        "clocks apart, web",
        "the clock of the web tier is an hour ahead of that of the workers and of Redis",
        _PROMISE,
        Needs(web_settings=_AHEAD),
        _play,
    ),
)
