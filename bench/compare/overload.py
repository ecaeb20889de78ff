"""A server under open loads, to ten times what it can do, and how it is afterwards."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

from bench.compare.figures import OpenRow, Recovery, percentile
from bench.compare.load import Job
from bench.compare.server import Server

DEADLINE_S = 2.0
PAUSE_S = 2.5  # between two loads: the deadline, and a little
AWAY_S = 5.0  # after the largest load nobody asks for so long


def measure(
    server: Server, alone: Job, capacity_per_s: float, factors: Sequence[float], number: int
) -> tuple[list[OpenRow], Recovery]:
    """Return what each load did in round `number`, and how one client, `alone`, fares after."""
    name = server.candidate.name
    rows: list[OpenRow] = []
    before = server.load(alone)
    for factor in factors:
        if rows:
            time.sleep(PAUSE_S)
        per_s = factor * capacity_per_s
        # After a deadline's time the queue is as long as it will be.
        job = replace(alone, clients=0, per_s=per_s, deadline_s=DEADLINE_S, warm_up_s=DEADLINE_S)
        seen = server.load(job)
        row = OpenRow(
            round=number,
            candidate=name,
            factor=factor,
            offered_per_s=per_s,
            goodput_per_s=len(seen.latencies_ms) / seen.seconds,
            p50_ms=percentile(seen.latencies_ms, 50),
            p99_ms=percentile(seen.latencies_ms, 99),
            load_cpu=seen.cpu_s / (seen.seconds + DEADLINE_S),
            errors=seen.errors,
        )
        rows.append(row)
    begin = server.usage.cpu_s()
    time.sleep(AWAY_S)
    end = server.usage.cpu_s()
    work_s = {kind: end[kind] - begin.get(kind, 0.0) for kind in end}
    after = server.load(alone)
    before_ms = percentile(before.latencies_ms, 50)
    after_ms = percentile(after.latencies_ms, 50) if after.latencies_ms else math.inf
    return rows, Recovery(number, name, before_ms, after_ms, work_s)
