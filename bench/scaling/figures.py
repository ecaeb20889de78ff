"""What a sweep has seen, as it is kept in `docs/scaling.json`."""

from __future__ import annotations

from dataclasses import dataclass

from bench.scaling.service import Spent

TAGS = "tags 640x480"  # the kind of image most of the sweep is done with
PRODUCT = "product"  # the small one: 28x28


@dataclass(frozen=True)
class Row:
    """One load on one shape of the service."""

    sweep: str  # which part of the sweep: web, workers, ..., see sweep.py
    kind: str  # model and photo, such as `tags 640x480`
    engine: str  # waiting, litert, session; empty where the queue is measured alone
    web: int  # processes
    workers: int  # processes, of all models together
    models: int
    clients: int
    per_s: float  # answers per second
    mean_ms: float  # latency; 0 where the queue is measured alone
    p50_ms: float
    p99_ms: float
    batch: float  # mean
    images: int  # answered between the two looks at what was used
    errors: int
    wall_s: float  # between these looks
    cpu_s: dict[str, float]  # in that time, by kind of process
    wire_mb: float  # into and out of Redis in that time
    result_kb: float  # what one result that is kept holds in Redis; 0 where none was looked at

    @property
    def takes(self) -> float:
        """How many batches were taken from a queue."""
        return self.images / self.batch if self.batch else 0.0

    def ms(self, kind: str) -> float:
        """CPU milliseconds of a kind of process per image."""
        return 1000 * self.cpu_s.get(kind, 0.0) / max(1, self.images)

    def cores(self, kind: str) -> float:
        """How many cores a kind of process kept busy."""
        return self.cpu_s.get(kind, 0.0) / self.wall_s


def row(
    sweep: str, kind: str, engine: str, shape: dict[str, int], spent: Spent, **seen: float
) -> Row:
    """Put a row together; `seen` holds what the load saw."""
    return Row(
        sweep=sweep,
        kind=kind,
        engine=engine,
        **shape,
        per_s=round(seen["per_s"], 3),
        mean_ms=round(seen.get("mean_ms", 0.0), 3),
        p50_ms=round(seen.get("p50_ms", 0.0), 3),
        p99_ms=round(seen.get("p99_ms", 0.0), 3),
        batch=round(seen["batch"], 3),
        images=int(seen["images"]),
        errors=int(seen["errors"]),
        wall_s=round(spent.at, 4),
        cpu_s={part: round(used, 4) for part, used in spent.cpu_s.items()},
        wire_mb=round(spent.wire_mb, 4),
        result_kb=round(seen.get("result_kb", 0.0), 3),
    )


def model_of(kind: str) -> str:
    """Return the model's part of a kind's name."""
    return kind.partition(" ")[0]


def photo_of(kind: str) -> str:
    """Return the photo's part of a kind's name, which is its folder's, too."""
    return kind.rpartition(" ")[2]
