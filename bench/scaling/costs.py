"""What an image costs each part of the service."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.compare.tagger import ROOT
from bench.scaling.figures import Row, model_of
from worker.tuning import best_size

COSTS = ROOT / "docs" / "scaling.json"
WAITING_MS = 0.5  # per image, of `bench.waiting` as the sweep starts it


@dataclass(frozen=True)
class Fit:
    """A cost as a sum of parts, each so much per unit, none below 0; and how well that holds."""

    per: dict[str, float]  # CPU ms per unit: image, take (a batch), mb, process_s, web_s
    rows: int
    typical_error: float  # median of |fitted - measured| / measured
    worst_error: float

    def ms(self, batch: float = 1.0, mb: float = 0.0) -> float:
        """CPU milliseconds for an image of `mb` megabytes, in a batch of that size."""
        return (
            self.per.get("image", 0.0)
            + self.per.get("take", 0.0) / batch
            + self.per.get("mb", 0.0) * mb
        )


@dataclass(frozen=True)
class EngineCost:
    """How long an engine takes."""

    curve_ms: dict[str, float]  # batch size -> ms, alone on the machine
    busy: float = 1.0  # times as long with every core busy
    uses_cpu: bool = True  # or it only waits, for an accelerator

    def ms(self, batch: float, load: float) -> float:
        """Milliseconds per image in a batch of that size, with that part of the cores busy."""
        sizes = sorted(map(int, self.curve_ms))
        whole = float(np.interp(batch, sizes, [self.curve_ms[str(size)] for size in sizes]))
        return whole / max(1.0, min(batch, sizes[-1])) * (1 + (self.busy - 1) * load)

    @property
    def best(self) -> int:
        """The size that a worker would choose."""
        return best_size({int(size): took for size, took in self.curve_ms.items()})


def accelerator(ms: float) -> EngineCost:
    """Return an engine beside the CPU that takes `ms` per image whatever the batch."""
    return EngineCost({str(size): ms * size for size in (1, 2, 4, 8, 16, 32)}, uses_cpu=False)


@dataclass(frozen=True)
class Costs:
    """The cost model of one machine's cores."""

    about: dict[str, str]
    web: dict[str, Fit]  # by kind of image
    redis: Fit
    worker: Fit  # beside the engine
    tcp: float  # times as much CPU for Redis over TCP as over a Unix socket
    wire_mb: dict[str, float]  # into and out of Redis, per image of a model
    held_kb: dict[str, float]  # in Redis, per result that is kept
    photo_kb: dict[str, float]  # what a client sends
    load_ms: dict[str, float]  # CPU of the bench's own load
    way_ms: float  # of a lone request, beside what is computed for it
    pile_ms: float  # of arrivals that a worker finds when it gets a core among others
    engines: dict[str, EngineCost]

    def idle_cores(self, web: int, workers: int) -> float:
        """How many cores processes keep busy by being there."""
        ms = workers * (self.worker.per.get("process_s", 0) + self.redis.per.get("process_s", 0))
        return (ms + web * self.redis.per.get("web_s", 0.0)) / 1000

    def redis_ms(self, kind: str, batch: float, tcp: bool = False) -> float:
        """CPU milliseconds of Redis per image."""
        return self.redis.ms(batch, self.wire_mb[model_of(kind)]) * (self.tcp if tcp else 1)

    def worker_ms(self, kind: str, batch: float) -> float:
        """CPU milliseconds of a worker per image, beside the engine."""
        return self.worker.ms(batch, self.wire_mb[model_of(kind)])

    @classmethod
    def read(cls, path: Path = COSTS) -> Costs:
        """Return what the last sweep wrote. Raises `OSError`, `ValueError`, `KeyError`."""
        raw = json.loads(path.read_text(encoding="utf-8"))["costs"]
        return cls(
            **{
                **raw,
                "web": {kind: Fit(**each) for kind, each in raw["web"].items()},
                "redis": Fit(**raw["redis"]),
                "worker": Fit(**raw["worker"]),
                "engines": {name: EngineCost(**each) for name, each in raw["engines"].items()},
            }
        )


def write(costs: Costs, rows: Sequence[Row], path: Path = COSTS) -> None:
    """Write the costs, and the sweep that they were fitted to."""
    lines = ",\n".join(json.dumps(asdict(row)) for row in rows)
    text = f'{{"costs": {json.dumps(asdict(costs), indent=1)},\n"rows": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")
