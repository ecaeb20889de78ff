"""From the costs of an image to what a rate of images needs, and to where each part ends."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bench.scaling.costs import Costs, EngineCost
from bench.scaling.figures import model_of
from shared.settings import Settings

RATES = (100, 1_000, 10_000, 100_000)  # images per second
WEB_BUSY = 0.7  # parts of a core, a thread, a worker that may be busy: the rest is for bursts
REDIS_BUSY = 0.6
WORKER_BUSY = 0.85
BATCH = 8  # assumed: of workers that have much to do
KEPT_S = Settings().result_ttl_ms // 1000  # how long a result is in Redis
LINK_GB = 1.25  # per second: 10 Gbit/s
MACHINE_CORES = 64  # a large one
ONE_REDIS = "one Redis process"
STORE_GB = 16  # of memory for one Redis


@dataclass(frozen=True)
class Needs:
    """What a rate needs. Cores are counted with room for bursts."""

    rate: float
    web_cores: int
    shards: int  # Redis processes, each with queues of its own
    workers: int
    worker_cores: int
    photos_gb: float  # per second, into the web tier
    wire_gb: float  # per second, into and out of all Redis
    held_gb: float  # in all Redis: the results of the last minute


def needs(costs: Costs, kind: str, engine: EngineCost, rate: float, tcp: bool = True) -> Needs:
    """Return what `rate` images per second need."""
    per_s = rate / 1000
    beside_ms, engine_ms = costs.worker_ms(kind, BATCH), engine.ms(BATCH, 1)
    workers = math.ceil(per_s * max(engine_ms, beside_ms) / WORKER_BUSY)
    cpu_ms = beside_ms + (engine_ms if engine.uses_cpu else 0)
    upkeep = costs.redis.per.get("process_s", 0.0) / 1000 * workers
    redis_cores = per_s * costs.redis_ms(kind, BATCH, tcp) + upkeep
    model = model_of(kind)
    return Needs(
        rate=rate,
        web_cores=math.ceil(per_s * costs.web[kind].ms() / WEB_BUSY),
        shards=math.ceil(redis_cores / REDIS_BUSY),
        workers=workers,
        worker_cores=math.ceil(per_s * cpu_ms / WORKER_BUSY),
        photos_gb=rate * costs.photo_kb[kind] / 1e6,
        wire_gb=rate * costs.wire_mb[model] / 1e3,
        held_gb=rate * KEPT_S * costs.held_kb[model] / 1e6,
    )


@dataclass(frozen=True)
class Ceiling:
    """A rate that something cannot pass, and what to do there."""

    what: str
    per_s: float
    remedy: str


def ceilings(
    costs: Costs, kind: str, cpu: EngineCost, accelerator: EngineCost, cores: int
) -> list[Ceiling]:
    """Return them in the order in which a growing load meets them.

    `cores` are those of the machine that the costs were measured on.
    """
    model = model_of(kind)
    web_ms, beside_ms = costs.web[kind].ms() / WEB_BUSY, costs.worker_ms(kind, BATCH)
    redis_ms = costs.redis_ms(kind, BATCH, True)
    all_ms = web_ms + costs.redis_ms(kind, BATCH) + (beside_ms + cpu.ms(BATCH, 1)) / WORKER_BUSY
    found = [
        Ceiling(
            "one core for workers on the CPU",
            1000 * WORKER_BUSY / (cpu.ms(BATCH, 1) + beside_ms),
            "more workers, on any machine that reaches the Redis",
        ),
        Ceiling(
            f"this machine: {cores} cores that do all on the CPU",
            1000 * cores / all_ms,
            "more cores, here or on other machines: for workers, then for web processes",
        ),
        Ceiling("one core for web processes", 1000 / web_ms, "more web processes"),
        Ceiling(
            "one worker with an accelerator",
            1000 * WORKER_BUSY / max(accelerator.ms(BATCH, 1), beside_ms),
            "more workers: beyond this rate a worker's own Python costs as much as the engine",
        ),
        Ceiling(
            f"one machine of {MACHINE_CORES} cores that does all on the CPU",
            1000 * MACHINE_CORES / all_ms,
            "web tier, Redis and workers on machines of their own, or accelerators",
        ),
        Ceiling(
            ONE_REDIS,
            1000 * REDIS_BUSY / redis_ms,
            "shards: several whole services, each with its own Redis, behind one balancer",
        ),
        Ceiling(
            "a link of 10 Gbit/s at the Redis machine, either direction",
            2000 * LINK_GB / costs.wire_mb[model],
            "shards on several machines, or web, Redis and workers of a shard on one machine",
        ),
        Ceiling(
            "a link of 10 Gbit/s that brings the photos",
            1e6 * LINK_GB / costs.photo_kb[kind],
            "several balancers (DNS, anycast)",
        ),
        Ceiling(
            f"{STORE_GB} GB of Redis for the results of {KEPT_S} s",
            1e6 * STORE_GB / KEPT_S / max(1e-3, costs.held_kb[model]),
            "shards, or a shorter RESULT_TTL_MS",
        ),
    ]
    return sorted(found, key=lambda each: each.per_s)
