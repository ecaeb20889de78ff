"""What a machine does under a number of users, by the cost model.

Mean value analysis of a closed network: users think, then their image passes the cores, which web
tier, Redis, workers and the engine share, or an accelerator beside them. A station of several
servers is one that is as much faster, and a delay for the rest of the service time (Seidmann).
Beyond that no part does more than it can alone: Redis is one thread, a web process holds one
lock outside decoding, a worker runs one batch after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.scaling.costs import Costs, EngineCost
from bench.scaling.figures import PRODUCT
from shared.settings import Settings

_EXACT = 500  # users
_FULL = 0.97  # of a worker's time
_ROUNDS = 30  # of finding the batch size and the load that fit each other
DECODE_THREADS = Settings().decode_threads  # of a web process


@dataclass(frozen=True)
class Machine:
    """Where the service runs."""

    cores: int
    web: int  # processes
    workers: int  # processes


@dataclass(frozen=True)
class Prediction:
    """What comes of it."""

    per_s: float
    latency_ms: float  # mean
    batch: float
    limit: str  # what there is least of
    cpu_ms: dict[str, float]  # per image, by part
    ceilings: dict[str, float]  # images per second that each part could do

    def cores(self, part: str) -> float:
        """How many cores a part keeps busy."""
        return self.per_s * self.cpu_ms[part] / 1000


def predict(
    costs: Costs,
    kind: str,
    engine: EngineCost,
    machine: Machine,
    users: int,
    think_ms: float = 0.0,
    load_here: bool = False,
) -> Prediction:
    """Return what `users` get who post, wait, think for `think_ms`, and post again.

    `load_here`: the users' own processes run on the same cores, as in a bench.
    """
    batch, busy = 1.0, 0.0
    free = max(0.1, machine.cores - costs.idle_cores(machine.web, machine.workers))
    for _ in range(_ROUNDS):
        cpu = {
            "web": costs.web[kind].ms(),
            "redis": costs.redis_ms(kind, batch),
            "worker": costs.worker_ms(kind, batch),
            "engine": engine.ms(batch, busy) if engine.uses_cpu else 0.0,
            "load": costs.load_ms[kind] if load_here else 0.0,
        }
        engine_ms = engine.ms(batch, busy)
        stations = [(sum(cpu.values()) * machine.cores / free, machine.cores)]
        if not engine.uses_cpu:
            stations.append((engine_ms, machine.workers))
        per_ms, response_ms = solve(stations, users, think_ms + costs.way_ms)
        ceilings = _ceilings(costs, kind, machine, cpu, engine_ms, free)
        per_s = min(1000 * per_ms, *ceilings.values())
        busy += 0.5 * (min(1.0, per_s * sum(cpu.values()) / 1000 / free) - busy)
        # A worker takes all that came while it was busy, or waited for a core.
        own_ms = (engine_ms + costs.worker_ms(kind, batch)) * (1 + busy / 2)
        full = min(_FULL, per_s * own_ms / 1000 / machine.workers)
        found = 1 + busy * per_s * costs.pile_ms / 1000 + full**2 / (1 - full)
        part = (engine_ms + cpu["worker"]) / sum(service for service, _ in stations)
        inside = (users - per_s * think_ms / 1000) * part
        most = max(1.0, min(inside / machine.workers, engine.best))
        batch += 0.5 * (min(found, most) - batch)
    latency_ms = max(response_ms + costs.way_ms, users / per_s * 1000 - think_ms)
    limit = min(ceilings, key=lambda name: ceilings[name])
    return Prediction(per_s, latency_ms, batch, limit, cpu, ceilings)


def solve(
    stations: Sequence[tuple[float, int]], users: int, delay_ms: float
) -> tuple[float, float]:
    """Return throughput (per ms) and the time at the stations (ms), by mean value analysis.

    `stations` are service time in ms and number of servers. Exact for up to `_EXACT` users;
    beyond, by Schweitzer's estimate of what one who comes finds before him.
    """
    queues = [0.0] * len(stations)
    shared = [service / servers for service, servers in stations]
    apart = sum(service - part for (service, _), part in zip(stations, shared, strict=True))
    per_ms, response = 0.0, 0.0
    if users <= _EXACT:
        rounds = [(float(count), 1.0) for count in range(1, users + 1)]
    else:
        rounds = [(float(users), (users - 1) / users)] * _EXACT
    for count, found in rounds:
        times = [part * (1 + found * queue) for part, queue in zip(shared, queues, strict=True)]
        response = sum(times) + apart
        per_ms = count / (response + delay_ms)
        queues = [per_ms * time for time in times]
    return per_ms, response


def _ceilings(
    costs: Costs,
    kind: str,
    machine: Machine,
    cpu: dict[str, float],
    engine_ms: float,
    free: float,
) -> dict[str, float]:
    """Images per second that each part could do if it were alone the limit."""
    outside = min(costs.web[PRODUCT].ms(), cpu["web"])  # of decoding: the interpreter's lock
    decoding = (cpu["web"] - outside) / DECODE_THREADS
    return {
        "cores": 1000 * free / sum(cpu.values()),
        "web processes": 1000 * machine.web / max(outside, decoding),
        "workers": 1000 * machine.workers / max(engine_ms, cpu["worker"]),
        "Redis": 1000 / cpu["redis"],
    }
