"""How a server keeps up: requests per second, latencies, CPU and memory under five loads."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from bench.servers.candidates import ROOT
from bench.servers.process import Server

LOADS = ((1, True), (16, True), (64, True), (256, True), (64, False))  # clients, keep-alive
LOAD_TIMEOUT_S = 60


@dataclass(frozen=True)
class Speed:
    """What one load on one server gave."""

    per_s: float  # answers per second
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of the server's processes, per answer
    load_cpu: float  # of the load's process, as a part of one core
    rss_mib: float  # of the server's processes, after the load
    busier: float  # the part of the answers that the busier process gave
    errors: int  # connections broken, answers that took more than 10 s


def measure(server: Server, seconds: float) -> list[Speed]:
    """Return what each of `LOADS` gives when it lasts `seconds`."""
    return [one(server, clients, alive, seconds) for clients, alive in LOADS]


def one(server: Server, clients: int, alive: bool, seconds: float) -> Speed:
    """Run one load in a process of its own."""
    before = server.cpu_s()
    argv = [sys.executable, "-m", "bench.servers.load", str(server.port), str(clients)]
    argv += ["alive" if alive else "close", str(seconds)]
    done = subprocess.run(
        argv, cwd=ROOT, stdout=subprocess.PIPE, check=True, timeout=LOAD_TIMEOUT_S + seconds
    )
    spent = server.cpu_s() - before
    got: dict[str, Any] = json.loads(done.stdout)
    times = sorted(got["latencies_ms"]) or [float("nan")]
    return Speed(
        per_s=len(got["latencies_ms"]) / seconds,
        p50_ms=times[len(times) // 2],
        p99_ms=times[int(len(times) * 0.99)],
        cpu_ms=1000 * spent / max(got["answered"], 1),
        load_cpu=got["load_cpu_s"] / seconds,
        rss_mib=server.rss_mib(),
        busier=max(got["processes"], default=0) / max(sum(got["processes"]), 1),
        errors=got["errors"] + got["late"],
    )


def middle(rounds: list[list[Speed]]) -> list[Speed]:
    """Return the median of each figure over the rounds, load by load; errors are added up."""
    result = []
    for same in zip(*rounds, strict=True):
        figures = {
            name: statistics.median(getattr(speed, name) for speed in same)
            for name in Speed.__dataclass_fields__
        }
        figures["errors"] = sum(speed.errors for speed in same)
        result.append(Speed(**figures))
    return result
